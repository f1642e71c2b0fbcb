/*
 * Frames by liblz4 (lz4frame.h). The header is collected here and judged before liblz4 allocates by it; the bytes of the
 * message are counted here, as liblz4 notices only at the end of the frame that they are not those announced.
 */
#include "advanced/compress.h"

#include <hqq/error.h>

#ifdef HQQ_HAVE_LZ4

#include <errno.h>
#include <lz4.h>
#include <lz4frame.h>
#include <string.h>
#include <talloc.h>

bool hqq_compress_is_available(void)
{
    return true;
}

/* ---- A whole message ------------------------------------------------------------------------------------------- */

#define SAMPLE_FROM ((size_t)256 * 1024) /* messages that are sampled first */
#define SAMPLE ((size_t)8 * 1024)
#define SAMPLES 4

static LZ4F_preferences_t preferences(size_t length)
{
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.frameInfo.contentSize = length;
    return preferences;
}

size_t hqq_compress_bound(size_t length)
{
    LZ4F_preferences_t wanted = preferences(length);
    return length > SIZE_MAX / 2 ? 0 : LZ4F_compressFrameBound(length, &wanted);
}

/* Pieces from the first byte to the last. Less gain than asked of the whole will do: what lies between may be better. */
static bool looks_compressible(const char *data, size_t length, char *room)
{
    size_t sum = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        const char *sample = data + (length - SAMPLE) / (SAMPLES - 1) * i;
        int bytes = LZ4_compress_default(sample, room, (int)SAMPLE, (int)SAMPLE);
        sum += bytes > 0 ? (size_t)bytes : SAMPLE;
    }
    return sum <= SAMPLES * (SAMPLE - SAMPLE / 64);
}

size_t hqq_compress(const void *data, size_t length, void *compressed, size_t capacity)
{
    LZ4F_preferences_t wanted = preferences(length);
    size_t bound = hqq_compress_bound(length);
    if (length == 0 || bound == 0 || capacity < bound)
        return 0;
    if (length >= SAMPLE_FROM && !looks_compressible(data, length, compressed))
        return 0;
    size_t bytes = LZ4F_compressFrame(compressed, capacity, data, length, &wanted);
    return !LZ4F_isError(bytes) && bytes <= length - (length + 15) / 16 ? bytes : 0;
}

/* ---- A frame in pieces ----------------------------------------------------------------------------------------- */

enum stage { IN_HEADER, IN_BLOCKS, DONE, FAILED };

struct hqq_decompress {
    LZ4F_dctx *context;
    enum stage stage;
    int error;                                  /* once FAILED */
    unsigned char header[LZ4F_HEADER_SIZE_MAX]; /* as far as it has come */
    size_t header_length;
    uint64_t total;   /* once past the header */
    uint64_t written; /* never more than total */
};

static int destroy(struct hqq_decompress *decompress)
{
    (void)LZ4F_freeDecompressionContext(decompress->context);
    return 0;
}

int hqq_decompress_new(void *parent, struct hqq_decompress **ret_decompress)
{
    struct hqq_decompress *decompress = talloc_zero(parent, struct hqq_decompress);
    if (!decompress)
        return -ENOMEM;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&decompress->context, LZ4F_VERSION))) {
        talloc_free(decompress);
        return -ENOMEM;
    }
    talloc_set_destructor(decompress, destroy);
    *ret_decompress = decompress;
    return 0;
}

void hqq_decompress_reset(struct hqq_decompress *decompress)
{
    LZ4F_resetDecompressionContext(decompress->context);
    *decompress = (struct hqq_decompress){.context = decompress->context};
}

bool hqq_decompress_total(const struct hqq_decompress *decompress, uint64_t *ret_total)
{
    if (decompress->total == 0)
        return false;
    *ret_total = decompress->total;
    return true;
}

bool hqq_decompress_is_done(const struct hqq_decompress *decompress)
{
    return decompress->stage == DONE;
}

/* A stretch of input, and one of room for output; both shrink from the front. */
struct input {
    const unsigned char *at;
    size_t left;
};

struct output {
    unsigned char *at;
    size_t left;
};

/* Takes input up to a header of wanted bytes; false if there was not enough. */
static bool collect_header(struct hqq_decompress *decompress, struct input *input, size_t wanted)
{
    size_t missing = wanted > decompress->header_length ? wanted - decompress->header_length : 0;
    size_t taken = missing < input->left ? missing : input->left;
    if (taken > 0)
        memcpy(decompress->header + decompress->header_length, input->at, taken);
    decompress->header_length += taken;
    input->at += taken;
    input->left -= taken;
    return taken == missing;
}

/* liblz4 parses the header, and allocates only when it is fed the first block. */
static int take_header(struct hqq_decompress *decompress, struct input *input)
{
    if (!collect_header(decompress, input, LZ4F_MIN_SIZE_TO_KNOW_HEADER_LENGTH))
        return 0;
    size_t size = LZ4F_headerSize(decompress->header, decompress->header_length);
    if (LZ4F_isError(size) || size > sizeof(decompress->header))
        return HQQ_ERROR_INVALID_SIZE;
    if (!collect_header(decompress, input, size))
        return 0;

    LZ4F_frameInfo_t info = LZ4F_INIT_FRAMEINFO;
    size_t used = decompress->header_length;
    if (LZ4F_isError(LZ4F_getFrameInfo(decompress->context, &info, decompress->header, &used)) ||
        used != decompress->header_length)
        return HQQ_ERROR_INVALID_SIZE;
    if (info.frameType != LZ4F_frame || info.blockSizeID != LZ4F_max64KB || info.blockMode != LZ4F_blockIndependent ||
        info.contentChecksumFlag != LZ4F_noContentChecksum || info.blockChecksumFlag != LZ4F_noBlockChecksum ||
        info.dictID != 0 || info.contentSize == 0)
        return HQQ_ERROR_INVALID_SIZE;
    decompress->total = info.contentSize;
    decompress->stage = IN_BLOCKS;
    return 0;
}

static int failure(size_t code)
{
    return strcmp(LZ4F_getErrorName(code), "ERROR_allocation_failed") == 0 ? -ENOMEM : HQQ_ERROR_INVALID_SIZE;
}

/* One step. Once all is written there is room for one byte more, so that a frame with more betrays itself. */
static int take_blocks(struct hqq_decompress *decompress, struct input *input, struct output *output)
{
    unsigned char excess;
    uint64_t missing = decompress->total - decompress->written;
    size_t used = input->left;
    size_t room = missing < output->left ? (size_t)missing : output->left;
    size_t written = missing == 0 ? sizeof(excess) : room;
    size_t result =
        LZ4F_decompress(decompress->context, room > 0 ? output->at : &excess, &written, input->at, &used, NULL);
    if (LZ4F_isError(result))
        return failure(result);
    if (written > room)
        return HQQ_ERROR_INVALID_SIZE;
    input->at += used;
    input->left -= used;
    output->at += written;
    output->left -= written;
    decompress->written += written;
    if (result != 0)
        return 0;
    decompress->stage = DONE;
    return decompress->written == decompress->total ? 0 : HQQ_ERROR_INVALID_SIZE;
}

/* liblz4 stops here and there with input left and room too, so it is called until it moves nothing. */
static int feed(struct hqq_decompress *decompress, struct input *input, struct output *output)
{
    int result = 0;
    if (decompress->stage == IN_HEADER)
        result = take_header(decompress, input);
    size_t before = SIZE_MAX;
    while (result == 0 && decompress->stage == IN_BLOCKS && input->left + output->left < before) {
        before = input->left + output->left;
        result = take_blocks(decompress, input, output);
    }
    return result == 0 && decompress->stage == DONE && input->left > 0 ? HQQ_ERROR_INVALID_SIZE : result;
}

int hqq_decompress_feed(struct hqq_decompress *decompress, const void *data, size_t length, size_t *ret_used, void *out,
                        size_t capacity, size_t *ret_written)
{
    if (decompress->stage == FAILED)
        return decompress->error;
    unsigned char none; /* nothing of NULL is nothing of this, which may be reckoned with */
    struct input input = {length > 0 ? data : &none, length};
    struct output output = {capacity > 0 ? out : &none, capacity};
    int result = feed(decompress, &input, &output);
    if (result != 0) {
        decompress->stage = FAILED;
        decompress->error = result;
        return result;
    }
    *ret_used = length - input.left;
    *ret_written = capacity - output.left;
    return 0;
}

#else /* not built in: there is no object, so its functions are never called */

bool hqq_compress_is_available(void)
{
    return false;
}

size_t hqq_compress_bound(size_t length)
{
    (void)length;
    return 0;
}

size_t hqq_compress(const void *data, size_t length, void *compressed, size_t capacity)
{
    (void)data;
    (void)length;
    (void)compressed;
    (void)capacity;
    return 0;
}

int hqq_decompress_new(void *parent, struct hqq_decompress **ret_decompress)
{
    (void)parent;
    (void)ret_decompress;
    return HQQ_ERROR_INVALID_OP;
}

void hqq_decompress_reset(struct hqq_decompress *decompress)
{
    (void)decompress;
}

int hqq_decompress_feed(struct hqq_decompress *decompress, const void *data, size_t length, size_t *ret_used, void *out,
                        size_t capacity, size_t *ret_written)
{
    (void)decompress;
    (void)data;
    (void)length;
    (void)ret_used;
    (void)out;
    (void)capacity;
    (void)ret_written;
    return HQQ_ERROR_INVALID_OP;
}

bool hqq_decompress_total(const struct hqq_decompress *decompress, uint64_t *ret_total)
{
    (void)decompress;
    (void)ret_total;
    return false;
}

bool hqq_decompress_is_done(const struct hqq_decompress *decompress)
{
    (void)decompress;
    return false;
}

#endif
