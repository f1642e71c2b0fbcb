/*
 * The consuming side of a ring: claim, read, release; and looking at the head without claiming it. Any number of
 * threads and processes at once. Lock-free as produce.h. Never waits, never calls the system.
 *
 * Happy path: seq of the head says published; moving r makes the datagram this thread's; the caller reads it; storing
 * seq makes the slot free for the position one lap on.
 */
#ifndef HQQ_RING_CONSUME_H
#define HQQ_RING_CONSUME_H

#include "base/point.h"
#include "ring/ring.h"

/* Fetches a slot that will be claimed soon, if it is known to be claimed by a producer: one that is about to be written
 * stays where it is. For writing, as releasing it is a store to the same line. */
static inline void hqq_ring_prefetch_consume(struct hqq_ring *ring, uint64_t position, uint64_t length)
{
    uint64_t ahead = position + HQQ_RING_PREFETCH;
    if (hqq_ring_distance(ahead, hqq_load_relaxed(&ring->seen_w)) < 0) {
        const void *element = hqq_ring_packet(ring, ahead);
        hqq_prefetch_write(element);
        hqq_prefetch_write(hqq_ring_seq(ring, ahead));
        for (uint64_t at = 0; at < length && at < HQQ_RING_PREFETCH_BYTES; at += HQQ_CACHE_LINE)
            hqq_prefetch_read(hqq_ring_buffer(ring, ahead) + at);
    } else if ((position & 7) == 0) {
        hqq_store_relaxed(&ring->seen_w, hqq_load_relaxed(hqq_ring_w(ring)));
    }
}

/*
 * Claims up to want datagrams (1 to C), consecutive from *ret_position. Returns how many; 0 means that the slot at the
 * head was not published at some moment of the call: the ring was empty, or a producer has not filled it yet.
 */
static inline uint64_t hqq_ring_claim_read(struct hqq_ring *ring, uint64_t want, uint64_t *ret_position)
{
    /* edge R1: with the release of seq in hqq_ring_publish(). What the producer wrote is visible from here on. */
    uint64_t claimed = hqq_ring_claim(ring, hqq_ring_r(ring), 1, want, ret_position);
    if (claimed != 0)
        HQQ_POINT("consume.claimed");
    return claimed;
}

/* Gives a claimed slot back to the producers. */
static inline void hqq_ring_release(struct hqq_ring *ring, uint64_t position)
{
    HQQ_POINT("consume.copied");
    /* edge R2: with the acquire load of seq in hqq_ring_claim_write(). Our reads are over before it says free. */
    hqq_store_release(hqq_ring_seq(ring, position), position + ring->count);
    HQQ_POINT("consume.released");
}

/* True if position is claimed by a consumer and not released: what a caller must hold to release it. */
static inline bool hqq_ring_is_claimed_read(const struct hqq_ring *ring, uint64_t position)
{
    return hqq_load_relaxed(hqq_ring_seq(ring, position)) == position + 1 &&
           hqq_ring_distance(position, hqq_load_relaxed(hqq_ring_r(ring))) < 0;
}

/*
 * The position at the head if it is published, without taking it. The caller may load the packet there and must then
 * ask hqq_ring_is_unchanged(): only then was what it loaded one packet, and that of this position.
 */
static inline bool hqq_ring_peek(const struct hqq_ring *ring, uint64_t *ret_position)
{
    uint64_t position = hqq_load_relaxed(hqq_ring_r(ring));
    for (int attempt = 0; attempt < HQQ_RING_ATTEMPTS; attempt++) {
        if (hqq_load_acquire(hqq_ring_seq(ring, position)) == position + 1) { /* edge R1 */
            *ret_position = position;
            return true;
        }
        uint64_t stale = position;
        position = hqq_load_relaxed(hqq_ring_r(ring));
        if (position == stale)
            break;
    }
    return false;
}

/* True if the slot is still published for position. A consumer may have claimed it, but no producer has. */
static inline bool hqq_ring_is_unchanged(const struct hqq_ring *ring, uint64_t position)
{
    /* edge P1: the loads of the packet are done before this one. A producer's stores to the packet come after its
     * acquire load of the seq that the consumer stored, so who loads one of them finds a later seq here. */
    hqq_fence_acquire();
    return hqq_load_relaxed(hqq_ring_seq(ring, position)) == position + 1;
}

/* Claims the head if it is still at position, which hqq_ring_peek() returned. */
static inline bool hqq_ring_claim_head(struct hqq_ring *ring, uint64_t position)
{
    uint64_t expected = position;
    return hqq_cas_acq_rel(hqq_ring_r(ring), &expected, position + 1);
}

#endif
