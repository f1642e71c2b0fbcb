/* The monotonic clock in nanoseconds. Relies on clock_gettime(), which for this clock can't fail; never makes a system
 * call where the vDSO has the clock. */
#include "platform/clock.h"

#include <time.h>

#include <hqq/link.h>

uint64_t hqq_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * HQQ_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t hqq_deadline_after(uint64_t now_ns, uint64_t span_ns)
{
    return span_ns > HQQ_FOREVER - now_ns ? HQQ_FOREVER : now_ns + span_ns;
}
