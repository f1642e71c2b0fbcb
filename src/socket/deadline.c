#include "socket/deadline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/time.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "socket/adopt.h"
#include "socket/doorbell.h"
#include "socket/face.h"
#include "socket/kernel.h"
#include "socket/named.h"
#include "socket/start.h"

/* How often a send to an address is tried whose queue poll(2) does not know. */
#define TRY_NS (1 * HQQ_NS_PER_MS)

/* ---- Sleeping in slices ---------------------------------------------------------------------------------------- */

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

ssize_t hqq_deadline_sleep(struct hqq_endpoint *endpoint, int fd, uint64_t until_ns)
{
    int result = 0;
    pthread_cleanup_push(hqq_doorbell_leave_sleep, endpoint);
    while (result == 0) {
        result = why_to_stop(&endpoint->read_deadline_ns, until_ns);
        if (result == 0)
            result = sleep_slice(endpoint, fd, POLLIN, &endpoint->read_deadline_ns, until_ns, HQQ_DEADLINE_SLICE_NS);
    }
    pthread_cleanup_pop(1);
    return result;
}

/* ---- Calls of the kernel --------------------------------------------------------------------------------------- */

static bool may_wait(const struct hqq_endpoint *endpoint, int flags)
{
    return (flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&endpoint->is_nonblocking) == 0;
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
            return hqq_face_size(result);
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
            return hqq_face_size(result);
    }
}

/* ---- Setting --------------------------------------------------------------------------------------------------- */

/* The endpoint of a socket that may not have needed one: one without a name, or with one that is not configured. */
static struct hqq_endpoint *find_or_make(int fd)
{
    struct hqq_endpoint *endpoint = hqq_adopt_to_receive(fd);
    if (endpoint || !hqq_start() || hqq_fork_is_borrowed() || !hqq_adopt_is_candidate(fd))
        return endpoint;
    return hqq_endpoint_make(fd, hqq_config_usual());
}

/* Threads that sleep in the kernel since before there were deadlines. The token is of no pair: who meets it looks, and
 * sleeps again, in slices now. */
static void wake_early_sleepers(struct hqq_endpoint *endpoint, int fd)
{
    const struct hqq_token token = hqq_token_make((struct hqq_pair_id){{0, 0}}, HQQ_TOKEN_BELL, 0);
    if (!hqq_lock_take(&endpoint->receive_lock))
        return;
    if (hqq_load32_relaxed(&endpoint->sleepers) != 0 && endpoint->name_length != 0 && !endpoint->is_connected &&
        hqq_load32_relaxed(&endpoint->is_kernel_only) == 0) {
        hqq_store32_relaxed(&endpoint->may_meet_tokens, 1);
        hqq_kernel_sendto(fd, &token, sizeof(token), (const struct sockaddr *)(const void *)&endpoint->name,
                          endpoint->name_length);
    }
    hqq_lock_give(&endpoint->receive_lock);
}

static int set_of_endpoint(int fd, bool reads, bool writes, uint64_t when_ns)
{
    struct hqq_endpoint *endpoint = find_or_make(fd);
    if (!endpoint)
        return hqq_libc.fcntl(fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    if (reads)
        hqq_store_relaxed(&endpoint->read_deadline_ns, when_ns);
    if (writes)
        hqq_store_relaxed(&endpoint->write_deadline_ns, when_ns);
    /* Release: who finds that there are deadlines finds this one. */
    if (hqq_load32_relaxed(&endpoint->has_deadlines) == 0) {
        hqq_store32_release(&endpoint->has_deadlines, 1);
        wake_early_sleepers(endpoint, fd); /* whichever was set: the next one finds that there are deadlines already */
    }
    return 0;
}

static int set(int fd, bool reads, bool writes, uint64_t when_ns)
{
    int saved = errno;
    uint64_t when = when_ns != 0 ? when_ns : HQQ_FOREVER;
    int result =
        hqq_is_named(fd) ? hqq_named_set_deadline(fd, reads, writes, when) : set_of_endpoint(fd, reads, writes, when);
    errno = saved;
    return hqq_face(result);
}

int hqq_set_read_deadline(int fd, uint64_t when_ns)
{
    return set(fd, true, false, when_ns);
}

int hqq_set_write_deadline(int fd, uint64_t when_ns)
{
    return set(fd, false, true, when_ns);
}

int hqq_set_deadline(int fd, uint64_t when_ns)
{
    return set(fd, true, true, when_ns);
}
