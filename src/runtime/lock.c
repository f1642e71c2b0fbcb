#include "runtime/lock.h"

#include <hqq/link.h>

#include "platform/sys.h"

#define SPINS 64

bool hqq_lock_try_slow(struct hqq_lock *lock, uint32_t self)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t word = hqq_load32_relaxed(&lock->word);
        if ((word & ~HQQ_LOCK_WANTED) == self)
            return false;
        if (word == 0 && hqq_cas32_acquire(&lock->word, 0, self))
            return true;
        hqq_cpu_pause();
    }
    return false;
}

/* Who has slept takes the lock as wanted, since it cannot know whether others still sleep: one needless wake at most. */
bool hqq_lock_take_slow(struct hqq_lock *lock, uint32_t self)
{
    if (hqq_lock_try_slow(lock, self))
        return true;
    if ((hqq_load32_relaxed(&lock->word) & ~HQQ_LOCK_WANTED) == self)
        return false;
    for (;;) {
        uint32_t word = hqq_load32_relaxed(&lock->word);
        if (word == 0) {
            if (hqq_cas32_acquire(&lock->word, 0, self | HQQ_LOCK_WANTED))
                return true;
        } else if ((word & HQQ_LOCK_WANTED) != 0 || hqq_cas32_acquire(&lock->word, word, word | HQQ_LOCK_WANTED)) {
            hqq_sys.futex_wait(&lock->word, word | HQQ_LOCK_WANTED, HQQ_FOREVER);
        }
    }
}

void hqq_lock_wake(struct hqq_lock *lock)
{
    hqq_sys.futex_wake(&lock->word, 1);
}
