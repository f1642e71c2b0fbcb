#include "standard/packets.h"

int hqq_link_take_packet(struct hqq_link *link, uint64_t until_ns, struct hqq_taken *ret_taken)
{
    struct hqq_call call = {.may_wait = until_ns != 0, .until_ns = until_ns};
    int result = hqq_link_guard(link);

    for (uint64_t skipped = 0; result == 0; skipped++) {
        result = skipped == link->rx.count ? hqq_link_may_read_on(link, &call) : 0;
        if (result == 0)
            result = hqq_link_claim_read(link, &call, 1);
        if (result != 0)
            break; /* the call has ended */
        skipped %= link->rx.count;
        ret_taken->packet = hqq_packet_load(hqq_ring_packet(&link->rx, call.position));
        ret_taken->payload = hqq_ring_buffer(&link->rx, call.position);
        ret_taken->position = call.position;
        if (ret_taken->packet.opcode != HQQ_OPCODE_TOMBSTONE) {
            hqq_link_end_read(link, &call);
            return 0;
        }
        hqq_ring_release(&link->rx, call.position);
        hqq_link_ring_space(link, 1);
        hqq_add_relaxed(&link->counts.tombstones_skipped, 1);
    }
    return result;
}

void hqq_link_give_back(struct hqq_link *link, const struct hqq_taken *taken)
{
    hqq_ring_release(&link->rx, taken->position);
    hqq_link_ring_space(link, 1);
}

int hqq_link_claim_slot(struct hqq_link *link, uint64_t room, uint64_t *ret_position)
{
    int result = hqq_link_guard(link);
    if (result == 0)
        result = hqq_link_peer_gone(link);
    if (result != 0)
        return result;
    if (room > 1 && !hqq_ring_is_writable_ahead(&link->tx, room))
        return HQQ_ERROR_WOULD_BLOCK;
    return hqq_ring_claim_write(&link->tx, 1, ret_position) != 0 ? 0 : HQQ_ERROR_WOULD_BLOCK;
}

struct hqq_packet hqq_link_datagram_packet(const struct hqq_link *link, uint64_t position, uint64_t size)
{
    return (struct hqq_packet){
        .opcode = HQQ_OPCODE_COPY,
        .operand = {position - link->first_copy + 1, position & link->tx.mask, size},
    };
}

void hqq_link_put_packet(struct hqq_link *link, uint64_t position, const struct hqq_packet *packet, uint64_t bytes)
{
    hqq_packet_store(hqq_ring_packet(&link->tx, position), packet);
    hqq_ring_publish(&link->tx, position);
    hqq_link_ring_data(link, 1);
    hqq_ring_note_depth(&link->tx, position + 1);
    hqq_link_count_written(link, 1, bytes);
}

/* A time that has passed; the link's deadlines are there to be moved while somebody waits. */
#define PASSED 1

void hqq_link_stop_taking(struct hqq_link *link)
{
    (void)hqq_link_set_read_deadline(link, PASSED);
}

void hqq_link_allow_taking(struct hqq_link *link)
{
    hqq_store_relaxed(&link->read_deadline_ns, HQQ_FOREVER);
}

void hqq_link_stop_awaiting(struct hqq_link *link)
{
    (void)hqq_link_set_write_deadline(link, PASSED);
}

void hqq_link_allow_awaiting(struct hqq_link *link)
{
    hqq_store_relaxed(&link->write_deadline_ns, HQQ_FOREVER);
}
