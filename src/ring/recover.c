#include "ring/recover.h"

#include "base/point.h"
#include "layout/packet.h"

uint64_t hqq_ring_recover_producers(struct hqq_ring *ring)
{
    uint64_t w = hqq_load_acquire(hqq_ring_w(ring));
    uint64_t recovered = 0;

    /* Between r and w, and never more than C slots, whatever the words say. */
    for (uint64_t back = ring->count; back > 0; back--) {
        uint64_t position = w - back;
        if (hqq_load_acquire(hqq_ring_seq(ring, position)) != position)
            continue;
        struct hqq_packet tombstone = {
            .opcode = HQQ_OPCODE_TOMBSTONE,
            .operand = {position + 1, position & ring->mask, HQQ_TOMBSTONE_DIED},
        };
        hqq_packet_store(hqq_ring_packet(ring, position), &tombstone);
        hqq_store_release(hqq_ring_seq(ring, position), position + 1); /* edge R1 */
        recovered++;
        HQQ_POINT("recover.swept");
    }
    return recovered;
}

uint64_t hqq_ring_recover_consumers(struct hqq_ring *ring)
{
    uint64_t r = hqq_load_acquire(hqq_ring_r(ring));
    uint64_t recovered = 0;

    for (uint64_t back = ring->count; back > 0; back--) {
        uint64_t position = r - back;
        if (hqq_load_acquire(hqq_ring_seq(ring, position)) != position + 1)
            continue;
        hqq_store_release(hqq_ring_seq(ring, position), position + ring->count); /* edge R2 */
        recovered++;
        HQQ_POINT("recover.swept");
    }
    return recovered;
}
