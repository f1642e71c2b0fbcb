/*
 * Deadlines of sockets: absolute times at which calls that wait end with ETIMEDOUT. The kernel knows none, so a socket that ever
 * had one waits in slices.
 */
#ifndef HQQ_ENDPOINT_DEADLINE_H
#define HQQ_ENDPOINT_DEADLINE_H

#include "endpoint/endpoint.h"
#include "runtime/libc.h"

/* A deadline that was moved is noticed within this. */
#define HQQ_DEADLINE_SLICE_NS UINT64_C(10000000)

ssize_t hqq_deadline_sendmsg_slow(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags);
ssize_t hqq_deadline_recvmsg_slow(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* As their namesakes: -1 and errno; cancellation points. */
static inline ssize_t hqq_deadline_sendmsg(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message,
                                           int flags)
{
    if (__builtin_expect(hqq_load32_acquire(&endpoint->has_deadlines) != 0, 0))
        return hqq_deadline_sendmsg_slow(endpoint, fd, message, flags);
    return hqq_libc_send(fd, message, flags);
}

static inline ssize_t hqq_deadline_recvmsg(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    if (__builtin_expect(hqq_load32_acquire(&endpoint->has_deadlines) != 0, 0))
        return hqq_deadline_recvmsg_slow(endpoint, fd, message, flags);
    return hqq_libc_receive(fd, message, flags);
}

/* 0 or -errno. when_ns: HQQ_FOREVER is none. */
int hqq_deadline_set(struct hqq_endpoint *endpoint, bool reads, bool writes, uint64_t when_ns);

#endif
