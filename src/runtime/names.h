/*
 * Whether this process itself has changed anything that a name stands for, or its own rights: renamed, removed, mounted,
 * entered another root, namespace or folder, taken another identity. What was found out about a name, or a right to
 * write there, holds while the number stands still. Changes by other processes are not in it.
 */
#ifndef HQQ_RUNTIME_NAMES_H
#define HQQ_RUNTIME_NAMES_H

#include "base/atomic.h"

extern hqq_atomic_u64 hqq_names_changes;

/* 1: this process may be kept from abstract names that it has sent to (Landlock's scopes). It stays so. */
extern hqq_atomic_u32 hqq_names_are_scoped;

/* After a call that may have changed something, whether or not it succeeded. Async-signal-safe; preserves errno.
 * Release: a thread that learns, by whatever way, that the call is over also finds the number raised. */
static inline void hqq_names_changed(void)
{
    hqq_add_release(&hqq_names_changes, 1);
}

/* Acquire: what is found out about a name afterwards is not older than the number. Pairs with hqq_names_changed(). */
static inline uint64_t hqq_names_seen(void)
{
    return hqq_load_acquire(&hqq_names_changes);
}

#endif
