/* From what the program wants to send to an item of the output. With the lock, unless said otherwise. */
#ifndef HQQ_ADVANCED_MESSAGE_H
#define HQQ_ADVANCED_MESSAGE_H

#include "advanced/state.h"

/* A message as the program gives it. */
struct hqq_message_out {
    struct hqq_connection *on;
    uint64_t connection; /* id that it carries */
    uint64_t message;    /* 0: the next of this end */
    uint64_t flags;      /* its kind */
    uint64_t method;
    const void *data;
    size_t length;
};

/* Whether the peer takes a message of that size. 0, BUFFER_OVERFLOW. */
int hqq_message_check(const struct hqq_advanced *advanced, uint64_t length);

/* Sends a message and waits until it lies in the link. deadline 0: only if it fits at once. *ret_message is its id, 0 if it
 * got none. Gives the lock up while it compresses, and waits. */
int hqq_message_send(struct hqq_advanced *advanced, const struct hqq_message_out *out, uint64_t deadline_ns,
                     uint64_t *ret_message);

/* The same, copying what does not fit at once. */
int hqq_message_post(struct hqq_advanced *advanced, const struct hqq_message_out *out);

/* Waits until an item that was queued has been sent, and takes it out if it has not been by the deadline: its result. */
int hqq_message_finish(struct hqq_advanced *advanced, struct hqq_item *item, uint64_t deadline_ns);

#endif
