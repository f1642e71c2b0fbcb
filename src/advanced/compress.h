/*
 * Compression of one message: an LZ4 frame, independent of every other. Compressing takes the whole message at once;
 * decompressing takes the frame in pieces of any size, as it comes, and hands out what they give.
 *
 * A frame has a header with the content size, blocks of at most 64 KiB that do not refer to each other, no dictionary,
 * and no checksums beyond that of its header (memory does not rot, and encryption does authenticate). Frames from the
 * peer are hostile: any other kind is refused before liblz4 allocates for it, so an object never takes more than 160 KiB,
 * whatever the header says.
 *
 * Relies on liblz4. Without it every function but hqq_compress_is_available() fails or does nothing.
 */
#ifndef HQQ_ADVANCED_COMPRESS_H
#define HQQ_ADVANCED_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hqq_decompress;

/* Whether this build has it. */
bool hqq_compress_is_available(void);

/* ---- A whole message ------------------------------------------------------------------------------------------- */

/* The capacity that hqq_compress() needs for a message of length bytes; 0 if there is none. */
size_t hqq_compress_bound(size_t length);

/*
 * Writes the frame and returns its bytes; 0 if it would not be smaller than the message by at least a sixteenth, or the
 * capacity is below hqq_compress_bound(): send the message as it is. What lies in compressed is then undefined. Long
 * messages that look incompressible are given up early. Takes about 17 KiB of stack, allocates nothing; thread-safe.
 */
size_t hqq_compress(const void *data, size_t length, void *compressed, size_t capacity);

/* ---- A frame in pieces ----------------------------------------------------------------------------------------- */

/* A talloc child of parent, ready for a frame. INVALID_OP if not built in, -ENOMEM. */
int hqq_decompress_new(void *parent, struct hqq_decompress **ret_decompress);

/* Ready for another frame, whatever became of the last one. Keeps its memory. */
void hqq_decompress_reset(struct hqq_decompress *decompress);

/*
 * Takes up to length bytes of the frame from data, which is private memory, and writes up to capacity bytes of the
 * message to out. Call it again with what was not taken, until all is taken and less than capacity was written: output
 * may be held back for want of room, though all input is taken. INVALID_SIZE, and from then on for every call until
 * hqq_decompress_reset(): not a frame of the kind above, more or fewer bytes than it announced, or data behind its end.
 * -ENOMEM likewise. Part of out may have been written then.
 */
int hqq_decompress_feed(struct hqq_decompress *decompress, const void *data, size_t length, size_t *ret_used, void *out,
                        size_t capacity, size_t *ret_written);

/* The bytes of the message, as the frame announces them; never 0. False until its header has come. */
bool hqq_decompress_total(const struct hqq_decompress *decompress, uint64_t *ret_total);

/* Whether the frame is complete, and all that it announced was written. */
bool hqq_decompress_is_done(const struct hqq_decompress *decompress);

#endif
