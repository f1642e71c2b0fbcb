/*
 * A bell: how a thread that finds nothing to do sleeps, and how whoever makes work for it finds out that it must be
 * woken. While nobody sleeps, ringing is a fence and a load of a shared line.
 *
 *      sleeper                                     ringer
 *      sleepers += 1                               publish (or release)
 *      remember sequence                           full fence
 *      full fence                                  if sleepers != 0:
 *      look again: found -> do not sleep               sequence += 1
 *      sleep while sequence is as remembered           wake
 *      sleepers -= 1
 *
 * Of the two fences at least one comes later: either the sleeper's second look finds the work, or the ringer finds
 * the sleeper. If it rings between the sleeper's look and its sleep, sequence has moved and the sleep ends at once.
 *
 * Ringing for n slots wakes n sleepers. A sleeper that was woken for a slot it could not take yet, because an earlier
 * one was not published, has used that waking up: so who takes a slot after a sleep rings on if there is more
 * (hqq_bell_pass_on()).
 */
#ifndef HQQ_RING_BELL_H
#define HQQ_RING_BELL_H

#include "base/atomic.h"
#include "base/point.h"
#include "layout/extension.h"

/* Moves sequence and wakes up to count sleepers; one system call. */
void hqq_bell_wake(struct hqq_bell *bell, uint64_t count);

/* For a change that sleepers must see whether or not they have been counted: closing, a new deadline. */
void hqq_bell_wake_all(struct hqq_bell *bell);

/* To be called after publishing or releasing count slots. True if it made a system call. */
static inline bool hqq_bell_ring(struct hqq_bell *bell, uint64_t count)
{
    hqq_fence_full(); /* edge B1: with the fence in hqq_bell_arm() */
    if (__builtin_expect(hqq_load32_relaxed(&bell->sleepers) == 0, 1))
        return false;
    hqq_bell_wake(bell, count);
    return true;
}

/* Counts this thread as a sleeper. Returns the sequence to sleep on; the caller looks for work again before it does. */
uint32_t hqq_bell_arm(struct hqq_bell *bell);

/* Sleeps until the bell has been rung since hqq_bell_arm(), or the deadline, or for no reason. */
void hqq_bell_sleep(struct hqq_bell *bell, uint32_t sequence, uint64_t deadline_ns);

/* The end of what hqq_bell_arm() began. */
void hqq_bell_disarm(struct hqq_bell *bell);

#endif
