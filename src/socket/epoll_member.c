#include "socket/epoll_member.h"

#include "endpoint/adopt.h"
#include "endpoint/life.h"
#include "endpoint/modes.h"
#include "runtime/pool.h"

/* Kinds of registration that count wakeups: the kernel's alone. */
#define KERNEL_KINDS (EPOLLONESHOT | EPOLLEXCLUSIVE)

static struct hqq_pool pool = HQQ_POOL(struct hqq_epoll_member);

/* ---- Endpoints --------------------------------------------------------------------------------------------------- */

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

/* ---- Buckets ----------------------------------------------------------------------------------------------------- */

hqq_atomic_pointer *hqq_epoll_member_place(struct hqq_epoll_set *set, int fd)
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
        struct hqq_epoll_member *member = hqq_epoll_member_first(set, first_bucket + bucket);
        for (size_t i = 0; member && i < index; i++)
            member = hqq_epoll_member_next(member);
        if (member) {
            *place = bucket << BUCKET_SHIFT | (index + 1);
            return member;
        }
    }
    *place = bucket << BUCKET_SHIFT;
    return NULL;
}

/* ---- Registrations ----------------------------------------------------------------------------------------------- */

static bool is_pending(const struct hqq_epoll_member *member)
{
    return !hqq_load_pointer_acquire(&member->endpoint) && !hqq_load_pointer_acquire(&member->inner);
}

void hqq_epoll_member_remove(struct hqq_epoll_set *set, hqq_atomic_pointer *place)
{
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(place);
    if (is_pending(member))
        hqq_sub32_relaxed(&set->pending, 1);
    if (hqq_load_pointer_acquire(&member->inner))
        hqq_sub32_relaxed(&set->inner_sets, 1);
    unlink_endpoint(set, member);
    hqq_store_pointer_release(place, hqq_epoll_member_next(member));
    hqq_sub32_relaxed(&set->members, 1);
    hqq_store_pointer_release(&member->next, hqq_load_pointer_acquire(&set->unused));
    hqq_store_pointer_release(&set->unused, member);
}

static struct hqq_epoll_member *take_member(struct hqq_epoll_set *set)
{
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(&set->unused);
    if (!member)
        return hqq_pool_take(&pool);
    hqq_store_pointer_release(&set->unused, hqq_epoll_member_next(member));
    member->membership = (struct hqq_membership){0};
    return member;
}

void hqq_epoll_member_put(struct hqq_epoll_set *set, int fd, const struct epoll_event *event,
                          struct hqq_epoll_set *inner)
{
    hqq_atomic_pointer *place = hqq_epoll_member_place(set, fd);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (hqq_load_pointer_acquire(place))
        hqq_epoll_member_remove(set, place);
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
    if (inner)
        hqq_add32_relaxed(&set->inner_sets, 1);
    if (endpoint)
        link_endpoint(set, member, endpoint);
    else if (!inner)
        hqq_add32_relaxed(&set->pending, 1);
}

bool hqq_epoll_member_is_possible(int fd)
{
    return hqq_endpoint_find(fd) != NULL || (hqq_adopt_is_open(fd) && hqq_adopt_is_candidate(fd));
}

void hqq_epoll_member_link_pending(struct hqq_epoll_set *set)
{
    struct hqq_epoll_member *member;
    for (size_t place = 0; (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_endpoint *endpoint =
            is_pending(member) ? hqq_endpoint_find((int)hqq_load32_relaxed(&member->fd)) : NULL;
        if (endpoint) {
            link_endpoint(set, member, endpoint);
            hqq_sub32_relaxed(&set->pending, 1);
        }
    }
}

void hqq_epoll_member_unlock(struct hqq_epoll_set *set)
{
    if (set->linking && hqq_lock_is_mine(&set->linking->receive_lock)) {
        set->linking->changing = 0;
        hqq_lock_give(&set->linking->receive_lock);
    }
    set->linking = NULL;
}

void hqq_epoll_member_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}
