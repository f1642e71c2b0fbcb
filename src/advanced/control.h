/*
 * The queue of control packets that wait to be sent; output.h sends them. It never waits, and never sends. With the lock.
 */
#ifndef HQQ_ADVANCED_CONTROL_H
#define HQQ_ADVANCED_CONTROL_H

#include "advanced/state.h"

/* Queues a control packet. 0, -ENOMEM, or why nothing can be sent any more. */
int hqq_control_queue(struct hqq_advanced *advanced, const struct hqq_packet *packet);

/* The same of an answer to the peer. A peer that goes on asking without reading gets no more of them, and runs into its
 * deadline: -ENOBUFS, counted. Never is it not listened to because of that: it may be waiting, in the same way, for this
 * end to read. */
int hqq_control_answer(struct hqq_advanced *advanced, const struct hqq_packet *packet);

/* Whether no more answers are queued, nor should anything be that the peer answers. */
bool hqq_control_is_crowded(const struct hqq_advanced *advanced);

/* Queues a control packet of which the last one counts: one that waits at that place already says this instead. */
int hqq_control_queue_once(struct hqq_advanced *advanced, const struct hqq_packet *packet, struct hqq_control **place);

/* Takes the first one out, for the caller to free. NULL if there is none. */
struct hqq_control *hqq_control_take(struct hqq_advanced *advanced);

#endif
