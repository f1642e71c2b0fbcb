/* Messages as LZ4 frames: there and back in pieces of any size, and frames that somebody made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include <hqq/error.h>

#include "advanced/compress.h"

#ifdef HQQ_HAVE_LZ4
#define HAVE_LZ4 true
#else
#define HAVE_LZ4 false
#endif

#define MIB ((size_t)1024 * 1024)
#define BLOCK ((size_t)64 * 1024)

static void *context;
static struct hqq_decompress *decompress;
static uint64_t seed;

static int set_up(void **state)
{
    (void)state;
    context = talloc_new(NULL);
    seed = 1;
    return hqq_decompress_new(context, &decompress);
}

static int tear_down(void **state)
{
    (void)state;
    talloc_free(context);
    return 0;
}

/* xorshift64. */
static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

struct bytes {
    unsigned char *at;
    size_t length;
};

/* Memory of exactly that size, so that AddressSanitizer sees a byte too many. */
static struct bytes new_bytes(size_t length)
{
    struct bytes bytes = {talloc_zero_size(context, length > 0 ? length : 1), length};
    assert_non_null(bytes.at);
    return bytes;
}

static struct bytes noise(size_t length)
{
    struct bytes bytes = new_bytes(length);
    for (size_t i = 0; i < length; i++)
        bytes.at[i] = (unsigned char)(next_random() >> 32);
    return bytes;
}

/* Words of a small dictionary: what text is like to a compressor. */
static struct bytes text(size_t length)
{
    struct bytes dictionary = noise(16 * 8);
    struct bytes bytes = new_bytes(length);
    for (size_t i = 0; i < length; i += 8) {
        size_t size = length - i < 8 ? length - i : 8;
        memcpy(bytes.at + i, dictionary.at + 8 * (next_random() % 16), size);
    }
    talloc_free(dictionary.at);
    return bytes;
}

/* The frame of a message, of length 0 if there is none. */
static struct bytes compress(struct bytes message)
{
    size_t bound = hqq_compress_bound(message.length);
    struct bytes room = new_bytes(bound);
    room.length = hqq_compress(message.at, message.length, room.at, bound);
    struct bytes frame = new_bytes(room.length);
    memcpy(frame.at, room.at, room.length);
    talloc_free(room.at);
    return frame;
}

/* Feeds a whole frame, at most piece bytes at once into at most room bytes of out; out.length is what was announced. */
static int feed(struct bytes frame, size_t piece, size_t room, struct bytes out, size_t *ret_written)
{
    size_t at = 0, total = 0;
    for (;;) {
        size_t used = SIZE_MAX, written = SIZE_MAX;
        size_t length = frame.length - at < piece ? frame.length - at : piece;
        size_t capacity = out.length - total < room ? out.length - total : room;
        unsigned char *given = talloc_memdup(context, frame.at + at, length); /* exactly these bytes */
        int result = hqq_decompress_feed(decompress, given, length, &used, out.at + total, capacity, &written);
        talloc_free(given);
        if (result != 0) {
            assert_int_equal(used, SIZE_MAX);
            assert_int_equal(written, SIZE_MAX);
            return result;
        }
        assert_in_range(used, 0, length);
        assert_in_range(written, 0, capacity);
        at += used;
        total += written;
        if (used == 0 && written == 0)
            break;
    }
    *ret_written = total;
    return 0;
}

static void assert_there_and_back(struct bytes message, size_t piece, size_t room)
{
    struct bytes frame = compress(message), out = new_bytes(message.length);
    assert_int_not_equal(frame.length, 0);
    size_t written = 0;
    uint64_t total = 0;
    hqq_decompress_reset(decompress);
    assert_false(hqq_decompress_total(decompress, &total));
    assert_false(hqq_decompress_is_done(decompress));
    assert_int_equal(feed(frame, piece, room, out, &written), 0);
    assert_true(hqq_decompress_is_done(decompress));
    assert_true(hqq_decompress_total(decompress, &total));
    assert_int_equal(total, message.length);
    assert_int_equal(written, message.length);
    assert_memory_equal(out.at, message.at, message.length);
    talloc_free(frame.at);
    talloc_free(out.at);
}

/* ---- Whole messages ---------------------------------------------------------------------------------------------- */

static const size_t sizes[] = {64,        100,           1000,          4096,           BLOCK - 1,  BLOCK,
                               BLOCK + 1, 2 * BLOCK - 1, 3 * BLOCK + 5, 256 * 1024 - 1, 256 * 1024, MIB + 3};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void messages_of_every_size_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct bytes message = new_bytes(sizes[i]);
        assert_there_and_back(message, SIZE_MAX, SIZE_MAX);
        talloc_free(message.at);
    }
    for (size_t i = 2; i < SIZES; i++) {
        struct bytes message = text(sizes[i]);
        assert_there_and_back(message, SIZE_MAX, SIZE_MAX);
        talloc_free(message.at);
    }
}

static void messages_come_back_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 3, 19, 20, 1000, BLOCK - 1, BLOCK + 4, SIZE_MAX};
    struct bytes message = text(3 * BLOCK + 5);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_there_and_back(message, pieces[i], SIZE_MAX);
        assert_there_and_back(message, SIZE_MAX, pieces[i]);
        assert_there_and_back(message, pieces[i], pieces[i]);
    }
}

static void a_message_that_is_half_noise_comes_back(void **state)
{
    (void)state;
    struct bytes message = noise(4 * BLOCK), zeros = new_bytes(2 * BLOCK);
    memcpy(message.at + BLOCK, zeros.at, zeros.length);
    assert_there_and_back(message, 777, 333);
}

static void what_does_not_gain_is_not_compressed(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 2, 15, 16, 17, 100, 1000, BLOCK, 256 * 1024, 4 * MIB};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct bytes message = noise(lengths[i]);
        assert_int_equal(compress(message).length, 0);
        talloc_free(message.at);
    }
    assert_int_equal(compress(new_bytes(0)).length, 0);
    assert_int_equal(compress(new_bytes(1)).length, 0);
}

/* Noise with a run of zeros at its end gains about as much as the run is long. */
static void the_gain_must_be_a_sixteenth(void **state)
{
    (void)state;
    size_t length = 16000;
    for (size_t zeros = 0; zeros <= 4000; zeros += 50) {
        struct bytes message = noise(length);
        memset(message.at + length - zeros, 0, zeros);
        struct bytes frame = compress(message);
        if (zeros < 1000)
            assert_int_equal(frame.length, 0);
        if (zeros > 1200)
            assert_in_range(frame.length, 1, length - 1000);
        talloc_free(frame.at);
        talloc_free(message.at);
    }
}

/* Wherever it lies, as long as it is not too small a part. */
static void a_large_message_is_not_given_up_for_noise_at_its_beginning(void **state)
{
    (void)state;
    struct bytes message = noise(MIB);
    memset(message.at + MIB / 4, 0, 3 * MIB / 4);
    assert_int_not_equal(compress(message).length, 0);
    message = noise(MIB);
    memset(message.at, 0, 3 * MIB / 4);
    assert_int_not_equal(compress(message).length, 0);
}

static void too_little_room_is_refused_and_not_touched(void **state)
{
    (void)state;
    struct bytes message = new_bytes(1000);
    size_t bound = hqq_compress_bound(message.length);
    struct bytes room = new_bytes(bound), larger = new_bytes(MIB);
    assert_int_equal(hqq_compress(message.at, message.length, room.at, bound - 1), 0);
    assert_int_equal(hqq_compress(larger.at, larger.length, room.at, 1), 0);
    for (size_t i = 0; i < bound; i++)
        assert_int_equal(room.at[i], 0);
    assert_int_not_equal(hqq_compress(message.at, message.length, room.at, bound), 0);
}

static void no_room_is_enough_for_an_impossible_length(void **state)
{
    (void)state;
    struct bytes message = new_bytes(64);
    assert_int_equal(hqq_compress_bound(SIZE_MAX), 0);
    assert_int_equal(hqq_compress(message.at, SIZE_MAX, message.at, SIZE_MAX), 0);
}

/* ---- Frames in pieces -------------------------------------------------------------------------------------------- */

static void an_object_takes_one_frame_after_another(void **state)
{
    (void)state;
    struct bytes message = text(1000), frame = compress(message), out = new_bytes(1000);
    size_t written;
    assert_there_and_back(message, 10, 10);
    frame.length /= 2;
    hqq_decompress_reset(decompress);
    assert_int_equal(feed(frame, SIZE_MAX, SIZE_MAX, out, &written), 0);
    assert_false(hqq_decompress_is_done(decompress));
    assert_there_and_back(message, 10, 10); /* resets what is midway */
    frame.at[0] ^= 1;
    hqq_decompress_reset(decompress);
    assert_int_equal(feed(frame, SIZE_MAX, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
    assert_there_and_back(message, 10, 10);
}

static void the_total_is_known_as_soon_as_the_header_has_come(void **state)
{
    (void)state;
    struct bytes frame = compress(text(1000));
    size_t header = 15, used, written;
    uint64_t total = 99;
    for (size_t i = 0; i < header; i++) {
        assert_false(hqq_decompress_total(decompress, &total));
        assert_int_equal(hqq_decompress_feed(decompress, frame.at + i, 1, &used, NULL, 0, &written), 0);
        assert_int_equal(used, 1);
        assert_int_equal(written, 0);
    }
    assert_true(hqq_decompress_total(decompress, &total));
    assert_int_equal(total, 1000);
}

static void nothing_fed_changes_nothing(void **state)
{
    (void)state;
    size_t used = 9, written = 9;
    assert_int_equal(hqq_decompress_feed(decompress, NULL, 0, &used, NULL, 0, &written), 0);
    assert_int_equal(used, 0);
    assert_int_equal(written, 0);
    assert_there_and_back(text(1000), 100, 100);
    assert_int_equal(hqq_decompress_feed(decompress, NULL, 0, &used, NULL, 0, &written), 0);
    assert_int_equal(used, 0);
    assert_true(hqq_decompress_is_done(decompress));
}

static void a_frame_that_was_cut_is_never_done(void **state)
{
    (void)state;
    struct bytes message = text(3 * BLOCK + 5), frame = compress(message), out = new_bytes(message.length);
    for (size_t length = 0; length < frame.length; length += length < 100 || length + 100 > frame.length ? 1 : 97) {
        size_t written = 0;
        hqq_decompress_reset(decompress);
        assert_int_equal(feed((struct bytes){frame.at, length}, SIZE_MAX, SIZE_MAX, out, &written), 0);
        assert_false(hqq_decompress_is_done(decompress));
        assert_memory_equal(out.at, message.at, written);
    }
}

static void data_behind_the_end_is_refused(void **state)
{
    (void)state;
    struct bytes frame = compress(text(1000)), longer = new_bytes(frame.length + 1), out = new_bytes(1001);
    size_t used, written;
    memcpy(longer.at, frame.at, frame.length);
    assert_int_equal(feed(longer, SIZE_MAX, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
    hqq_decompress_reset(decompress);
    assert_int_equal(feed(longer, 1, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
    hqq_decompress_reset(decompress);
    assert_int_equal(feed(frame, SIZE_MAX, SIZE_MAX, out, &written), 0);
    assert_int_equal(hqq_decompress_feed(decompress, "", 1, &used, out.at, 1, &written), HQQ_ERROR_INVALID_SIZE);
    assert_false(hqq_decompress_is_done(decompress));
}

static void a_failure_stays_until_the_reset(void **state)
{
    (void)state;
    struct bytes frame = compress(text(1000)), out = new_bytes(1000);
    size_t used = 9, written = 9;
    assert_int_equal(hqq_decompress_feed(decompress, "garbage", 7, &used, out.at, 1000, &written),
                     HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(feed(frame, SIZE_MAX, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_decompress_feed(decompress, NULL, 0, &used, NULL, 0, &written), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(used, 9);
}

/* ---- Made-up frames ---------------------------------------------------------------------------------------------- */

#ifdef HQQ_HAVE_LZ4

#include <lz4frame.h>

static const LZ4F_preferences_t honest = {
    .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent, .contentSize = 100 * 1000}};

/* A frame of a text of 100 KB with preferences of anyone's choice. What it announces stands there: liblz4 would put
 * things right. */
static struct bytes frame_of(LZ4F_preferences_t preferences, size_t length)
{
    struct bytes message = text(length);
    LZ4F_cctx *compressing;
    assert_false(LZ4F_isError(LZ4F_createCompressionContext(&compressing, LZ4F_VERSION)));
    struct bytes frame = new_bytes(LZ4F_HEADER_SIZE_MAX + LZ4F_compressBound(length, &preferences) + 64);
    size_t capacity = frame.length;
    size_t at = LZ4F_compressBegin(compressing, frame.at, capacity, &preferences);
    size_t bytes = LZ4F_compressUpdate(compressing, frame.at + at, capacity - at, message.at, length, NULL);
    assert_false(LZ4F_isError(bytes));
    at += bytes;
    bytes = LZ4F_flush(compressing, frame.at + at, capacity - at, NULL);
    assert_false(LZ4F_isError(bytes));
    at += bytes;
    memset(frame.at + at, 0, 4); /* the mark of the end */
    frame.length = at + 4;
    LZ4F_freeCompressionContext(compressing);
    return frame;
}

static int feed_all(struct bytes frame)
{
    struct bytes out = new_bytes(200 * 1000);
    size_t written = 0;
    hqq_decompress_reset(decompress);
    int result = feed(frame, SIZE_MAX, SIZE_MAX, out, &written);
    talloc_free(out.at);
    return result;
}

static void a_frame_of_another_compressor_is_taken(void **state)
{
    (void)state;
    assert_int_equal(feed_all(frame_of(honest, 100 * 1000)), 0);
    assert_true(hqq_decompress_is_done(decompress));
}

static void other_kinds_of_frames_are_refused(void **state)
{
    (void)state;
    LZ4F_preferences_t other[10];
    size_t count = 0;
    for (int id = LZ4F_max256KB; id <= LZ4F_max4MB; id++) {
        other[count] = honest;
        other[count++].frameInfo.blockSizeID = (LZ4F_blockSizeID_t)id;
    }
    other[count] = honest;
    other[count++].frameInfo.blockMode = LZ4F_blockLinked;
    other[count] = honest;
    other[count++].frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    other[count] = honest;
    other[count++].frameInfo.blockChecksumFlag = LZ4F_blockChecksumEnabled;
    other[count] = honest;
    other[count++].frameInfo.dictID = 5;
    other[count] = honest;
    other[count++].frameInfo.contentSize = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t total;
        assert_int_equal(feed_all(frame_of(other[i], 100 * 1000)), HQQ_ERROR_INVALID_SIZE);
        assert_false(hqq_decompress_total(decompress, &total));
    }
}

static void a_frame_of_nothing_is_refused(void **state)
{
    (void)state;
    LZ4F_preferences_t preferences = honest;
    preferences.frameInfo.contentSize = 0;
    struct bytes frame = frame_of(preferences, 0);
    assert_int_equal(feed_all(frame), HQQ_ERROR_INVALID_SIZE);
}

static void a_frame_to_be_skipped_is_refused(void **state)
{
    (void)state;
    unsigned char skippable[64] = {0x50, 0x2a, 0x4d, 0x18, 48};
    assert_int_equal(feed_all((struct bytes){skippable, sizeof(skippable)}), HQQ_ERROR_INVALID_SIZE);
}

static void more_or_less_than_announced_is_refused(void **state)
{
    (void)state;
    static const size_t announced[] = {1, 99999, 100001, BLOCK, 2 * BLOCK, 100 * 1000 - BLOCK};
    for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++) {
        LZ4F_preferences_t lie = honest;
        lie.frameInfo.contentSize = announced[i];
        assert_int_equal(feed_all(frame_of(lie, 100 * 1000)), HQQ_ERROR_INVALID_SIZE);
    }
}

static void nothing_is_written_beyond_what_was_announced(void **state)
{
    (void)state;
    LZ4F_preferences_t lie = honest;
    lie.frameInfo.contentSize = 1000;
    struct bytes out = new_bytes(200 * 1000);
    size_t written;
    memset(out.at, 0xee, out.length);
    assert_int_equal(feed(frame_of(lie, 100 * 1000), SIZE_MAX, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
    for (size_t i = 1000; i < out.length; i++)
        assert_int_equal(out.at[i], 0xee);
}

/* With no room beyond what is announced: it must not be taken for a wait for room. */
static void one_byte_more_than_announced_is_refused_with_exact_room(void **state)
{
    (void)state;
    struct bytes out = new_bytes(100 * 1000);
    for (size_t piece = 1; piece <= 100 * 1000; piece *= 10) {
        size_t written;
        hqq_decompress_reset(decompress);
        assert_int_equal(feed(frame_of(honest, 100 * 1000 + 1), piece, SIZE_MAX, out, &written),
                         HQQ_ERROR_INVALID_SIZE);
    }
}

/* Bytes that malloc has given out. 0 under a sanitizer, whose malloc does not tell. */
static size_t allocated(void)
{
#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
#endif
    return 0;
}

static void a_header_that_announces_anything_allocates_little(void **state)
{
    (void)state;
    static const uint64_t announced[] = {MIB, UINT64_C(1) << 40, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++) {
        for (int id = LZ4F_max64KB; id <= LZ4F_max4MB; id++) {
            LZ4F_preferences_t lie = honest;
            lie.frameInfo.contentSize = announced[i];
            lie.frameInfo.blockSizeID = (LZ4F_blockSizeID_t)id;
            struct bytes frame = frame_of(lie, 1000), out = new_bytes(1000);
            size_t before = allocated(), used, written;
            struct hqq_decompress *fresh;
            assert_int_equal(hqq_decompress_new(context, &fresh), 0);
            int result = hqq_decompress_feed(fresh, frame.at, frame.length - 4, &used, out.at, out.length, &written);
            assert_int_equal(result, id == LZ4F_max64KB ? 0 : HQQ_ERROR_INVALID_SIZE);
            assert_in_range(allocated() - before, 0, id == LZ4F_max64KB ? 160 * 1024 : 16 * 1024);
            uint64_t total = 0;
            assert_int_equal(hqq_decompress_total(fresh, &total), id == LZ4F_max64KB);
            if (id == LZ4F_max64KB)
                assert_true(total == announced[i]);
            talloc_free(fresh);
            assert_in_range(allocated() - before, 0, 1024);
            talloc_free(frame.at);
            talloc_free(out.at);
        }
    }
}

/* As good as everything that a damaged frame can be is met with: that nothing is written or read out of bounds is for
 * AddressSanitizer to say, and that it ends for the time-out. */
static void damaged_frames_do_no_harm(void **state)
{
    (void)state;
    struct bytes message = text(2 * BLOCK + 100), frame = compress(message), out = new_bytes(message.length);
    size_t refused = 0;
    for (int round = 0; round < 2000; round++) {
        struct bytes damaged = {talloc_memdup(context, frame.at, frame.length), frame.length};
        /* Half the time past the header, whose checksum would be wrong. */
        size_t from = round % 2 == 0 ? 0 : 15;
        for (uint64_t count = 1 + next_random() % 8; count > 0; count--)
            damaged.at[from + next_random() % (damaged.length - from)] ^= (unsigned char)(1 + next_random() % 255);
        size_t written = 0;
        hqq_decompress_reset(decompress);
        int result = feed(damaged, 1 + next_random() % frame.length, 1 + next_random() % BLOCK, out, &written);
        assert_true(result == 0 || result == HQQ_ERROR_INVALID_SIZE);
        if (result != 0)
            refused++;
        talloc_free(damaged.at);
    }
    assert_int_not_equal(refused, 0);
}

static void every_bit_of_the_header_counts(void **state)
{
    (void)state;
    struct bytes frame = compress(text(1000)), out = new_bytes(1000);
    for (size_t bit = 0; bit < 8 * 15; bit++) {
        size_t written;
        frame.at[bit / 8] ^= (unsigned char)(1U << bit % 8);
        hqq_decompress_reset(decompress);
        assert_int_equal(feed(frame, SIZE_MAX, SIZE_MAX, out, &written), HQQ_ERROR_INVALID_SIZE);
        frame.at[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
}

static void noise_is_refused(void **state)
{
    (void)state;
    for (size_t length = 5; length < 200; length++)
        assert_int_equal(feed_all(noise(length)), HQQ_ERROR_INVALID_SIZE);
}

#endif

/* ---- With and without liblz4 ------------------------------------------------------------------------------------- */

static void a_build_with_it_says_so(void **state)
{
    (void)state;
    assert_true(hqq_compress_is_available());
}

static void a_build_without_it_says_so(void **state)
{
    (void)state;
    unsigned char zeros[1000] = {0}, room[2000];
    struct hqq_decompress *untouched = NULL;
    assert_false(hqq_compress_is_available());
    assert_int_equal(hqq_compress_bound(sizeof(zeros)), 0);
    assert_int_equal(hqq_compress(zeros, sizeof(zeros), room, sizeof(room)), 0);
    assert_int_equal(hqq_decompress_new(NULL, &untouched), HQQ_ERROR_INVALID_OP);
    assert_null(untouched);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest absent[] = {
        cmocka_unit_test(a_build_without_it_says_so),
    };
    const struct CMUnitTest tests[] = {
        TEST(messages_of_every_size_come_back),
        TEST(messages_come_back_in_pieces_of_any_size),
        TEST(a_message_that_is_half_noise_comes_back),
        TEST(what_does_not_gain_is_not_compressed),
        TEST(the_gain_must_be_a_sixteenth),
        TEST(a_large_message_is_not_given_up_for_noise_at_its_beginning),
        TEST(too_little_room_is_refused_and_not_touched),
        TEST(no_room_is_enough_for_an_impossible_length),
        TEST(an_object_takes_one_frame_after_another),
        TEST(the_total_is_known_as_soon_as_the_header_has_come),
        TEST(nothing_fed_changes_nothing),
        TEST(a_frame_that_was_cut_is_never_done),
        TEST(data_behind_the_end_is_refused),
        TEST(a_failure_stays_until_the_reset),
        cmocka_unit_test(a_build_with_it_says_so),
#ifdef HQQ_HAVE_LZ4
        TEST(a_frame_of_another_compressor_is_taken),
        TEST(other_kinds_of_frames_are_refused),
        TEST(a_frame_of_nothing_is_refused),
        TEST(a_frame_to_be_skipped_is_refused),
        TEST(more_or_less_than_announced_is_refused),
        TEST(nothing_is_written_beyond_what_was_announced),
        TEST(one_byte_more_than_announced_is_refused_with_exact_room),
        TEST(a_header_that_announces_anything_allocates_little),
        TEST(damaged_frames_do_no_harm),
        TEST(every_bit_of_the_header_counts),
        TEST(noise_is_refused),
#endif
    };
    if (!HAVE_LZ4)
        return cmocka_run_group_tests(absent, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
