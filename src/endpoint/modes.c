#include "endpoint/modes.h"

#include <assert.h>

#include <hqq/link.h>

#include "endpoint/scheduler.h"
#include "platform/trace.h"

const char *hqq_mode_text(enum hqq_mode mode)
{
    static const char *const text[] = {"ACCELERATED", "FOREIGN", "SHUT", "KERNEL"};
    return text[mode];
}

void hqq_mode_set(struct hqq_endpoint *endpoint, enum hqq_mode mode)
{
    enum hqq_mode from = hqq_endpoint_mode(endpoint);
    assert(hqq_mode_may_move(from, mode));
    if (from == mode)
        return;
    hqq_store32_relaxed(&endpoint->mode, (uint32_t)mode);
    hqq_log(HQQ_LOG_DEBUG, "endpoint: %s -> %s", hqq_mode_text(from), hqq_mode_text(mode));
    if (from == HQQ_MODE_ACCELERATED && mode != HQQ_MODE_SHUT && endpoint->channels)
        hqq_count_own(&endpoint->counters->suspended, 1);
    switch (mode) {
    case HQQ_MODE_ACCELERATED:
        break;
    case HQQ_MODE_FOREIGN:
    case HQQ_MODE_SHUT:
        hqq_scheduler_stop_all(endpoint, HQQ_SUSPENDED);
        break;
    case HQQ_MODE_KERNEL:
    default:
        hqq_scheduler_stop_all(endpoint, HQQ_CLOSED);
        break;
    }
}

void hqq_mode_add_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why)
{
    hqq_or32_relaxed(&endpoint->foreign, (uint32_t)why);
    hqq_endpoint_set_reason(endpoint, why == HQQ_FOREIGN_SHARED ? HQQ_SOCKET_SHARED : HQQ_SOCKET_OPTION);
    if (hqq_endpoint_mode(endpoint) == HQQ_MODE_ACCELERATED)
        hqq_mode_set(endpoint, HQQ_MODE_FOREIGN);
}

void hqq_mode_remove_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why)
{
    uint32_t left = hqq_load32_relaxed(&endpoint->foreign) & ~(uint32_t)why;
    hqq_store32_relaxed(&endpoint->foreign, left);
    if (left == 0 && hqq_endpoint_mode(endpoint) == HQQ_MODE_FOREIGN) {
        hqq_mode_set(endpoint, HQQ_MODE_ACCELERATED);
        hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_NO_TRAFFIC);
    }
}
