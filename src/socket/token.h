/*
 * Tokens: the datagrams that two shims send each other through the kernel's own queue. They wake a sleeping receiver,
 * mark the place where a sender went from the kernel to the ring, and prove that the sender may write to the socket.
 * Programs never see them. The id is known to the two ends of a pair alone, so nobody else can say anything that
 * counts: who imitates a token has his own datagram dropped, and no more.
 */
#ifndef HQQ_SOCKET_TOKEN_H
#define HQQ_SOCKET_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum hqq_token_kind {
    HQQ_TOKEN_BELL = 1,    /* there is something in the ring; value: the epoch that was armed */
    HQQ_TOKEN_BARRIER = 2, /* the ring goes on here; value: the number that the next datagram in the ring carries */
    HQQ_TOKEN_PROOF = 3,   /* value: to be repeated in the region */
};

struct hqq_pair_id {
    uint64_t word[2];
};

struct hqq_token {
    uint8_t magic[16];
    struct hqq_pair_id id;
    uint64_t kind;
    uint64_t value;
};

_Static_assert(sizeof(struct hqq_token) == 48, "token layout");

#define HQQ_TOKEN_MAGIC                                                                                                \
    {                                                                                                                  \
        0xf3, 'h', 'q', 'q', 0x00, 0x9d, 0x1b, 0xe7, 0x52, 0xc4, 0x8a, 0x06, 0xfe, 0x71, 0x3d, 0xff                    \
    }

static inline struct hqq_token hqq_token_make(struct hqq_pair_id id, enum hqq_token_kind kind, uint64_t value)
{
    return (struct hqq_token){.magic = HQQ_TOKEN_MAGIC, .id = id, .kind = kind, .value = value};
}

/* True if a datagram of this length, of which sizeof(struct hqq_token) bytes are at data, is one. */
static inline bool hqq_token_is(const void *data, size_t length)
{
    static const uint8_t magic[16] = HQQ_TOKEN_MAGIC;
    return length == sizeof(struct hqq_token) && memcmp(data, magic, sizeof(magic)) == 0;
}

static inline bool hqq_pair_id_equal(const struct hqq_pair_id *a, const struct hqq_pair_id *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1];
}

#endif
