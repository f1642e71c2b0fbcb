/* Seccomp filters: counted, so that attempts of several threads at once do not undo one another. */
#include "runtime/filter.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runtime/libc.h"

hqq_atomic_u32 hqq_filter_count;

void hqq_filter_begin(void)
{
    hqq_add32_release(&hqq_filter_count, 1);
}

void hqq_filter_failed(void)
{
    hqq_sub32_release(&hqq_filter_count, 1);
}

void hqq_filter_inherit(void)
{
    int saved = errno;
    /* 0: none. Refused (EINVAL where the kernel has no seccomp) is none, too; refused otherwise is a filter's doing. */
    long mode = hqq_libc.syscall(SYS_prctl, (long)PR_GET_SECCOMP, 0L, 0L, 0L, 0L);
    if (mode > 0 || (mode < 0 && errno != EINVAL))
        hqq_filter_begin();
    errno = saved;
}
