#include "channel/liveness.h"

#include "base/atomic.h"
#include "platform/process.h"
#include "runtime/ticks.h"

/* Processes that are remembered; two that share a place are looked at more often, and no more. */
#define PLACES 64

#define PID_BITS 22
#define TICKS_BITS (64 - PID_BITS)

/* pid above, the lower ticks below: one word, so that a time is never another process's. It wraps after minutes, when the worst is
 * that one look is spared that was due; no answer is ever made up. */
static hqq_atomic_u64 seen[PLACES];

static bool is_missing(uint64_t identity, uint64_t ticks)
{
    uint64_t pid = hqq_process_pid(identity);
    if (pid >> PID_BITS != 0) /* nobody's: nothing to be remembered */
        return hqq_process_is_missing(identity);
    hqq_atomic_u64 *place = &seen[pid % PLACES];
    uint64_t known = hqq_load_relaxed(place);
    uint64_t mask = (UINT64_C(1) << TICKS_BITS) - 1;
    if (known >> TICKS_BITS == pid && ((ticks - known) & mask) < HQQ_LIVENESS_US * hqq_ticks_per_us())
        return false;
    if (hqq_process_is_missing(identity))
        return true;
    hqq_store_relaxed(place, pid << TICKS_BITS | (ticks & mask));
    return false;
}

bool hqq_liveness_is_missing(const struct hqq_channel *channel, uint64_t ticks)
{
    uint64_t owner = hqq_load_relaxed(&channel->peer->owner);
    return channel->may_compare && owner != HQQ_PROCESS_UNKNOWN && is_missing(owner, ticks);
}

bool hqq_liveness_is_dead(const struct hqq_channel *channel)
{
    uint64_t owner = hqq_load_relaxed(&channel->peer->owner);
    return channel->may_compare && owner != HQQ_PROCESS_UNKNOWN && hqq_process_is_dead(owner);
}

bool hqq_liveness_has_left(const struct hqq_channel *channel)
{
    enum hqq_notify state = hqq_notify_state(hqq_load_acquire(&channel->peer->notify));
    return state == HQQ_CLOSED || state == HQQ_HANDOFF || hqq_liveness_is_missing(channel, hqq_ticks());
}
