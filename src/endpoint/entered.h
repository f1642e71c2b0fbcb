/*
 * A receive, or a wait, that has entered an endpoint: it has the receive lock, or, in a handler of the thread that has
 * it, a place above the receives that the handler has interrupted. Those are spoilt: what they were about to take is
 * the handler's, and they begin anew.
 *
 * A jump out of the handler, or of the call itself, abandons what was entered: slots that it had taken are free again,
 * and so is the lock. A handler that has to wait for one endpoint gives back the locks of others that it has
 * interrupted.
 */
#ifndef HQQ_ENDPOINT_ENTERED_H
#define HQQ_ENDPOINT_ENTERED_H

#include <stdbool.h>

#include "endpoint/endpoint.h"
#include "endpoint/scheduler.h"
#include "runtime/frame.h"

struct hqq_entered {
    struct hqq_frame jump; /* first */
    struct hqq_endpoint *endpoint;
    struct hqq_receive_frame frame;
    struct hqq_receive_frame *suspended; /* what endpoint->frame was when a handler gave the lock back for a while */
    bool is_inside;                      /* from before it takes the lock until after it gives it back */
    bool is_nested, is_suspended;
};

/* ---- What stands behind the calls below ------------------------------------------------------------------------- */

void hqq_entered_abandon(struct hqq_frame *jump);
void hqq_entered_resume_interrupted(void);

/* The lock is held, by this thread or by another one: is_nested says by whom. */
void hqq_entered_enter_held(struct hqq_entered *entered);

static inline void hqq_entered_enter(struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = entered->endpoint;
    entered->is_nested = false;
    entered->is_inside = true;
    hqq_fence_compiler();
    if (__builtin_expect(!hqq_lock_try(&endpoint->receive_lock), 0))
        hqq_entered_enter_held(entered);
    hqq_store32_relaxed(&entered->frame.is_spoilt, 0);
    entered->frame.below = endpoint->frame;
    endpoint->frame = &entered->frame;
}

static inline void hqq_entered_leave(struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = entered->endpoint;
    endpoint->frame = entered->frame.below;
    if (!entered->is_nested) {
        if (__builtin_expect(endpoint->buried != NULL, 0))
            hqq_scheduler_drop_buried(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
    }
    hqq_fence_compiler();
    entered->is_inside = false;
}

/* ---- For receives and waits ------------------------------------------------------------------------------------- */

/* From here on a jump out of the call is noticed. May wait for the lock. */
static inline void hqq_entered_begin(struct hqq_entered *entered, struct hqq_endpoint *endpoint)
{
    entered->endpoint = endpoint;
    entered->is_inside = entered->is_suspended = false;
    entered->jump.leave = hqq_entered_abandon;
    entered->jump.object = endpoint;
    hqq_frame_push(&entered->jump);
    hqq_entered_enter(entered);
}

static inline void hqq_entered_end(struct hqq_entered *entered)
{
    hqq_entered_leave(entered);
    hqq_frame_pop(&entered->jump);
    if (__builtin_expect(hqq_frame_top != NULL, 0))
        hqq_entered_resume_interrupted();
}

/* True in a handler that has interrupted a change of the lists: it must not look at them. */
static inline bool hqq_entered_is_in_change(const struct hqq_entered *entered)
{
    return __builtin_expect(entered->is_nested && entered->endpoint->changing != 0, 0);
}

/* For each attempt: what a handler has spoilt before does not count. */
static inline void hqq_entered_try(struct hqq_entered *entered)
{
    hqq_store32_relaxed(&entered->frame.is_spoilt, 0);
}

static inline bool hqq_entered_is_spoilt(const struct hqq_entered *entered)
{
    return __builtin_expect(hqq_load32_relaxed(&entered->frame.is_spoilt) != 0, 0);
}

/* Around a sleep: the lock is given back, also for the receives below, which begin anew whatever happens meanwhile. */
void hqq_entered_pause(struct hqq_entered *entered);
void hqq_entered_go_on(struct hqq_entered *entered);

#endif
