/*
 * Absolute monotonic deadlines in nanoseconds, and the clock they are on. HQQ_FOREVER never comes. Never fails.
 */
#ifndef HQQ_PLATFORM_CLOCK_H
#define HQQ_PLATFORM_CLOCK_H

#include <stdint.h>

#define HQQ_NS_PER_US UINT64_C(1000)
#define HQQ_NS_PER_MS UINT64_C(1000000)
#define HQQ_NS_PER_S UINT64_C(1000000000)

/* hqq_clock_ns() is public: hqq/link.h. */

/* now + span, HQQ_FOREVER where that does not fit or span is HQQ_FOREVER. */
uint64_t hqq_deadline_after(uint64_t now_ns, uint64_t span_ns);

#endif
