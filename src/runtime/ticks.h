/*
 * A cheap clock of a unit that is measured, for "is it long ago?" on paths where a call of the clock would show. Not for order between
 * processes.
 */
#ifndef HQQ_RUNTIME_TICKS_H
#define HQQ_RUNTIME_TICKS_H

#include <stdint.h>

#include "platform/clock.h"

/* They stand still once the counter is forbidden: then the kernel serves everything (filter.h), and nothing is due. */
static inline uint64_t hqq_ticks(void)
{
    uint64_t forbidden = hqq_load_relaxed(&hqq_clock_forbidden_ns);
    if (__builtin_expect(forbidden != 0, 0))
        return forbidden;
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "no clock of ticks is known for this processor"
#endif
}

/* About how many ticks a microsecond has: measured against the clock once a millisecond has passed since the first call, a
 * guess until then. Never 0. */
uint64_t hqq_ticks_per_us(void);

/* True if that many microseconds have passed since a moment. */
static inline int hqq_ticks_are_due(uint64_t now, uint64_t since, uint64_t us)
{
    return now - since > us * hqq_ticks_per_us() && hqq_load_relaxed(&hqq_clock_forbidden_ns) == 0;
}

#endif
