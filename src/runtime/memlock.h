/*
 * Whether the process keeps its memory in core, by mlockall(). Then each region that is mapped costs real memory, of a
 * small allowance, and mapping one may fail: none are opened. Memory locks are not inherited: neither by a child nor
 * through exec.
 */
#ifndef HQQ_RUNTIME_MEMLOCK_H
#define HQQ_RUNTIME_MEMLOCK_H

#include <stdbool.h>

#include "base/atomic.h"

extern hqq_atomic_u32 hqq_memlock_state;

/* Relaxed: a hint. A region that another thread opens at this moment is opened before or after the lock, as natively. */
static inline bool hqq_memory_is_locked(void)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_memlock_state) != 0, 0);
}

/* After mlockall() or munlockall() succeeded, and in a forked child. Async-signal-safe. */
static inline void hqq_memlock_set(bool is_locked)
{
    hqq_store32_relaxed(&hqq_memlock_state, is_locked);
}

#endif
