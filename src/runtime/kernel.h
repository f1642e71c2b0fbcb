/*
 * System calls that are made while a lock is held: they never wait, are no cancellation points (a cancelled thread
 * would keep the lock), return -errno, and preserve errno.
 */
#ifndef HQQ_RUNTIME_KERNEL_H
#define HQQ_RUNTIME_KERNEL_H

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "runtime/libc.h"

static inline long hqq_kernel_result(long result, int saved_errno)
{
    long settled = result < 0 ? -errno : result;
    errno = saved_errno;
    return settled;
}

static inline long hqq_kernel_recvmsg(int fd, struct msghdr *message, int flags)
{
    int saved = errno;
    return hqq_kernel_result(hqq_libc.syscall(SYS_recvmsg, fd, message, flags | MSG_DONTWAIT), saved);
}

static inline long hqq_kernel_peek(int fd, void *data, size_t capacity)
{
    int saved = errno;
    return hqq_kernel_result(
        hqq_libc.syscall(SYS_recvfrom, fd, data, capacity, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, NULL, NULL), saved);
}

static inline long hqq_kernel_sendto(int fd, const void *data, size_t length, const struct sockaddr *address,
                                     socklen_t address_length)
{
    int saved = errno;
    return hqq_kernel_result(
        hqq_libc.syscall(SYS_sendto, fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL, address, (long)address_length),
        saved);
}

static inline long hqq_kernel_sendmsg(int fd, const struct msghdr *message, int flags)
{
    int saved = errno;
    return hqq_kernel_result(hqq_libc.syscall(SYS_sendmsg, fd, message, flags | MSG_DONTWAIT | MSG_NOSIGNAL), saved);
}

/*
 * The kernel looks at a datagram, and at the socket that is to send it, before it looks for the receiver, which no device is: nothing
 * is sent. What it finds wrong before is told: EBADF, EFAULT, EINVAL, EMSGSIZE, EOPNOTSUPP; EPIPE, and what it had kept for
 * the next call, ECONNRESET, which is told only once.
 */
static inline long hqq_kernel_send_to_nobody(int fd, const struct msghdr *datagram, int flags)
{
    struct sockaddr_un nobody = {.sun_family = AF_UNIX, .sun_path = "/dev/null/"};
    struct msghdr message = *datagram;
    message.msg_name = &nobody;
    message.msg_namelen = sizeof(nobody);
    return hqq_kernel_sendmsg(fd, &message, flags);
}

/* Interrupted means that nothing was ready: a signal that is pending ends even a poll that never waits, once it has looked. */
static inline long hqq_kernel_poll_now(struct pollfd *fds, nfds_t count)
{
    struct timespec none = {0};
    int saved = errno;
    long result = hqq_kernel_result(hqq_libc.syscall(SYS_ppoll, fds, count, &none, NULL, 8L), saved);
    return result == -EINTR ? 0 : result;
}

#endif
