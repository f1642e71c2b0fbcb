/*
 * The producing side of a ring: claim, fill, publish. Any number of threads and processes at once. Lock-free: a claim
 * fails to make progress only where another thread made some. Never waits, never calls the system.
 *
 * Happy path: seq of the tail says free; moving w makes the slot this thread's; the caller fills it; storing seq
 * hands it to the consumers. A producer that dies in between leaves a slot that nobody can pass: recover.h.
 */
#ifndef HQQ_RING_PRODUCE_H
#define HQQ_RING_PRODUCE_H

#include "base/point.h"
#include "ring/ring.h"

/* Fetches a slot that will be claimed soon, as far as it takes for another datagram of this length, unless consumers
 * may still be reading it: taking its lines from them would cost both sides more than it saves. */
static inline void hqq_ring_prefetch_produce(struct hqq_ring *ring, uint64_t position, uint64_t length)
{
    uint64_t ahead = position + HQQ_RING_PREFETCH;
    if (hqq_ring_distance(ahead - ring->count, hqq_load_relaxed(&ring->seen_r)) < 0) {
        const void *element = hqq_ring_packet(ring, ahead);
        hqq_prefetch_write(element);
        hqq_prefetch_write(hqq_ring_seq(ring, ahead));
        for (uint64_t at = 0; at < length && at < HQQ_RING_PREFETCH_BYTES; at += HQQ_CACHE_LINE)
            hqq_prefetch_write(hqq_ring_buffer(ring, ahead) + at);
    } else if ((position & 15) == 0) {
        hqq_store_relaxed(&ring->seen_r, hqq_load_relaxed(hqq_ring_r(ring)));
    }
}

/*
 * Claims up to want slots (1 to C), consecutive from *ret_position. Returns how many; 0 means that the slot at the tail
 * was not free at some moment of the call: the ring was full, or a consumer has not released it yet.
 */
static inline uint64_t hqq_ring_claim_write(struct hqq_ring *ring, uint64_t want, uint64_t *ret_position)
{
    /* edge R2: with the release of seq in hqq_ring_release(). The consumer's reads are over before we write. */
    uint64_t claimed = hqq_ring_claim(ring, hqq_ring_w(ring), 0, want, ret_position);
    if (claimed != 0)
        HQQ_POINT("produce.claimed");
    return claimed;
}

/* Hands a claimed and filled slot to the consumers. */
static inline void hqq_ring_publish(struct hqq_ring *ring, uint64_t position)
{
    HQQ_POINT("produce.filled");
    /* edge R1: with the acquire load of seq in hqq_ring_claim_read(). What we wrote is there before seq says so. */
    hqq_store_release(hqq_ring_seq(ring, position), position + 1);
    HQQ_POINT("produce.published");
}

/* True if position is claimed by a producer and not published: what a caller must hold to publish it. */
static inline bool hqq_ring_is_claimed_write(const struct hqq_ring *ring, uint64_t position)
{
    return hqq_load_relaxed(hqq_ring_seq(ring, position)) == position &&
           hqq_ring_distance(position, hqq_load_relaxed(hqq_ring_w(ring))) < 0;
}

/* Notes a new highest depth. */
static inline void hqq_ring_raise_high_water(struct hqq_ring *ring, uint64_t depth)
{
    uint64_t high_water = hqq_load_relaxed(&ring->high_water);
    while (depth > high_water && !hqq_cas_relaxed(&ring->high_water, &high_water, depth)) {
    }
}

/* Notes how deep the ring is after a claim that ended before position next: every 16th time, and if it may be a new
 * highest. Seldom, as that takes a look at r, whose line the consumers are writing. */
static inline void hqq_ring_note_depth(struct hqq_ring *ring, uint64_t next)
{
    if (__builtin_expect((next & 15) != 0, 1))
        return;
    int64_t at_most = hqq_ring_distance(next, hqq_load_relaxed(&ring->seen_r));
    if (at_most <= (int64_t)hqq_load_relaxed(&ring->high_water))
        return;
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    hqq_store_relaxed(&ring->seen_r, r);
    int64_t depth = hqq_ring_distance(next, r);
    if (depth > 0)
        hqq_ring_raise_high_water(ring, (uint64_t)depth < ring->count ? (uint64_t)depth : ring->count);
}

/* A claim found no free slot. */
static inline void hqq_ring_note_full(struct hqq_ring *ring)
{
    hqq_ring_raise_high_water(ring, hqq_ring_depth(ring));
}

#endif
