#include "ring/bell.h"

#include <limits.h>

#include "platform/sys.h"

static void wake(struct hqq_bell *bell, uint64_t count)
{
    hqq_add32_relaxed(&bell->sequence, 1);
    HQQ_POINT("bell.ringing");
    hqq_sys.futex_wake(&bell->sequence, count < INT_MAX ? (int)count : INT_MAX);
}

bool hqq_bell_ring_armed(struct hqq_bell *bell, uint64_t count)
{
    /* edge B2: with the swap in hqq_bell_arm(). Who arms it after us sees what we have published. */
    if (hqq_swap32_acq_rel(&bell->armed, 0) == 0)
        return false; /* another ringer was faster, and wakes */
    wake(bell, count);
    return true;
}

void hqq_bell_ring_all(struct hqq_bell *bell)
{
    hqq_fence_full(); /* edge B1 */
    if (hqq_load32_relaxed(&bell->sleepers) != 0)
        wake(bell, HQQ_BELL_ALL);
}

uint32_t hqq_bell_arm(struct hqq_bell *bell)
{
    hqq_add32_relaxed(&bell->sleepers, 1);
    hqq_swap32_acq_rel(&bell->armed, 1); /* edge B2: with the swap in hqq_bell_ring_armed() */
    uint32_t sequence = hqq_load32_relaxed(&bell->sequence);
    hqq_fence_full(); /* edge B1: with the fences in hqq_bell_ring() and hqq_bell_ring_all() */
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

bool hqq_bell_pass_on(struct hqq_bell *bell)
{
    if (hqq_load32_relaxed(&bell->sleepers) == 0)
        return false;
    hqq_swap32_acq_rel(&bell->armed, 1); /* edge B2 */
    hqq_fence_full();                    /* edge B1: with the fence in hqq_bell_ring() */
    return true;
}
