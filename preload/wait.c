/* Hooks: what waits for descriptors. */
#include "preload/hook.h"

HQQ_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return hqq_preload_is_ready() ? hqq_poll(fds, count, timeout_ms) : hqq_real.libc.poll(fds, count, timeout_ms);
}

HQQ_EXPORT int __poll(struct pollfd *fds, nfds_t count, int timeout_ms);
HQQ_EXPORT int __poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    return hqq_preload_is_ready() ? hqq_poll(fds, count, timeout_ms) : hqq_real.libc.poll(fds, count, timeout_ms);
}

HQQ_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    return hqq_preload_is_ready() ? hqq_ppoll(fds, count, timeout, mask)
                                  : hqq_real.libc.ppoll(fds, count, timeout, mask);
}

HQQ_EXPORT int select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    return hqq_preload_is_ready() ? hqq_select(count, reading, writing, special, timeout)
                                  : hqq_real.libc.select(count, reading, writing, special, timeout);
}

HQQ_EXPORT int __select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout);
HQQ_EXPORT int __select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    return hqq_preload_is_ready() ? hqq_select(count, reading, writing, special, timeout)
                                  : hqq_real.libc.select(count, reading, writing, special, timeout);
}

HQQ_EXPORT int pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                       const sigset_t *mask)
{
    return hqq_preload_is_ready() ? hqq_pselect(count, reading, writing, special, timeout, mask)
                                  : hqq_real.libc.pselect(count, reading, writing, special, timeout, mask);
}

HQQ_EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    return hqq_preload_is_ready() ? hqq_epoll_ctl(epoll, operation, fd, event)
                                  : hqq_real.libc.epoll_ctl(epoll, operation, fd, event);
}

HQQ_EXPORT int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return hqq_preload_is_ready() ? hqq_epoll_wait(epoll, events, count, timeout_ms)
                                  : hqq_real.libc.epoll_wait(epoll, events, count, timeout_ms);
}

HQQ_EXPORT int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    return hqq_preload_is_ready() ? hqq_epoll_pwait(epoll, events, count, timeout_ms, mask)
                                  : hqq_real.libc.epoll_pwait(epoll, events, count, timeout_ms, mask);
}

HQQ_EXPORT int epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                            const sigset_t *mask)
{
    return hqq_preload_is_ready() ? hqq_epoll_pwait2(epoll, events, count, timeout, mask)
                                  : hqq_real.libc.epoll_pwait2(epoll, events, count, timeout, mask);
}
