/* Looking at the head of the queue without taking it. */
#include "standard/state.h"

/* There is nothing at the head: is there nobody who could still put something there? */
static int nothing_there(struct hqq_link *link)
{
    uint64_t position;
    int result = hqq_link_writers_gone(link);
    if (result == 0 || hqq_ring_peek(&link->rx, &position)) /* published before the peer left */
        return HQQ_ERROR_WOULD_BLOCK;
    return hqq_link_fail(link, result);
}

/* Takes what no reader would get out of the way. */
static void drop_head(struct hqq_link *link, uint64_t position, enum hqq_content content)
{
    if (!hqq_ring_claim_head(&link->rx, position))
        return;
    hqq_ring_release(&link->rx, position);
    hqq_link_ring_space(link, 1);
    hqq_add_relaxed(content == HQQ_CONTENT_TOMBSTONE ? &link->counts.tombstones_skipped : &link->counts.invalid_packets,
                    1);
}

int hqq_link_peek(struct hqq_link *link, size_t *ret_length)
{
    int result = hqq_link_guard(link);
    if (result == 0 && link->is_stream_read)
        result = HQQ_ERROR_INVALID_OP;
    if (result != 0)
        return hqq_link_fail(link, result);

    for (int attempt = 0; attempt < HQQ_RING_ATTEMPTS; attempt++) {
        uint64_t position, length = 0;
        int error = 0;
        if (!hqq_ring_peek(&link->rx, &position))
            return nothing_there(link);
        enum hqq_content content = hqq_link_content(link, position, &length, &error);
        if (!hqq_ring_is_head(&link->rx, position))
            continue; /* another thread took it while we looked */
        if (content == HQQ_CONTENT_DATAGRAM) {
            *ret_length = length;
            return 0;
        }
        drop_head(link, position, content);
    }
    return HQQ_ERROR_WOULD_BLOCK;
}
