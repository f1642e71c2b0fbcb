/*
 * The table of messages that are arriving, by connection, message and whether it is an answer. It is the taker's, who
 * needs the lock for counts and references only: where it puts one in, and takes one out.
 */
#ifndef HQQ_ADVANCED_PARTIAL_H
#define HQQ_ADVANCED_PARTIAL_H

#include "advanced/state.h"

struct hqq_assembly {
    struct hqq_assembly *next;
    struct hqq_chunk begin;    /* the first chunk; what it says of the whole message */
    struct hqq_connection *on; /* whose message it is; NULL where it is dropped */
    uint64_t received;         /* bytes of the body */
    uint64_t touched;          /* when its last chunk came, in chunks */
    unsigned char *data;       /* where it is put together */
    uint64_t size, filled;     /* of the message as the program sees it */
    bool is_size_known;        /* a compressed one says it in its first bytes */
    uint64_t reserved;         /* what it has of the bound of bytes */
    struct hqq_decompress *decompress;
    struct hqq_stream_taker stream; /* take NULL: it is received whole */
    bool is_stream_begun;
};

static inline bool hqq_partial_is_answer(uint64_t flags)
{
    return (flags & HQQ_FRAME_RESPONSE) != 0;
}

/* The message that a chunk belongs to; NULL if none has begun. All its chunks say of which kind it is; whoever aborts it
 * may not. */
struct hqq_assembly *hqq_partial_find(struct hqq_advanced *advanced, const struct hqq_chunk *chunk);
struct hqq_assembly *hqq_partial_find_exactly(struct hqq_advanced *advanced, uint64_t connection, uint64_t message,
                                              bool answers);

/* The one that has had no chunk for longest. */
struct hqq_assembly *hqq_partial_find_stalest(struct hqq_advanced *advanced);

/* Puts in one that begins with that chunk; NULL without memory. Takes one out and frees it. With the lock. */
struct hqq_assembly *hqq_partial_new(struct hqq_advanced *advanced, const struct hqq_chunk *begin);
void hqq_partial_forget(struct hqq_advanced *advanced, struct hqq_assembly *assembly);

#endif
