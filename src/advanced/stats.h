/* Statistics: what the roles count without the lock, and what the peer says of itself. */
#ifndef HQQ_ADVANCED_STATS_H
#define HQQ_ADVANCED_STATS_H

#include "advanced/state.h"
#include "platform/clock.h"

/* Encryption is timed now and then: a look at the clock costs as much as a small record. */
#define HQQ_STATS_TIMED_EVERY 64

/* The time, if the record of that number is to be timed; else 0. */
static inline uint64_t hqq_stats_time_now_and_then(uint64_t number)
{
    return number % HQQ_STATS_TIMED_EVERY == 0 ? hqq_clock_ns() : 0;
}

/* A chunk was sealed or opened. By the role that the counts belong to. */
static inline void hqq_stats_count_sealed(struct hqq_role_counts *counts, uint64_t started_ns, uint64_t added)
{
    hqq_count_own(&counts->encrypted, 1);
    hqq_count_own(&counts->encryption_bytes, added);
    if (started_ns != 0)
        hqq_count_own(&counts->encryption_ns, (hqq_clock_ns() - started_ns) * HQQ_STATS_TIMED_EVERY);
}

/* The peer asks for our statistics, or tells its own. With the lock. */
void hqq_stats_handle(struct hqq_advanced *advanced, const struct hqq_packet *packet);

#endif
