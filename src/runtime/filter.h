/*
 * Whether a thread of this process runs under a seccomp filter, or in strict mode. Once it does, the library makes no
 * system call that the program does not make itself: it might be answered with an error, or with a signal that kills.
 * A filter can't be taken off again, so the answer stays.
 */
#ifndef HQQ_RUNTIME_FILTER_H
#define HQQ_RUNTIME_FILTER_H

#include <stdbool.h>

#include "base/atomic.h"

/* Filters that were set or inherited, and attempts that are not over. */
extern hqq_atomic_u32 hqq_filter_count;

static inline bool hqq_filter_is_set(void)
{
    /* Acquire: pairs with hqq_filter_begin(). What this thread does next is done knowing of the filter. */
    return __builtin_expect(hqq_load32_acquire(&hqq_filter_count) != 0, 0);
}

/* Around the call that sets one: before it, as no call may be made between the filter and the knowledge of it; and if
 * it failed. Async-signal-safe; preserve errno. */
void hqq_filter_begin(void);
void hqq_filter_failed(void);

/* Finds out whether the process was started under a filter. By prctl(): one call, the first that the library makes. */
void hqq_filter_inherit(void);

#endif
