/* Messages that have arrived and wait for the program, in order, with the news of those that did not. With the lock. */
#ifndef HQQ_ADVANCED_INBOX_H
#define HQQ_ADVANCED_INBOX_H

#include "advanced/state.h"

void hqq_inbox_init(struct hqq_inbox *inbox);

/* Puts a message; its data becomes the inbox's. Dropped where nobody can receive it any more. */
void hqq_inbox_put(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_received *received,
                   uint64_t cost);

/* The message that this chunk began will not arrive: tells whoever waits for it, be it a message, a request or an
 * answer. */
void hqq_inbox_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      int error);

/* Waits for the next message of a connection and takes it. */
int hqq_inbox_receive(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t deadline_ns,
                      struct hqq_received *ret_received);

/* Frees all of it. */
void hqq_inbox_clear(struct hqq_advanced *advanced, struct hqq_inbox *inbox);

#endif
