#include "endpoint/deadline.h"

#include <errno.h>
#include <poll.h>
#include <sys/time.h>

#include <hqq/link.h>

#include "endpoint/shared.h"
#include "platform/clock.h"

/* How often a send to an address is tried whose queue poll(2) does not know. */
#define TRY_NS (1 * HQQ_NS_PER_MS)

/* 0 while a call may go on waiting. */
static int why_to_stop(const hqq_atomic_u64 *deadline, uint64_t until_ns)
{
    uint64_t now = hqq_clock_ns();
    if (now >= hqq_load_relaxed(deadline))
        return -ETIMEDOUT;
    return now >= until_ns ? -EAGAIN : 0;
}

/* One sleep of at most slice_ns; events 0: whatever the descriptor has. As ppoll(), but -errno; and -EBADF once another
 * thread has closed the descriptor, as its number may be something else's by now. */
static int sleep_slice(const struct hqq_endpoint *endpoint, int fd, short events, const hqq_atomic_u64 *deadline,
                       uint64_t until_ns, uint64_t slice_ns)
{
    struct pollfd wanted = {.fd = fd, .events = events};
    uint64_t limit = hqq_clock_ns() + slice_ns;
    if (limit > until_ns)
        limit = until_ns;
    if (limit > hqq_load_relaxed(deadline))
        limit = hqq_load_relaxed(deadline);
    struct timespec span = hqq_timespec(hqq_clock_left(limit));
    int result = hqq_libc.ppoll(&wanted, events != 0, &span, NULL);
    if (!hqq_endpoint_is_live(endpoint, fd))
        return -EBADF;
    return result < 0 ? -errno : result;
}

static bool may_wait(const struct hqq_endpoint *endpoint, int flags)
{
    return (flags & MSG_DONTWAIT) == 0 && !hqq_ownership_is_nonblocking(endpoint);
}

static uint64_t until_of(int fd, int option)
{
    struct timeval value = {0};
    socklen_t length = sizeof(value);
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, option, &value, &length) != 0 || (value.tv_sec == 0 && value.tv_usec == 0))
        return HQQ_FOREVER;
    return hqq_deadline_after(hqq_clock_ns(),
                              (uint64_t)value.tv_sec * HQQ_NS_PER_S + (uint64_t)value.tv_usec * HQQ_NS_PER_US);
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

/* A connected socket is writable for poll(2) once its peer's queue has room; one that sends to an address always is. */
ssize_t hqq_deadline_sendmsg_slow(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags)
{
    const hqq_atomic_u64 *deadline = &endpoint->write_deadline_ns;
    bool is_connected = !message->msg_name || message->msg_namelen == 0;
    if (!may_wait(endpoint, flags))
        return hqq_libc.sendmsg(fd, message, flags);
    uint64_t until = until_of(fd, SO_SNDTIMEO);
    for (;;) {
        ssize_t sent = hqq_libc.sendmsg(fd, message, flags | MSG_DONTWAIT);
        if (sent >= 0 || errno != EAGAIN)
            return sent;
        int result = why_to_stop(deadline, until);
        if (result == 0)
            result = is_connected ? sleep_slice(endpoint, fd, POLLOUT, deadline, until, HQQ_DEADLINE_SLICE_NS)
                                  : sleep_slice(endpoint, fd, 0, deadline, until, TRY_NS);
        if (result < 0)
            return fail(-result);
    }
}

ssize_t hqq_deadline_recvmsg_slow(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    const hqq_atomic_u64 *deadline = &endpoint->read_deadline_ns;
    if (!may_wait(endpoint, flags))
        return hqq_libc.recvmsg(fd, message, flags);
    uint64_t until = until_of(fd, SO_RCVTIMEO);
    for (;;) {
        ssize_t received = hqq_libc.recvmsg(fd, message, flags | MSG_DONTWAIT);
        if (received >= 0 || errno != EAGAIN)
            return received;
        int result = why_to_stop(deadline, until);
        if (result == 0)
            result = sleep_slice(endpoint, fd, POLLIN, deadline, until, HQQ_DEADLINE_SLICE_NS);
        if (result < 0)
            return fail(-result);
    }
}

int hqq_deadline_set(struct hqq_endpoint *endpoint, bool reads, bool writes, uint64_t when_ns)
{
    if (reads)
        hqq_store_relaxed(&endpoint->read_deadline_ns, when_ns);
    if (writes)
        hqq_store_relaxed(&endpoint->write_deadline_ns, when_ns);
    hqq_store32_release(&endpoint->has_deadlines, 1); /* who finds that there are deadlines finds this one */
    return 0;
}
