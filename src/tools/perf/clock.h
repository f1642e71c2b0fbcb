/*
 * Time for measuring: nanoseconds on CLOCK_MONOTONIC, the same in both processes, and processor time of this process.
 * Relies on clock_gettime(), which does not fail for these clocks. Never waits.
 */
#ifndef HQQ_PERF_CLOCK_H
#define HQQ_PERF_CLOCK_H

#include <stdint.h>
#include <time.h>

#define PERF_NS_PER_US UINT64_C(1000)
#define PERF_NS_PER_MS UINT64_C(1000000)
#define PERF_NS_PER_S UINT64_C(1000000000)

static inline uint64_t perf_clock_read(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * PERF_NS_PER_S + (uint64_t)time.tv_nsec;
}

static inline uint64_t perf_now_ns(void)
{
    return perf_clock_read(CLOCK_MONOTONIC);
}

static inline uint64_t perf_cpu_time_ns(void)
{
    return perf_clock_read(CLOCK_PROCESS_CPUTIME_ID);
}

#endif
