/*
 * What a send does next, as a function of what it sees: no state, no effect. The send itself is "lock, plan, act".
 */
#ifndef HQQ_ENDPOINT_PLAN_H
#define HQQ_ENDPOINT_PLAN_H

#include <stdbool.h>

#include "channel/notify.h"
#include "endpoint/progress.h"

enum hqq_plan {
    HQQ_PLAN_RING,
    HQQ_PLAN_KERNEL,
    HQQ_PLAN_CHALLENGE, /* the kernel, and the key beside the datagram */
    HQQ_PLAN_DRAIN,     /* wait a moment for the receiver to have drained its queue, then plan anew */
    HQQ_PLAN_ROOM,      /* wait a moment for room in the ring, then plan anew */
    HQQ_PLAN_RESEND,    /* send again what was not read, then plan anew */
};

/* What is seen. */
struct hqq_view {
    bool has_destination;  /* a configured one, resolved */
    bool may_publish;      /* this process does so for the socket */
    bool is_plain;         /* the datagram may take a ring: no control data, no odd flag, not too long */
    bool fits;             /* and has slots in this one */
    bool is_reserved;      /* somebody else has reserved the next slots */
    enum hqq_step step;    /* how far the destination has come */
    enum hqq_notify state; /* of the receiver */
    bool is_drained;       /* the last request was acknowledged */
    bool has_room;
    bool may_wait;                                  /* for room: the call may block */
    bool has_waited_for_drain, has_waited_for_room; /* in this call */
};

static inline enum hqq_plan hqq_plan_send(const struct hqq_view *view)
{
    if (!view->has_destination || !view->may_publish)
        return HQQ_PLAN_KERNEL;
    if (view->step == HQQ_STEP_RESEND)
        return HQQ_PLAN_RESEND;
    if (!view->is_plain)
        return HQQ_PLAN_KERNEL;
    if (view->step == HQQ_STEP_CHALLENGE)
        return HQQ_PLAN_CHALLENGE;
    if (view->step != HQQ_STEP_OPEN || !view->fits || view->is_reserved || view->state != HQQ_POLLING)
        return HQQ_PLAN_KERNEL;
    if (!view->is_drained)
        return view->has_waited_for_drain ? HQQ_PLAN_KERNEL : HQQ_PLAN_DRAIN;
    if (!view->has_room)
        return view->may_wait && !view->has_waited_for_room ? HQQ_PLAN_ROOM : HQQ_PLAN_KERNEL;
    return HQQ_PLAN_RING;
}

#endif
