/* The monotonic clock in nanoseconds. Relies on clock_gettime(), which for this clock can't fail; never makes a system
 * call where the vDSO has the clock, unless it is forbidden to read it. */
#include "platform/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <hqq/link.h>

hqq_atomic_u64 hqq_clock_forbidden_ns;
static hqq_atomic_u32 stands_still;

void hqq_clock_set_way(enum hqq_clock_way way)
{
    uint64_t now = hqq_clock_ns();
    if (way == HQQ_CLOCK_STANDS_STILL)
        hqq_store32_relaxed(&stands_still, 1);
    hqq_store_relaxed(&hqq_clock_forbidden_ns, way == HQQ_CLOCK_BY_COUNTER ? 0 : now);
}

uint64_t hqq_clock_ns(void)
{
    struct timespec now;
    uint64_t forbidden = hqq_load_relaxed(&hqq_clock_forbidden_ns);
    if (__builtin_expect(forbidden == 0, 1))
        clock_gettime(CLOCK_MONOTONIC, &now);
    else if (hqq_load32_relaxed(&stands_still) != 0 || syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0)
        return forbidden;
    return (uint64_t)now.tv_sec * HQQ_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t hqq_deadline_after(uint64_t now_ns, uint64_t span_ns)
{
    return span_ns > HQQ_FOREVER - now_ns ? HQQ_FOREVER : now_ns + span_ns;
}

/* Beyond INT64_MAX, 292 years of uptime, the kernel's own clock ends too. */
struct timespec hqq_timespec(uint64_t ns)
{
    if (ns > INT64_MAX)
        ns = INT64_MAX;
    return (struct timespec){.tv_sec = (time_t)(ns / HQQ_NS_PER_S), .tv_nsec = (long)(ns % HQQ_NS_PER_S)};
}

uint64_t hqq_clock_left(uint64_t deadline_ns)
{
    if (deadline_ns == HQQ_FOREVER)
        return HQQ_FOREVER;
    uint64_t now = hqq_clock_ns();
    return deadline_ns > now ? deadline_ns - now : 0;
}

uint64_t hqq_timespec_ns(const struct timespec *timeout)
{
    if (!timeout || (uint64_t)timeout->tv_sec >= HQQ_FOREVER / HQQ_NS_PER_S - 1)
        return HQQ_FOREVER;
    return (uint64_t)timeout->tv_sec * HQQ_NS_PER_S + (uint64_t)timeout->tv_nsec;
}

uint64_t hqq_deadline_in(const struct timespec *timeout)
{
    return timeout ? hqq_deadline_after(hqq_clock_ns(), hqq_timespec_ns(timeout)) : HQQ_FOREVER;
}
