#include "runtime/ticks.h"

#include <hqq/link.h>

#include "base/atomic.h"
#include "platform/clock.h"

/* A look at the clock that took longer, in ticks, or as a part of what has passed, measures nothing. */
#define TORN_TICKS 10000
#define TORN_PART 64

uint64_t hqq_ticks_per_us(void)
{
    static hqq_atomic_u64 known, first_ns, first_ticks;
    uint64_t answer = hqq_load_relaxed(&known);
    if (__builtin_expect(answer != 0, 1))
        return answer;
    uint64_t before = hqq_ticks();
    uint64_t now = hqq_clock_ns();
    uint64_t ticks = hqq_ticks();
    uint64_t since = hqq_load_relaxed(&first_ns);
    uint64_t passed = ticks - hqq_load_relaxed(&first_ticks);
    bool is_torn = ticks - before > (since == 0 ? TORN_TICKS : passed / TORN_PART); /* something else ran between */
    if (since == 0 && !is_torn) {
        hqq_store_relaxed(&first_ticks, ticks);
        hqq_store_relaxed(&first_ns, now);
    } else if (since != 0 && !is_torn && now - since > 1 * HQQ_NS_PER_MS) {
        answer = passed * HQQ_NS_PER_US / (now - since);
        hqq_store_relaxed(&known, answer != 0 ? answer : 1);
    }
#if defined(__x86_64__)
    return 2000;
#else
    return 25;
#endif
}
