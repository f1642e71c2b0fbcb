#include "ring/bell.h"

#include <limits.h>

#include "platform/sys.h"

void hqq_bell_wake(struct hqq_bell *bell, uint64_t count)
{
    hqq_add32_relaxed(&bell->sequence, 1);
    HQQ_POINT("bell.ringing");
    hqq_sys.futex_wake(&bell->sequence, count < INT_MAX ? (int)count : INT_MAX);
}

void hqq_bell_wake_all(struct hqq_bell *bell)
{
    hqq_fence_full(); /* edge B1 */
    hqq_bell_wake(bell, INT_MAX);
}

uint32_t hqq_bell_arm(struct hqq_bell *bell)
{
    hqq_add32_relaxed(&bell->sleepers, 1);
    uint32_t sequence = hqq_load32_relaxed(&bell->sequence);
    hqq_fence_full(); /* edge B1: with the fence in hqq_bell_ring() and hqq_bell_wake_all() */
    HQQ_POINT("bell.armed");
    return sequence;
}

void hqq_bell_sleep(struct hqq_bell *bell, uint32_t sequence, uint64_t deadline_ns)
{
    HQQ_POINT("bell.asleep");
    hqq_sys.futex_wait(&bell->sequence, sequence, deadline_ns);
    HQQ_POINT("bell.woken");
}

void hqq_bell_disarm(struct hqq_bell *bell)
{
    hqq_sub32_relaxed(&bell->sleepers, 1);
}
