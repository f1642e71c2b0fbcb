#include "endpoint/patience.h"

#include <hqq/link.h>

#include "channel/tx.h"
#include "channel/window.h"
#include "platform/clock.h"
#include "runtime/filter.h"
#include "runtime/handlers.h"

/* For the drain: how long without a sign of progress, and how many waits are left out at most after one that was in vain. */
#define DRAIN_US 5
#define SKIPPED_MOST 64

/* For the drain of a deep queue that is being read: how long from one sign to the next, and in all. One that is in vain is one part of
 * the time. */
#define SIGN_US 20
#define DEEP_US 1000
#define DEEP_PART 100

/* For room: whatever the reader does, the lock is not held for longer. */
#define ROOM_LONGEST_US 2000

#define PAUSES 16
#define YIELDS 2

static bool is_skipped(struct hqq_destination *destination)
{
    uint64_t skipped = destination->missed_waits < 6 ? (UINT64_C(1) << destination->missed_waits) - 1 : SKIPPED_MOST;
    if (destination->skipped_waits >= skipped)
        return false;
    destination->skipped_waits++;
    return true;
}

/* Beside a receiver on this processor: it runs instead. */
static bool yield_for_drain(const struct hqq_channel *channel)
{
    for (int i = 0; i < YIELDS && !hqq_filter_is_set() && hqq_channel_peer_state(channel) == HQQ_POLLING; i++) {
        hqq_sys.sched_yield();
        if (hqq_tx_is_open(channel))
            return true;
    }
    return false;
}

/* Signs of progress prolong it, unless such a wait was in vain a short while ago. */
static bool spin_for_drain(struct hqq_destination *destination)
{
    const struct hqq_channel *channel = destination->channel;
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    uint64_t progress = hqq_load_relaxed(&channel->peer->drain_progress);
    uint64_t began = hqq_ticks(), now = began, sign = began;
    uint64_t patience_us = DRAIN_US;
    bool is_willing = hqq_ticks_are_due(began, destination->waited_at, destination->unwilling_us);
    while (hqq_channel_peer_state(channel) == HQQ_POLLING && !hqq_ticks_are_due(now, sign, patience_us) &&
           !hqq_ticks_are_due(now, began, DEEP_US) && hqq_load32_relaxed(&hqq_handlers_run) == handlers) {
        if (hqq_tx_is_open(channel))
            return true;
        for (int i = 0; i < PAUSES; i++)
            hqq_cpu_pause();
        now = hqq_ticks();
        if (is_willing && hqq_load_relaxed(&channel->peer->drain_progress) != progress) {
            progress = hqq_load_relaxed(&channel->peer->drain_progress);
            patience_us = SIGN_US;
            sign = now;
        }
    }
    if (patience_us == SIGN_US) {
        uint64_t spent_us = (now - began) / hqq_ticks_per_us();
        if (spent_us < SIGN_US || spent_us > DEEP_US) /* cut short, or on another processor, whose counter may differ */
            spent_us = DEEP_US;
        destination->waited_at = now;
        destination->unwilling_us = spent_us * DEEP_PART;
    }
    return hqq_tx_is_open(channel);
}

void hqq_patience_for_drain(struct hqq_destination *destination)
{
    const struct hqq_channel *channel = destination->channel;
    if (is_skipped(destination))
        return;
    destination->skipped_waits = 0;
    bool is_won = hqq_channel_shares_cpu(channel) ? yield_for_drain(channel) : spin_for_drain(destination);
    destination->missed_waits = is_won ? 0 : destination->missed_waits + 1;
}

static bool has_room(struct hqq_channel *channel, uint64_t slots)
{
    return hqq_ring_is_writable_ahead(&channel->tx, slots) &&
           hqq_window_has_room(&channel->tx, hqq_tx_position(channel));
}

bool hqq_patience_for_room(struct hqq_endpoint *endpoint, struct hqq_destination *destination, uint64_t length)
{
    struct hqq_channel *channel = destination->channel;
    const struct hqq_ring *ring = &channel->tx;
    uint64_t slots = hqq_channel_slots(ring, length);
    uint64_t half = ring->count / 2 > slots ? ring->count / 2 : slots;
    bool shares_cpu = hqq_channel_shares_cpu(channel);
    uint64_t longest = endpoint->rule->spin_ns / HQQ_NS_PER_US;
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    if (longest == 0 || (shares_cpu && hqq_filter_is_set()))
        return false;
    uint64_t seen_r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t began = hqq_ticks(), progress = began;
    for (;;) {
        if (shares_cpu)
            hqq_sys.sched_yield();
        for (int i = 0; i < PAUSES && !shares_cpu; i++)
            hqq_cpu_pause();
        uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
        bool is_half_free =
            hqq_ring_is_writable_ahead(ring, half) && hqq_window_is_half_free(ring, hqq_tx_position(channel), r);
        if (is_half_free) /* let the reader get ahead: less to and fro of each line */
            return has_room(channel, slots);
        uint64_t now = hqq_ticks();
        if (hqq_channel_peer_state(channel) != HQQ_POLLING || hqq_ticks_are_due(now, began, ROOM_LONGEST_US) ||
            hqq_load32_relaxed(&hqq_handlers_run) != handlers)
            return has_room(channel, slots);
        if (r != seen_r) {
            seen_r = r;
            progress = now;
        } else if (hqq_ticks_are_due(now, progress, longest)) {
            return has_room(channel, slots);
        }
    }
}
