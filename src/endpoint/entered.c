#include "endpoint/entered.h"

#include <sys/uio.h>

#include "channel/rx.h"

/* The holder of the lock is this very thread, which this handler has interrupted: what it was about to take is ours,
 * and it begins anew. */
static void spoil(struct hqq_endpoint *endpoint)
{
    for (struct hqq_receive_frame *frame = endpoint->frame; frame; frame = frame->below) {
        hqq_store32_relaxed(&frame->is_spoilt, 1);
        frame->kernel.msg_iovlen = UIO_MAXIOV + 1;
    }
    hqq_scheduler_interrupt(endpoint);
}

/* It was jumped out of: slots that it had taken are free, and so is the lock. */
void hqq_entered_abandon(struct hqq_frame *jump)
{
    struct hqq_entered *entered = (struct hqq_entered *)(void *)jump;
    struct hqq_endpoint *endpoint = jump->object;
    bool is_whole = entered->endpoint == endpoint; /* else found late, and overwritten */
    if (!hqq_lock_is_mine(&endpoint->receive_lock) || (is_whole && !entered->is_inside))
        return;
    if (is_whole && entered->is_nested) { /* the frame below may have taken slots too, and is at work on them */
        hqq_entered_leave(entered);
        return;
    }
    for (struct hqq_channel *channel = endpoint->busy; channel; channel = hqq_scheduler_after(channel, endpoint->busy))
        hqq_rx_recover(channel);
    endpoint->changing = 0;
    endpoint->frame = NULL;
    hqq_lock_give(&endpoint->receive_lock);
    if (is_whole)
        entered->is_inside = false;
}

/*
 * A handler that has to wait for one socket must not keep another one's lock, which the code that it interrupted holds:
 * two threads whose handlers want each other's would stand still. So those are given back while it waits and receives;
 * what they were about to take begins anew.
 */
static void suspend_interrupted(void)
{
    for (struct hqq_frame *at = hqq_frame_top; at; at = at->below) {
        struct hqq_entered *below = (struct hqq_entered *)(void *)at;
        if (at->leave != hqq_entered_abandon || !below->is_inside || below->is_nested ||
            !hqq_lock_is_mine(&below->endpoint->receive_lock) || below->endpoint->changing != 0)
            continue;
        spoil(below->endpoint);
        below->is_suspended = true;
        below->suspended = below->endpoint->frame;
        below->endpoint->frame = NULL;
        hqq_lock_give(&below->endpoint->receive_lock);
    }
}

void hqq_entered_resume_interrupted(void)
{
    for (struct hqq_frame *at = hqq_frame_top; at; at = at->below) {
        struct hqq_entered *below = (struct hqq_entered *)(void *)at;
        if (at->leave != hqq_entered_abandon || !below->is_suspended)
            continue;
        below->is_suspended = false;
        hqq_lock_take(&below->endpoint->receive_lock);
        below->endpoint->frame = below->suspended;
    }
}

void hqq_entered_enter_held(struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = entered->endpoint;
    entered->is_nested = hqq_lock_is_mine(&endpoint->receive_lock);
    if (!entered->is_nested) {
        suspend_interrupted();
        entered->is_nested = !hqq_lock_take(&endpoint->receive_lock);
    }
    if (entered->is_nested)
        spoil(endpoint);
}

void hqq_entered_pause(struct hqq_entered *entered)
{
    entered->endpoint->frame = NULL;
    hqq_lock_give(&entered->endpoint->receive_lock);
    entered->is_inside = false;
}

void hqq_entered_go_on(struct hqq_entered *entered)
{
    bool was_nested = entered->is_nested;
    struct hqq_receive_frame *below = entered->frame.below;
    hqq_entered_enter(entered);
    if (was_nested) {
        entered->is_nested = true;
        entered->frame.below = below;
    }
}
