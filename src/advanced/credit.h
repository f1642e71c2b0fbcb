/*
 * Flow control: how much of a connection may be on its way to a program that does not read it. The receiver tells a limit
 * for all that was ever sent on the connection; the sender stops there. What is held for the program narrows the window;
 * a message that is still arriving does not, so that one larger than the window can arrive. All of it does nothing
 * where FLOW_CONTROL was not agreed on. With the lock.
 *
 * Answers need no credit: whoever called waits for them.
 */
#ifndef HQQ_ADVANCED_CREDIT_H
#define HQQ_ADVANCED_CREDIT_H

#include "advanced/state.h"

/* What a message of that size costs. */
static inline uint64_t hqq_credit_cost(uint64_t total)
{
    return total + HQQ_MESSAGE_COST;
}

/* A connection that has just come into being. */
void hqq_credit_init(struct hqq_advanced *advanced, struct hqq_connection *on);

/* Receiving: a chunk has come. BUFFER_OVERFLOW if the peer had no credit for it. */
int hqq_credit_charge(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *chunk);
/* A message is held for the program, and given to it. */
void hqq_credit_hold(struct hqq_connection *on, uint64_t cost);
void hqq_credit_return(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t cost);

/* Sending: bytes of the next chunk that there is credit for, 0 to want; an empty first chunk needs some as well, and
 * *ret_may_go says if it may go. */
uint64_t hqq_credit_left(const struct hqq_advanced *advanced, const struct hqq_connection *on,
                         const struct hqq_item *item, uint64_t want, bool *ret_may_go);
void hqq_credit_use(struct hqq_connection *on, const struct hqq_item *item, uint64_t bytes);

/* The peer tells a limit. True if it is above the last one: more may go. */
bool hqq_credit_raise(struct hqq_connection *on, uint64_t limit);

#endif
