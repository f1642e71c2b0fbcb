/*
 * Hooks: what calls become when a program is compiled with _FORTIFY_SOURCE and the size of the buffer is known. One
 * that does not fit ends the program, as in glibc.
 */
#include "preload/hook.h"

/* Of glibc: the message, and abort(). */
extern void __chk_fail(void) __attribute__((noreturn));

HQQ_EXPORT ssize_t __read_chk(int fd, void *data, size_t length, size_t capacity);
HQQ_EXPORT ssize_t __read_chk(int fd, void *data, size_t length, size_t capacity)
{
    if (length > capacity)
        __chk_fail();
    return hqq_preload_is_ready() ? hqq_read(fd, data, length) : hqq_real.libc.read(fd, data, length);
}

HQQ_EXPORT ssize_t __recv_chk(int fd, void *data, size_t length, size_t capacity, int flags);
HQQ_EXPORT ssize_t __recv_chk(int fd, void *data, size_t length, size_t capacity, int flags)
{
    if (length > capacity)
        __chk_fail();
    return hqq_preload_is_ready() ? hqq_recv(fd, data, length, flags) : hqq_real.libc.recv(fd, data, length, flags);
}

HQQ_EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t length, size_t capacity, int flags,
                                  struct sockaddr *address, socklen_t *address_length);
HQQ_EXPORT ssize_t __recvfrom_chk(int fd, void *data, size_t length, size_t capacity, int flags,
                                  struct sockaddr *address, socklen_t *address_length)
{
    if (length > capacity)
        __chk_fail();
    return hqq_preload_is_ready() ? hqq_recvfrom(fd, data, length, flags, address, address_length)
                                  : hqq_real.libc.recvfrom(fd, data, length, flags, address, address_length);
}

HQQ_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size);
HQQ_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t size)
{
    if (size / sizeof(*fds) < count)
        __chk_fail();
    return hqq_preload_is_ready() ? hqq_poll(fds, count, timeout_ms) : hqq_real.libc.poll(fds, count, timeout_ms);
}

HQQ_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                           size_t size);
HQQ_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                           size_t size)
{
    if (size / sizeof(*fds) < count)
        __chk_fail();
    return hqq_preload_is_ready() ? hqq_ppoll(fds, count, timeout, mask)
                                  : hqq_real.libc.ppoll(fds, count, timeout, mask);
}
