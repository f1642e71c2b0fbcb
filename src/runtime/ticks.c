#include "runtime/ticks.h"

#include <hqq/link.h>

#include "base/atomic.h"
#include "platform/clock.h"

uint64_t hqq_ticks_per_us(void)
{
    static hqq_atomic_u64 known, first_ns, first_ticks;
    uint64_t answer = hqq_load_relaxed(&known);
    if (__builtin_expect(answer != 0, 1))
        return answer;
    uint64_t now = hqq_clock_ns();
    uint64_t since = hqq_load_relaxed(&first_ns);
    if (since == 0) {
        hqq_store_relaxed(&first_ticks, hqq_ticks());
        hqq_store_relaxed(&first_ns, now);
    } else if (now - since > 1 * HQQ_NS_PER_MS) {
        answer = (hqq_ticks() - hqq_load_relaxed(&first_ticks)) * HQQ_NS_PER_US / (now - since);
        hqq_store_relaxed(&known, answer != 0 ? answer : 1);
    }
#if defined(__x86_64__)
    return 2000;
#else
    return 25;
#endif
}
