#include "endpoint/patience.h"

#include <hqq/link.h>

#include "channel/tx.h"
#include "platform/clock.h"
#include "runtime/filter.h"
#include "runtime/handlers.h"

/* For the drain: how long, and how many waits are left out at most after one that was in vain. */
#define DRAIN_US 5
#define SKIPPED_MOST 64

/* For room: whatever the reader does, the lock is not held for longer. */
#define ROOM_LONGEST_US 2000

#define PAUSES 16
#define YIELDS 2

void hqq_patience_for_drain(struct hqq_destination *destination)
{
    const struct hqq_channel *channel = destination->channel;
    uint64_t skipped = destination->missed_waits < 6 ? (UINT64_C(1) << destination->missed_waits) - 1 : SKIPPED_MOST;
    if (destination->skipped_waits < skipped) {
        destination->skipped_waits++;
        return;
    }
    bool shares_cpu = hqq_channel_shares_cpu(channel);
    uint64_t began = hqq_ticks();
    destination->skipped_waits = 0;
    for (int rounds = 0; hqq_channel_peer_state(channel) == HQQ_POLLING; rounds++) {
        if (hqq_tx_is_open(channel)) {
            destination->missed_waits = 0;
            return;
        }
        if (shares_cpu ? rounds == YIELDS || hqq_filter_is_set() : hqq_ticks_are_due(hqq_ticks(), began, DRAIN_US))
            break;
        if (shares_cpu)
            hqq_sys.sched_yield();
        for (int i = 0; i < PAUSES && !shares_cpu; i++)
            hqq_cpu_pause();
    }
    destination->missed_waits++;
}

static bool has_room_ahead(const struct hqq_ring *ring, uint64_t slots)
{
    return hqq_ring_is_writable_ahead(ring, slots);
}

bool hqq_patience_for_room(struct hqq_endpoint *endpoint, struct hqq_destination *destination, uint64_t length)
{
    const struct hqq_channel *channel = destination->channel;
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
        if (has_room_ahead(ring, half)) /* let the reader get ahead: less to and fro of each line */
            return true;
        uint64_t now = hqq_ticks();
        uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
        if (hqq_channel_peer_state(channel) != HQQ_POLLING || hqq_ticks_are_due(now, began, ROOM_LONGEST_US) ||
            hqq_load32_relaxed(&hqq_handlers_run) != handlers)
            return has_room_ahead(ring, slots);
        if (r != seen_r) {
            seen_r = r;
            progress = now;
        } else if (hqq_ticks_are_due(now, progress, longest)) {
            return has_room_ahead(ring, slots);
        }
    }
}
