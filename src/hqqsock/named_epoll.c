/*
 * epoll sets with sockets of AF_HQQ in them. In the kernel's set their descriptors stand for knocks, with data of our
 * own by which those events are told from the app's and dropped; what the app asked for is kept in registrations, and
 * judged by looks at the rings. The other members of a set are waited for as ever (epoll.c).
 *
 * Registrations are few: one list for all, under one lock, which is held for no more than a walk along it.
 */
#include <errno.h>
#include <pthread.h>

#include "platform/clock.h"
#include "platform/process.h"
#include "ring/ring.h"
#include "standard/poll.h"
#include "standard/state.h"
#include "runtime/libc.h"
#include "runtime/lock.h"
#include "hqqsock/named.h"
#include "hqqsock/named_wait.h"

/* The data of knocks: no pointer, and no number that an app is likely to use. */
#define KNOCK UINT64_C(0xf3485151004b4e4f)

/* Registrations in all sets together. */
#define REGISTRATIONS 64

#define READABLE (EPOLLIN | EPOLLRDNORM)
#define WRITABLE (EPOLLOUT | EPOLLWRNORM)

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLHUP == POLLHUP && EPOLLRDNORM == POLLRDNORM &&
                   EPOLLWRNORM == POLLWRNORM,
               "events have the same numbers in both");

/* A socket in a set. */
struct registration {
    int epoll, fd;
    uint64_t generation;    /* of the process that registered it */
    bool is_used, is_spent; /* spent: EPOLLONESHOT, and told */
    struct epoll_event event;
    /* For EPOLLET: what was told last, and where both sides of the rings stood then. One side is not enough: a slot counts
     * as soon as it is claimed, and is there only once it is published. */
    uint32_t told;
    uint64_t told_read[2], told_written[2];
};

static struct hqq_lock lock;
static hqq_atomic_u32
    changes; /* moves with every change of a registration: who has collected them looks whether it has */
static struct registration registrations[REGISTRATIONS];

static struct registration *find(int epoll, int fd)
{
    for (int i = 0; i < REGISTRATIONS; i++) {
        if (registrations[i].is_used && registrations[i].epoll == epoll && registrations[i].fd == fd)
            return &registrations[i];
    }
    return NULL;
}

static struct registration *find_unused(void)
{
    for (int i = 0; i < REGISTRATIONS; i++) {
        if (!registrations[i].is_used)
            return &registrations[i];
    }
    return NULL;
}

/* ---- Registering ----------------------------------------------------------------------------------------------- */

/* The kernel's set knows whether the call is right; it gets knocks to wait for, whatever the app asks for. */
static int tell_kernel(int epoll, int operation, int fd)
{
    struct epoll_event knock = {.events = EPOLLIN, .data.u64 = KNOCK};
    return hqq_libc.epoll_ctl(epoll, operation, fd, &knock) != 0 ? -errno : 0;
}

static int change(int epoll, int operation, int fd, const struct epoll_event *event)
{
    struct registration *at = operation == EPOLL_CTL_ADD ? find_unused() : find(epoll, fd);
    if (operation == EPOLL_CTL_ADD && !at)
        return -ENOSPC;
    int result = tell_kernel(epoll, operation, fd);
    if (result != 0 || !at)
        return result;
    *at = (struct registration){
        .epoll = epoll, .fd = fd, .generation = hqq_process_generation(), .is_used = operation != EPOLL_CTL_DEL};
    if (at->is_used)
        at->event = *event;
    hqq_add32_relaxed(&changes, 1);
    return 0;
}

int hqq_named_epoll_ctl(void *object, int epoll, int operation, int fd, const struct epoll_event *event)
{
    struct hqq_named *named = object;
    if (operation != EPOLL_CTL_DEL && !event)
        return -EFAULT;
    if (!hqq_lock_take(&lock))
        return -EAGAIN; /* a signal handler inside this very function */
    int result = change(epoll, operation, fd, event);
    hqq_lock_give(&lock);
    if (result == 0 && operation != EPOLL_CTL_DEL &&
        hqq_named_enter(named, fd)) { /* threads that wait for the set already are to see it */
        hqq_named_knock(named);
        hqq_named_drop(named);
    }
    return result;
}

bool hqq_named_epoll_knows(int epoll)
{
    bool knows = false;
    if (!hqq_lock_take(&lock))
        return false;
    for (int i = 0; i < REGISTRATIONS && !knows; i++)
        knows = registrations[i].is_used && registrations[i].epoll == epoll;
    hqq_lock_give(&lock);
    return knows;
}

/* The kernel keeps a socket in its set as long as a duplicate of it is open: it is taken out, but not in a child of a fork,
 * which has the set in common with its parent. */
void hqq_named_epoll_forget(int fd)
{
    int saved = errno;
    if (!hqq_lock_take(&lock))
        return;
    for (int i = 0; i < REGISTRATIONS; i++) {
        struct registration *at = &registrations[i];
        if (!at->is_used || (at->epoll != fd && at->fd != fd))
            continue;
        if (at->fd == fd && hqq_process_is_generation(at->generation))
            (void)tell_kernel(at->epoll, EPOLL_CTL_DEL, fd);
        at->is_used = false;
        hqq_add32_relaxed(&changes, 1);
    }
    hqq_lock_give(&lock);
    errno = saved;
}

void hqq_named_epoll_reset_lock(void)
{
    hqq_lock_reset(&lock);
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

/* One wait: the registrations of its set, entered. */
struct waiting {
    int epoll, members;
    struct epoll_event *events;
    int count;
    hqq_named_epoll_others others;
    struct registration at[REGISTRATIONS];
    struct hqq_named_sleep sleeps[REGISTRATIONS];
};

static void collect(struct waiting *waiting)
{
    waiting->members = 0;
    if (!hqq_lock_take(&lock))
        return;
    for (int i = 0; i < REGISTRATIONS; i++) {
        const struct registration *at = &registrations[i];
        struct hqq_named *named = at->is_used && at->epoll == waiting->epoll ? hqq_named_enter_fd(at->fd) : NULL;
        if (!named)
            continue;
        struct hqq_link *link = hqq_named_link(named);
        waiting->at[waiting->members] = *at;
        waiting->sleeps[waiting->members++] = (struct hqq_named_sleep){
            .named = named,
            .link = link,
            .fd = at->fd,
            .reads = link && !at->is_spent && (at->event.events & READABLE) != 0,
            .writes = link && !at->is_spent && (at->event.events & WRITABLE) != 0,
            .is_edge = (at->event.events & EPOLLET) != 0,
        };
    }
    hqq_lock_give(&lock);
}

static void wake_all(struct waiting *waiting)
{
    for (int i = 0; i < waiting->members; i++)
        hqq_named_wake(&waiting->sleeps[i]);
}

static void leave(void *argument)
{
    struct waiting *waiting = argument;
    int saved = errno;
    wake_all(waiting);
    for (int i = 0; i < waiting->members; i++)
        hqq_named_drop(waiting->sleeps[i].named);
    errno = saved;
}

static void note_ring(const struct hqq_ring *ring, uint64_t position[2])
{
    position[0] = hqq_load_relaxed(hqq_ring_w(ring));
    position[1] = hqq_load_relaxed(hqq_ring_r(ring));
}

/* True if somebody has written or read there since. */
static bool has_moved(const struct hqq_ring *ring, const uint64_t position[2])
{
    return hqq_load_relaxed(hqq_ring_w(ring)) != position[0] || hqq_load_relaxed(hqq_ring_r(ring)) != position[1];
}

/* What there is to tell of a socket now; 0: nothing, or nothing new to an edge-triggered wait. */
static uint32_t news(const struct registration *at, const struct hqq_named_sleep *sleep)
{
    uint32_t asked = at->event.events;
    if (at->is_spent || hqq_load32_acquire(&sleep->named->is_closed) != 0)
        return 0;
    uint32_t events = (uint32_t)(uint16_t)hqq_named_events(sleep->named, (short)(asked & (READABLE | WRITABLE)));
    if (!(asked & EPOLLET))
        return events;
    bool is_new = (events & ~at->told) != 0 ||
                  (sleep->link && events & READABLE && has_moved(&sleep->link->rx, at->told_read)) ||
                  (sleep->link && events & WRITABLE && has_moved(&sleep->link->tx, at->told_written));
    return is_new ? events : 0;
}

/* Remembers what was told, here and for the waits that come. */
static void note_told(struct registration *own, const struct registration *noted, uint32_t events)
{
    *own = *noted;
    own->told = events;
    own->is_spent = (own->event.events & EPOLLONESHOT) != 0;
    if (!hqq_lock_take(&lock))
        return;
    struct registration *at = find(own->epoll, own->fd);
    if (at && at->event.events == own->event.events && at->event.data.u64 == own->event.data.u64)
        *at = *own;
    hqq_lock_give(&lock);
}

/* Adds the events of our sockets behind those that are there. Where a ring stands is noted before the look, so that what
 * comes after it is told, perhaps again. */
static int tell(struct waiting *waiting, int found)
{
    for (int i = 0; i < waiting->members && found < waiting->count; i++) {
        const struct hqq_named_sleep *sleep = &waiting->sleeps[i];
        struct registration noted = waiting->at[i];
        if (sleep->link) {
            note_ring(&sleep->link->rx, noted.told_read);
            note_ring(&sleep->link->tx, noted.told_written);
        }
        uint32_t events = news(&waiting->at[i], sleep);
        if (events == 0)
            continue;
        waiting->events[found].events = events;
        waiting->events[found++].data = noted.event.data;
        note_told(&waiting->at[i], &noted, events);
    }
    return found;
}

int hqq_named_epoll_without_knocks(struct epoll_event *events, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 != KNOCK)
            events[kept++] = events[i];
    }
    return kept;
}

static uint64_t arm_all(struct waiting *waiting, uint64_t until_ns)
{
    uint64_t limit = until_ns;
    for (int i = 0; i < waiting->members && limit != 0; i++) {
        struct hqq_named_sleep *sleep = &waiting->sleeps[i];
        uint64_t own = hqq_named_arm(sleep);
        if (news(&waiting->at[i], sleep) != 0)
            own = 0;
        limit = own < limit ? own : limit;
    }
    return limit;
}

/* Those that are none of ours first, so that they get their turn where there is room for few. */
static int ask_and_tell(struct waiting *waiting, uint64_t span_ns, const sigset_t *mask)
{
    int found = waiting->others(waiting->epoll, waiting->events, waiting->count, span_ns, mask);
    int saved = errno;
    wake_all(waiting);
    errno = saved;
    return found < 0 ? found : tell(waiting, hqq_named_epoll_without_knocks(waiting->events, found));
}

static bool has_news(const struct waiting *waiting)
{
    for (int i = 0; i < waiting->members; i++) {
        if (news(&waiting->at[i], &waiting->sleeps[i]) != 0)
            return true;
    }
    return false;
}

/* One look and, if there is nothing, one sleep. Other threads may change the set at any time: what was collected is armed,
 * and only if it is still all there is the sleep is begun. */
static int wait_once(struct waiting *waiting, uint64_t until_ns, bool is_now, const sigset_t *mask, uint32_t collected)
{
    const struct hqq_named_sleep *first = &waiting->sleeps[0];
    bool is_ready = is_now || has_news(waiting);
    bool spins = !is_ready && waiting->members != 0 && first->reads && !first->is_edge;
    if (spins && hqq_link_spin(first->link, HQQ_WAIT_DATA))
        return 0;
    uint64_t limit = is_ready ? 0 : arm_all(waiting, until_ns);
    if (hqq_load32_relaxed(&changes) != collected)
        limit = 0;
    return ask_and_tell(waiting, hqq_clock_left(limit), mask);
}

int hqq_named_epoll_wait(int epoll, struct epoll_event *events, int count, uint64_t until_ns, bool is_now,
                         const sigset_t *mask, hqq_named_epoll_others others)
{
    struct waiting waiting; /* large, and set by collect() as far as it is used */
    int found;
    waiting.epoll = epoll;
    waiting.events = events;
    waiting.count = count;
    waiting.others = others;
    do {
        uint32_t collected = hqq_load32_acquire(&changes);
        collect(&waiting);
        pthread_cleanup_push(leave, &waiting);
        found = wait_once(&waiting, until_ns, is_now, mask, collected);
        pthread_cleanup_pop(1);
    } while (found == 0 && !is_now && (until_ns == HQQ_FOREVER || hqq_clock_ns() < until_ns));
    return found < 0 ? -errno : found;
}
