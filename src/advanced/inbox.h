/* Messages that have arrived and wait for the program, in order, with the news of those that did not. With the lock. */
#ifndef HQQ_ADVANCED_INBOX_H
#define HQQ_ADVANCED_INBOX_H

#include "advanced/state.h"

void hqq_inbox_init(struct hqq_inbox *inbox);

/* Puts a message; its data becomes the inbox's. Dropped where nobody can receive it any more. */
void hqq_inbox_put(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_received *received,
                   uint64_t cost);

/* The message that this chunk began will not arrive. News like the last one is not put twice: a peer that does nothing but
 * fail must not fill our memory. */
void hqq_inbox_put_error(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                         int error);

/* Takes the first message, which must be there: 0, or why it did not arrive; then ret_received says which it was. */
int hqq_inbox_take(struct hqq_advanced *advanced, struct hqq_connection *on, struct hqq_received *ret_received);

/* Frees all of it. */
void hqq_inbox_clear(struct hqq_advanced *advanced, struct hqq_inbox *inbox);

#endif
