/*
 * A bell: how a thread that finds nothing to do sleeps, and how whoever makes work for it finds out that it must be
 * woken. While nobody sleeps, ringing is a fence and a load of a shared line.
 *
 *      sleeper                                     ringer
 *      sleepers += 1                               publish (or release) n slots
 *      remember sequence                           full fence
 *      armed = 1                                   if armed, and swapping in 0 finds it so:
 *      full fence                                      sequence += 1
 *      look again: found -> do not sleep               wake n
 *      sleep while sequence is as remembered
 *      sleepers -= 1
 *      take what it came for
 *      if sleepers: armed = 1, full fence, look: found -> ring
 *
 * The ringer's fence is what a datagram costs most, as it waits for all earlier stores to leave the processor. So a
 * ringer that is registered for it (platform/barrier.h) rings lightly, with no fence but the compiler's, and a
 * sleeper, after its own fence, makes that processor pass a barrier. If that falls before the ringer's look at armed,
 * the look finds it; if it falls after, what was published is visible to the sleeper's second look.
 *
 * Of the two fences one comes later: either the sleeper's second look finds the work, or the ringer finds the bell
 * armed. If it rings between the sleeper's look and its sleep, sequence has moved and the sleep ends at once.
 *
 * The first of several ringers disarms the bell, so that a burst costs one system call and not one for each slot. What
 * comes while the woken thread is on its way is not rung for; nor was its waking up of use if the slot it was for is
 * not the next in turn. So that thread passes the bell on before it goes away (hqq_bell_pass_on()): with others still
 * asleep it arms the bell on their behalf, and looks once more.
 */
#ifndef HQQ_RING_BELL_H
#define HQQ_RING_BELL_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/point.h"
#include "layout/extension.h"

/* All sleepers: for a change that each of them must see, such as a new deadline. */
#define HQQ_BELL_ALL UINT64_MAX

/* The second half of hqq_bell_ring(). */
bool hqq_bell_ring_armed(struct hqq_bell *bell, uint64_t count);

/* Wakes up to count sleepers, after what they wait for has been stored. True if it made a system call. */
static inline bool hqq_bell_ring(struct hqq_bell *bell, uint64_t count)
{
    hqq_fence_full(); /* edge B1: with the fence in hqq_bell_arm() */
    if (__builtin_expect(hqq_load32_relaxed(&bell->armed) == 0, 1))
        return false;
    return hqq_bell_ring_armed(bell, count);
}

/* The same by a ringer whom its sleepers know to be light. */
static inline bool hqq_bell_ring_light(struct hqq_bell *bell, uint64_t count)
{
    hqq_fence_compiler(); /* edge B3: with the barrier in hqq_bell_arm() */
    if (__builtin_expect(hqq_load32_relaxed(&bell->armed) == 0, 1))
        return false;
    return hqq_bell_ring_armed(bell, count);
}

/* Wakes all sleepers, armed or not: those that an earlier ring left asleep too. */
void hqq_bell_ring_all(struct hqq_bell *bell);

/* What a sleeper has to know. */
struct hqq_bell_arming {
    uint32_t sequence; /* to sleep on */
    bool is_unheard;   /* the ringer is light and could not be made to pass a barrier: sleep for a short time only */
};

/* Counts this thread as a sleeper, and returns whether it can rely on being woken; the caller looks for work again
 * before it sleeps. is_light is where the ringer says so. */
struct hqq_bell_arming hqq_bell_arm(struct hqq_bell *bell, const hqq_atomic_u32 *is_light);

/* Sleeps until the bell has been rung since hqq_bell_arm(), or the deadline, or for no reason. */
void hqq_bell_sleep(struct hqq_bell *bell, uint32_t sequence, uint64_t deadline_ns);

/* The end of what hqq_bell_arm() began. */
void hqq_bell_disarm(struct hqq_bell *bell);

/* Arms the bell for those that still sleep. True if there are any: then look, and ring if there is something to do.
 * is_light as above; where the ringer can't be made to pass a barrier, another sleeper has been woken already. */
bool hqq_bell_pass_on(struct hqq_bell *bell, const hqq_atomic_u32 *is_light);

#endif
