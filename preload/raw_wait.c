/* Bare versions of the calls that wait. Every processor has those with a timespec and a signal mask. */
#include "preload/raw.h"

#include <errno.h>
#include <sys/syscall.h>

#include "preload/raw_call.h"

int hqq_raw_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
    return hqq_raw_ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* The kernel writes what is left of the time; the caller's is constant. */
int hqq_raw_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec left = timeout != NULL ? *timeout : (struct timespec){0};
    return (int)hqq_raw_settle(SYS_ppoll, (const long[6]){(long)fds, (long)count, timeout != NULL ? (long)&left : 0,
                                                          (long)mask, HQQ_RAW_SIGSET});
}

static int wait_for_sets(int count, fd_set *const sets[3], struct timespec *timeout, const sigset_t *mask)
{
    const long sized_mask[2] = {(long)mask, HQQ_RAW_SIGSET};
    return (int)hqq_raw_settle(SYS_pselect6, (const long[6]){count, (long)sets[0], (long)sets[1], (long)sets[2],
                                                             (long)timeout, (long)sized_mask});
}

/* As libc does it on Linux, the time that is left is reported. */
int hqq_raw_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    fd_set *const sets[3] = {reading, writing, special};
    if (timeout == NULL)
        return wait_for_sets(count, sets, NULL, NULL);
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
        errno = EINVAL;
        return -1;
    }
    struct timespec left = {.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000,
                            .tv_nsec = timeout->tv_usec % 1000000 * 1000};
    int result = wait_for_sets(count, sets, &left, NULL);
    *timeout = (struct timeval){.tv_sec = left.tv_sec, .tv_usec = left.tv_nsec / 1000};
    return result;
}

int hqq_raw_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                    const sigset_t *mask)
{
    fd_set *const sets[3] = {reading, writing, special};
    struct timespec left = timeout != NULL ? *timeout : (struct timespec){0};
    return wait_for_sets(count, sets, timeout != NULL ? &left : NULL, mask);
}

int hqq_raw_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return (int)hqq_raw_settle(SYS_epoll_ctl, (const long[6]){epoll, operation, fd, (long)event});
}

int hqq_raw_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return hqq_raw_epoll_pwait(epoll, events, count, timeout_ms, NULL);
}

int hqq_raw_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    return (int)hqq_raw_settle(SYS_epoll_pwait,
                               (const long[6]){epoll, (long)events, count, timeout_ms, (long)mask, HQQ_RAW_SIGSET});
}

int hqq_raw_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                         const sigset_t *mask)
{
    return (int)hqq_raw_settle(SYS_epoll_pwait2,
                               (const long[6]){epoll, (long)events, count, (long)timeout, (long)mask, HQQ_RAW_SIGSET});
}
