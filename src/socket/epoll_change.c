#include "socket/epoll_change.h"

#include "endpoint/life.h"
#include "platform/trace.h"
#include "socket/epoll_member.h"

/* Passes over what is deferred at the end of a change: signals may come faster than what their handlers want can be
 * done. */
#define PASSES 16

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

/* ---- Deferred changes -------------------------------------------------------------------------------------------- */

/* A number that says that a handler is writing the change, or has jumped out of that. */
#define WRITING UINT32_MAX

/* For this descriptor: where its earlier change is, which need not be made any more, else an empty place; and claims
 * it. NULL: all are taken. Handlers may interrupt one another here. */
static struct hqq_epoll_deferred *claim_place(struct hqq_epoll_set *set, int fd)
{
    for (int is_empty = 0; is_empty < 2; is_empty++) {
        for (int i = 0; i < HQQ_EPOLL_DEFERRED; i++) {
            struct hqq_epoll_deferred *at = &set->deferred[i];
            uint32_t number = hqq_load32_relaxed(&at->number);
            bool is_right = is_empty ? number == 0 : number != 0 && number != WRITING && at->change.fd == fd;
            if (is_right && hqq_cas32_acquire(&at->number, number, WRITING))
                return at;
        }
    }
    return NULL;
}

void hqq_epoll_change_defer(struct hqq_epoll_set *set, const struct hqq_epoll_change *change)
{
    struct hqq_epoll_deferred *at = claim_place(set, change->fd);
    if (at) {
        at->change = *change;
        uint32_t number = hqq_load32_relaxed(&set->deferred_number) % (WRITING - 1) + 1;
        hqq_store32_relaxed(&set->deferred_number, number);
        hqq_store32_release(&at->number, number);
        hqq_store32_release(&set->has_deferred, 1);
        return;
    }
    struct hqq_endpoint *endpoint = hqq_endpoint_find(change->fd);
    hqq_log(HQQ_LOG_WARN, "a handler has changed too much of an epoll set: descriptor %d is left to the kernel",
            change->fd);
    if (endpoint)
        hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
}

/* Those up to a number. Each is there until it has been applied, as a handler may jump out of that; one that is
 * replaced meanwhile stays. */
static void apply_deferred(struct hqq_epoll_set *set, uint32_t last)
{
    hqq_store32_relaxed(&set->has_deferred, 0);
    hqq_fence_compiler();
    for (int i = 0; i < HQQ_EPOLL_DEFERRED; i++) {
        struct hqq_epoll_deferred *at = &set->deferred[i];
        uint32_t number = hqq_load32_acquire(&at->number);
        const struct hqq_epoll_change change = at->change;
        bool is_change = number != 0 && number != WRITING;
        if (is_change && (int32_t)(number - last) > 0) {
            hqq_store32_relaxed(&set->has_deferred, 1);
            continue;
        }
        if (is_change)
            apply(set, &change);
        (void)hqq_cas32_acquire(&at->number, number, 0);
    }
}

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

static void finish_change(struct hqq_epoll_set *set)
{
    for (int i = 0; i < PASSES && hqq_epoll_change_has_deferred(set); i++)
        apply_deferred(set, hqq_load32_relaxed(&set->deferred_number));
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
    hqq_store32_relaxed(&set->has_deferred, 1); /* it may have been looked through in part */
    finish_change(set);
}

bool hqq_epoll_change_begin(struct hqq_frame *frame, struct hqq_epoll_set *set)
{
    uint32_t last = hqq_load32_relaxed(&set->deferred_number);
    frame->leave = abandon_change;
    frame->object = set;
    hqq_frame_push(frame);
    if (!hqq_lock_take(&set->lock)) {
        hqq_frame_pop(frame);
        return false;
    }
    hqq_store32_release(&set->version, hqq_load32_relaxed(&set->version) | 1);
    hqq_fence_full();
    if (hqq_epoll_change_has_deferred(set)) /* what the last change has left comes first */
        apply_deferred(set, last);
    return true;
}

void hqq_epoll_change_end(struct hqq_frame *frame)
{
    finish_change(frame->object);
    hqq_frame_pop(frame);
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
