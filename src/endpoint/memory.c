#include "endpoint/memory.h"

#include "channel/handshake.h"
#include "channel/rx.h"
#include "channel/tx.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/scheduler.h"
#include "endpoint/validation.h"
#include "runtime/filter.h"

/* ---- One channel ------------------------------------------------------------------------------------------------ */

/* Nothing that was sent to the peer waits there, and nobody is writing what he will send. */
static bool is_sent_read(const struct hqq_channel *channel)
{
    return hqq_load32_acquire(&channel->is_reserved) == 0 && hqq_tx_is_read(channel); /* edge D9 */
}

/*
 * With both locks. False: it stays. The peer, told CLOSED, sends through the kernel from now on, and what it publishes
 * up to then is read first; where it finds CLOSED in its own ring nothing of ours is left there.
 */
static bool end_if_read(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    if (!is_sent_read(channel))
        return false;
    hqq_rx_stop(channel, HQQ_CLOSED);
    hqq_destinations_forget_channel(endpoint, channel);
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_RESOURCES);
    if (hqq_handshake_is_proved(channel) && !hqq_rx_is_read(channel)) {
        if (hqq_rx_has_data(channel))
            hqq_scheduler_make_busy(endpoint, channel);
        return false;
    }
    hqq_scheduler_end(endpoint, channel);
    return true;
}

/* ---- All of them ------------------------------------------------------------------------------------------------- */

/* What this process may end: not what it has from a parent that goes on receiving. */
static bool is_ours(const struct hqq_endpoint *endpoint)
{
    return hqq_load32_relaxed(&endpoint->is_live) != 0 && hqq_endpoint_is_own(endpoint) &&
           (!endpoint->is_inherited || hqq_load32_relaxed(&endpoint->is_receiver) != 0);
}

static bool give_up(struct hqq_endpoint *endpoint)
{
    bool is_all = true;
    if (hqq_lock_is_mine(&endpoint->receive_lock) || hqq_lock_is_mine(&endpoint->send_lock))
        return true;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    bool has_send = hqq_lock_take(&endpoint->send_lock);
    if (has_lock && has_send && is_ours(endpoint)) {
        hqq_validation_take_over_offered(endpoint);
        for (struct hqq_channel *channel = endpoint->channels, *next; channel; channel = next) {
            next = channel->next;
            is_all &= end_if_read(endpoint, channel);
        }
    }
    if (has_send)
        hqq_lock_give(&endpoint->send_lock);
    hqq_endpoint_end_change(endpoint, has_lock);
    return is_all;
}

bool hqq_memory_give_up(void)
{
    bool is_all = true;
    if (hqq_filter_is_set())
        return true;
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (is_ours(endpoint))
            is_all &= give_up(endpoint);
    }
    return is_all;
}
