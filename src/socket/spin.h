/*
 * Spinning before a sleep, for a bounded time that adapts: as long as it pays, and hardly at all where it does not.
 * On a single processor the other side can't run while we spin, so there the processor is given up instead.
 */
#ifndef HQQ_SOCKET_SPIN_H
#define HQQ_SOCKET_SPIN_H

#include <stdbool.h>

#include "socket/endpoint.h"

/* Under the receive lock: waits a little for a ring of this endpoint to have something, or a bell of another to come. */
bool hqq_spin_for_data(struct hqq_endpoint *endpoint, int fd);

/* Under the send lock: waits a little for a ring to have room for count slots; as long as the peer makes progress. */
bool hqq_spin_for_space(struct hqq_endpoint *endpoint, struct hqq_pair *pair, uint64_t count);

/* True if spinning keeps the peer from running: it last waited on this processor, or there is but one. Tells the peer
 * where this side is. */
bool hqq_spin_is_in_the_way(const struct hqq_pair *pair);

/* After a sleep of this long: whether a spin would have been better. */
void hqq_spin_learn(struct hqq_endpoint *endpoint, uint64_t slept_ns);

/* A cheap clock of unknown unit, for "is it long ago?", and about how many of its ticks 20 us are. */
static inline uint64_t hqq_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#endif
}

uint64_t hqq_ticks_long_ago(void);

#endif
