#include "advanced/credit.h"

#include "advanced/control.h"

static bool is_on(const struct hqq_advanced *advanced)
{
    return hqq_advanced_has(advanced, HQQ_FEATURE_FLOW_CONTROL);
}

void hqq_credit_init(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    on->credit_limit = advanced->session.peer_window;
    on->granted_limit = advanced->config.window;
}

/* ---- Receiving ----------------------------------------------------------------------------------------------------- */

/* Tells a new limit once it is worth a packet: a quarter of the window. With nothing held the peer then has three
 * quarters at least. */
static void grant(struct hqq_advanced *advanced, struct hqq_connection *on)
{
    uint64_t window = advanced->config.window;
    uint64_t held = on->held_cost < window ? on->held_cost : window;
    uint64_t limit = on->received_cost + window - held;
    if (limit < on->granted_limit + window / 4 || (!on->is_in_table && on != advanced->ground))
        return;
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_CREDIT, on->id, limit, 0);
    bool is_new = !on->queued_credit;
    if (hqq_control_queue_once(advanced, &packet, &on->queued_credit) == 0) {
        on->granted_limit = limit;
        advanced->stats.credits_sent += is_new;
    }
}

int hqq_credit_charge(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *chunk)
{
    if (!is_on(advanced) || (chunk->flags & HQQ_FRAME_RESPONSE) != 0)
        return 0;
    uint64_t cost = chunk->size + ((chunk->flags & HQQ_FRAME_BEGIN) != 0 ? HQQ_MESSAGE_COST : 0);
    on->received_cost += cost;
    if (on->received_cost > on->granted_limit) {
        on->received_cost = on->granted_limit; /* what was refused takes up nothing */
        return HQQ_ERROR_BUFFER_OVERFLOW;
    }
    grant(advanced, on);
    return 0;
}

void hqq_credit_hold(struct hqq_connection *on, uint64_t cost)
{
    on->held_cost += cost;
}

void hqq_credit_return(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t cost)
{
    on->held_cost -= cost;
    if (is_on(advanced) && cost != 0)
        grant(advanced, on);
}

/* ---- Sending ------------------------------------------------------------------------------------------------------- */

static bool needs_none(const struct hqq_advanced *advanced, const struct hqq_item *item)
{
    return !is_on(advanced) || (item->chunk.flags & HQQ_FRAME_RESPONSE) != 0;
}

uint64_t hqq_credit_left(const struct hqq_advanced *advanced, const struct hqq_connection *on,
                         const struct hqq_item *item, uint64_t want, bool *ret_may_go)
{
    *ret_may_go = true;
    if (needs_none(advanced, item))
        return want;
    uint64_t left = on->credit_limit > on->sent_cost ? on->credit_limit - on->sent_cost : 0;
    uint64_t fixed = item->chunk.offset == 0 ? HQQ_MESSAGE_COST : 0;
    *ret_may_go = left > fixed || (left == fixed && want == 0);
    left = *ret_may_go ? left - fixed : 0;
    return left < want ? left : want;
}

void hqq_credit_use(struct hqq_connection *on, const struct hqq_item *item, uint64_t bytes)
{
    if ((item->chunk.flags & HQQ_FRAME_RESPONSE) == 0)
        on->sent_cost += bytes + (item->chunk.offset == 0 ? HQQ_MESSAGE_COST : 0);
}

bool hqq_credit_raise(struct hqq_connection *on, uint64_t limit)
{
    if (limit <= on->credit_limit)
        return false;
    on->credit_limit = limit;
    return true;
}
