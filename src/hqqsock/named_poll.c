/*
 * poll and select with sockets of AF_HQQ among the descriptors. What those have is found by looking at their rings; for
 * the sleep their descriptors stand in, which become readable by knocks, and the other descriptors are waited for as
 * ever (poll.c). What the kernel says of the former is never told.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include <talloc.h>

#include "platform/clock.h"
#include "standard/poll.h"
#include "hqqsock/named.h"
#include "hqqsock/named_wait.h"

#define READABLE (POLLIN | POLLRDNORM)
#define WRITABLE (POLLOUT | POLLWRNORM)

/* Descriptors that are waited for without memory from the heap. */
#define FEW 64

/* ---- One socket ------------------------------------------------------------------------------------------------ */

short hqq_named_events(struct hqq_named *named, short asked)
{
    struct hqq_link *link = hqq_named_link(named);
    uint32_t shut = hqq_load32_relaxed(&named->shut);
    short events = 0;
    if (hqq_load32_acquire(&named->is_closed) != 0)
        return POLLNVAL;
    if (!link) /* as the kernel says it of a stream socket that is not connected */
        return (short)((asked & WRITABLE) | POLLHUP);
    if (asked & READABLE && (shut & HQQ_NAMED_SHUT_READING || hqq_link_is_ready(link, HQQ_WAIT_DATA)))
        events |= asked & READABLE;
    if (asked & WRITABLE && (shut & HQQ_NAMED_SHUT_WRITING || hqq_link_is_ready(link, HQQ_WAIT_SPACE)))
        events |= asked & WRITABLE;
    enum hqq_peer peer = hqq_link_peer(link);
    if (peer == HQQ_PEER_CLOSED || peer == HQQ_PEER_DIED || shut == (HQQ_NAMED_SHUT_READING | HQQ_NAMED_SHUT_WRITING))
        events |= POLLHUP;
    return events;
}

/* ---- All of them ----------------------------------------------------------------------------------------------- */

/* One wait. Each descriptor has a copy that the kernel is given, and those of AF_HQQ, entered, a sleep. */
struct waiting {
    struct pollfd *fds;
    nfds_t count;
    struct pollfd *copies;
    struct hqq_named_sleep *sleeps; /* of fds[i]; named is NULL where it is another kind */
    void *block;                    /* from the heap, or NULL */
    hqq_named_poll_others others;
};

static void begin(struct waiting *waiting)
{
    for (nfds_t i = 0; i < waiting->count; i++) {
        const struct pollfd *at = &waiting->fds[i];
        struct hqq_named *named = hqq_named_enter_fd(at->fd);
        struct hqq_link *link = named ? hqq_named_link(named) : NULL;
        waiting->copies[i] = *at;
        waiting->sleeps[i] = (struct hqq_named_sleep){
            .named = named,
            .link = link,
            .fd = at->fd,
            .reads = link && (at->events & READABLE) != 0,
            .writes = link && (at->events & WRITABLE) != 0,
        };
    }
}

static void wake_all(struct waiting *waiting)
{
    for (nfds_t i = 0; i < waiting->count; i++) {
        if (waiting->sleeps[i].named)
            hqq_named_wake(&waiting->sleeps[i]);
    }
}

static void leave(void *argument)
{
    struct waiting *waiting = argument;
    int saved = errno;
    wake_all(waiting);
    for (nfds_t i = 0; i < waiting->count; i++) {
        if (waiting->sleeps[i].named)
            hqq_named_drop(waiting->sleeps[i].named);
    }
    talloc_free(waiting->block);
    errno = saved;
}

/* What there is to tell of the sockets of AF_HQQ. */
static int look(struct waiting *waiting)
{
    int found = 0;
    for (nfds_t i = 0; i < waiting->count; i++) {
        struct hqq_named *named = waiting->sleeps[i].named;
        if (!named)
            continue;
        waiting->fds[i].revents = hqq_named_events(named, waiting->fds[i].events);
        found += waiting->fds[i].revents != 0;
    }
    return found;
}

/* Spins for the first that is waited for: enough for a conversation. */
static bool spin(struct waiting *waiting)
{
    for (nfds_t i = 0; i < waiting->count; i++) {
        if (waiting->sleeps[i].reads)
            return hqq_link_spin(waiting->sleeps[i].link, HQQ_WAIT_DATA);
    }
    return false;
}

static uint64_t arm_all(struct waiting *waiting, uint64_t until_ns)
{
    uint64_t limit = until_ns;
    for (nfds_t i = 0; i < waiting->count && limit != 0; i++) {
        struct hqq_named_sleep *sleep = &waiting->sleeps[i];
        if (!sleep->named)
            continue;
        uint64_t own = hqq_named_arm(sleep);
        limit = own < limit ? own : limit;
    }
    return limit;
}

/* Asks the kernel. sleeps: the sockets of AF_HQQ may end the wait, by knocks. Returns how many others have something. */
static int ask_kernel(struct waiting *waiting, const struct timespec *timeout, const sigset_t *mask, bool sleeps)
{
    for (nfds_t i = 0; i < waiting->count; i++) {
        if (waiting->sleeps[i].named) {
            waiting->copies[i].fd = sleeps ? waiting->fds[i].fd : -1;
            waiting->copies[i].events = POLLIN;
        }
    }
    int result = waiting->others(waiting->copies, waiting->count, timeout, mask);
    int found = 0;
    for (nfds_t i = 0; i < waiting->count && result >= 0; i++) {
        if (waiting->sleeps[i].named)
            continue;
        waiting->fds[i].revents = waiting->copies[i].revents;
        found += waiting->fds[i].revents != 0;
    }
    return result < 0 ? result : found;
}

static int wait_for(struct waiting *waiting, uint64_t until_ns, bool is_now, const sigset_t *mask)
{
    const struct timespec none = {0};
    for (;;) {
        int found = look(waiting);
        if (found != 0 || is_now) {
            int others = ask_kernel(waiting, &none, mask, false);
            return others < 0 ? others : found + others;
        }
        if (spin(waiting))
            continue;
        uint64_t limit = arm_all(waiting, until_ns);
        struct timespec span = hqq_timespec(hqq_clock_left(limit));
        int others = limit != 0 ? ask_kernel(waiting, limit == HQQ_FOREVER ? NULL : &span, mask, true) : 0;
        int saved = errno;
        wake_all(waiting);
        errno = saved;
        if (others < 0)
            return others;
        found = look(waiting);
        if (others + found != 0 || (until_ns != HQQ_FOREVER && hqq_clock_ns() >= until_ns))
            return others + found;
    }
}

int hqq_named_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                    hqq_named_poll_others others)
{
    struct pollfd few_copies[FEW];
    struct hqq_named_sleep few_sleeps[FEW];
    struct waiting waiting = {.fds = fds, .count = count, .copies = few_copies, .sleeps = few_sleeps, .others = others};
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    uint64_t until = is_now ? 0 : hqq_deadline_in(timeout);
    if (count > FEW) {
        waiting.block = talloc_size(NULL, count * (sizeof(*few_copies) + sizeof(*few_sleeps)));
        if (!waiting.block)
            return -ENOMEM;
        waiting.sleeps = waiting.block;
        waiting.copies = (struct pollfd *)(void *)(waiting.sleeps + count);
    }
    int result;
    begin(&waiting);
    pthread_cleanup_push(leave, &waiting);
    result = wait_for(&waiting, until, is_now, mask);
    pthread_cleanup_pop(1);
    return result < 0 ? -errno : result;
}

/* ---- select ---------------------------------------------------------------------------------------------------- */

/* What makes a descriptor part of which set, as the kernel sees it. */
#define IN_READING (POLLIN | POLLRDNORM | POLLHUP | POLLERR)
#define IN_WRITING (POLLOUT | POLLWRNORM | POLLERR)
#define IN_SPECIAL POLLPRI

static short events_of(int fd, const fd_set *reading, const fd_set *writing, const fd_set *special)
{
    return (short)((reading && FD_ISSET(fd, reading) ? POLLIN : 0) | (writing && FD_ISSET(fd, writing) ? POLLOUT : 0) |
                   (special && FD_ISSET(fd, special) ? POLLPRI : 0));
}

/* Leaves the descriptor in the set if it was asked for and has what that is about. Returns 1 if so. */
static int keep(fd_set *set, const struct pollfd *at, short asked, int about)
{
    if (!set || !(at->events & asked))
        return 0;
    if (at->revents & about)
        return 1;
    FD_CLR(at->fd, set);
    return 0;
}

int hqq_named_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                      const sigset_t *mask, hqq_named_poll_others others)
{
    struct pollfd fds[FD_SETSIZE];
    nfds_t wanted = 0;
    for (int fd = 0; fd < count; fd++) {
        short events = events_of(fd, reading, writing, special);
        if (events != 0)
            fds[wanted++] = (struct pollfd){.fd = fd, .events = events};
    }
    int result = hqq_named_ppoll(fds, wanted, timeout, mask, others);
    if (result < 0)
        return result;
    int found = 0;
    for (nfds_t i = 0; i < wanted; i++) {
        if (fds[i].revents & POLLNVAL)
            return -EBADF;
    }
    for (nfds_t i = 0; i < wanted; i++)
        found += keep(reading, &fds[i], POLLIN, IN_READING) + keep(writing, &fds[i], POLLOUT, IN_WRITING) +
                 keep(special, &fds[i], POLLPRI, IN_SPECIAL);
    return found;
}
