/*
 * A full memory barrier in other processes, by membarrier(2): so that what is done often needs no fence, and what is
 * done seldom makes up for it. Relies on Linux 4.16 and on no seccomp filter forbidding it; never fails silently.
 */
#ifndef HQQ_PLATFORM_BARRIER_H
#define HQQ_PLATFORM_BARRIER_H

#include <stdbool.h>

/* Asks that hqq_barrier_everywhere() of any process reach the threads of this one. True if it will, and if this
 * process can make the call itself. Children inherit it; an exec ends it. */
bool hqq_barrier_register(void);

/* When it returns true, every running thread of every registered process has passed a full barrier since the call, at a
 * point of its own program order. 0.2 to 5 us. */
bool hqq_barrier_everywhere(void);

#endif
