#include "socket/epoll.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <talloc.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "platform/clock.h"
#include "socket/adopt.h"
#include "socket/face.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/kernel.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/receive.h"
#include "socket/start.h"
#include "socket/watch.h"

/* Kinds of registration that count wakeups: the kernel's alone. */
#define KERNEL_KINDS (EPOLLONESHOT | EPOLLEXCLUSIVE)
#define READABLE (EPOLLIN | EPOLLRDNORM)

struct member {
    int fd;
    struct epoll_event event;
};

/* Never given back, as a thread may be looking at it; reused with the number of its descriptor. */
struct hqq_epoll {
    struct hqq_lock lock;
    hqq_atomic_u32 count;   /* members; read without the lock to tell whether there are any */
    hqq_atomic_u32 waiters; /* threads that wait for it */
    bool was_full;          /* the last wait had no room for more; a hint */
    size_t room;
    struct member *members;
    struct hqq_epoll *next; /* of all there ever were */
    int fd;
    bool is_nested; /* in another set, or polled */
};

hqq_atomic_pointer hqq_epolls[HQQ_TABLE_SIZE];

/* All sets that have, or had, sockets of ours. */
static hqq_atomic_pointer all;

/* ---- Members --------------------------------------------------------------------------------------------------- */

static struct hqq_epoll *find(int epoll)
{
    return (unsigned)epoll < HQQ_TABLE_SIZE ? hqq_load_pointer_acquire(&hqq_epolls[epoll]) : NULL;
}

static struct hqq_epoll *find_or_make(int fd)
{
    struct hqq_epoll *epoll = find(fd);
    if (epoll || (unsigned)fd >= HQQ_TABLE_SIZE)
        return epoll;
    epoll = talloc_zero(NULL, struct hqq_epoll);
    if (!epoll)
        return NULL;
    epoll->fd = fd;
    if (!hqq_cas_pointer_release(&hqq_epolls[fd], NULL, epoll)) {
        talloc_free(epoll);
        return find(fd);
    }
    do {
        epoll->next = hqq_load_pointer_acquire(&all);
    } while (!hqq_cas_pointer_release(&all, epoll->next, epoll));
    return epoll;
}

static struct member *member_of(struct hqq_epoll *epoll, int fd)
{
    for (uint32_t i = 0; i < hqq_load32_relaxed(&epoll->count); i++) {
        if (epoll->members[i].fd == fd)
            return &epoll->members[i];
    }
    return NULL;
}

static void remove_member(struct hqq_epoll *epoll, struct member *member)
{
    uint32_t last = hqq_load32_relaxed(&epoll->count) - 1;
    *member = epoll->members[last];
    hqq_store32_relaxed(&epoll->count, last);
}

static void put_member(struct hqq_epoll *epoll, int fd, const struct epoll_event *event)
{
    struct member *member = member_of(epoll, fd);
    uint32_t count = hqq_load32_relaxed(&epoll->count);
    if (!member) {
        if (count == epoll->room) {
            size_t room = epoll->room * 2 + 8;
            struct member *members = talloc_realloc(NULL, epoll->members, struct member, (unsigned)room);
            if (!members) {
                struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
                if (endpoint)
                    hqq_endpoint_demote(endpoint, fd);
                return;
            }
            epoll->members = members;
            epoll->room = room;
        }
        member = &epoll->members[count];
        hqq_store32_relaxed(&epoll->count, count + 1);
    }
    *member = (struct member){.fd = fd, .event = *event};
}

static bool may_be_ours(int fd)
{
    return hqq_endpoint_find(fd) || hqq_adopt_is_candidate(fd);
}

/* An epoll set says that the other one is none of its members, anything else that it is no set. */
static bool is_epoll(int fd, int other)
{
    return !hqq_endpoint_find(fd) && hqq_libc.epoll_ctl(fd, EPOLL_CTL_DEL, other, NULL) != 0 && errno == ENOENT;
}

/* A socket that is added, or changed, is reported with what is there. */
static void tell_again(struct hqq_endpoint *endpoint)
{
    if (hqq_lock_take(&endpoint->receive_lock)) {
        hqq_receive_forget_told(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
    }
}

/* Threads may wait already, and have not armed the links of this socket: that is done for them. For what its rings hold
 * they are woken by a token, where the socket can send to itself. */
static void wake_waiters(struct hqq_endpoint *endpoint, int fd)
{
    const struct hqq_token token = hqq_token_make((struct hqq_pair_id){{0, 0}}, HQQ_TOKEN_BELL, 0);
    if (!hqq_lock_take(&endpoint->receive_lock))
        return;
    if (endpoint->pairs && !hqq_receive_arm(endpoint, fd) && endpoint->name_length != 0)
        hqq_kernel_sendto(fd, &token, sizeof(token), (const struct sockaddr *)(const void *)&endpoint->name,
                          endpoint->name_length);
    hqq_lock_give(&endpoint->receive_lock);
}

int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_epoll_ctl(epoll, operation, fd, event));
    /* First what we know: once the kernel has it, another thread may be told of an event. */
    bool is_set = hqq_start() && hqq_config_is_enabled() && !hqq_fork_is_borrowed();
    int result = hqq_libc.epoll_ctl(epoll, operation, fd, event);
    if (result != 0 || !is_set)
        return result;
    int saved = errno;
    struct hqq_epoll *nested = operation == EPOLL_CTL_ADD && is_epoll(fd, epoll) ? find_or_make(fd) : NULL;
    if (nested)
        hqq_epoll_poll_slow(nested);
    struct hqq_epoll *set = operation == EPOLL_CTL_DEL || !may_be_ours(fd) ? find(epoll) : find_or_make(epoll);
    if (set && hqq_lock_take(&set->lock)) {
        struct member *member = member_of(set, fd);
        if (operation == EPOLL_CTL_DEL) {
            if (member)
                remove_member(set, member);
        } else if (member || may_be_ours(fd)) {
            put_member(set, fd, event);
            struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
            if (endpoint && (event->events & KERNEL_KINDS || set->is_nested))
                hqq_endpoint_demote(endpoint, fd);
            if (endpoint && hqq_load32_relaxed(&set->waiters) != 0) {
                hqq_endpoint_demote(endpoint, fd);
                wake_waiters(endpoint, fd);
            }
            if (endpoint)
                tell_again(endpoint);
        }
        hqq_lock_give(&set->lock);
    }
    errno = saved;
    return result;
}

bool hqq_epoll_knows(int fd)
{
    return (hqq_load_pointer_acquire(&all) != NULL || hqq_load32_relaxed(&hqq_named_count) != 0) &&
           (unsigned)fd < HQQ_TABLE_SIZE;
}

void hqq_epoll_forget(int fd)
{
    if (hqq_load32_relaxed(&hqq_named_count) != 0)
        hqq_named_epoll_forget(fd);
    for (struct hqq_epoll *epoll = hqq_load_pointer_acquire(&all); epoll; epoll = epoll->next) {
        if (hqq_load32_relaxed(&epoll->count) == 0 || !hqq_lock_take(&epoll->lock))
            continue;
        if (epoll->fd == fd) {
            hqq_store32_relaxed(&epoll->count, 0);
            epoll->is_nested = false;
        } else {
            struct member *member = member_of(epoll, fd);
            if (member) {
                remove_member(epoll, member);
                /* The kernel goes on reporting the socket by its other descriptors. */
                struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
                if (endpoint && hqq_load32_relaxed(&endpoint->descriptors) > 1)
                    hqq_endpoint_demote(endpoint, fd);
            }
        }
        hqq_lock_give(&epoll->lock);
    }
}

void hqq_epoll_poll_slow(struct hqq_epoll *epoll)
{
    if (!hqq_lock_take(&epoll->lock))
        return;
    epoll->is_nested = true;
    for (uint32_t i = 0; i < hqq_load32_relaxed(&epoll->count); i++) {
        int fd = epoll->members[i].fd;
        struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
        if (endpoint && hqq_load32_relaxed(&endpoint->park) == 0)
            hqq_endpoint_demote(endpoint, fd);
    }
    hqq_lock_give(&epoll->lock);
}

void hqq_epoll_reset_locks(void)
{
    for (struct hqq_epoll *epoll = hqq_load_pointer_acquire(&all); epoll; epoll = epoll->next)
        hqq_lock_reset(&epoll->lock);
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

struct waiting {
    struct hqq_epoll *set;
    int epoll;
    struct epoll_event *events;
    int count;
    const sigset_t *mask;
    struct hqq_watch watch;
    struct epoll_event asked[HQQ_WATCHES]; /* by tag */
};

/* Collects the members that wait for input. */
static void collect(struct waiting *waiting, struct hqq_epoll *epoll)
{
    waiting->watch.count = 0;
    waiting->watch.has_any_link = false;
    waiting->watch.asleep_ns = 0;
    if (!hqq_lock_take(&epoll->lock))
        return;
    for (uint32_t i = 0; i < hqq_load32_relaxed(&epoll->count); i++) {
        const struct member *member = &epoll->members[i];
        struct hqq_endpoint *endpoint = hqq_endpoint_find(member->fd);
        if (!endpoint || !(member->event.events & READABLE))
            continue;
        bool is_kernels = (member->event.events & KERNEL_KINDS) != 0 || epoll->is_nested;
        if (is_kernels && hqq_load32_relaxed(&endpoint->park) == 0)
            hqq_endpoint_demote(endpoint, member->fd);
        size_t tag = waiting->watch.count;
        hqq_watch_add(&waiting->watch, member->fd, (uint32_t)tag);
        if (waiting->watch.count > tag) {
            waiting->asked[tag] = member->event;
            waiting->watch.at[tag].is_edge = is_kernels || (member->event.events & EPOLLET) != 0;
        }
    }
    hqq_lock_give(&epoll->lock);
}

static void leave(void *argument)
{
    struct waiting *waiting = argument;
    hqq_sub32_relaxed(&waiting->set->waiters, 1);
    hqq_watch_wake(&waiting->watch);
}

/* The kernel's own wait; ns: how long, HQQ_FOREVER for ever. epoll_pwait counts in ms: rounded up. */
static int kernel_wait(struct waiting *waiting, uint64_t ns)
{
    int result;
    hqq_add32_relaxed(&waiting->set->waiters, 1);
    pthread_cleanup_push(leave, waiting);
    if (ns == 0 || ns == HQQ_FOREVER) {
        result = hqq_libc.epoll_pwait(waiting->epoll, waiting->events, waiting->count, ns == 0 ? 0 : -1, waiting->mask);
    } else {
        struct timespec timeout = hqq_timespec(ns);
        result = hqq_libc.epoll_pwait2(waiting->epoll, waiting->events, waiting->count, &timeout, waiting->mask);
        if (result < 0 && errno == ENOSYS) {
            uint64_t ms = (ns + HQQ_NS_PER_MS - 1) / HQQ_NS_PER_MS;
            result = hqq_libc.epoll_pwait(waiting->epoll, waiting->events, waiting->count,
                                          ms < INT32_MAX ? (int)ms : INT32_MAX, waiting->mask);
        }
    }
    pthread_cleanup_pop(1);
    return result;
}

/* An edge for each arrival, and no more: what a ring held when the socket was given to the kernel is told once. */
static void note_reported(struct hqq_endpoint *endpoint)
{
    if (hqq_lock_take(&endpoint->receive_lock)) {
        hqq_receive_note_told(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
    }
}

/* For the kernel: else an event of the same data is another descriptor's. */
static bool is_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return hqq_kernel_poll_now(&ready, 1) > 0 && (ready.revents & POLLIN) != 0;
}

/* Takes out events of sockets that have but a token; adds those of sockets whose rings have something. */
static int correct(struct waiting *waiting, int found)
{
    struct hqq_watch *watch = &waiting->watch;
    for (size_t i = 0; i < watch->count; i++) /* before any of them loses a token, which two may share */
        watch->at[i].is_readable = !watch->at[i].is_ready && is_readable(watch->at[i].fd);
    for (size_t i = 0; i < watch->count; i++) {
        const struct epoll_event *asked = &waiting->asked[watch->at[i].tag];
        int at = 0;
        while (at < found &&
               !(waiting->events[at].data.u64 == asked->data.u64 && waiting->events[at].events & READABLE))
            at++;
        if (watch->at[i].is_ready) {
            if (watch->at[i].is_edge)
                note_reported(watch->at[i].endpoint);
            if (at < found)
                continue;
            for (at = 0; at < found && waiting->events[at].data.u64 != asked->data.u64; at++) {
            }
            if (at < found) {
                waiting->events[at].events |= asked->events & READABLE;
            } else if (found < waiting->count) {
                waiting->events[found].events = asked->events & READABLE;
                waiting->events[found++].data = asked->data;
            }
        } else if (at < found && !(asked->events & EPOLLONESHOT) && watch->at[i].is_readable &&
                   !hqq_watch_is_ready(watch, i)) {
            waiting->events[at].events &= ~(uint32_t)READABLE;
            if (waiting->events[at].events == 0)
                waiting->events[at] = waiting->events[--found];
        } else if (at < found && watch->at[i].is_edge) {
            note_reported(watch->at[i].endpoint);
        }
    }
    return found;
}

static int wait_for(struct waiting *waiting, uint64_t until_ns, bool is_now)
{
    struct hqq_watch *watch = &waiting->watch;
    for (;;) {
        size_t ready = hqq_watch_look(watch);
        int result;
        if (ready != 0 && waiting->set->was_full) {
            result = 0; /* ours alone, so that they get their turn where there is room for few */
            waiting->set->was_full = false;
        } else if (ready != 0 || is_now) {
            result = kernel_wait(waiting, 0);
            waiting->set->was_full = result == waiting->count;
        } else {
            if (hqq_watch_spin(watch))
                continue;
            uint64_t left = hqq_clock_left(until_ns);
            result = kernel_wait(waiting, hqq_watch_arm(watch) ? left : 0);
        }
        if (result < 0)
            return result;
        if (!is_now && ready == 0 && result == 0)
            hqq_watch_look(watch);
        int found = correct(waiting, result);
        if (found != 0 || is_now || (until_ns != HQQ_FOREVER && hqq_clock_ns() >= until_ns))
            return found;
    }
}

/* True if the arguments are such that the kernel need not see them first. */
static bool is_sound(const struct epoll_event *events, int count)
{
    return count > 0 && count <= INT32_MAX / (int)sizeof(*events) &&
           !hqq_is_bad_address(events, (size_t)count * sizeof(*events));
}

/* True if there is anything for us to do; then waiting is set. */
static bool begin(struct waiting *waiting, int epoll, struct epoll_event *events, int count, const sigset_t *mask)
{
    struct hqq_epoll *set = hqq_start() && hqq_config_is_enabled() ? find_or_make(epoll) : NULL;
    if (!set || !is_sound(events, count))
        return false;
    waiting->set = set;
    waiting->epoll = epoll;
    waiting->events = events;
    waiting->count = count;
    waiting->mask = mask;
    collect(waiting, set);
    return true;
}

static bool has_named(int epoll, const struct epoll_event *events, int count)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_named_count) != 0, 0) && is_sound(events, count) &&
           hqq_named_epoll_knows(epoll);
}

int hqq_epoll_wait_sockets(int epoll, struct epoll_event *events, int count, uint64_t span_ns, const sigset_t *mask)
{
    struct waiting waiting;
    if (begin(&waiting, epoll, events, count, mask))
        return wait_for(&waiting, span_ns == 0 ? 0 : hqq_deadline_after(hqq_clock_ns(), span_ns), span_ns == 0);
    uint64_t ms = span_ns / HQQ_NS_PER_MS + (span_ns % HQQ_NS_PER_MS != 0);
    return hqq_libc.epoll_pwait(epoll, events, count,
                                span_ns == HQQ_FOREVER ? -1
                                : ms < INT32_MAX       ? (int)ms
                                                       : INT32_MAX,
                                mask);
}

static uint64_t until_ms(int timeout_ms)
{
    return timeout_ms > 0 ? hqq_deadline_after(hqq_clock_ns(), (uint64_t)timeout_ms * HQQ_NS_PER_MS) : HQQ_FOREVER;
}

/* A socket of AF_HQQ may have come into the set during the wait. True if nothing but its knocks was found, and they have
 * been dropped: the wait is to go on, for it too. */
static bool found_only_knocks(struct epoll_event *events, int *result)
{
    if (__builtin_expect(*result <= 0 || hqq_load32_relaxed(&hqq_named_count) == 0, 1))
        return false;
    *result = hqq_named_epoll_without_knocks(events, *result);
    return *result == 0;
}

int hqq_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    struct waiting waiting;
    if (has_named(epoll, events, count))
        return hqq_named_epoll_wait(epoll, events, count, until_ms(timeout_ms), timeout_ms == 0, mask);
    int result = begin(&waiting, epoll, events, count, mask)
                     ? wait_for(&waiting, until_ms(timeout_ms), timeout_ms == 0)
                     : hqq_libc.epoll_pwait(epoll, events, count, timeout_ms, mask);
    if (!found_only_knocks(events, &result) || timeout_ms == 0)
        return result;
    return hqq_named_epoll_wait(epoll, events, count, until_ms(timeout_ms), false, mask);
}

int hqq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    struct waiting waiting;
    if (has_named(epoll, events, count))
        return hqq_named_epoll_wait(epoll, events, count, until_ms(timeout_ms), timeout_ms == 0, NULL);
    int result = begin(&waiting, epoll, events, count, NULL) ? wait_for(&waiting, until_ms(timeout_ms), timeout_ms == 0)
                                                             : hqq_libc.epoll_wait(epoll, events, count, timeout_ms);
    if (!found_only_knocks(events, &result) || timeout_ms == 0)
        return result;
    return hqq_named_epoll_wait(epoll, events, count, until_ms(timeout_ms), false, NULL);
}

int hqq_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                     const sigset_t *mask)
{
    struct waiting waiting;
    bool is_bad = timeout && (hqq_is_bad_address(timeout, sizeof(*timeout)) || timeout->tv_sec < 0 ||
                              timeout->tv_nsec < 0 || timeout->tv_nsec >= (long)HQQ_NS_PER_S);
    bool is_named = !is_bad && has_named(epoll, events, count);
    if (is_bad || (!is_named && !begin(&waiting, epoll, events, count, mask)))
        return hqq_libc.epoll_pwait2(epoll, events, count, timeout, mask);
    uint64_t until = HQQ_FOREVER;
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    if (timeout && (uint64_t)timeout->tv_sec < HQQ_FOREVER / HQQ_NS_PER_S - 1)
        until =
            hqq_deadline_after(hqq_clock_ns(), (uint64_t)timeout->tv_sec * HQQ_NS_PER_S + (uint64_t)timeout->tv_nsec);
    if (is_named)
        return hqq_named_epoll_wait(epoll, events, count, until, is_now, mask);
    int result = wait_for(&waiting, is_now ? 0 : until, is_now);
    if (!found_only_knocks(events, &result) || is_now)
        return result;
    return hqq_named_epoll_wait(epoll, events, count, until, false, mask);
}
