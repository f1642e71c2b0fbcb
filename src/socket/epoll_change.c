#include "socket/epoll_change.h"

#include "socket/epoll_member.h"

static void apply(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    hqq_atomic_pointer *place = hqq_epoll_member_place(set, change->fd);
    bool is_member = hqq_load_pointer_acquire(place) != NULL;
    struct hqq_epoll_set *inner = hqq_epoll_set_find(change->fd);
    if (change->operation == EPOLL_CTL_DEL) {
        if (is_member)
            hqq_epoll_member_remove(set, place);
    } else if (is_member || inner || hqq_epoll_member_is_possible(change->fd)) {
        hqq_epoll_member_put(set, change->fd, &change->event, inner);
    }
}

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
    hqq_epoll_member_unlock(set);
    finish_change(set);
}

bool hqq_epoll_change_begin(struct hqq_frame *frame, struct hqq_epoll_set *set)
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

void hqq_epoll_change_end(struct hqq_frame *frame)
{
    finish_change(frame->object);
    hqq_frame_pop(frame);
}

void hqq_epoll_change_defer(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    if (set->deferred_count < HQQ_EPOLL_DEFERRED)
        set->deferred[set->deferred_count++] = *change;
}

void hqq_epoll_change_make(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    struct hqq_frame frame;
    if (!hqq_epoll_change_begin(&frame, set)) {
        hqq_epoll_change_defer(set, change);
        return;
    }
    apply(set, change);
    hqq_epoll_change_end(&frame);
}
