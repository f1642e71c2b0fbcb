#include "ring/ring.h"

#include <string.h>

void hqq_ring_view(struct hqq_ring *ring, void *base, const struct hqq_layout *layout, int index)
{
    memset(ring, 0, sizeof(*ring));
    ring->control = (unsigned char *)base + layout->ring[index];
    ring->buffers = (unsigned char *)base + layout->buffers[index];
    ring->count = layout->buffer_count;
    ring->mask = layout->buffer_count - 1;
    ring->buffer_size = layout->buffer_size;
    hqq_store_relaxed(&ring->seen_w, hqq_load_relaxed(hqq_ring_w(ring)));
    hqq_store_relaxed(&ring->seen_r, hqq_load_relaxed(hqq_ring_r(ring)));
}

static hqq_atomic_u64 *header_word(const struct hqq_ring *ring, size_t offset)
{
    return (hqq_atomic_u64 *)(void *)(ring->control + offset);
}

void hqq_ring_format(const struct hqq_ring *ring, bool buffers_are_zero)
{
    memset(ring->control, 0, HQQ_RING_HEADER_BYTES + HQQ_RING_ELEMENT_STRIDE * ring->count);
    for (uint64_t i = 0; i < ring->count; i++)
        hqq_store_relaxed(hqq_ring_seq(ring, i), i);
    if (!buffers_are_zero)
        memset(ring->buffers, 0, ring->count * ring->buffer_size);
    hqq_store_relaxed(header_word(ring, HQQ_RING_MAGIC_OFFSET), HQQ_RING_MAGIC);
    hqq_store_relaxed(header_word(ring, HQQ_RING_SIZE_OFFSET), ring->count);
    hqq_store_relaxed(header_word(ring, HQQ_RING_FLAG_OFFSET), HQQ_RING_FLAG_INITIALIZED);
}

bool hqq_ring_is_valid(const struct hqq_ring *ring)
{
    return hqq_load_relaxed(header_word(ring, HQQ_RING_MAGIC_OFFSET)) == HQQ_RING_MAGIC &&
           hqq_load_relaxed(header_word(ring, HQQ_RING_SIZE_OFFSET)) == ring->count &&
           hqq_load_relaxed(header_word(ring, HQQ_RING_FLAG_OFFSET)) == HQQ_RING_FLAG_INITIALIZED;
}

uint64_t hqq_ring_depth(const struct hqq_ring *ring)
{
    /* r first: it only grows and never passes w, so what comes out is never negative for honest peers. */
    uint64_t r = hqq_load_acquire(hqq_ring_r(ring));
    int64_t depth = hqq_ring_distance(hqq_load_relaxed(hqq_ring_w(ring)), r);
    if (depth < 0)
        return 0;
    return (uint64_t)depth < ring->count ? (uint64_t)depth : ring->count;
}

/*
 * True if the slot that is offset behind the position in word has exactly the seq that a claim wants there. A seq
 * that is ahead means that somebody has moved the position since it was loaded, so look again; with the position
 * unmoved it means nothing.
 */
static bool is_claimable(const struct hqq_ring *ring, const hqq_atomic_u64 *word, uint64_t offset, uint64_t lead)
{
    uint64_t position = hqq_load_relaxed(word);
    for (int attempt = 0; attempt < HQQ_RING_ATTEMPTS; attempt++) {
        uint64_t seq = hqq_load_acquire(hqq_ring_seq(ring, position + offset)); /* edges R1, R2 */
        if (seq == position + offset + lead)
            return true;
        uint64_t stale = position;
        position = hqq_load_relaxed(word);
        if (position == stale)
            return false;
    }
    return false;
}

bool hqq_ring_is_readable(const struct hqq_ring *ring)
{
    return is_claimable(ring, hqq_ring_r(ring), 0, 1);
}

bool hqq_ring_is_writable(const struct hqq_ring *ring)
{
    return is_claimable(ring, hqq_ring_w(ring), 0, 0);
}

bool hqq_ring_is_writable_ahead(const struct hqq_ring *ring, uint64_t count)
{
    return is_claimable(ring, hqq_ring_w(ring), count - 1, 0);
}
