/*
 * poll and ppoll: adapters of the wait engine (waiting.h).
 */
#include <errno.h>
#include <string.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/adopt.h"
#include "endpoint/life.h"
#include "endpoint/ready.h"
#include "hqqsock/named.h"
#include "platform/clock.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "socket/epoll_set.h"
#include "socket/epoll_tree.h"
#include "socket/face.h"
#include "socket/poll.h"
#include "socket/waiting.h"

#define READABLE (POLLIN | POLLRDNORM)

/* Marks of so many descriptors are kept; the others are asked again. */
#define MARKED 64

struct poll_wait {
    struct hqq_waiting wait; /* first */
    struct pollfd *fds;
    nfds_t count;
    uint64_t marked; /* which have something in a ring; beyond the first it is asked again */
    bool has_more_marks;
    bool has_set;  /* an epoll set that has endpoints of its own */
    bool is_ppoll; /* the program's call */
};

static struct hqq_endpoint *next(struct hqq_waiting *wait, size_t *place, const struct hqq_membership **ret_edge)
{
    struct poll_wait *poll = (struct poll_wait *)(void *)wait;
    *ret_edge = NULL;
    while (*place < poll->count) {
        const struct pollfd *at = &poll->fds[(*place)++];
        struct hqq_endpoint *endpoint = at->events & READABLE ? hqq_endpoint_find(at->fd) : NULL;
        if (endpoint)
            return endpoint;
    }
    return NULL;
}

static void mark(struct hqq_waiting *wait, size_t place)
{
    struct poll_wait *poll = (struct poll_wait *)(void *)wait;
    if (place <= MARKED)
        poll->marked |= UINT64_C(1) << (place - 1);
    else
        poll->has_more_marks = true;
}

/* A filter may allow nothing but the program's own call. */
static int call_kernel(struct pollfd *fds, nfds_t count, const struct timespec *span, const sigset_t *mask,
                       bool is_ppoll)
{
    if (!is_ppoll && hqq_filter_is_set())
        return hqq_libc.poll(fds, count, hqq_waiting_ms(hqq_timespec_ns(span)));
    return hqq_libc.ppoll(fds, count, span, mask);
}

static int call(struct hqq_waiting *wait, const struct timespec *span)
{
    struct poll_wait *poll = (struct poll_wait *)(void *)wait;
    return call_kernel(poll->fds, poll->count, span, wait->mask, poll->is_ppoll);
}

static bool is_marked(const struct poll_wait *poll, nfds_t index)
{
    const struct pollfd *at = &poll->fds[index];
    if (index < MARKED)
        return (poll->marked & UINT64_C(1) << index) != 0;
    struct hqq_endpoint *endpoint = poll->has_more_marks && at->events & READABLE ? hqq_endpoint_find(at->fd) : NULL;
    return endpoint && hqq_ready_has_data(endpoint, NULL);
}

static int merge(struct hqq_waiting *wait, int found)
{
    struct poll_wait *poll = (struct poll_wait *)(void *)wait;
    bool has_any = poll->has_set || poll->marked != 0 || poll->has_more_marks;
    for (nfds_t i = 0; i < poll->count && has_any; i++) {
        struct pollfd *at = &poll->fds[i];
        bool may_have_more = poll->has_set && (at->events & READABLE);
        if (!(at->revents & POLLNVAL) && (is_marked(poll, i) || (may_have_more && hqq_epoll_tree_has_data(at->fd)))) {
            found += at->revents == 0;
            at->revents |= at->events & READABLE;
        }
    }
    return found;
}

static const struct hqq_waiting_adapter adapter = {.next = next, .mark = mark, .call = call, .merge = merge};

/* What is among the descriptors. */
struct kinds {
    bool has_endpoint;
    bool has_unknown; /* what may become one meanwhile */
    bool has_set;     /* an epoll set that has some */
    bool has_news;    /* an endpoint that is busy, or was not waited for before */
};

/* What may be unreadable is looked at with a reason only. */
static struct kinds find_kinds(const struct pollfd *fds, nfds_t count)
{
    struct kinds kinds = {false, false, false, false};
    bool has_reason = hqq_endpoint_first() || hqq_adopt_has_candidates();
    for (nfds_t i = 0; i < count && has_reason; i++) {
        struct hqq_object *object = fds[i].events & READABLE ? hqq_fd_get(fds[i].fd) : NULL;
        if (!object)
            continue;
        if (object->ops == &hqq_endpoint_ops) {
            const struct hqq_endpoint *endpoint = (struct hqq_endpoint *)(void *)object;
            kinds.has_endpoint = true;
            kinds.has_news |=
                hqq_load32_relaxed(&endpoint->is_busy) != 0 || hqq_load32_relaxed(&endpoint->is_receiver) == 0;
        } else if (object->ops == &hqq_epoll_ops) {
            kinds.has_set |= hqq_epoll_tree_is_polled(object, fds[i].fd);
        }
        kinds.has_unknown |= hqq_adopt_may_become(object);
    }
    return kinds;
}

static int wait_for(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                    bool is_ppoll)
{
    const struct kinds kinds = find_kinds(fds, count);
    if (!kinds.has_endpoint && !kinds.has_unknown && !kinds.has_set)
        return call_kernel(fds, count, timeout, mask, is_ppoll);
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    struct poll_wait poll = {
        .wait = {.adapter = &adapter,
                 .has_unknown = kinds.has_unknown,
                 .is_quiet = !kinds.has_news,
                 .mask = mask,
                 .until_ns = is_now ? 0 : hqq_deadline_in(timeout),
                 .is_now = is_now},
        .fds = fds,
        .count = count,
        .has_set = kinds.has_set,
        .is_ppoll = is_ppoll,
    };
    /* What an inner set has is found by a look, not by a sleep. */
    for (nfds_t i = 0; i < count && kinds.has_set && !poll.wait.is_now; i++)
        poll.wait.is_now = (fds[i].events & READABLE) && hqq_epoll_tree_has_data(fds[i].fd);
    return hqq_waiting_run(&poll.wait);
}

int hqq_poll_sockets(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    return wait_for(fds, count, timeout, mask, true);
}

/* Sockets of AF_HQQ are looked for only once there was one. */
static bool has_named(const struct pollfd *fds, nfds_t count)
{
    if (__builtin_expect(hqq_load32_relaxed(&hqq_named_count) == 0, 1))
        return false;
    for (nfds_t i = 0; i < count; i++) {
        if (hqq_named_find(fds[i].fd))
            return true;
    }
    return false;
}

static int serve(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask, bool is_ppoll)
{
    if (__builtin_expect(has_named(fds, count), 0))
        return hqq_face(hqq_named_ppoll(fds, count, timeout, mask, hqq_poll_sockets));
    return wait_for(fds, count, timeout, mask, is_ppoll);
}

/* There is no reason to look at anything. */
static bool is_idle(void)
{
    return !hqq_endpoint_first() && !hqq_adopt_has_candidates() && hqq_load32_relaxed(&hqq_named_count) == 0;
}

int hqq_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (is_idle() || count == 0 || count > HQQ_FD_MAX || hqq_is_unreadable(fds, count * sizeof(*fds)) ||
        !hqq_waiting_is_valid(timeout))
        return hqq_libc.ppoll(fds, count, timeout, mask);
    return serve(fds, count, timeout, mask, true);
}

int hqq_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    if (is_idle() || count == 0 || count > HQQ_FD_MAX || hqq_is_unreadable(fds, count * sizeof(*fds)))
        return hqq_libc.poll(fds, count, timeout_ms);
    return serve(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL, false);
}
