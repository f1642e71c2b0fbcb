/*
 * syscall(): the calls that wait. They differ from libc's functions of the same name: the kernel reads the program's
 * masks and time-outs, so a bad address is EFAULT, and it writes back what is left of the time.
 */
#include "preload/hook.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "preload/raw_call.h"
#include "preload/syscall.h"
#include "runtime/filter.h"

static long fail(int error)
{
    errno = error;
    return -1;
}

/* A copy of what the program points to; false for a bad address, where the kernel says EFAULT and we would be killed. The
 * kernel copies, but under a seccomp filter, which may not let it. */
static bool fetch(void *to, long from, size_t length)
{
    struct iovec here = {to, length};
    struct iovec there = {(void *)from, length};
    if (!hqq_filter_is_set()) {
        long copied = hqq_raw_call(SYS_process_vm_readv, (const long[6]){getpid(), (long)&here, 1, (long)&there, 1});
        if (copied == (long)length || copied == -EFAULT || copied >= 0)
            return copied == (long)length;
    }
    memcpy(to, (const void *)from, length);
    return true;
}

/* The other way. Memory that can't be written stays as it is, as in the kernel. */
static void give(long to, void *from, size_t length)
{
    struct iovec here = {from, length};
    struct iovec there = {(void *)to, length};
    if (!hqq_filter_is_set())
        hqq_raw_call(SYS_process_vm_writev, (const long[6]){getpid(), (long)&here, 1, (long)&there, 1});
}

/* A signal set as the kernel has it, made as long as libc's. NULL stays NULL. 0 or an error. */
static int widen(long kernel_set, long size, sigset_t *ret_space, const sigset_t **ret_set)
{
    *ret_set = NULL;
    if (kernel_set == 0)
        return 0;
    if (size != HQQ_RAW_SIGSET)
        return EINVAL; /* whatever else is asked for */
    memset(ret_space, 0, sizeof(*ret_space));
    *ret_set = ret_space;
    return fetch(ret_space, kernel_set, HQQ_RAW_SIGSET) ? 0 : EFAULT;
}

/* A time-out that the kernel writes back what is left of. libc's functions, and so ours, do not. */
struct countdown {
    long where; /* of the program; 0: there is none */
    struct timespec timeout;
    uint64_t began_ns;
};

/* False for a bad address. */
static bool countdown_begin(struct countdown *countdown, long where)
{
    countdown->where = where;
    if (where == 0)
        return true;
    if (!fetch(&countdown->timeout, where, sizeof(countdown->timeout)))
        return false;
    countdown->began_ns = hqq_clock_ns();
    return true;
}

static const struct timespec *countdown_timeout(const struct countdown *countdown)
{
    return countdown->where != 0 ? &countdown->timeout : NULL;
}

/* After a wait with this result. A time-out that was refused stays as it is. */
static long countdown_end(struct countdown *countdown, long result)
{
    if (countdown->where == 0 || (result < 0 && errno == EINVAL))
        return result;
    uint64_t passed = hqq_clock_ns() - countdown->began_ns;
    uint64_t passed_s = passed / HQQ_NS_PER_S;
    struct timespec left = countdown->timeout;
    left.tv_nsec -= (long)(passed % HQQ_NS_PER_S);
    if (left.tv_nsec < 0) {
        left.tv_nsec += (long)HQQ_NS_PER_S;
        passed_s++;
    }
    left.tv_sec -= (time_t)passed_s;
    if (left.tv_sec < 0)
        left = (struct timespec){0};
    give(countdown->where, &left, sizeof(left));
    return result;
}

long hqq_route_ppoll(const long a[6])
{
    sigset_t space;
    const sigset_t *mask;
    struct countdown countdown;
    int error = widen(a[3], a[4], &space, &mask);
    if (error != 0 || !countdown_begin(&countdown, a[2]))
        return fail(error != 0 ? error : EFAULT);
    return countdown_end(&countdown,
                         hqq_ppoll((struct pollfd *)a[0], (nfds_t)a[1], countdown_timeout(&countdown), mask));
}

long hqq_route_pselect6(const long a[6])
{
    sigset_t space;
    const sigset_t *mask;
    struct countdown countdown;
    long sized[2] = {0, 0};
    if (a[5] != 0 && !fetch(sized, a[5], sizeof(sized)))
        return fail(EFAULT);
    int error = widen(sized[0], sized[1], &space, &mask);
    if (error != 0 || !countdown_begin(&countdown, a[4]))
        return fail(error != 0 ? error : EFAULT);
    return countdown_end(&countdown, hqq_pselect((int)a[0], (fd_set *)a[1], (fd_set *)a[2], (fd_set *)a[3],
                                                 countdown_timeout(&countdown), mask));
}

long hqq_route_epoll_ctl(const long a[6])
{
    return hqq_epoll_ctl((int)a[0], (int)a[1], (int)a[2], (struct epoll_event *)a[3]);
}

long hqq_route_epoll_pwait(const long a[6])
{
    sigset_t space;
    const sigset_t *mask;
    int error = widen(a[4], a[5], &space, &mask);
    if (error != 0)
        return fail(error);
    return hqq_epoll_pwait((int)a[0], (struct epoll_event *)a[1], (int)a[2], (int)a[3], mask);
}

long hqq_route_epoll_pwait2(const long a[6])
{
    sigset_t space;
    const sigset_t *mask;
    struct timespec timeout;
    int error = widen(a[4], a[5], &space, &mask);
    if (error == 0 && a[3] != 0 && !fetch(&timeout, a[3], sizeof(timeout)))
        error = EFAULT;
    if (error != 0)
        return fail(error);
    return hqq_epoll_pwait2((int)a[0], (struct epoll_event *)a[1], (int)a[2], a[3] != 0 ? &timeout : NULL, mask);
}

#ifdef SYS_poll /* calls that newer processors lack */
long hqq_route_poll(const long a[6])
{
    return hqq_poll((struct pollfd *)a[0], (nfds_t)a[1], (int)a[2]);
}

long hqq_route_select(const long a[6])
{
    return hqq_select((int)a[0], (fd_set *)a[1], (fd_set *)a[2], (fd_set *)a[3], (struct timeval *)a[4]);
}

long hqq_route_epoll_wait(const long a[6])
{
    return hqq_epoll_wait((int)a[0], (struct epoll_event *)a[1], (int)a[2], (int)a[3]);
}
#endif
