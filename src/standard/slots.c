/* Reading and writing without a copy: slots that the caller holds between two calls. */
#include "standard/poll.h"
#include "standard/state.h"

/* Without the end of the call. */
static int reserve(struct hqq_link *link, struct hqq_call *call, struct hqq_slot *ret_slot)
{
    int result = hqq_link_guard(link);
    if (result != 0)
        return hqq_link_fail(link, result);
    result = hqq_link_claim_write(link, call, 1);
    if (result != 0)
        return result;
    hqq_link_count_taken(link);
    hqq_ring_prefetch_produce(&link->tx, call->position, HQQ_CACHE_LINE);
    hqq_ring_note_depth(&link->tx, call->position + 1);
    *ret_slot = (struct hqq_slot){
        .data = hqq_ring_buffer(&link->tx, call->position),
        .length = link->tx.buffer_size,
        .position = call->position,
    };
    return 0;
}

int hqq_link_reserve(struct hqq_link *link, struct hqq_slot *ret_slot)
{
    struct hqq_call call = {.may_wait = true};
    int result = reserve(link, &call, ret_slot);
    if (result == 0)
        hqq_link_end_write(link, &call);
    return result;
}

int hqq_link_try_reserve(struct hqq_link *link, struct hqq_slot *ret_slot)
{
    struct hqq_call call = {.may_wait = false};
    return reserve(link, &call, ret_slot);
}

/* A slot can be handed over although this end was shut meanwhile: what is claimed must not stay claimed. */
static int may_hand_over(const struct hqq_link *link, const struct hqq_ring *ring, const struct hqq_slot *slot,
                         bool is_claimed)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    if (slot->data != hqq_ring_buffer(ring, slot->position) || !is_claimed)
        return HQQ_ERROR_INVALID_OP;
    return 0;
}

static void hand_over(struct hqq_link *link, struct hqq_slot *slot, uint64_t opcode, uint64_t operand2)
{
    hqq_link_publish(link, slot->position, opcode, operand2);
    hqq_link_ring_data(link, 1);
    slot->data = NULL;
    hqq_link_count_returned(link);
}

int hqq_link_commit(struct hqq_link *link, struct hqq_slot *slot, size_t length)
{
    int result = may_hand_over(link, &link->tx, slot, hqq_ring_is_claimed_write(&link->tx, slot->position));
    if (result == 0 && (length == 0 || length > link->tx.buffer_size))
        result = HQQ_ERROR_INVALID_SIZE;
    if (result != 0)
        return hqq_link_fail(link, result);
    hand_over(link, slot, HQQ_OPCODE_COPY, length);
    hqq_link_count_written(link, 1, length);
    return 0;
}

int hqq_link_abort(struct hqq_link *link, struct hqq_slot *slot, uint64_t reason)
{
    int result = may_hand_over(link, &link->tx, slot, hqq_ring_is_claimed_write(&link->tx, slot->position));
    if (result != 0)
        return hqq_link_fail(link, result);
    hand_over(link, slot, HQQ_OPCODE_TOMBSTONE, reason);
    hqq_add_relaxed(&link->counts.tombstones_written, 1);
    return 0;
}

/* Without the end of the call. */
static int borrow(struct hqq_link *link, struct hqq_call *call, struct hqq_slot *ret_slot)
{
    uint64_t length;
    if (link->is_stream_read && hqq_link_guard(link) != HQQ_ERROR_FORKED)
        return hqq_link_fail(link,
                             HQQ_ERROR_INVALID_OP); /* it would come before the rest of the one that is being read */
    int result = hqq_link_next_datagram(link, call, &length);
    if (result != 0)
        return result;
    hqq_link_count_taken(link);
    *ret_slot = (struct hqq_slot){
        .data = hqq_ring_buffer(&link->rx, call->position),
        .length = length,
        .position = call->position,
    };
    hqq_link_count_read(link, 1, length);
    return 0;
}

int hqq_link_borrow(struct hqq_link *link, struct hqq_slot *ret_slot)
{
    struct hqq_call call = {.may_wait = true};
    int result = borrow(link, &call, ret_slot);
    if (result == 0)
        hqq_link_end_read(link, &call);
    return result;
}

int hqq_link_try_borrow(struct hqq_link *link, struct hqq_slot *ret_slot)
{
    struct hqq_call call = {.may_wait = false};
    return borrow(link, &call, ret_slot);
}

int hqq_link_release(struct hqq_link *link, struct hqq_slot *slot)
{
    int result = may_hand_over(link, &link->rx, slot, hqq_ring_is_claimed_read(&link->rx, slot->position));
    if (result != 0)
        return hqq_link_fail(link, result);
    hqq_ring_release(&link->rx, slot->position);
    hqq_link_ring_space(link, 1);
    slot->data = NULL;
    hqq_link_count_returned(link);
    return 0;
}

/* ---- By callback --------------------------------------------------------------------------------------------------
 * */

int hqq_link_write_with(struct hqq_link *link, hqq_write_fn *fill, void *arg)
{
    struct hqq_call call = {.may_wait = true};
    struct hqq_slot slot;
    int result = reserve(link, &call, &slot);
    if (result != 0)
        return result;

    hqq_link_pass_on_write(link, &call);
    size_t length = 0;
    result = fill(slot.data, slot.length, &length, arg);
    if (result == 0)
        result = hqq_link_commit(link, &slot, length);
    if (result != 0)
        (void)hqq_link_abort(link, &slot, (uint64_t)(uint32_t)result);
    hqq_link_end_write(link, &call);
    return result;
}

int hqq_link_read_with(struct hqq_link *link, hqq_read_fn *look, void *arg)
{
    struct hqq_call call = {.may_wait = true};
    struct hqq_slot slot;
    int result = borrow(link, &call, &slot);
    if (result != 0)
        return result;
    hqq_link_pass_on_read(link, &call);
    result = look(slot.data, slot.length, arg);
    (void)hqq_link_release(link, &slot);
    hqq_link_end_read(link, &call);
    return result;
}
