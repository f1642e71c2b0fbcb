/*
 * The table of connections by id, and who refers to one. A connection is freed when nobody refers to it any more: the
 * table while it is open, the program until it closes it, messages under way. connect.h has what the peer's packets do to
 * them. With the lock.
 *
 * The primary gives out odd ids and the secondary even ones, so that two that dial at once do not meet. The reference
 * implementation counts from 1 at either end, so with a peer that may be it they begin above 2^31.
 */
#ifndef HQQ_ADVANCED_CONNECTION_H
#define HQQ_ADVANCED_CONNECTION_H

#include "advanced/state.h"

struct hqq_connection *hqq_connection_new(struct hqq_advanced *advanced, uint64_t id);

/* Counting references; put() may free it. */
struct hqq_connection *hqq_connection_get(struct hqq_connection *connection);
void hqq_connection_put(struct hqq_connection *connection);

/* Puts it into the table, which takes over the reference that it was made with; takes it out, if it is there. */
void hqq_connection_insert(struct hqq_advanced *advanced, struct hqq_connection *connection);
void hqq_connection_remove(struct hqq_advanced *advanced, struct hqq_connection *connection);

/* The connection in the table; NULL if there is none. */
struct hqq_connection *hqq_connection_find(struct hqq_advanced *advanced, uint64_t id);

/* The one that a message with this id belongs to: an open one, or ground where the id was never a connection's. NULL: it
 * was, and is no more. */
struct hqq_connection *hqq_connection_of_message(struct hqq_advanced *advanced, uint64_t id);

/* Negotiation has succeeded: from now on there may be ids. The next one to dial; whether this end has dialled one. */
void hqq_connection_begin_ids(struct hqq_advanced *advanced);
uint64_t hqq_connection_next_id(struct hqq_advanced *advanced);
bool hqq_connection_was_dialled(const struct hqq_advanced *advanced, uint64_t id);

/* Something of it was sent, or will not be: where it was closed meanwhile and that was the last, says so to the peer. */
void hqq_connection_sent_all(struct hqq_advanced *advanced, struct hqq_connection *connection);

#endif
