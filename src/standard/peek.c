/* Looking at the head of the queue without taking it. */
#include "standard/packets.h"
#include "standard/state.h"

/* Takes a tombstone out of the way, unless another thread does. */
static void drop_tombstone(struct hqq_link *link, uint64_t position)
{
    if (!hqq_ring_claim_head(&link->rx, position))
        return;
    hqq_ring_release(&link->rx, position);
    hqq_link_ring_space(link, 1);
    hqq_add_relaxed(&link->counts.tombstones_skipped, 1);
}

int hqq_link_peek_with(struct hqq_link *link, hqq_read_fn *look, void *arg, size_t *ret_length)
{
    int result = hqq_link_guard(link);
    if (result == 0 && link->is_stream_read)
        result = HQQ_ERROR_INVALID_OP;
    if (result != 0)
        return hqq_link_fail(link, result);

    uint64_t dropped = 0;
    for (int attempt = 0; attempt < HQQ_RING_ATTEMPTS && dropped < link->rx.count; attempt++) {
        uint64_t position, length = 0;
        int error = 0;
        result = hqq_link_writers_gone(link); /* before the look: what was published before they left is found by it */
        if (!hqq_ring_peek(&link->rx, &position))
            return result != 0 ? hqq_link_fail(link, result) : HQQ_ERROR_WOULD_BLOCK;
        enum hqq_content content = hqq_link_content(link, position, &length, &error);
        if (content == HQQ_CONTENT_DATAGRAM && look)
            (void)look(hqq_ring_buffer(&link->rx, position), length, arg);
        if (!hqq_ring_is_unchanged(&link->rx, position))
            continue; /* another thread took it while we looked */
        if (content == HQQ_CONTENT_INVALID)
            return hqq_link_fail(link, error);
        if (content == HQQ_CONTENT_DATAGRAM) {
            *ret_length = length;
            return 0;
        }
        drop_tombstone(link, position);
        dropped++; /* a lap of nothing else is no datagram, however many a peer goes on writing */
    }
    return HQQ_ERROR_WOULD_BLOCK;
}

bool hqq_link_peek_opcode(struct hqq_link *link, uint64_t *ret_opcode)
{
    for (uint64_t look = 0; look < link->rx.count; look++) {
        uint64_t position;
        if (!hqq_ring_peek(&link->rx, &position))
            return false;
        *ret_opcode = hqq_load_relaxed(hqq_ring_packet(&link->rx, position));
        if (!hqq_ring_is_unchanged(&link->rx, position))
            continue;
        if (*ret_opcode != HQQ_OPCODE_TOMBSTONE)
            return true;
        drop_tombstone(link, position);
    }
    return false;
}

int hqq_link_peek(struct hqq_link *link, size_t *ret_length)
{
    return hqq_link_peek_with(link, NULL, NULL, ret_length);
}
