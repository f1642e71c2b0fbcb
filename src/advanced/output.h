/*
 * Packets out: control packets first, then chunks of the messages that wait, in the order that schedule.h says. Whoever
 * has something to send, and finds nobody sending, sends for all. All with the lock; pushing gives it up while it copies.
 */
#ifndef HQQ_ADVANCED_OUTPUT_H
#define HQQ_ADVANCED_OUTPUT_H

#include "advanced/state.h"

/* Sends what can be sent without waiting. Afterwards room_wanted and rate_until_ns say what the rest waits for. */
void hqq_output_push(struct hqq_advanced *advanced);

/* Queues a message, or a piece of one, on its connection, and sends what can be sent: one that is posted may be gone
 * then. 0, or why nothing can be sent any more; then it was not queued. */
int hqq_output_queue(struct hqq_advanced *advanced, struct hqq_item *item);

/* Takes an item out that will not be waited for any longer; the sender may be copying from it just now. */
void hqq_output_cancel(struct hqq_advanced *advanced, struct hqq_item *item, int result);

/* Tells the peer to drop what it has of a message, if it has anything. */
void hqq_output_abort_message(struct hqq_advanced *advanced, const struct hqq_item *item);

/* A connection has been given credit. */
void hqq_output_resume(struct hqq_advanced *advanced, struct hqq_connection *on);

/* Fails all that is to be sent on a connection; of that what somebody waits for; all that is to be sent at all. */
void hqq_output_fail_connection(struct hqq_advanced *advanced, struct hqq_connection *on, int result);
void hqq_output_fail_waiting(struct hqq_advanced *advanced, struct hqq_connection *on, int result);
void hqq_output_end(struct hqq_advanced *advanced, int result);

/* True if nothing waits to be sent. */
bool hqq_output_is_empty(const struct hqq_advanced *advanced);

#endif
