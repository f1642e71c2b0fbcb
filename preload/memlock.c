/* Hooks: locking all memory of the process. mlock() of parts is none of our business. */
#include "preload/hook.h"

#include <sys/mman.h>

#include "runtime/memlock.h"

HQQ_EXPORT int mlockall(int flags)
{
    int result = HQQ_REAL(mlockall)(flags);
    if (result == 0)
        hqq_memlock_set(true);
    return result;
}

HQQ_EXPORT int munlockall(void)
{
    int result = HQQ_REAL(munlockall)();
    if (result == 0)
        hqq_memlock_set(false);
    return result;
}
