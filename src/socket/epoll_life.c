#include "socket/epoll_life.h"

#include "endpoint/endpoint.h"
#include "hqqsock/named.h"
#include "socket/epoll_change.h"
#include "socket/epoll_member.h"
#include "socket/epoll_nudge.h"
#include "socket/epoll_set.h"
#include "socket/epoll_tree.h"

/* ---- Members ----------------------------------------------------------------------------------------------------- */

/* The kernel goes on reporting a socket that lives on by other descriptors, though nothing can be changed about it
 * any more. */
static void leave_orphan(struct hqq_epoll_set *set, int fd, const struct hqq_endpoint *endpoint)
{
    struct hqq_frame frame;
    if (!hqq_epoll_change_begin(&frame, set)) {
        const struct hqq_epoll_change change = {.operation = EPOLL_CTL_DEL, .fd = fd};
        hqq_epoll_change_defer(set, &change);
        return;
    }
    hqq_atomic_pointer *place = hqq_epoll_member_place(set, fd);
    struct hqq_epoll_member *member = hqq_load_pointer_acquire(place);
    if (member && endpoint && hqq_load_pointer_acquire(&member->endpoint) == endpoint)
        hqq_store32_relaxed(&member->fd, (uint32_t)-1);
    else if (member)
        hqq_epoll_member_remove(set, place);
    hqq_epoll_change_end(&frame);
}

static void remove_orphans(struct hqq_epoll_set *set, const struct hqq_endpoint *endpoint)
{
    struct hqq_frame frame;
    if (!hqq_epoll_change_begin(&frame, set))
        return;
    for (int i = 0; i < HQQ_EPOLL_BUCKETS; i++) {
        hqq_atomic_pointer *at = &set->bucket[i];
        struct hqq_epoll_member *member;
        while ((member = hqq_load_pointer_acquire(at))) {
            if (hqq_load_pointer_acquire(&member->endpoint) == endpoint)
                hqq_epoll_member_remove(set, at);
            else
                at = &member->next;
        }
    }
    hqq_epoll_change_end(&frame);
}

void hqq_epoll_life_forget(int fd)
{
    if (hqq_load32_relaxed(&hqq_named_count) != 0)
        hqq_named_epoll_forget(fd);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    bool lives_on = endpoint && hqq_load32_relaxed(&endpoint->descriptors) > 1;
    for (struct hqq_epoll_set *set = hqq_epoll_set_all(); set; set = set->next) {
        if (hqq_load32_relaxed(&set->members) != 0 && hqq_load_pointer_acquire(hqq_epoll_member_place(set, fd)))
            leave_orphan(set, fd, lives_on ? endpoint : NULL);
    }
    if (!endpoint || lives_on)
        return;
    for (struct hqq_epoll_set *set = hqq_epoll_set_all(); set && endpoint->memberships; set = set->next) {
        if (hqq_load32_relaxed(&set->members) != 0)
            remove_orphans(set, endpoint);
    }
}

/* ---- Sets -------------------------------------------------------------------------------------------------------- */

static void share(void *object, int fd, int duplicate)
{
    struct hqq_epoll_set *set = object;
    (void)fd;
    if (!hqq_fd_prepare(duplicate)) {
        hqq_epoll_tree_make_foreign(set);
        return;
    }
    hqq_add32_relaxed(&set->descriptors, 1);
    hqq_fd_set(duplicate, set);
}

void hqq_epoll_life_end_if_closed(struct hqq_epoll_set *set)
{
    struct hqq_frame frame;
    if (hqq_load32_relaxed(&set->descriptors) != 0 || hqq_load32_relaxed(&set->waiters) != 0 ||
        (hqq_load32_relaxed(&set->members) == 0 && !hqq_epoll_change_has_deferred(set)) ||
        !hqq_epoll_change_begin(&frame, set))
        return;
    for (int i = 0; i < HQQ_EPOLL_BUCKETS; i++) {
        while (hqq_epoll_member_first(set, (size_t)i))
            hqq_epoll_member_remove(set, &set->bucket[i]);
    }
    hqq_epoll_change_end(&frame);
}

static void pass(void *object)
{
    hqq_epoll_tree_make_foreign(object);
}

static void leave(void *object, int fd, bool is_closing)
{
    struct hqq_epoll_set *set = object;
    (void)is_closing;
    hqq_fd_set(fd, NULL);
    if (hqq_sub32_release(&set->descriptors, 1) == 1)
        hqq_epoll_life_end_if_closed(set);
}

const struct hqq_ops hqq_epoll_ops = {.family = HQQ_FAMILY_NONE, .share = share, .pass = pass, .leave = leave};

void hqq_epoll_life_reset_locks(void)
{
    hqq_epoll_set_reset_locks();
    hqq_epoll_member_reset_lock();
    hqq_epoll_nudge_reset_lock();
}
