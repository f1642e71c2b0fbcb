/*
 * The lock of one direction of a socket. Uncontended it is one compare-and-swap and one exchange of a line that only
 * this process touches. A thread that finds it held by itself, in a signal handler, is told so instead of hanging.
 * After a fork the child makes its copies new. Relies on hqq_sys for sleeping.
 */
#ifndef HQQ_RUNTIME_LOCK_H
#define HQQ_RUNTIME_LOCK_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/thread.h"

#define HQQ_LOCK_WANTED UINT32_C(0x80000000)

struct hqq_lock {
    hqq_atomic_u32 word; /* 0 free, else the holder's thread number, and whether others sleep for it */
};

/* The slow half of hqq_lock_take(). */
bool hqq_lock_take_slow(struct hqq_lock *lock, uint32_t self);
void hqq_lock_wake(struct hqq_lock *lock);

/* False if this thread holds it already. */
static inline bool hqq_lock_take(struct hqq_lock *lock)
{
    uint32_t self = hqq_thread_self();
    /* acquire: with the release in hqq_lock_give() */
    if (__builtin_expect(hqq_cas32_acquire(&lock->word, 0, self), 1))
        return true;
    return hqq_lock_take_slow(lock, self);
}

static inline void hqq_lock_give(struct hqq_lock *lock)
{
    if (__builtin_expect((hqq_swap32_acq_rel(&lock->word, 0) & HQQ_LOCK_WANTED) != 0, 0))
        hqq_lock_wake(lock);
}

/* Waits for a moment only. False if this thread holds it already, or another one does still. */
bool hqq_lock_try_slow(struct hqq_lock *lock, uint32_t self);

static inline bool hqq_lock_try(struct hqq_lock *lock)
{
    uint32_t self = hqq_thread_self();
    return __builtin_expect(hqq_cas32_acquire(&lock->word, 0, self), 1) || hqq_lock_try_slow(lock, self);
}

/* True if this thread holds it. */
static inline bool hqq_lock_is_mine(const struct hqq_lock *lock)
{
    return (hqq_load32_relaxed(&lock->word) & ~HQQ_LOCK_WANTED) == hqq_thread_self();
}

/* True if another thread waits for it. */
static inline bool hqq_lock_is_wanted(const struct hqq_lock *lock)
{
    return (hqq_load32_relaxed(&lock->word) & HQQ_LOCK_WANTED) != 0;
}

static inline void hqq_lock_reset(struct hqq_lock *lock)
{
    hqq_store32_relaxed(&lock->word, 0);
}

#endif
