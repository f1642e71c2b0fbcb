#include "ring/bell.h"

#include <limits.h>

#include "platform/barrier.h"
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

/* What was stored before is visible to the ringer's next look at armed, or what it published before that look is
 * visible from here on. False if that can't be had. */
static bool order_against_ringer(const hqq_atomic_u32 *is_light)
{
    hqq_fence_full(); /* edge B1: with the fences in hqq_bell_ring() and hqq_bell_ring_all(); L2: is_light is current */
    return hqq_load32_relaxed(is_light) == 0 || hqq_barrier_everywhere(); /* edge B3 */
}

struct hqq_bell_arming hqq_bell_arm(struct hqq_bell *bell, const hqq_atomic_u32 *is_light)
{
    hqq_add32_relaxed(&bell->sleepers, 1);
    /* Before arming: whoever disarms the bell after that moves the sequence from what is remembered here. */
    struct hqq_bell_arming arming = {.sequence = hqq_load32_relaxed(&bell->sequence)};
    hqq_swap32_acq_rel(&bell->armed, 1); /* edge B2: with the swap in hqq_bell_ring_armed() */
    arming.is_unheard = !order_against_ringer(is_light);
    HQQ_POINT("bell.armed");
    return arming;
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

bool hqq_bell_pass_on(struct hqq_bell *bell, const hqq_atomic_u32 *is_light)
{
    if (hqq_load32_relaxed(&bell->sleepers) == 0)
        return false;
    hqq_swap32_acq_rel(&bell->armed, 1); /* edge B2 */
    if (order_against_ringer(is_light))
        return true;
    wake(bell, 1); /* for one that finds out for itself that it is not heard, and passes on in turn */
    return false;
}
