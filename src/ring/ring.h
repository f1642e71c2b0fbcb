/*
 * A ring: a bounded queue of slots after D. Vyukov, many producers, many consumers, lock-free. This is the view that
 * a process keeps of a ring in a region. The words in the region are untrusted: a position is only ever used masked,
 * a sequence only ever compared, and no loop runs as long as the region says.
 *
 * Position p lies in slot p mod C. Its life, as told by the slot's seq:
 *
 *      seq == p      free        a producer claims it by moving w from p to p+1, fills it, and
 *      seq == p + 1  published   stores seq; a consumer claims it by moving r from p to p+1, reads, and
 *      seq == p + C  free again  stores seq, for position p + C.
 *
 * Who knows nothing of links: this folder. What is in a slot is the caller's business.
 */
#ifndef HQQ_RING_RING_H
#define HQQ_RING_RING_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "layout/layout.h"

struct hqq_ring {
    unsigned char *control; /* the ring in the region */
    unsigned char *buffers; /* its buffers in the region */
    uint64_t count;         /* C: a power of two */
    uint64_t mask;          /* C - 1 */
    uint64_t buffer_size;   /* S */

    /* What this process last saw of the word that the other side moves: a lower bound of it, there to bound
     * prefetching and to spare looks at the word itself, whose line the other side is writing. Nothing depends on it
     * being fresh. */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 seen_w; /* consumers' */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 seen_r; /* producers' */
    hqq_atomic_u64 high_water;                     /* highest depth that producers saw */
    /* The only producer's, of a ring that has one: how many slots it leaves unread (channel/window.h). */
    uint64_t window, least_window;
    uint64_t grown_r, settled_r, settled_ticks; /* what r was when it last grew, or settled, and when that was */
};

/* How far ahead of its claim a thread fetches slots, in slots. Measured: 4 is too late, 16 no better. */
#define HQQ_RING_PREFETCH 8

/* How much of a buffer it fetches, at most; the processor notices longer runs of lines by itself. */
#define HQQ_RING_PREFETCH_BYTES 512

/* How often a claim that lost its race is tried again before it gives up. Losing means another thread won, so honest
 * peers never get here; a hostile one that moves the words all the time must not hold us for ever. */
#define HQQ_RING_ATTEMPTS 65536

static inline hqq_atomic_u64 *hqq_ring_r(const struct hqq_ring *ring)
{
    return (hqq_atomic_u64 *)(void *)(ring->control + HQQ_RING_R_OFFSET);
}

static inline hqq_atomic_u64 *hqq_ring_w(const struct hqq_ring *ring)
{
    return (hqq_atomic_u64 *)(void *)(ring->control + HQQ_RING_W_OFFSET);
}

/* The eight words of a position's packet. */
static inline hqq_atomic_u64 *hqq_ring_packet(const struct hqq_ring *ring, uint64_t position)
{
    unsigned char *elements = ring->control + HQQ_RING_ELEMENT_OFFSET;
    return (hqq_atomic_u64 *)(void *)(elements + (position & ring->mask) * HQQ_RING_ELEMENT_STRIDE);
}

static inline hqq_atomic_u64 *hqq_ring_seq(const struct hqq_ring *ring, uint64_t position)
{
    return hqq_ring_packet(ring, position) + HQQ_RING_ELEMENT_SEQ / sizeof(uint64_t);
}

static inline unsigned char *hqq_ring_buffer(const struct hqq_ring *ring, uint64_t position)
{
    return ring->buffers + (position & ring->mask) * ring->buffer_size;
}

/* a - b across wrap-around: negative if a is behind b. */
static inline int64_t hqq_ring_distance(uint64_t a, uint64_t b)
{
    return (int64_t)(a - b);
}

/*
 * Claims up to want slots, consecutive from *ret_position, by moving a position word of the region: w for producers,
 * which want seq == position (lead 0), or r for consumers, which want seq == position + 1 (lead 1). Returns how many.
 *
 * A seq that is behind means that there is nothing to claim. One that is ahead means that another thread has moved the
 * word since it was loaded, so the loop goes on; with the word unmoved it is nothing that an honest peer writes.
 */
static inline uint64_t hqq_ring_claim(const struct hqq_ring *ring, hqq_atomic_u64 *word, uint64_t lead, uint64_t want,
                                      uint64_t *ret_position)
{
    uint64_t position = hqq_load_relaxed(word);

    for (int attempt = 0; attempt < HQQ_RING_ATTEMPTS; attempt++) {
        uint64_t count = 0;
        int64_t ahead = 0;
        while (count < want) {
            uint64_t seq = hqq_load_acquire(hqq_ring_seq(ring, position + count)); /* edges R1, R2 */
            ahead = hqq_ring_distance(seq, position + count + lead);
            if (ahead != 0)
                break;
            count++;
        }
        if (count == 0) {
            uint64_t stale = position;
            position = hqq_load_relaxed(word);
            if (ahead < 0 || position == stale)
                return 0;
        } else if (hqq_cas_relaxed(word, &position, position + count)) {
            /* Relaxed: what must be ordered goes through seq. That the word did not move means that nobody else claimed
             * these slots, and nobody changes the seq of a slot that is there to be claimed, so all of them still
             * are. */
            *ret_position = position;
            return count;
        }
    }
    return 0;
}

/* Points a view at a ring of a region. The layout has been checked against the memory. */
void hqq_ring_view(struct hqq_ring *ring, void *base, const struct hqq_layout *layout, int index);

/* Makes an empty ring; nobody else uses it yet. The buffers are zeroed unless they are known to be zero. */
void hqq_ring_format(const struct hqq_ring *ring, bool buffers_are_zero);

/* True if the ring in the region is initialized and of this size; else the region is not to be used. */
bool hqq_ring_is_valid(const struct hqq_ring *ring);

/* Slots claimed by producers and not yet by consumers: 0 to C, whatever the region says. */
uint64_t hqq_ring_depth(const struct hqq_ring *ring);

/* True if the slot at the head is published, or the slot at the tail free: a claim would have had a chance just now. */
bool hqq_ring_is_readable(const struct hqq_ring *ring);
bool hqq_ring_is_writable(const struct hqq_ring *ring);

/* True if the slot that lies count - 1 behind the tail is free too: most likely all count are. */
bool hqq_ring_is_writable_ahead(const struct hqq_ring *ring, uint64_t count);

#endif
