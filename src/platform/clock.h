/*
 * Absolute monotonic deadlines in nanoseconds, and the clock they are on. HQQ_FOREVER never comes. Never fails.
 */
#ifndef HQQ_PLATFORM_CLOCK_H
#define HQQ_PLATFORM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/atomic.h"

#define HQQ_NS_PER_US UINT64_C(1000)
#define HQQ_NS_PER_MS UINT64_C(1000000)
#define HQQ_NS_PER_S UINT64_C(1000000000)

/* hqq_clock_ns() is public: hqq/link.h. */

/*
 * A process may forbid itself the processor's counter, which the vDSO's clock reads too: by prctl(PR_SET_TSC) or by the strict mode of
 * seccomp, after which a look at it raises SIGSEGV. From then on hqq_clock_ns() asks the kernel; in strict mode, which allows
 * no such call, time stands still. 0, or the time at which it was forbidden.
 */
extern hqq_atomic_u64 hqq_clock_forbidden_ns;

enum hqq_clock_way { HQQ_CLOCK_BY_COUNTER, HQQ_CLOCK_BY_CALL, HQQ_CLOCK_STANDS_STILL };

/* Before it is forbidden, or after it is allowed again. Async-signal-safe. */
void hqq_clock_set_way(enum hqq_clock_way way);

/* True if what was last done at last_ns, and is to be done every so often, is due. Signed: another thread may have
 * stored a later time than this one has read. */
static inline bool hqq_is_due(uint64_t now_ns, uint64_t last_ns, uint64_t every_ns)
{
    uint64_t since = now_ns - last_ns;
    return (int64_t)since > 0 && since >= every_ns;
}

/* As calls that take a span or a time want it. */
struct timespec hqq_timespec(uint64_t ns);

/* What is left until a deadline: 0 if it has passed, HQQ_FOREVER if it never comes. */
uint64_t hqq_clock_left(uint64_t deadline_ns);

/* A time-out in nanoseconds; NULL, or one that does not fit: HQQ_FOREVER. It has been checked: neither part is negative. */
uint64_t hqq_timespec_ns(const struct timespec *timeout);

/* The deadline of a time-out that begins now; NULL: for ever. It has been checked: neither part is negative. */
uint64_t hqq_deadline_in(const struct timespec *timeout);

/* now + span, HQQ_FOREVER where that does not fit or span is HQQ_FOREVER. */
uint64_t hqq_deadline_after(uint64_t now_ns, uint64_t span_ns);

#endif
