#include "channel/notify.h"

#include <assert.h>

#include <hqq/link.h>

#include "base/point.h"
#include "platform/trace.h"

hqq_atomic_u64 hqq_notify_moves[HQQ_NOTIFY_STATES];

const char *hqq_notify_text(enum hqq_notify state)
{
    static const char *const text[HQQ_NOTIFY_STATES] = {"ARMED", "POLLING", "SUSPENDED", "CLOSED", "HANDOFF"};
    return text[state];
}

bool hqq_notify_may_move(enum hqq_notify from, enum hqq_notify to)
{
    static const bool legal[HQQ_NOTIFY_STATES][HQQ_NOTIFY_STATES] = {
        [HQQ_ARMED] = {[HQQ_ARMED] = true,
                       [HQQ_POLLING] = true,
                       [HQQ_SUSPENDED] = true,
                       [HQQ_CLOSED] = true,
                       [HQQ_HANDOFF] = true},
        [HQQ_POLLING] = {[HQQ_ARMED] = true, [HQQ_SUSPENDED] = true, [HQQ_CLOSED] = true, [HQQ_HANDOFF] = true},
        [HQQ_SUSPENDED] = {[HQQ_ARMED] = true,
                           [HQQ_POLLING] = true,
                           [HQQ_SUSPENDED] = true,
                           [HQQ_CLOSED] = true,
                           [HQQ_HANDOFF] = true},
        [HQQ_CLOSED] = {[HQQ_CLOSED] = true, [HQQ_HANDOFF] = true},
        [HQQ_HANDOFF] = {[HQQ_HANDOFF] = true, [HQQ_SUSPENDED] = true, [HQQ_CLOSED] = true},
    };
    return legal[from][to];
}

bool hqq_notify_move(hqq_atomic_u64 *notify, uint64_t *word, enum hqq_notify state, uint64_t limit)
{
    enum hqq_notify from = hqq_notify_state(*word);
    assert(hqq_notify_may_move(from, state));
    HQQ_POINT("channel.move");
    if (!hqq_cas_acq_rel(notify, word, hqq_notify_moved(*word, state, limit)))
        return false;
    hqq_add_relaxed(&hqq_notify_moves[state], 1);
    if (state != from && (from > HQQ_POLLING || state > HQQ_POLLING))
        hqq_log(HQQ_LOG_DEBUG, "channel: %s -> %s", hqq_notify_text(from), hqq_notify_text(state));
    return true;
}
