/*
 * Who waits, and how to wake them. A waiter that drives the link (wait.h) is in it, taking a packet or waiting for a free
 * slot, or sleeps on a condition of its own; each is woken where it is. With the lock.
 */
#ifndef HQQ_ADVANCED_WAKE_H
#define HQQ_ADVANCED_WAKE_H

#include "advanced/state.h"

/* Wakes who waits for that object. */
void hqq_advanced_wake(struct hqq_advanced *advanced, const void *object);
/* Wakes one that may drive the link; all of them. */
void hqq_advanced_wake_one(struct hqq_advanced *advanced);
void hqq_advanced_wake_all(struct hqq_advanced *advanced);

/* A call that drove the link, and did not wait, ends: wakes one that waits if nobody drives now. */
void hqq_advanced_hand_over(struct hqq_advanced *advanced);

#endif
