#include "support/plain_ring.h"

#include "layout/layout.h"

struct plain_ring plain_ring_new(uint64_t buffer_count, uint64_t buffer_size)
{
    uint64_t ring_bytes = HQQ_RING_HEADER_BYTES + HQQ_RING_ELEMENT_STRIDE * buffer_count;
    uint64_t pool_bytes = buffer_count * buffer_size;
    struct plain_ring plain = {.control = region_new(ring_bytes), .buffers = region_new(pool_bytes)};
    plain.ring = (struct hqq_ring){
        .control = (unsigned char *)plain.control.base + (plain.control.length - ring_bytes),
        .buffers = (unsigned char *)plain.buffers.base + (plain.buffers.length - pool_bytes),
        .count = buffer_count,
        .mask = buffer_count - 1,
        .buffer_size = buffer_size,
    };
    hqq_ring_format(&plain.ring, true);
    return plain;
}

void plain_ring_delete(struct plain_ring *plain)
{
    region_delete(&plain->control);
    region_delete(&plain->buffers);
}

void plain_ring_start_at(struct plain_ring *plain, uint64_t position)
{
    struct hqq_ring *ring = &plain->ring;
    hqq_store_relaxed(hqq_ring_r(ring), position);
    hqq_store_relaxed(hqq_ring_w(ring), position);
    for (uint64_t i = 0; i < ring->count; i++)
        hqq_store_relaxed(hqq_ring_seq(ring, position + i), position + i);
    hqq_store_relaxed(&ring->seen_r, position);
    hqq_store_relaxed(&ring->seen_w, position);
    hqq_store_relaxed(&ring->high_water, 0);
}
