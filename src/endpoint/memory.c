#include "endpoint/memory.h"

#include <hqq/link.h>

#include "channel/handshake.h"
#include "channel/rx.h"
#include "channel/tx.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/scheduler.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "runtime/filter.h"

/* A channel is idle when nothing has gone by it for so long; and how often idle ones are looked for. */
#define IDLE_NS (100 * HQQ_NS_PER_MS)
#define LOOK_NS (10 * HQQ_NS_PER_MS)

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

/* ---- Idle ones --------------------------------------------------------------------------------------------------- */

/* All datagrams that it was about, whichever way they went. */
static uint64_t activity_of(const struct hqq_channel *channel)
{
    return hqq_load_relaxed(hqq_ring_w(&channel->tx)) + hqq_load_relaxed(hqq_ring_w(&channel->rx)) +
           hqq_load_relaxed(&channel->own->drain_requested) + hqq_load_relaxed(&channel->peer->drain_requested);
}

/* As far as anybody has looked. */
static bool is_idle(struct hqq_channel *channel, uint64_t now)
{
    uint64_t activity = activity_of(channel);
    if (channel->seen_activity_ns == 0 || channel->seen_activity != activity) {
        channel->seen_activity = activity;
        channel->seen_activity_ns = now;
        return false;
    }
    return now - channel->seen_activity_ns >= IDLE_NS && is_sent_read(channel) && hqq_rx_is_read(channel);
}

/* With both locks, the receive lock as for a change. */
static void end_idle(struct hqq_endpoint *endpoint, const struct hqq_rule *rule, uint64_t now)
{
    hqq_validation_take_over_offered(endpoint);
    hqq_scheduler_reap(endpoint, true);
    for (struct hqq_channel *channel = endpoint->channels, *next; channel; channel = next) {
        next = channel->next;
        bool counts = hqq_load_relaxed(&channel->charged) != 0;
        if (counts && is_idle(channel, now) && !hqq_channel_has_room(rule))
            end_if_read(endpoint, channel);
    }
}

/* Locks are tried, never waited for: this thread holds a send lock, and a receive lock would come before it. */
static void try_to_end_idle(struct hqq_endpoint *endpoint, const struct hqq_rule *rule, uint64_t now)
{
    bool is_held = hqq_lock_is_mine(&endpoint->send_lock);
    if (!hqq_lock_try(&endpoint->receive_lock))
        return;
    endpoint->changing++;
    hqq_fence_compiler();
    if ((is_held || hqq_lock_try(&endpoint->send_lock)) && is_ours(endpoint)) {
        end_idle(endpoint, rule, now);
        if (!is_held)
            hqq_lock_give(&endpoint->send_lock);
    }
    hqq_endpoint_end_change(endpoint, true);
}

bool hqq_memory_make_room(struct hqq_endpoint *endpoint, const struct hqq_rule *rule)
{
    static hqq_atomic_u64 looked_ns;
    uint64_t now = hqq_clock_ns(), looked = hqq_load_relaxed(&looked_ns);
    if (hqq_channel_has_room(rule))
        return true;
    if (hqq_filter_is_set() || !hqq_is_due(now, looked, LOOK_NS) || !hqq_cas_acq_rel(&looked_ns, &looked, now))
        return false;
    for (struct hqq_endpoint *other = hqq_endpoint_first(); other; other = other->next) {
        bool is_other_held = other != endpoint && hqq_lock_is_mine(&other->send_lock);
        if (is_ours(other) && !is_other_held)
            try_to_end_idle(other, rule, now);
    }
    return hqq_channel_has_room(rule);
}
