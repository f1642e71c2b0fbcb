/*
 * poll, ppoll, select, pselect: the kernel's own call, around which the rings are looked at (watch.h).
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/time.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "platform/clock.h"
#include "socket/epoll.h"
#include "socket/gather.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/watch.h"

#define READABLE (POLLIN | POLLRDNORM)

/* ---- Time-outs ------------------------------------------------------------------------------------------------- */

/* What is left until a deadline; NULL for ever. */
static const struct timespec *remaining(uint64_t until_ns, struct timespec *left)
{
    if (until_ns == HQQ_FOREVER)
        return NULL;
    *left = hqq_timespec(hqq_clock_left(until_ns));
    return left;
}

static bool is_valid(const struct timespec *timeout)
{
    return !timeout || (!hqq_is_bad_address(timeout, sizeof(*timeout)) && timeout->tv_sec >= 0 &&
                        timeout->tv_nsec >= 0 && timeout->tv_nsec < (long)HQQ_NS_PER_S);
}

/* ---- poll ------------------------------------------------------------------------------------------------------ */

static int kernel_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       struct hqq_watch *watch)
{
    int result;
    pthread_cleanup_push(hqq_watch_wake, watch);
    result = hqq_libc.ppoll(fds, count, timeout, mask);
    pthread_cleanup_pop(1);
    return result;
}

/* Takes back what the kernel said of sockets that have but a token, and adds those whose rings have something. */
static int correct(struct pollfd *fds, nfds_t count, struct hqq_watch *watch)
{
    int found = 0;
    for (size_t i = 0; i < watch->count; i++) {
        struct pollfd *at = &fds[watch->at[i].tag];
        short wanted = at->events & READABLE;
        if (watch->at[i].is_ready)
            at->revents |= wanted;
        else if (at->revents & READABLE && !hqq_watch_is_ready(watch, i))
            at->revents &= (short)~READABLE;
    }
    for (nfds_t i = 0; i < count; i++)
        found += fds[i].revents != 0;
    return found;
}

/* True if nothing but input of ready sockets of ours is asked for: the kernel has nothing to add. */
static bool is_all_ours(const struct pollfd *fds, nfds_t count, const struct hqq_watch *watch, size_t ready)
{
    if (ready != count || watch->count != count)
        return false;
    for (nfds_t i = 0; i < count; i++) {
        if (fds[i].events & ~READABLE)
            return false;
    }
    return true;
}

static int wait_for(struct pollfd *fds, nfds_t count, uint64_t until_ns, bool is_now, const sigset_t *mask,
                    struct hqq_watch *watch)
{
    const struct timespec none = {0};
    struct timespec left;
    for (;;) {
        size_t ready = hqq_watch_look(watch);
        if (ready != 0 && is_all_ours(fds, count, watch, ready)) {
            for (nfds_t i = 0; i < count; i++)
                fds[i].revents = 0;
            return correct(fds, count, watch);
        }
        int result;
        if (ready != 0 || is_now) {
            result = kernel_poll(fds, count, &none, mask, watch);
        } else {
            if (hqq_watch_spin(watch))
                continue;
            /* What kept us from sleeping may be in the kernel's queue. */
            bool may_sleep = hqq_watch_arm(watch);
            result = kernel_poll(fds, count, may_sleep ? remaining(until_ns, &left) : &none, mask, watch);
        }
        if (result < 0)
            return result;
        if (!is_now && ready == 0 && result == 0)
            hqq_watch_look(watch); /* a last look at what came with the deadline */
        int found = correct(fds, count, watch);
        if (found != 0 || is_now || (until_ns != HQQ_FOREVER && hqq_clock_ns() >= until_ns))
            return found;
    }
}

int hqq_poll_sockets(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct hqq_watch watch;
    watch.count = 0;
    watch.has_any_link = false;
    watch.asleep_ns = 0;
    for (nfds_t i = 0; i < count; i++) {
        if (fds[i].events & READABLE)
            hqq_watch_add(&watch, fds[i].fd, (uint32_t)i);
        hqq_epoll_is_polled(fds[i].fd);
    }
    if (watch.count == 0)
        return hqq_libc.ppoll(fds, count, timeout, mask);
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    return wait_for(fds, count, is_now ? 0 : hqq_deadline_in(timeout), is_now, mask, &watch);
}

/* Sockets of AF_HQQ are looked for only once there was one. */
static bool has_named(const struct pollfd *fds, nfds_t count)
{
    if (__builtin_expect(hqq_load32_relaxed(&hqq_named_count) == 0, 1))
        return false;
    for (nfds_t i = 0; i < count; i++) {
        if (hqq_is_named(fds[i].fd))
            return true;
    }
    return false;
}

int hqq_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (count == 0 || count > HQQ_TABLE_SIZE || hqq_is_bad_address(fds, count * sizeof(*fds)) || !is_valid(timeout))
        return hqq_libc.ppoll(fds, count, timeout, mask);
    if (__builtin_expect(has_named(fds, count), 0))
        return hqq_named_ppoll(fds, count, timeout, mask);
    return hqq_poll_sockets(fds, count, timeout, mask);
}

int hqq_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    return hqq_ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

/* ---- select ---------------------------------------------------------------------------------------------------- */

struct selection {
    int count;
    fd_set *sets[3];
    fd_set wanted[3]; /* what the caller asked for */
    size_t bytes;     /* of each set that the caller has */
};

static void restore(const struct selection *selection)
{
    for (int i = 0; i < 3; i++) {
        if (selection->sets[i])
            memcpy(selection->sets[i], &selection->wanted[i], selection->bytes);
    }
}

static int kernel_select(const struct selection *selection, const struct timespec *timeout, const sigset_t *mask,
                         struct hqq_watch *watch)
{
    int result;
    restore(selection);
    pthread_cleanup_push(hqq_watch_wake, watch);
    result =
        hqq_libc.pselect(selection->count, selection->sets[0], selection->sets[1], selection->sets[2], timeout, mask);
    pthread_cleanup_pop(1);
    return result;
}

static int correct_selection(const struct selection *selection, int found, struct hqq_watch *watch)
{
    fd_set *reading = selection->sets[0];
    for (size_t i = 0; i < watch->count; i++) {
        int fd = watch->at[i].fd;
        bool is_set = FD_ISSET(fd, reading);
        if (watch->at[i].is_ready && !is_set) {
            FD_SET(fd, reading);
            found++;
        } else if (is_set && !watch->at[i].is_ready && !hqq_watch_is_ready(watch, i)) {
            FD_CLR(fd, reading);
            found--;
        }
    }
    return found;
}

static int select_for(const struct selection *selection, uint64_t until_ns, bool is_now, const sigset_t *mask,
                      struct hqq_watch *watch)
{
    const struct timespec none = {0};
    struct timespec left;
    for (;;) {
        size_t ready = hqq_watch_look(watch);
        int result;
        if (ready != 0 || is_now) {
            result = kernel_select(selection, &none, mask, watch);
        } else {
            if (hqq_watch_spin(watch))
                continue;
            /* What kept us from sleeping may be in the kernel's queue. */
            bool may_sleep = hqq_watch_arm(watch);
            result = kernel_select(selection, may_sleep ? remaining(until_ns, &left) : &none, mask, watch);
        }
        if (result < 0)
            return result;
        if (!is_now && ready == 0 && result == 0)
            hqq_watch_look(watch);
        int found = correct_selection(selection, result, watch);
        if (found != 0 || is_now || (until_ns != HQQ_FOREVER && hqq_clock_ns() >= until_ns))
            return found;
    }
}

/* Those of ours in the set that is waited on for input. False: the call is the kernel's. */
static bool begin_selection(struct selection *selection, int count, fd_set *reading, fd_set *writing, fd_set *special,
                            struct hqq_watch *watch)
{
    watch->count = 0;
    watch->has_any_link = false;
    watch->asleep_ns = 0;
    if (count <= 0 || count > FD_SETSIZE || !reading)
        return false;
    selection->count = count;
    selection->sets[0] = reading;
    selection->sets[1] = writing;
    selection->sets[2] = special;
    selection->bytes = ((size_t)count + 63) / 64 * 8;
    for (int i = 0; i < 3; i++) {
        if (!selection->sets[i])
            continue;
        if (hqq_is_bad_address(selection->sets[i], selection->bytes))
            return false;
        memcpy(&selection->wanted[i], selection->sets[i], selection->bytes);
    }
    for (int fd = 0; fd < count; fd++) {
        if (FD_ISSET(fd, reading)) {
            hqq_watch_add(watch, fd, 0);
            hqq_epoll_is_polled(fd);
        }
    }
    return watch->count != 0;
}

static bool has_named_selected(int count, const fd_set *reading, const fd_set *writing, const fd_set *special)
{
    const fd_set *const sets[3] = {reading, writing, special};
    if (__builtin_expect(hqq_load32_relaxed(&hqq_named_count) == 0, 1) || count <= 0 || count > FD_SETSIZE)
        return false;
    for (int i = 0; i < 3; i++) {
        for (int fd = 0; fd < count && sets[i] && !hqq_is_bad_address(sets[i], ((size_t)count + 63) / 64 * 8); fd++) {
            if (FD_ISSET(fd, sets[i]) && hqq_is_named(fd))
                return true;
        }
    }
    return false;
}

int hqq_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                const sigset_t *mask)
{
    struct selection selection;
    struct hqq_watch watch;
    if (__builtin_expect(has_named_selected(count, reading, writing, special), 0) && is_valid(timeout))
        return hqq_named_pselect(count, reading, writing, special, timeout, mask);
    if (!is_valid(timeout) || !begin_selection(&selection, count, reading, writing, special, &watch))
        return hqq_libc.pselect(count, reading, writing, special, timeout, mask);
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    return select_for(&selection, is_now ? 0 : hqq_deadline_in(timeout), is_now, mask, &watch);
}

int hqq_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout)
{
    struct selection selection;
    struct hqq_watch watch;
    bool is_bad =
        timeout && (hqq_is_bad_address(timeout, sizeof(*timeout)) || timeout->tv_sec < 0 || timeout->tv_usec < 0);
    bool is_named = !is_bad && has_named_selected(count, reading, writing, special);
    if (is_bad || (!is_named && !begin_selection(&selection, count, reading, writing, special, &watch)))
        return hqq_libc.select(count, reading, writing, special, timeout);
    uint64_t until = HQQ_FOREVER;
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_usec == 0;
    if (timeout) {
        struct timespec span = {.tv_sec = timeout->tv_sec + timeout->tv_usec / 1000000,
                                .tv_nsec = (long)(timeout->tv_usec % 1000000) * 1000};
        until = hqq_deadline_in(&span);
    }
    struct timespec left = {0};
    int result =
        is_named ? hqq_named_pselect(count, reading, writing, special, is_now ? &left : remaining(until, &left), NULL)
                 : select_for(&selection, until, is_now, NULL, &watch);
    if (timeout && !is_now) { /* Linux tells what is left */
        int saved = errno;
        if (remaining(until, &left)) {
            timeout->tv_sec = left.tv_sec;
            timeout->tv_usec = left.tv_nsec / 1000;
        }
        errno = saved;
    }
    return result;
}
