#include "socket/epoll_set.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

#include <hqq/socket.h>

#include "endpoint/adopt.h"
#include "endpoint/life.h"
#include "endpoint/modes.h"
#include "endpoint/ownership.h"
#include "endpoint/ready.h"
#include "hqqsock/named.h"
#include "runtime/config.h"
#include "runtime/filter.h"
#include "runtime/frame.h"
#include "runtime/libc.h"
#include "runtime/pool.h"
#include "runtime/reserved.h"
#include "runtime/started.h"
#include "socket/face.h"

/* Kinds of registration that count wakeups: the kernel's alone. */
#define KERNEL_KINDS (EPOLLONESHOT | EPOLLEXCLUSIVE)

/* How deep sets may lie within one another, as for the kernel. */
#define DEPTH 5

static struct hqq_pool set_pool = HQQ_POOL(struct hqq_epoll_set);
static struct hqq_pool member_pool = HQQ_POOL(struct hqq_epoll_member);
static hqq_atomic_pointer all;

/* ---- Sets -------------------------------------------------------------------------------------------------------- */

struct hqq_epoll_set *hqq_epoll_find(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return object && object->ops == &hqq_epoll_ops ? (struct hqq_epoll_set *)(void *)object : NULL;
}

/* One that is not in use any more. */
static struct hqq_epoll_set *find_unused(void)
{
    for (struct hqq_epoll_set *set = hqq_load_pointer_acquire(&all); set; set = set->next) {
        if (hqq_load32_relaxed(&set->descriptors) == 0 && hqq_load32_relaxed(&set->waiters) == 0 &&
            hqq_load32_relaxed(&set->members) == 0 && hqq_cas32_acquire(&set->descriptors, 0, 1))
            return set;
    }
    return NULL;
}

static struct hqq_epoll_set *make(void)
{
    struct hqq_epoll_set *set = hqq_pool_take(&set_pool);
    if (!set)
        return NULL;
    set->object.ops = &hqq_epoll_ops;
    hqq_store32_relaxed(&set->descriptors, 1);
    do {
        set->next = hqq_load_pointer_acquire(&all);
    } while (!hqq_cas_pointer_release(&all, set->next, set));
    return set;
}

struct hqq_epoll_set *hqq_epoll_find_or_make(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_find(fd);
    if (set || !hqq_fd_prepare(fd))
        return set;
    set = find_unused();
    if (!set)
        set = make();
    if (!set)
        return NULL;
    /* Of unknown origin: others may wait for it, by other descriptors. */
    hqq_store32_relaxed(&set->is_foreign, hqq_config_is_preload());
    hqq_store32_relaxed(&set->is_polled, 0);
    struct hqq_object *known = hqq_fd_get(fd);
    if ((!known || known == &hqq_fd_plain) && hqq_fd_replace(fd, known, set))
        return set;
    hqq_store32_release(&set->descriptors, 0);
    return hqq_epoll_find(fd);
}

void hqq_epoll_made(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_find_or_make(fd);
    if (set)
        hqq_store32_relaxed(&set->is_foreign, 0);
}

/* ---- Changes ------------------------------------------------------------------------------------------------------ */

/* Under a change, which a handler may interrupt, and jump out of: its frame's object is the set. */
static void apply(struct hqq_epoll_set *set, const struct hqq_epoll_change *change);

/* What handlers have wanted meanwhile is done now. */
static void finish_change(struct hqq_epoll_set *set)
{
    for (uint32_t i = 0; i < set->deferred_count; i++)
        apply(set, &set->deferred[i]);
    set->deferred_count = 0;
    if (hqq_load32_relaxed(&set->version) & 1) /* a jump may have come before it was, or after */
        hqq_add32_release(&set->version, 1);
    hqq_lock_give(&set->lock);
}

static void abandon_change(struct hqq_frame *frame)
{
    struct hqq_epoll_set *set = frame->object;
    if (!hqq_lock_is_mine(&set->lock))
        return;
    if (set->linking && hqq_lock_is_mine(&set->linking->receive_lock)) {
        set->linking->changing = 0;
        hqq_lock_give(&set->linking->receive_lock);
    }
    set->linking = NULL;
    finish_change(set);
}

/* False: this is a handler, and what it has interrupted is changing the set. */
static bool begin_change(struct hqq_frame *frame, struct hqq_epoll_set *set)
{
    frame->leave = abandon_change;
    frame->object = set;
    hqq_frame_push(frame);
    if (!hqq_lock_take(&set->lock)) {
        hqq_frame_pop(frame);
        return false;
    }
    hqq_store32_release(&set->version, hqq_load32_relaxed(&set->version) | 1);
    hqq_fence_full();
    return true;
}

static void end_change(struct hqq_frame *frame)
{
    finish_change(frame->object);
    hqq_frame_pop(frame);
}

static void defer(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    if (set->deferred_count < HQQ_EPOLL_DEFERRED)
        set->deferred[set->deferred_count++] = *change;
}

/* ---- Members ------------------------------------------------------------------------------------------------------- */

/* Takes the endpoint's lock; also in a handler of the thread that has it. */
static bool lock_endpoint(struct hqq_epoll_set *set, struct hqq_endpoint *endpoint)
{
    set->linking = hqq_lock_is_mine(&endpoint->receive_lock) ? NULL : endpoint;
    hqq_fence_compiler();
    return hqq_endpoint_begin_change(endpoint);
}

static void unlock_endpoint(struct hqq_epoll_set *set, struct hqq_endpoint *endpoint, bool has_lock)
{
    hqq_endpoint_end_change(endpoint, has_lock);
    hqq_fence_compiler();
    set->linking = NULL;
}

static void link_endpoint(struct hqq_epoll_set *set, struct hqq_epoll_member *member, struct hqq_endpoint *endpoint)
{
    bool has_lock = lock_endpoint(set, endpoint);
    member->membership.waiters = &set->waiters;
    member->membership.busy = &set->busy;
    hqq_store_pointer_release(&member->endpoint, endpoint);
    hqq_scheduler_link(endpoint, &member->membership);
    hqq_scheduler_forget_report(endpoint, &member->membership);
    if ((hqq_load32_relaxed(&set->is_foreign) != 0 || (hqq_load32_relaxed(&member->events) & KERNEL_KINDS)) &&
        hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_WAITER);
    if (hqq_load32_relaxed(&endpoint->is_intercepted) == 0)
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
    unlock_endpoint(set, endpoint, has_lock);
}

static void unlink_endpoint(struct hqq_epoll_set *set, struct hqq_epoll_member *member)
{
    struct hqq_endpoint *endpoint = hqq_load_pointer_acquire(&member->endpoint);
    if (!endpoint)
        return;
    bool has_lock = lock_endpoint(set, endpoint);
    hqq_scheduler_unlink(endpoint, &member->membership);
    unlock_endpoint(set, endpoint, has_lock);
    hqq_store_pointer_release(&member->endpoint, NULL);
}

/* Where the pointer to a member is; that is NULL if there is none. */
static hqq_atomic_pointer *place_of(struct hqq_epoll_set *set, int fd)
{
    hqq_atomic_pointer *at = &set->bucket[(unsigned)fd % HQQ_EPOLL_BUCKETS];
    struct hqq_epoll_member *member;
    while ((member = hqq_load_pointer_acquire(at)) && (int)hqq_load32_relaxed(&member->fd) != fd)
        at = &member->next;
    return at;
}

#define BUCKET_SHIFT 32

struct hqq_epoll_member *hqq_epoll_member_at(const struct hqq_epoll_set *set, size_t first_bucket, size_t *place)
{
    size_t bucket = *place >> BUCKET_SHIFT, index = *place & UINT32_MAX;
    for (; bucket < HQQ_EPOLL_BUCKETS; bucket++, index = 0) {
        struct hqq_epoll_member *member = hqq_epoll_first(set, first_bucket + bucket);
        for (size_t i = 0; member && i < index; i++)
            member = hqq_epoll_next(member);
        if (member) {
            *place = bucket << BUCKET_SHIFT | (index + 1);
            return member;
        }
    }
    *place = bucket << BUCKET_SHIFT;
    return NULL;
}

static bool is_pending(const struct hqq_epoll_member *member)
{
    return !hqq_load_pointer_acquire(&member->endpoint) && !hqq_load_pointer_acquire(&member->inner);
}

static void remove_member(struct hqq_epoll_set *set, hqq_atomic_pointer *place)
{
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(place);
    if (is_pending(member))
        hqq_sub32_relaxed(&set->pending, 1);
    unlink_endpoint(set, member);
    hqq_store_pointer_release(place, hqq_epoll_next(member));
    hqq_sub32_relaxed(&set->members, 1);
    hqq_store_pointer_release(&member->next, hqq_load_pointer_acquire(&set->unused));
    hqq_store_pointer_release(&set->unused, member);
}

static struct hqq_epoll_member *take_member(struct hqq_epoll_set *set)
{
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(&set->unused);
    if (!member)
        return hqq_pool_take(&member_pool);
    hqq_store_pointer_release(&set->unused, hqq_epoll_next(member));
    member->membership = (struct hqq_membership){0};
    return member;
}

static void put_member(struct hqq_epoll_set *set, int fd, const struct epoll_event *event, struct hqq_epoll_set *inner)
{
    hqq_atomic_pointer *place = place_of(set, fd);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (hqq_load_pointer_acquire(place))
        remove_member(set, place);
    struct hqq_epoll_member *member = take_member(set);
    if (!member) {
        if (endpoint)
            hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
        return;
    }
    hqq_atomic_pointer *bucket = &set->bucket[(unsigned)fd % HQQ_EPOLL_BUCKETS];
    hqq_store32_relaxed(&member->fd, (uint32_t)fd);
    hqq_store32_relaxed(&member->events, event->events);
    hqq_store_relaxed(&member->data, event->data.u64);
    hqq_store32_relaxed(&member->is_disarmed, 0);
    hqq_store_pointer_release(&member->inner, inner);
    hqq_store_pointer_release(&member->next, hqq_load_pointer_acquire(bucket));
    hqq_store_pointer_release(bucket, member);
    hqq_add32_relaxed(&set->members, 1);
    if (endpoint)
        link_endpoint(set, member, endpoint);
    else if (!inner)
        hqq_add32_relaxed(&set->pending, 1);
}

static void link_pending(struct hqq_epoll_set *set)
{
    struct hqq_frame frame;
    struct hqq_epoll_member *member;
    if (hqq_load32_relaxed(&set->pending) == 0 || !begin_change(&frame, set))
        return;
    for (size_t place = 0; (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_endpoint *endpoint =
            is_pending(member) ? hqq_endpoint_find((int)hqq_load32_relaxed(&member->fd)) : NULL;
        if (endpoint) {
            link_endpoint(set, member, endpoint);
            hqq_sub32_relaxed(&set->pending, 1);
        }
    }
    end_change(&frame);
}

static void settle(struct hqq_epoll_set *set, int depth)
{
    struct hqq_epoll_member *member;
    link_pending(set);
    if (depth == DEPTH || hqq_load32_relaxed(&set->is_polled) == 0)
        return;
    for (size_t place = 0; (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_epoll_set *inner = hqq_load_pointer_acquire(&member->inner);
        if (inner) {
            hqq_epoll_nudged(inner, (int)hqq_load32_relaxed(&member->fd));
            settle(inner, depth + 1);
        }
    }
}

void hqq_epoll_settle(struct hqq_epoll_set *set)
{
    settle(set, 0);
}

void hqq_epoll_settle_all(void)
{
    for (struct hqq_epoll_set *set = hqq_load_pointer_acquire(&all); set; set = set->next)
        link_pending(set);
}

/* What waits for the set is not seen: its endpoints, and those of sets within, get everything through the kernel. */
static void make_foreign(struct hqq_epoll_set *set, int depth)
{
    struct hqq_frame frame;
    struct hqq_epoll_member *member;
    bool has_lock = begin_change(&frame, set);
    hqq_store32_relaxed(&set->is_foreign, 1);
    for (size_t place = 0; (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_endpoint *endpoint = hqq_load_pointer_acquire(&member->endpoint);
        struct hqq_epoll_set *inner = hqq_load_pointer_acquire(&member->inner);
        if (endpoint && hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
            hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
        if (inner && depth < DEPTH)
            make_foreign(inner, depth + 1);
    }
    if (has_lock)
        end_change(&frame);
}

static void make_polled(struct hqq_epoll_set *set)
{
    hqq_store32_relaxed(&set->is_polled, 1);
    make_foreign(set, 0);
}

static void pass(void *object)
{
    make_foreign(object, 0);
}

/* ---- Waking -------------------------------------------------------------------------------------------------------- */

/* A descriptor that is readable for good, of which an event wakes who sleeps in a set. */
static int nudge_fd = -1;
static struct hqq_lock nudge_lock;
#define NUDGE_DATA ((uint64_t)(uintptr_t)&nudge_fd)

static int nudging_descriptor(void)
{
    bool has_lock = hqq_lock_take(&nudge_lock);
    if (has_lock && (nudge_fd < 0 || !hqq_reserved_is(nudge_fd)) && !hqq_filter_is_set()) {
        nudge_fd = -1;
        hqq_reserved_take(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), &nudge_fd, &nudge_lock);
    }
    if (has_lock)
        hqq_lock_give(&nudge_lock);
    return nudge_fd;
}

bool hqq_epoll_is_nudge(const struct epoll_event *event)
{
    return event->data.u64 == NUDGE_DATA;
}

void hqq_epoll_nudged(struct hqq_epoll_set *set, int epoll)
{
    int saved = errno;
    if (hqq_load32_acquire(&set->is_nudged) == 0)
        return;
    hqq_store32_relaxed(&set->is_nudged, 0);
    hqq_libc.epoll_ctl(epoll, EPOLL_CTL_DEL, nudge_fd, NULL);
    errno = saved;
}

/*
 * Threads may sleep in a wait for the set already. They must not miss what is sent from now on, so the socket is armed for them; and
 * they must learn of what its rings hold. So it is with who sleeps in a wait for this set as a descriptor. Beside a thread that
 * begins to wait: it counts itself, then looks at busy (edge E1).
 */
static void nudge(struct hqq_epoll_set *set, int epoll, struct hqq_endpoint *endpoint, const struct epoll_event *event)
{
    hqq_fence_full();
    if ((hqq_load32_relaxed(&set->waiters) == 0 && hqq_load32_relaxed(&set->is_polled) == 0) ||
        hqq_ready_arm(endpoint, NULL) || !(event->events & HQQ_EPOLL_READABLE))
        return;
    struct epoll_event ours = {.events = EPOLLIN | EPOLLET, .data.u64 = NUDGE_DATA};
    int saved = errno, fd = nudging_descriptor();
    hqq_store32_release(&set->is_nudged, 1);
    if (fd >= 0 && hqq_libc.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ours) != 0 && errno == EEXIST)
        hqq_libc.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ours);
    errno = saved;
}

/* ---- epoll_ctl ----------------------------------------------------------------------------------------------------- */

/* An epoll set says that the other one is none of its members, anything else that it is no set. */
static bool is_set(int fd, int other)
{
    return hqq_epoll_find(fd) ||
           (!hqq_fd_server(fd) && hqq_libc.epoll_ctl(fd, EPOLL_CTL_DEL, other, NULL) != 0 && errno == ENOENT);
}

static bool may_become_one(int fd)
{
    return hqq_endpoint_find(fd) != NULL || (!hqq_fd_server(fd) && hqq_adopt_is_candidate(fd));
}

/* Under the set's lock. */
static void apply(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    hqq_atomic_pointer *place = place_of(set, change->fd);
    bool is_member = hqq_load_pointer_acquire(place) != NULL;
    struct hqq_epoll_set *inner = hqq_epoll_find(change->fd);
    if (change->operation == EPOLL_CTL_DEL) {
        if (is_member)
            remove_member(set, place);
    } else if (is_member || inner || may_become_one(change->fd)) {
        put_member(set, change->fd, &change->event, inner);
    }
}

static void change_set(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    struct hqq_frame frame;
    if (!begin_change(&frame, set)) {
        defer(set, change);
        return;
    }
    apply(set, change);
    end_change(&frame);
}

static void note_change(const struct hqq_epoll_change *change)
{
    int fd = change->fd;
    struct hqq_epoll_set *inner = change->operation == EPOLL_CTL_ADD && is_set(fd, change->epoll)
                                      ? hqq_epoll_find_or_make(fd)
                                      : hqq_epoll_find(fd);
    struct hqq_epoll_set *set = change->operation == EPOLL_CTL_DEL || (!inner && !may_become_one(fd))
                                    ? hqq_epoll_find(change->epoll)
                                    : hqq_epoll_find_or_make(change->epoll);
    if (inner)
        make_polled(inner);
    if (!set)
        return;
    change_set(set, change);
    struct hqq_endpoint *endpoint = change->operation != EPOLL_CTL_DEL ? hqq_endpoint_find(fd) : NULL;
    if (endpoint && hqq_load32_relaxed(&endpoint->is_busy) != 0)
        nudge(set, change->epoll, endpoint, &change->event);
}

int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->epoll_ctl)
        return hqq_face(object->ops->epoll_ctl(object, epoll, operation, fd, event));
    hqq_frames_recover();
    int result = hqq_libc.epoll_ctl(epoll, operation, fd, event);
    if (result != 0 || !hqq_start() || !hqq_config_is_enabled() || hqq_ownership_is_borrowed())
        return result;
    int saved = errno;
    struct hqq_epoll_change change = {.epoll = epoll, .operation = operation, .fd = fd};
    if (operation != EPOLL_CTL_DEL)
        change.event = *event;
    note_change(&change);
    errno = saved;
    return result;
}

/* ---- The life of a descriptor ------------------------------------------------------------------------------------ */

/* The kernel goes on reporting a socket that lives on by other descriptors, though nothing can be changed about it any more. */
static void leave_orphan(struct hqq_epoll_set *set, int fd, const struct hqq_endpoint *endpoint)
{
    struct hqq_frame frame;
    if (!begin_change(&frame, set)) {
        const struct hqq_epoll_change change = {.operation = EPOLL_CTL_DEL, .fd = fd};
        defer(set, &change);
        return;
    }
    hqq_atomic_pointer *place = place_of(set, fd);
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(place);
    if (member && endpoint && hqq_load_pointer_acquire(&member->endpoint) == endpoint)
        hqq_store32_relaxed(&member->fd, (uint32_t)-1);
    else if (member)
        remove_member(set, place);
    end_change(&frame);
}

static void remove_orphans(struct hqq_epoll_set *set, const struct hqq_endpoint *endpoint)
{
    struct hqq_frame frame;
    if (!begin_change(&frame, set))
        return;
    for (int i = 0; i < HQQ_EPOLL_BUCKETS; i++) {
        hqq_atomic_pointer *at = &set->bucket[i];
        struct hqq_epoll_member *member;
        while ((member = hqq_load_pointer_acquire(at))) {
            if (hqq_load_pointer_acquire(&member->endpoint) == endpoint)
                remove_member(set, at);
            else
                at = &member->next;
        }
    }
    end_change(&frame);
}

void hqq_epoll_forget(int fd)
{
    if (hqq_load32_relaxed(&hqq_named_count) != 0)
        hqq_named_epoll_forget(fd);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    bool lives_on = endpoint && hqq_load32_relaxed(&endpoint->descriptors) > 1;
    for (struct hqq_epoll_set *set = hqq_load_pointer_acquire(&all); set; set = set->next) {
        if (hqq_load32_relaxed(&set->members) != 0 && hqq_load_pointer_acquire(place_of(set, fd)))
            leave_orphan(set, fd, lives_on ? endpoint : NULL);
    }
    if (!endpoint || lives_on)
        return;
    for (struct hqq_epoll_set *set = hqq_load_pointer_acquire(&all); set && endpoint->memberships; set = set->next) {
        if (hqq_load32_relaxed(&set->members) != 0)
            remove_orphans(set, endpoint);
    }
}

static void share(void *object, int fd, int duplicate)
{
    struct hqq_epoll_set *set = object;
    (void)fd;
    if (!hqq_fd_prepare(duplicate)) {
        make_foreign(set, 0);
        return;
    }
    hqq_add32_relaxed(&set->descriptors, 1);
    hqq_fd_set(duplicate, set);
}

/* A thread that is asleep in it is woken still by what its members get. */
void hqq_epoll_end_if_closed(struct hqq_epoll_set *set)
{
    struct hqq_frame frame;
    if (hqq_load32_relaxed(&set->descriptors) != 0 || hqq_load32_relaxed(&set->waiters) != 0 ||
        hqq_load32_relaxed(&set->members) == 0 || !begin_change(&frame, set))
        return;
    for (int i = 0; i < HQQ_EPOLL_BUCKETS; i++) {
        while (hqq_epoll_first(set, (size_t)i))
            remove_member(set, &set->bucket[i]);
    }
    end_change(&frame);
}

static void leave(void *object, int fd, bool is_closing)
{
    struct hqq_epoll_set *set = object;
    (void)is_closing;
    hqq_fd_set(fd, NULL);
    if (hqq_sub32_release(&set->descriptors, 1) == 1)
        hqq_epoll_end_if_closed(set);
}

const struct hqq_ops hqq_epoll_ops = {.family = HQQ_FAMILY_NONE, .share = share, .pass = pass, .leave = leave};

/* Sets live on in the child, where nobody waits for them yet; what waits for them in two processes is not seen. */
void hqq_epoll_reset_locks(void)
{
    hqq_lock_reset(&set_pool.lock);
    hqq_lock_reset(&member_pool.lock);
    hqq_lock_reset(&nudge_lock);
    for (struct hqq_epoll_set *set = hqq_load_pointer_acquire(&all); set; set = set->next) {
        hqq_lock_reset(&set->lock);
        hqq_store32_relaxed(&set->waiters, 0);
        hqq_store32_relaxed(&set->version, (hqq_load32_relaxed(&set->version) + 1) & ~1u);
    }
}

/* ---- As a descriptor that is waited for --------------------------------------------------------------------------- */

bool hqq_epoll_is_polled(struct hqq_object *object, int fd)
{
    struct hqq_epoll_set *set = (struct hqq_epoll_set *)(void *)object;
    hqq_epoll_nudged(set, fd); /* what it told of is looked for now */
    if (hqq_load32_relaxed(&set->is_polled) == 0)
        make_polled(set);
    hqq_epoll_settle(set);
    return hqq_load32_relaxed(&set->members) != 0;
}

static bool has_event(struct hqq_epoll_member *member)
{
    const struct hqq_epoll_seen seen = hqq_epoll_look(member);
    return hqq_epoll_is_reported(member, &seen) && hqq_ready_has_data(seen.endpoint, hqq_epoll_edge(member, &seen));
}

static bool has_data(struct hqq_epoll_set *set, int depth)
{
    struct hqq_frame frame;
    struct hqq_epoll_member *member;
    bool has = false;
    if (!begin_change(&frame, set))
        return false;
    for (size_t place = 0; !has && (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_epoll_set *inner = hqq_load_pointer_acquire(&member->inner);
        has = has_event(member) || (inner && depth < DEPTH && has_data(inner, depth + 1));
    }
    end_change(&frame);
    return has;
}

bool hqq_epoll_has_data(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_find(fd);
    return set && has_data(set, 0);
}
