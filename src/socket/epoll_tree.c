#include "socket/epoll_tree.h"

#include "endpoint/life.h"
#include "endpoint/ready.h"
#include "socket/epoll_change.h"
#include "socket/epoll_member.h"
#include "socket/epoll_nudge.h"

/* How deep sets may lie within one another, as for the kernel. */
#define DEPTH 5

static void link_pending(struct hqq_epoll_set *set)
{
    struct hqq_frame frame;
    if ((hqq_load32_relaxed(&set->pending) == 0 && !hqq_epoll_change_has_deferred(set)) ||
        !hqq_epoll_change_begin(&frame, set))
        return;
    hqq_epoll_member_link_pending(set);
    hqq_epoll_change_end(&frame);
}

static bool has_event(struct hqq_epoll_member *member)
{
    const struct hqq_epoll_seen seen = hqq_epoll_member_look(member);
    return hqq_epoll_member_is_reported(member, &seen) &&
           hqq_ready_has_data(seen.endpoint, hqq_epoll_member_edge(member, &seen));
}

/* In rings of its own members, or of sets within it down to a depth. */
static bool has_data(struct hqq_epoll_set *set, int depth)
{
    struct hqq_frame frame;
    struct hqq_epoll_member *member;
    bool has = false;
    if ((hqq_load32_relaxed(&set->busy) == 0 && hqq_load32_relaxed(&set->inner_sets) == 0) ||
        !hqq_epoll_change_begin(&frame, set))
        return false;
    for (size_t place = 0; !has && (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_epoll_set *inner = hqq_load_pointer_acquire(&member->inner);
        has = has_event(member) || (inner && depth < DEPTH && has_data(inner, depth + 1));
    }
    hqq_epoll_change_end(&frame);
    return has;
}

/* A set within another one, for which the kernel waits: it is readable there for as long as rings hold something.
 * is_edge: it was told so once, which is enough, unless is_new. */
static void tell_outer(struct hqq_epoll_set *inner, int fd, bool is_edge, bool is_new)
{
    if (!has_data(inner, DEPTH))
        hqq_epoll_nudge_found(inner, fd);
    else if (fd >= 0 && (is_new || !is_edge) && hqq_load32_relaxed(&inner->is_nudged) == 0)
        hqq_epoll_nudge_begin(inner, fd);
}

static void settle(struct hqq_epoll_set *set, int depth, bool is_new)
{
    struct hqq_epoll_member *member;
    link_pending(set);
    if (depth == DEPTH || hqq_load32_relaxed(&set->inner_sets) == 0)
        return;
    for (size_t place = 0; (member = hqq_epoll_member_at(set, 0, &place));) {
        struct hqq_epoll_set *inner = hqq_load_pointer_acquire(&member->inner);
        if (!inner)
            continue;
        settle(inner, depth + 1, is_new);
        tell_outer(inner, (int)hqq_load32_relaxed(&member->fd), (hqq_load32_relaxed(&member->events) & EPOLLET) != 0,
                   is_new);
    }
}

void hqq_epoll_tree_settle(struct hqq_epoll_set *set)
{
    settle(set, 0, false);
}

void hqq_epoll_tree_nest(struct hqq_epoll_set *inner, int fd)
{
    settle(inner, 1, true);
    tell_outer(inner, fd, false, true);
}

void hqq_epoll_tree_settle_all(void)
{
    for (struct hqq_epoll_set *set = hqq_epoll_set_all(); set; set = set->next)
        link_pending(set);
}

static void make_foreign(struct hqq_epoll_set *set, int depth)
{
    struct hqq_frame frame;
    struct hqq_epoll_member *member;
    bool has_lock = hqq_epoll_change_begin(&frame, set);
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
        hqq_epoll_change_end(&frame);
}

void hqq_epoll_tree_make_polled(struct hqq_epoll_set *set)
{
    hqq_store32_relaxed(&set->is_polled, 1);
    make_foreign(set, 0);
}

void hqq_epoll_tree_make_foreign(struct hqq_epoll_set *set)
{
    make_foreign(set, 0);
}

bool hqq_epoll_tree_is_polled(struct hqq_object *object, int fd)
{
    struct hqq_epoll_set *set = (struct hqq_epoll_set *)(void *)object;
    hqq_epoll_nudge_found(set, fd); /* what it told of is looked for now */
    if (hqq_load32_relaxed(&set->is_polled) == 0)
        hqq_epoll_tree_make_polled(set);
    hqq_epoll_tree_settle(set);
    return hqq_load32_relaxed(&set->members) != 0;
}

bool hqq_epoll_tree_has_data(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_set_find(fd);
    return set && has_data(set, 0);
}
