/*
 * epoll_wait and its kind: adapters of the wait engine (waiting.h), for sets that have endpoints (epoll_set.h).
 */

#include <errno.h>
#include <poll.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/life.h"
#include "endpoint/ready.h"
#include "hqqsock/named.h"
#include "platform/clock.h"
#include "runtime/config.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/kernel.h"
#include "runtime/started.h"
#include "socket/epoll_life.h"
#include "socket/epoll_member.h"
#include "socket/epoll_nudge.h"
#include "socket/epoll_set.h"
#include "socket/epoll_tree.h"
#include "socket/face.h"
#include "socket/waiting.h"

#define READABLE HQQ_EPOLL_READABLE

/* So many members are reported from rings by one wait; the next one begins behind them. */
#define MARKED 32

/* Events of the kernel's that may be of a member whose ring has something too: of so many. */
#define MERGED 64

/* What the program asked for, and by which call. */
struct asked {
    enum { EPOLL_WAIT, EPOLL_PWAIT, EPOLL_PWAIT2 } call;
    int epoll;
    struct epoll_event *events;
    int max;
    uint64_t span_ns; /* HQQ_FOREVER: for ever */
    const sigset_t *mask;
    uint64_t until_ns; /* 0: not begun */
};

struct epoll_wait {
    struct hqq_waiting wait; /* first */
    struct hqq_epoll_set *set;
    const struct asked *asked;
    bool is_stale;                   /* the set has changed since members were marked */
    unsigned first_bucket;           /* where going through the members begins */
    uint32_t version;                /* of the set, when that was begun */
    struct hqq_epoll_member *member; /* that next() has returned last */
    uint32_t marked_count, marked_version;
    struct hqq_epoll_member *marked[MARKED];
};

/* ---- Members ----------------------------------------------------------------------------------------------------- */

/* The next member that is reported when its rings hold something, as it is now. */
static struct hqq_epoll_member *next_member(struct epoll_wait *epoll, size_t *place, struct hqq_epoll_seen *ret_seen)
{
    struct hqq_epoll_member *member;
    while ((member = hqq_epoll_member_at(epoll->set, epoll->first_bucket, place))) {
        *ret_seen = hqq_epoll_member_look(member);
        if (hqq_epoll_member_is_reported(member, ret_seen))
            return member;
    }
    return NULL;
}

static struct hqq_endpoint *next(struct hqq_waiting *wait, size_t *place, const struct hqq_membership **ret_edge)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    struct hqq_epoll_seen seen;
    if (*place == 0) {
        epoll->version = hqq_load32_acquire(&epoll->set->version);
        epoll->first_bucket = hqq_load32_relaxed(&epoll->set->first_bucket);
    }
    if (hqq_load32_relaxed(&epoll->set->busy) == 0 || !(epoll->member = next_member(epoll, place, &seen)))
        return NULL;
    *ret_edge = hqq_epoll_member_edge(epoll->member, &seen);
    return seen.endpoint;
}

/* A handler that has interrupted a change of this very set does not wait for it. */
static bool is_stable(struct hqq_waiting *wait)
{
    const struct epoll_wait *epoll = (const struct epoll_wait *)(const void *)wait;
    hqq_fence_acquire();
    return (hqq_load32_relaxed(&epoll->set->version) == epoll->version && (epoll->version & 1) == 0) ||
           hqq_lock_is_mine(&epoll->set->lock);
}

static void mark(struct hqq_waiting *wait, size_t place)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    (void)place;
    if (epoll->marked_count == 0)
        epoll->marked_version = epoll->version;
    if (epoll->marked_count < MARKED)
        epoll->marked[epoll->marked_count++] = epoll->member;
}

/* ---- The kernel's call ------------------------------------------------------------------------------------------- */

/* What has been taken from the kernel must be reported: where there is room for few events, it is asked for one less
 * every other time, so that the marked members get their turn. */
static int room_for_kernel(struct epoll_wait *epoll)
{
    if (epoll->marked_count == 0)
        return epoll->asked->max;
    uint32_t kernel_first = hqq_load32_relaxed(&epoll->set->kernel_first) ^ 1;
    hqq_store32_relaxed(&epoll->set->kernel_first, kernel_first);
    return kernel_first ? epoll->asked->max : epoll->asked->max - 1;
}

/* By the call that the program made, as a filter may allow that one alone. mask: asked->mask, but where the wait
 * does without. */
static int call_kernel(const struct asked *asked, int room, const struct timespec *span, const sigset_t *mask)
{
    uint64_t ns = hqq_timespec_ns(span);
    switch (asked->call) {
    case EPOLL_WAIT:
        return hqq_libc.epoll_wait(asked->epoll, asked->events, room, hqq_waiting_ms(ns));
    case EPOLL_PWAIT:
        return hqq_libc.epoll_pwait(asked->epoll, asked->events, room, hqq_waiting_ms(ns), mask);
    case EPOLL_PWAIT2:
    default:
        return hqq_libc.epoll_pwait2(asked->epoll, asked->events, room, span, mask);
    }
}

static int call(struct hqq_waiting *wait, const struct timespec *span)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    bool only_looks = span && span->tv_sec == 0 && span->tv_nsec == 0;
    int room = only_looks ? room_for_kernel(epoll) : epoll->asked->max;
    return room == 0 ? 0 : call_kernel(epoll->asked, room, span, wait->mask);
}

/* ---- Events ------------------------------------------------------------------------------------------------------ */

/* All that is ready, as the kernel tells it of a socket that is readable. */
static uint32_t events_of(const struct hqq_epoll_seen *member)
{
    uint32_t wanted = member->events & (uint32_t)(EPOLLOUT | EPOLLWRNORM | EPOLLRDHUP | EPOLLPRI);
    struct pollfd ready = {.fd = member->fd, .events = (short)wanted};
    uint32_t events = member->events & READABLE;
    if (member->fd >= 0 && wanted != 0 && !hqq_filter_is_set() && hqq_kernel_poll_now(&ready, 1) > 0)
        events |= (uint32_t)(unsigned short)ready.revents & (wanted | (uint32_t)POLLERR | (uint32_t)POLLHUP);
    return events;
}

/* Events have nothing but the program's data to tell whose they are. */
static bool may_be_of(const struct epoll_event *event, const struct hqq_epoll_seen *member)
{
    return event->data.u64 == member->data && (event->events & ~member->events & ~(uint32_t)(EPOLLERR | EPOLLHUP)) == 0;
}

/* Several may have the same data. An event that tells of a datagram in the kernel's queue is of a member that has
 * one there. */
static bool is_of(const struct epoll_event *event, const struct hqq_epoll_seen *member)
{
    struct pollfd ready = {.fd = member->fd, .events = POLLIN};
    if (!may_be_of(event, member))
        return false;
    return (event->events & READABLE) == 0 || hqq_filter_is_set() ||
           (hqq_kernel_poll_now(&ready, 1) > 0 && (ready.revents & POLLIN));
}

/* False: there is no room for it. found events are the kernel's, *total there are; *used: which of them are taken by
 * a member. */
static bool add_event(const struct asked *asked, int found, int *total, uint64_t *used,
                      const struct hqq_epoll_seen *member)
{
    for (int i = 0; i < found && i < MERGED; i++) {
        if (!(*used & UINT64_C(1) << i) && is_of(&asked->events[i], member)) {
            asked->events[i].events |= member->events & READABLE;
            *used |= UINT64_C(1) << i;
            return true;
        }
    }
    if (*total == asked->max)
        return false;
    asked->events[*total].events = events_of(member);
    asked->events[*total].data.u64 = member->data;
    *total += 1;
    return true;
}

/* One event was asked for. The kernel's registration still says so. */
static void disarm(int epoll, struct hqq_epoll_member *member, const struct hqq_epoll_seen *seen)
{
    struct epoll_event none = {.events = EPOLLONESHOT, .data.u64 = seen->data};
    int saved = errno;
    hqq_store32_relaxed(&member->is_disarmed, 1);
    if (seen->fd >= 0)
        hqq_libc.epoll_ctl(epoll, EPOLL_CTL_MOD, seen->fd, &none);
    errno = saved;
}

static void note_reported(struct epoll_wait *epoll, struct hqq_epoll_member *member, const struct hqq_epoll_seen *seen)
{
    if (seen->events & EPOLLET)
        hqq_ready_report(seen->endpoint, &member->membership);
    if (seen->events & EPOLLONESHOT)
        disarm(epoll->asked->epoll, member, seen);
    hqq_store32_relaxed(&epoll->set->first_bucket, ((uint32_t)seen->fd + 1) % HQQ_EPOLL_BUCKETS);
}

/* An edge of another kind than input tells of unread datagrams as well. */
static void complete_edges(struct epoll_wait *epoll, int found)
{
    for (int i = 0; i < found && i < MERGED; i++) {
        struct epoll_event *event = &epoll->asked->events[i];
        size_t place = 0;
        struct hqq_epoll_seen seen;
        if (event->events & READABLE)
            continue;
        while (next_member(epoll, &place, &seen)) {
            if ((seen.events & EPOLLET) && may_be_of(event, &seen) && hqq_ready_has_data(seen.endpoint, NULL))
                event->events |= seen.events & READABLE;
        }
    }
}

static int merge(struct hqq_waiting *wait, int found)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    int total = found;
    uint64_t used = 0;
    epoll->is_stale = epoll->marked_count != 0 && (epoll->marked_version & 1) != 0;
    for (uint32_t i = 0; i < epoll->marked_count && !epoll->is_stale; i++) {
        const struct hqq_epoll_seen seen = hqq_epoll_member_look(epoll->marked[i]);
        hqq_fence_acquire();
        epoll->is_stale = hqq_load32_relaxed(&epoll->set->version) != epoll->marked_version; /* since it was marked */
        if (!epoll->is_stale && seen.endpoint && add_event(epoll->asked, found, &total, &used, &seen))
            note_reported(epoll, epoll->marked[i], &seen);
    }
    epoll->marked_count = 0;
    if (hqq_load32_relaxed(&epoll->set->busy) != 0)
        complete_edges(epoll, found);
    return total;
}

static void count(struct hqq_waiting *wait, bool is_asleep)
{
    struct hqq_epoll_set *set = ((struct epoll_wait *)(void *)wait)->set;
    wait->has_unknown = hqq_load32_relaxed(&set->pending) != 0;
    hqq_add32_relaxed(&set->waiters, is_asleep ? 1 : UINT32_MAX);
    hqq_fence_full(); /* edge E1 */
    if (!is_asleep && __builtin_expect(hqq_load32_relaxed(&set->descriptors) == 0, 0))
        hqq_epoll_life_end_if_closed(set);
}

static const struct hqq_waiting_adapter adapter = {
    .next = next, .mark = mark, .call = call, .merge = merge, .count = count, .is_stable = is_stable};

/* ---- A wait ------------------------------------------------------------------------------------------------------ */

/* Takes our own event out. Returns how many are left. */
static int without_nudge(struct hqq_epoll_set *set, const struct asked *asked, int found)
{
    int kept = 0;
    if (__builtin_expect(hqq_load32_acquire(&set->is_nudged) == 0, 1))
        return found;
    for (int i = 0; i < found; i++) {
        if (hqq_epoll_nudge_is(&asked->events[i]))
            hqq_epoll_nudge_found(set, asked->epoll);
        else
            asked->events[kept++] = asked->events[i];
    }
    return kept;
}

/* The span begins with the first wait. */
static uint64_t until(struct asked *asked)
{
    if (asked->span_ns == HQQ_FOREVER)
        return HQQ_FOREVER;
    if (asked->until_ns == 0 && asked->span_ns != 0)
        asked->until_ns = hqq_deadline_after(hqq_clock_ns(), asked->span_ns);
    return asked->until_ns;
}

/* A wait for those of a set that are none of AF_HQQ's. What was found may be ours alone, or stale: then it begins
 * anew. */
static int wait_in(struct hqq_epoll_set *set, struct asked *asked)
{
    struct epoll_wait wait = {
        .wait = {.adapter = &adapter, .mask = asked->mask, .until_ns = until(asked), .is_now = asked->span_ns == 0},
        .set = set,
        .asked = asked,
    };
    hqq_epoll_tree_settle(set);
    for (;;) {
        wait.is_stale = false;
        wait.marked_count = 0;
        int found = hqq_waiting_run(&wait.wait);
        bool is_over = found < 0 || (found == 0 && !wait.is_stale);
        if (found > 0)
            found = without_nudge(set, asked, found);
        if (is_over || found > 0)
            return found;
    }
}

/* True if the arguments are such that the kernel need not see them first. */
static bool is_sound(const struct epoll_event *events, int max)
{
    return max > 0 && max <= INT32_MAX / (int)sizeof(*events) &&
           (uintptr_t)events <= (uintptr_t)INTPTR_MAX - (size_t)max * sizeof(*events);
}

static struct hqq_epoll_set *set_of(int epoll, const struct epoll_event *events, int max)
{
    struct hqq_epoll_set *set = hqq_epoll_set_find(epoll);
    return set && is_sound(events, max) ? set : NULL;
}

/* A set that nobody has told of is met at the first wait for it, as other threads may add sockets while this one
 * sleeps. False: the kernel had an answer. */
static bool meet(const struct asked *asked, int *ret_found)
{
    if (asked->span_ns == 0 || hqq_config_is_preload() || hqq_epoll_set_find(asked->epoll) ||
        !is_sound(asked->events, asked->max) || !hqq_start() || !hqq_config_is_enabled())
        return true;
    *ret_found = hqq_libc.epoll_wait(asked->epoll, asked->events, asked->max, 0);
    if (*ret_found == 0)
        hqq_epoll_set_find_or_make(asked->epoll);
    return *ret_found == 0;
}

/* False: it is the kernel's alone. */
static bool serve_others(struct asked *asked, int *ret_found)
{
    if (!meet(asked, ret_found))
        return true;
    struct hqq_epoll_set *set = set_of(asked->epoll, asked->events, asked->max);
    if (set)
        *ret_found = wait_in(set, asked);
    return set != NULL;
}

/* ---- With sockets of AF_HQQ -------------------------------------------------------------------------------------- */

static int wait_others(int epoll, struct epoll_event *events, int max, uint64_t span_ns, const sigset_t *mask)
{
    struct asked asked = {EPOLL_PWAIT, epoll, events, max, span_ns, mask, 0};
    int found;
    return serve_others(&asked, &found) ? found
                                        : hqq_libc.epoll_pwait(epoll, events, max, hqq_waiting_ms(span_ns), mask);
}

static bool has_named(const struct asked *asked)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_named_count) != 0, 0) && is_sound(asked->events, asked->max) &&
           hqq_named_epoll_knows(asked->epoll);
}

static int wait_named(struct asked *asked)
{
    return hqq_face(hqq_named_epoll_wait(asked->epoll, asked->events, asked->max, until(asked), asked->span_ns == 0,
                                         asked->mask, wait_others));
}

/* A socket of AF_HQQ may have come into the set during the wait. True if nothing but its knocks was found, and they
 * have been dropped: the wait is to go on, for it too. */
static bool found_only_knocks(const struct asked *asked, int *result)
{
    if (__builtin_expect(*result <= 0 || hqq_load32_relaxed(&hqq_named_count) == 0, 1))
        return false;
    *result = hqq_named_epoll_without_knocks(asked->events, *result);
    return *result == 0 && asked->span_ns != 0;
}

/* ---- The calls --------------------------------------------------------------------------------------------------- */

/* The kernel finds that there is no place for events once it has one. */
static bool serve_without_place(const struct asked *asked, int *ret_found)
{
    struct epoll_event nowhere;
    struct asked one = *asked;
    one.events = &nowhere;
    one.max = 1;
    if (!serve_others(&one, ret_found))
        return false;
    if (*ret_found > 0)
        *ret_found = hqq_face(-EFAULT);
    return true;
}

/* False: it is the kernel's alone. */
static bool serve(struct asked *asked, int *ret_found)
{
    if (hqq_endpoint_first() && hqq_epoll_set_find(asked->epoll) &&
        __builtin_expect(hqq_is_unreadable(asked->events, sizeof(*asked->events)), 0))
        return is_sound(asked->events, asked->max) && serve_without_place(asked, ret_found);
    if (has_named(asked)) {
        *ret_found = wait_named(asked);
        return true;
    }
    return serve_others(asked, ret_found);
}

static uint64_t span_of(int timeout_ms)
{
    return timeout_ms < 0 ? HQQ_FOREVER : (uint64_t)timeout_ms * HQQ_NS_PER_MS;
}

int hqq_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    struct asked asked = {EPOLL_PWAIT, epoll, events, count, span_of(timeout_ms), mask, 0};
    int found;
    if (!serve(&asked, &found))
        found = hqq_libc.epoll_pwait(epoll, events, count, timeout_ms, mask);
    return found_only_knocks(&asked, &found) ? wait_named(&asked) : found;
}

int hqq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    struct asked asked = {EPOLL_WAIT, epoll, events, count, span_of(timeout_ms), NULL, 0};
    int found;
    if (!serve(&asked, &found))
        found = hqq_libc.epoll_wait(epoll, events, count, timeout_ms);
    return found_only_knocks(&asked, &found) ? wait_named(&asked) : found;
}

int hqq_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                     const sigset_t *mask)
{
    if (!hqq_waiting_is_valid(timeout))
        return hqq_libc.epoll_pwait2(epoll, events, count, timeout, mask);
    struct asked asked = {EPOLL_PWAIT2, epoll, events, count, hqq_timespec_ns(timeout), mask, 0};
    int found;
    if (!serve(&asked, &found))
        found = hqq_libc.epoll_pwait2(epoll, events, count, timeout, mask);
    return found_only_knocks(&asked, &found) ? wait_named(&asked) : found;
}
