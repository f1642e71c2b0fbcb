/* Hands a message that has arrived, or that will not, to whom it is for: an inbox, a call, or those who serve. With the
 * lock. */
#ifndef HQQ_ADVANCED_DELIVER_H
#define HQQ_ADVANCED_DELIVER_H

#include "advanced/state.h"

/* The message that this chunk began is whole; its data becomes theirs. */
void hqq_deliver(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                 const struct hqq_received *received);

/* It will not arrive: tells whoever waits for it, be it a message, a request or an answer. */
void hqq_deliver_failure(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                         int error);

#endif
