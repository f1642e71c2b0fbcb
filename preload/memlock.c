/*
 * Hooks: locking all memory of the process. mlock() of parts is none of our business.
 *
 * The kernel counts the whole address space against RLIMIT_MEMLOCK, and locks every page of it: so channels go before
 * the call, and none is opened from then on. What they hold unread keeps some of them, mostly for a moment: a call that
 * fails for want of memory is made again for as long.
 */
#include "preload/hook.h"

#include <errno.h>
#include <sys/mman.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "runtime/memlock.h"
#include "socket/init.h"

/* How often, a millisecond apart. */
#define TRIES 10

static int lock_all(int flags)
{
    for (int i = 1;; i++) {
        bool is_all_given_up = hqq_socket_lock_memory();
        int result = HQQ_REAL(mlockall)(flags);
        if (result == 0 || is_all_given_up || i == TRIES || (errno != ENOMEM && errno != EAGAIN))
            return result;
        hqq_sys.sleep_until(hqq_clock_ns() + HQQ_NS_PER_MS);
    }
}

HQQ_EXPORT int mlockall(int flags)
{
    bool was_locked = hqq_memory_is_locked();
    bool is_valid = (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) == 0;
    hqq_memlock_set(was_locked || is_valid); /* before: what another thread opens now would be locked too */
    int result = is_valid && (flags & MCL_CURRENT) ? lock_all(flags) : HQQ_REAL(mlockall)(flags);
    if (result != 0)
        hqq_memlock_set(was_locked);
    return result;
}

HQQ_EXPORT int munlockall(void)
{
    int result = HQQ_REAL(munlockall)();
    if (result == 0)
        hqq_memlock_set(false);
    return result;
}
