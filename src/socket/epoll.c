#include "socket/epoll.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#include <talloc.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/adopt.h"
#include "endpoint/life.h"
#include "endpoint/modes.h"
#include "endpoint/ownership.h"
#include "endpoint/receive.h"
#include "endpoint/scheduler.h"
#include "hqqsock/named.h"
#include "platform/clock.h"
#include "runtime/config.h"
#include "runtime/cursor.h"
#include "runtime/kernel.h"
#include "runtime/lock.h"
#include "runtime/pool.h"
#include "runtime/started.h"
#include "socket/face.h"
#include "socket/waiting.h"

/* Kinds of registration that count wakeups: the kernel's alone. */
#define KERNEL_KINDS (EPOLLONESHOT | EPOLLEXCLUSIVE)
#define READABLE (EPOLLIN | EPOLLRDNORM)

#define MEMBER_BUCKETS 256

/* How deep sets may lie within one another, as for the kernel. */
#define DEPTH 5

/* A registration: of an endpoint, of a socket that may become one, or of another set. Its memory stays, as that of all here: a thread
 * may be looking at it. */
struct member {
    struct hqq_membership membership; /* first; linked while there is an endpoint */
    struct member *next;              /* of the bucket */
    struct hqq_endpoint *endpoint;    /* NULL: not yet */
    struct epoll *inner;              /* another set, or NULL */
    int fd;
    struct epoll_event event;
    bool is_marked; /* the wait that looks now has found something */
};

struct epoll {
    struct hqq_object object; /* first */
    struct epoll *next;       /* of all there ever were */
    struct hqq_lock lock;
    hqq_atomic_u32 waiters; /* threads that are asleep in a wait for it */
    hqq_atomic_u32 busy;    /* members that are */
    hqq_atomic_u32 pending; /* members that are no endpoints yet, but may become some */
    hqq_atomic_u32 members, descriptors;
    bool is_foreign;   /* polled, or within another set */
    bool kernel_first; /* whose events go first, in turn, where there is room for few */
    struct member *bucket[MEMBER_BUCKETS];
};

static struct hqq_pool set_pool = HQQ_POOL(struct epoll);
static struct hqq_pool member_pool = HQQ_POOL(struct member);
static hqq_atomic_pointer all;

/* ---- Sets -------------------------------------------------------------------------------------------------------- */

static struct epoll *find(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return object && object->ops == &hqq_epoll_ops ? (struct epoll *)(void *)object : NULL;
}

static struct epoll *find_or_make(int fd)
{
    struct epoll *set = find(fd);
    if (set || !hqq_fd_prepare(fd))
        return set;
    set = hqq_pool_take(&set_pool);
    if (!set)
        return NULL;
    set->object.ops = &hqq_epoll_ops;
    set->is_foreign = hqq_config_is_preload(); /* of unknown origin: others may wait for it, by other descriptors */
    hqq_store32_relaxed(&set->descriptors, 1);
    struct hqq_object *known = hqq_fd_get(fd);
    if ((known && known != &hqq_fd_plain) || !hqq_fd_replace(fd, known, set)) {
        hqq_pool_return(&set_pool, set);
        return find(fd);
    }
    do {
        set->next = hqq_load_pointer_acquire(&all);
    } while (!hqq_cas_pointer_release(&all, set->next, set));
    return set;
}

void hqq_epoll_made(int fd)
{
    struct epoll *set = find_or_make(fd);
    if (set)
        set->is_foreign = false;
}

/* Of an endpoint whose lock this takes; also in a handler of the thread that has it. */
static void link_endpoint(struct epoll *set, struct member *member, struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    member->membership.waiters = &set->waiters;
    member->membership.busy = &set->busy;
    member->endpoint = endpoint;
    hqq_scheduler_link(endpoint, &member->membership);
    if ((set->is_foreign || (member->event.events & KERNEL_KINDS)) && hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_WAITER);
    if (hqq_load32_relaxed(&endpoint->is_intercepted) == 0)
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
    hqq_endpoint_end_change(endpoint, has_lock);
}

static void unlink_endpoint(struct member *member)
{
    struct hqq_endpoint *endpoint = member->endpoint;
    if (!endpoint)
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    hqq_scheduler_unlink(endpoint, &member->membership);
    hqq_endpoint_end_change(endpoint, has_lock);
    member->endpoint = NULL;
}

static struct member **place_of(struct epoll *set, int fd)
{
    struct member **at = &set->bucket[(unsigned)fd % MEMBER_BUCKETS];
    while (*at && (*at)->fd != fd)
        at = &(*at)->next;
    return at;
}

static void remove_member(struct epoll *set, struct member **place)
{
    struct member *member = *place;
    if (!member->endpoint && !member->inner)
        hqq_sub32_relaxed(&set->pending, 1);
    unlink_endpoint(member);
    *place = member->next;
    hqq_sub32_relaxed(&set->members, 1);
    hqq_pool_return(&member_pool, member);
}

/* Members that have become endpoints since they were added. */
static void settle_pending(struct epoll *set)
{
    if (hqq_load32_relaxed(&set->pending) == 0 || !hqq_lock_take(&set->lock))
        return;
    for (int i = 0; i < MEMBER_BUCKETS; i++) {
        for (struct member *member = set->bucket[i]; member; member = member->next) {
            struct hqq_endpoint *endpoint = !member->endpoint && !member->inner ? hqq_endpoint_find(member->fd) : NULL;
            if (endpoint) {
                link_endpoint(set, member, endpoint);
                hqq_sub32_relaxed(&set->pending, 1);
            }
        }
    }
    hqq_lock_give(&set->lock);
}

/* ---- epoll_ctl --------------------------------------------------------------------------------------------------- */

/* What waits for the set is not seen: its endpoints, and those of sets within, get everything through the kernel. */
static void make_foreign(struct epoll *set, int depth)
{
    bool has_lock = hqq_lock_take(&set->lock);
    set->is_foreign = true;
    for (int i = 0; i < MEMBER_BUCKETS; i++) {
        for (struct member *member = set->bucket[i]; member; member = member->next) {
            if (member->endpoint && hqq_endpoint_mode(member->endpoint) <= HQQ_MODE_FOREIGN)
                hqq_endpoint_make_foreign(member->endpoint, HQQ_FOREIGN_WAITER);
            if (member->inner && depth < DEPTH)
                make_foreign(member->inner, depth + 1);
        }
    }
    if (has_lock)
        hqq_lock_give(&set->lock);
}

/* An epoll set says that the other one is none of its members, anything else that it is no set. */
static bool is_set(int fd, int other)
{
    return find(fd) ||
           (!hqq_fd_server(fd) && hqq_libc.epoll_ctl(fd, EPOLL_CTL_DEL, other, NULL) != 0 && errno == ENOENT);
}

static bool may_become_one(int fd)
{
    return hqq_endpoint_find(fd) != NULL || (!hqq_fd_server(fd) && hqq_adopt_is_candidate(fd));
}

static void put_member(struct epoll *set, int fd, const struct epoll_event *event, struct epoll *inner)
{
    struct member **place = place_of(set, fd);
    struct member *member = *place;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (member)
        remove_member(set, place);
    member = hqq_pool_take(&member_pool);
    if (!member) {
        if (endpoint)
            hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
        return;
    }
    memset(member, 0, sizeof(*member));
    member->fd = fd;
    member->event = *event;
    member->inner = inner;
    member->next = set->bucket[(unsigned)fd % MEMBER_BUCKETS];
    set->bucket[(unsigned)fd % MEMBER_BUCKETS] = member;
    hqq_add32_relaxed(&set->members, 1);
    if (endpoint)
        link_endpoint(set, member, endpoint);
    else if (!inner)
        hqq_add32_relaxed(&set->pending, 1);
}

/*
 * Threads may sleep in a wait for the set already. They must not miss what is sent from now on, so the socket is armed for them; and
 * they must learn of what its rings hold: it is registered for output as well for a moment, which wakes them; they find the kernel's
 * answer odd, and look. Beside a thread that begins to wait: it counts itself, then looks at busy (edge E1).
 */
static void nudge(struct epoll *set, int epoll, int fd, const struct epoll_event *event, struct hqq_endpoint *endpoint)
{
    struct epoll_event wider = *event;
    hqq_fence_full();
    if (hqq_load32_relaxed(&set->waiters) == 0 || hqq_receive_arm(endpoint, false))
        return;
    wider.events |= EPOLLOUT;
    int saved = errno;
    hqq_libc.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &wider);
    errno = saved;
}

static void note_change(int epoll, int operation, int fd, const struct epoll_event *event)
{
    bool is_inner = operation == EPOLL_CTL_ADD && is_set(fd, epoll);
    struct epoll *inner = is_inner ? find_or_make(fd) : find(fd);
    struct epoll *set =
        operation == EPOLL_CTL_DEL || (!inner && !may_become_one(fd)) ? find(epoll) : find_or_make(epoll);
    if (inner)
        make_foreign(inner, 0);
    if (!set)
        return;
    bool has_lock = hqq_lock_take(&set->lock);
    struct member **place = place_of(set, fd);
    if (operation == EPOLL_CTL_DEL) {
        if (*place)
            remove_member(set, place);
    } else if (*place || inner || may_become_one(fd)) {
        put_member(set, fd, event, inner);
    }
    if (has_lock)
        hqq_lock_give(&set->lock);
    struct hqq_endpoint *endpoint = operation != EPOLL_CTL_DEL ? hqq_endpoint_find(fd) : NULL;
    if (endpoint && hqq_load32_relaxed(&endpoint->is_busy) != 0) {
        hqq_receive_forget_report(endpoint); /* a socket that is added, or changed, is reported with what is there */
        nudge(set, epoll, fd, event, endpoint);
    }
}

int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->epoll_ctl)
        return hqq_face(object->ops->epoll_ctl(object, epoll, operation, fd, event));
    int result = hqq_libc.epoll_ctl(epoll, operation, fd, event);
    if (result != 0 || !hqq_start() || !hqq_config_is_enabled() || hqq_ownership_is_borrowed())
        return result;
    int saved = errno;
    note_change(epoll, operation, fd, event);
    errno = saved;
    return result;
}

/* ---- The life of a descriptor ------------------------------------------------------------------------------------ */

void hqq_epoll_forget(int fd)
{
    if (hqq_load32_relaxed(&hqq_named_count) != 0)
        hqq_named_epoll_forget(fd);
    for (struct epoll *set = hqq_load_pointer_acquire(&all); set; set = set->next) {
        if (hqq_load32_relaxed(&set->members) == 0)
            continue;
        bool has_lock = hqq_lock_take(&set->lock);
        struct member **place = place_of(set, fd);
        struct hqq_endpoint *endpoint = *place ? (*place)->endpoint : NULL;
        if (*place)
            remove_member(set, place);
        if (has_lock)
            hqq_lock_give(&set->lock);
        /* The kernel goes on reporting the socket by its other descriptors. */
        if (endpoint && hqq_load32_relaxed(&endpoint->descriptors) > 1)
            hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
    }
}

static void share(void *object, int fd, int duplicate)
{
    struct epoll *set = object;
    (void)fd;
    if (!hqq_fd_prepare(duplicate)) {
        make_foreign(set, 0);
        return;
    }
    hqq_add32_relaxed(&set->descriptors, 1);
    hqq_fd_set(duplicate, set);
}

static void leave(void *object, int fd, bool is_closing)
{
    struct epoll *set = object;
    (void)is_closing;
    hqq_fd_set(fd, NULL);
    if (hqq_sub32_relaxed(&set->descriptors, 1) != 1)
        return;
    bool has_lock = hqq_lock_take(&set->lock);
    for (int i = 0; i < MEMBER_BUCKETS; i++) {
        while (set->bucket[i])
            remove_member(set, &set->bucket[i]);
    }
    set->is_foreign = false;
    if (has_lock)
        hqq_lock_give(&set->lock);
}

const struct hqq_ops hqq_epoll_ops = {.family = HQQ_FAMILY_NONE, .share = share, .leave = leave};

/* Sets live on in the child, where nobody waits for them yet; what waits for them in two processes is not seen. */
void hqq_epoll_reset_locks(void)
{
    hqq_lock_reset(&set_pool.lock);
    hqq_lock_reset(&member_pool.lock);
    for (struct epoll *set = hqq_load_pointer_acquire(&all); set; set = set->next) {
        hqq_lock_reset(&set->lock);
        hqq_store32_relaxed(&set->waiters, 0);
    }
}

/* ---- As a descriptor that is waited for --------------------------------------------------------------------------- */

bool hqq_epoll_is_polled(struct hqq_object *object)
{
    struct epoll *set = (struct epoll *)(void *)object;
    settle_pending(set);
    if (!set->is_foreign)
        make_foreign(set, 0);
    return hqq_load32_relaxed(&set->members) != 0;
}

static bool has_data(struct epoll *set, int depth)
{
    bool has = false;
    bool has_lock = hqq_lock_take(&set->lock);
    for (int i = 0; i < MEMBER_BUCKETS && !has; i++) {
        for (struct member *member = set->bucket[i]; member && !has; member = member->next) {
            has =
                member->endpoint && (member->event.events & READABLE) && hqq_receive_is_ready(member->endpoint, false);
            has = has || (member->inner && depth < DEPTH && has_data(member->inner, depth + 1));
        }
    }
    if (has_lock)
        hqq_lock_give(&set->lock);
    return has;
}

bool hqq_epoll_has_data(int fd)
{
    struct epoll *set = find(fd);
    return set && has_data(set, 0);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------ */

/* Which call the program made. */
enum variant { EPOLL_WAIT, EPOLL_PWAIT, EPOLL_PWAIT2 };

struct epoll_wait {
    struct hqq_waiting wait; /* first */
    struct epoll *set;
    enum variant variant;
    int epoll;
    struct epoll_event *events;
    int count;
    bool is_marked; /* a member is */
    bool is_blind;  /* it sleeps with members that may become endpoints meanwhile */
};

/* Places are buckets times a power of two, and positions in them: members come and go while nobody holds the lock, so that a place may
 * be passed twice or not at all; the next look finds it. */
#define BUCKET_SHIFT 32

static struct member *member_at(struct epoll *set, size_t *place)
{
    size_t bucket = *place >> BUCKET_SHIFT, index = *place & UINT32_MAX;
    for (; bucket < MEMBER_BUCKETS; bucket++, index = 0) {
        struct member *member = set->bucket[bucket];
        for (size_t i = 0; member && i < index; i++)
            member = member->next;
        if (member) {
            *place = bucket << BUCKET_SHIFT | (index + 1);
            return member;
        }
    }
    *place = bucket << BUCKET_SHIFT;
    return NULL;
}

static struct member *next_member(struct epoll_wait *epoll, size_t *place)
{
    struct member *member;
    while ((member = member_at(epoll->set, place))) {
        if (member->endpoint && (member->event.events & READABLE))
            return member;
    }
    return NULL;
}

static struct hqq_endpoint *next(struct hqq_waiting *wait, size_t *place, bool *ret_is_edge)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    struct member *member = hqq_load32_relaxed(&epoll->set->busy) != 0 ? next_member(epoll, place) : NULL;
    if (!member)
        return NULL;
    *ret_is_edge = (member->event.events & (EPOLLET | KERNEL_KINDS)) != 0;
    wait->fd = member->fd;
    return member->endpoint;
}

static void mark(struct hqq_waiting *wait, size_t place)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    size_t at = place - 1;
    struct member *member = member_at(epoll->set, &at);
    if (member)
        epoll->is_marked = member->is_marked = true;
}

/* What has been taken from the kernel must be reported: where there is room for few events, it is asked for one less every other
 * time, so that the marked members get their turn. */
static int room_for_kernel(struct epoll_wait *epoll)
{
    if (!epoll->is_marked)
        return epoll->count;
    epoll->set->kernel_first = !epoll->set->kernel_first;
    return epoll->set->kernel_first ? epoll->count : epoll->count - 1;
}

static int milliseconds(uint64_t ns)
{
    uint64_t ms = ns / HQQ_NS_PER_MS + (ns % HQQ_NS_PER_MS != 0);
    return ns == HQQ_FOREVER ? -1 : ms < INT32_MAX ? (int)ms : INT32_MAX;
}

/* By the call that the program made, as a filter may allow that one alone. */
static int call_kernel(const struct epoll_wait *epoll, int room, const struct timespec *span)
{
    uint64_t ns = span ? (uint64_t)span->tv_sec * HQQ_NS_PER_S + (uint64_t)span->tv_nsec : HQQ_FOREVER;
    switch (epoll->variant) {
    case EPOLL_WAIT:
        return hqq_libc.epoll_wait(epoll->epoll, epoll->events, room, milliseconds(ns));
    case EPOLL_PWAIT:
        return hqq_libc.epoll_pwait(epoll->epoll, epoll->events, room, milliseconds(ns), epoll->wait.mask);
    case EPOLL_PWAIT2:
    default:
        return hqq_libc.epoll_pwait2(epoll->epoll, epoll->events, room, span, epoll->wait.mask);
    }
}

static void forget_marks(struct epoll_wait *epoll)
{
    size_t place = 0;
    struct member *member;
    epoll->is_marked = false;
    while ((member = next_member(epoll, &place)))
        member->is_marked = false;
}

static int call(struct hqq_waiting *wait, const struct timespec *span)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    bool only_looks = span && span->tv_sec == 0 && span->tv_nsec == 0;
    int room = only_looks ? room_for_kernel(epoll) : epoll->count;
    int found = room == 0 ? 0 : call_kernel(epoll, room, span);
    if (found < 0 && epoll->is_marked && errno != EINTR)
        forget_marks(epoll);
    return found;
}

/* An event that the kernel reports too has all that is ready. */
static uint32_t events_of(const struct member *member)
{
    uint32_t events = member->event.events & READABLE;
    struct pollfd ready = {.fd = member->fd, .events = POLLOUT};
    if ((member->event.events & EPOLLOUT) && hqq_kernel_poll_now(&ready, 1) > 0)
        events |= (uint32_t)ready.revents & EPOLLOUT;
    return events;
}

/* False: there is no room for it. */
static bool add_event(struct epoll_wait *epoll, int *found, const struct member *member)
{
    for (int i = 0; i < *found; i++) {
        if (epoll->events[i].data.u64 == member->event.data.u64) {
            epoll->events[i].events |= member->event.events & READABLE;
            return true;
        }
    }
    if (*found == epoll->count)
        return false;
    epoll->events[*found].events = events_of(member);
    epoll->events[*found].data = member->event.data;
    *found += 1;
    return true;
}

static int merge(struct hqq_waiting *wait, int found)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    size_t place = 0;
    struct member *member;
    epoll->is_marked = false;
    while ((member = next_member(epoll, &place))) {
        if (!member->is_marked)
            continue;
        member->is_marked = false;
        if (add_event(epoll, &found, member) && (member->event.events & (EPOLLET | KERNEL_KINDS)))
            hqq_receive_report(member->endpoint);
    }
    return found;
}

static void count(struct hqq_waiting *wait, bool is_asleep)
{
    struct epoll_wait *epoll = (struct epoll_wait *)(void *)wait;
    if (is_asleep)
        epoll->is_blind = hqq_load32_relaxed(&epoll->set->pending) != 0;
    hqq_add32_relaxed(&epoll->set->waiters, is_asleep ? 1 : UINT32_MAX);
    if (epoll->is_blind)
        hqq_scheduler_count_blind_wait(is_asleep);
    hqq_fence_full(); /* edge E1 */
}

static const struct hqq_waiting_adapter adapter = {
    .next = next, .mark = mark, .call = call, .merge = merge, .count = count};

/* True if the arguments are such that the kernel need not see them first. */
static bool is_sound(const struct epoll_event *events, int max)
{
    return max > 0 && max <= INT32_MAX / (int)sizeof(*events) &&
           !hqq_is_bad_address(events, (size_t)max * sizeof(*events));
}

/* Events of sockets that were registered for more than the program asked for (nudge): what it did not ask for is taken out, and the
 * registration put right. Returns how many are left. */
static int without_nudges(struct epoll_wait *epoll, int found)
{
    int kept = 0;
    for (int i = 0; i < found; i++) {
        size_t place = 0;
        struct member *member = NULL;
        if (epoll->events[i].events & EPOLLOUT) {
            while ((member = next_member(epoll, &place)) && member->event.data.u64 != epoll->events[i].data.u64) {
            }
        }
        if (member && !(member->event.events & EPOLLOUT)) {
            epoll->events[i].events &= ~(uint32_t)EPOLLOUT;
            hqq_libc.epoll_ctl(epoll->epoll, EPOLL_CTL_MOD, member->fd, &member->event);
        }
        if (epoll->events[i].events != 0)
            epoll->events[kept++] = epoll->events[i];
    }
    return kept;
}

/* What the program asked for. */
struct asked {
    enum variant variant;
    int epoll;
    struct epoll_event *events;
    int max;
    uint64_t until_ns; /* HQQ_FOREVER: for ever */
    bool is_now;
    const sigset_t *mask;
};

/* A wait for those of a set that are none of AF_HQQ's. */
static int wait_in(struct epoll *set, const struct asked *asked)
{
    struct epoll_wait wait = {
        .wait = {.adapter = &adapter, .mask = asked->mask, .until_ns = asked->until_ns, .is_now = asked->is_now},
        .set = set,
        .variant = asked->variant,
        .epoll = asked->epoll,
        .events = asked->events,
        .count = asked->max,
    };
    settle_pending(set);
    for (;;) {
        int found = hqq_waiting_run(&wait.wait);
        if (found <= 0 || hqq_load32_relaxed(&set->busy) == 0)
            return found;
        found = without_nudges(&wait, found);
        if (found != 0 || asked->is_now)
            return found;
    }
}

static struct epoll *set_of(int epoll, const struct epoll_event *events, int max)
{
    struct epoll *set = find(epoll);
    return set && is_sound(events, max) ? set : NULL;
}

/* A set that nobody has told of is met at the first wait for it, as other threads may add sockets while this one sleeps. False: the
 * kernel had an answer. */
static bool meet(const struct asked *asked, int *ret_found)
{
    if (asked->is_now || hqq_config_is_preload() || find(asked->epoll) || !is_sound(asked->events, asked->max) ||
        !hqq_start() || !hqq_config_is_enabled())
        return true;
    *ret_found = hqq_libc.epoll_wait(asked->epoll, asked->events, asked->max, 0);
    if (*ret_found == 0)
        find_or_make(asked->epoll);
    return *ret_found == 0;
}

/* False: it is the kernel's alone. */
static bool serve_others(const struct asked *asked, int *ret_found)
{
    if (!meet(asked, ret_found))
        return true;
    struct epoll *set = set_of(asked->epoll, asked->events, asked->max);
    if (set)
        *ret_found = wait_in(set, asked);
    return set != NULL;
}

/* ---- With sockets of AF_HQQ --------------------------------------------------------------------------------------- */

static int wait_others(int epoll, struct epoll_event *events, int max, uint64_t span_ns, const sigset_t *mask)
{
    const struct asked asked = {
        .variant = EPOLL_PWAIT,
        .epoll = epoll,
        .events = events,
        .max = max,
        .until_ns = span_ns == 0 ? 0 : hqq_deadline_after(hqq_clock_ns(), span_ns),
        .is_now = span_ns == 0,
        .mask = mask,
    };
    int found;
    return serve_others(&asked, &found) ? found : hqq_libc.epoll_pwait(epoll, events, max, milliseconds(span_ns), mask);
}

static bool has_named(const struct asked *asked)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_named_count) != 0, 0) && is_sound(asked->events, asked->max) &&
           hqq_named_epoll_knows(asked->epoll);
}

static int wait_named(const struct asked *asked)
{
    return hqq_face(hqq_named_epoll_wait(asked->epoll, asked->events, asked->max, asked->until_ns, asked->is_now,
                                         asked->mask, wait_others));
}

/* A socket of AF_HQQ may have come into the set during the wait. True if nothing but its knocks was found, and they have been
 * dropped: the wait is to go on, for it too. */
static bool found_only_knocks(const struct asked *asked, int *result)
{
    if (__builtin_expect(*result <= 0 || hqq_load32_relaxed(&hqq_named_count) == 0, 1))
        return false;
    *result = hqq_named_epoll_without_knocks(asked->events, *result);
    return *result == 0 && !asked->is_now;
}

/* ---- The calls ----------------------------------------------------------------------------------------------------- */

/* False: it is the kernel's alone. */
static bool serve(const struct asked *asked, int *ret_found)
{
    if (has_named(asked)) {
        *ret_found = wait_named(asked);
        return true;
    }
    return serve_others(asked, ret_found);
}

static uint64_t until_ms(int timeout_ms)
{
    return timeout_ms > 0 ? hqq_deadline_after(hqq_clock_ns(), (uint64_t)timeout_ms * HQQ_NS_PER_MS) : HQQ_FOREVER;
}

int hqq_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    const struct asked asked = {EPOLL_PWAIT, epoll, events, count, until_ms(timeout_ms), timeout_ms == 0, mask};
    int found;
    if (!serve(&asked, &found))
        found = hqq_libc.epoll_pwait(epoll, events, count, timeout_ms, mask);
    return found_only_knocks(&asked, &found) ? wait_named(&asked) : found;
}

int hqq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    const struct asked asked = {EPOLL_WAIT, epoll, events, count, until_ms(timeout_ms), timeout_ms == 0, NULL};
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
    bool is_now = timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
    const struct asked asked = {EPOLL_PWAIT2, epoll, events, count, is_now ? 0 : hqq_deadline_in(timeout),
                                is_now,       mask};
    int found;
    if (!serve(&asked, &found))
        found = hqq_libc.epoll_pwait2(epoll, events, count, timeout, mask);
    return found_only_knocks(&asked, &found) ? wait_named(&asked) : found;
}
