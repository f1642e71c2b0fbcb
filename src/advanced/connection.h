/*
 * Connections: the table by id, and what the peer's packets do to them. A connection is freed when nobody refers to it any
 * more: the table while it is open, the program until it closes it, messages under way. With the lock.
 *
 *      dial    OPENING --ConnAccept--> OPEN            ConnCreate --listening--> OPEN     answered by ConnAccept
 *                      --Error-------> CLOSED                     --not--------> none     answered by Error
 *      close   OPEN --nothing left to send--> CLOSED, by ConnClose; CLOSING until then
 *      peer    any  --ConnClose--> CLOSED
 *
 * The primary gives out odd ids and the secondary even ones, so that two that dial at once do not meet; the original counts
 * both from 1, so ids that are taken are passed over.
 */
#ifndef HQQ_ADVANCED_CONNECTION_H
#define HQQ_ADVANCED_CONNECTION_H

#include "advanced/state.h"

struct hqq_connection *hqq_connection_new(struct hqq_advanced *advanced, uint64_t id);

/* Counting references; put() may free it. */
struct hqq_connection *hqq_connection_get(struct hqq_connection *connection);
void hqq_connection_put(struct hqq_connection *connection);

/* The connection in the table; NULL if there is none. */
struct hqq_connection *hqq_connection_find(struct hqq_advanced *advanced, uint64_t id);

/* The one that a message with this id belongs to: an open one, or ground where the id was never a connection's. NULL: it
 * was, and is no more. */
struct hqq_connection *hqq_connection_of_message(struct hqq_advanced *advanced, uint64_t id);

/* Begins to dial. */
int hqq_connection_begin(struct hqq_advanced *advanced, struct hqq_connection **ret_connection);

void hqq_connection_handle_create(struct hqq_advanced *advanced, uint64_t id, uint64_t flags);
void hqq_connection_handle_accept(struct hqq_advanced *advanced, uint64_t id);
void hqq_connection_handle_close(struct hqq_advanced *advanced, uint64_t id, uint64_t reason);
void hqq_connection_handle_error(struct hqq_advanced *advanced, uint64_t id, int error);

/* Something of it was sent, or will not be: where it was closed meanwhile and that was the last, says so to the peer. */
void hqq_connection_sent_all(struct hqq_advanced *advanced, struct hqq_connection *connection);

/* The link has ended. */
void hqq_connections_end(struct hqq_advanced *advanced);

#endif
