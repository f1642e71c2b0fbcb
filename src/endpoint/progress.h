/*
 * How a destination comes to its channel, step by step; and how it is found that a channel leads nowhere any more. See
 * the table in destinations.h. Called under the send lock; what may be a cancellation point is not one here.
 */
#ifndef HQQ_ENDPOINT_PROGRESS_H
#define HQQ_ENDPOINT_PROGRESS_H

#include <stdbool.h>

#include "endpoint/destinations.h"
#include "runtime/ticks.h"

enum hqq_step {
    HQQ_STEP_KERNEL,    /* the next datagram goes through the kernel */
    HQQ_STEP_CHALLENGE, /* and the memfd beside it */
    HQQ_STEP_OPEN,      /* it may go through the channel */
    HQQ_STEP_RESEND,    /* what was not read has to be sent again first */
};

/* How the next datagram goes, as far as that does not depend on the datagram. */
enum hqq_step hqq_destination_advance(struct hqq_endpoint *endpoint, struct hqq_destination *destination);

/* The kernel took the challenge. */
void hqq_destination_challenged(struct hqq_destination *destination);

/* OPEN: is the receiver there still, and may we still send to it by this name? Asked after a pause of ours, and once
 * a millisecond in a stream. False: not any more, the state has changed. ticks: now. */
bool hqq_destination_check(struct hqq_endpoint *endpoint, struct hqq_destination *destination, uint64_t ticks);

static inline bool hqq_destination_is_check_due(const struct hqq_destination *destination, uint64_t ticks)
{
    uint64_t per_us = hqq_ticks_per_us();
    return ticks - destination->sent_ticks > 20 * per_us || ticks - destination->checked_ticks > 1000 * per_us;
}

#endif
