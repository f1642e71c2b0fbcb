/*
 * Deadlines of sockets of AF_UNIX: absolute times at which calls that wait end with ETIMEDOUT, those included that wait
 * already. The kernel has no such thing; a socket that has none set, ever, waits in the kernel's own calls as before.
 *
 * One that had sleeps in slices of HQQ_DEADLINE_SLICE_NS, so that a deadline moved by another thread is noticed without
 * a descriptor or a thread to tell of it. A receive that began to sleep before the first deadline was set is woken by a
 * token that the socket sends itself, which takes a name and no connection; else it sleeps on.
 */
#ifndef HQQ_SOCKET_DEADLINE_H
#define HQQ_SOCKET_DEADLINE_H

#include <sys/socket.h>

#include "platform/clock.h"
#include "socket/endpoint.h"
#include "socket/libc.h"

#define HQQ_DEADLINE_SLICE_NS (10 * HQQ_NS_PER_MS)

/* Sleeps until the kernel has something to receive, or until_ns. More than 0, or -errno: -EAGAIN for until_ns,
 * -ETIMEDOUT for the deadline. The end of hqq_doorbell_enter_sleep(), also where the thread is cancelled. */
ssize_t hqq_deadline_sleep(struct hqq_endpoint *endpoint, int fd, uint64_t until_ns);

/* The slow halves of the two below. */
ssize_t hqq_deadline_sendmsg_slow(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags);
ssize_t hqq_deadline_recvmsg_slow(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* sendmsg() and recvmsg() of libc, no later than the deadline. Cancellation points; without a lock. */
static inline ssize_t hqq_deadline_sendmsg(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message,
                                           int flags)
{
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->has_deadlines) != 0, 0))
        return hqq_deadline_sendmsg_slow(endpoint, fd, message, flags);
    return hqq_libc.sendmsg(fd, message, flags);
}

static inline ssize_t hqq_deadline_recvmsg(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->has_deadlines) != 0, 0))
        return hqq_deadline_recvmsg_slow(endpoint, fd, message, flags);
    return hqq_libc.recvmsg(fd, message, flags);
}

#endif
