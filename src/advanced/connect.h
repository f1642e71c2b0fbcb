/*
 * Connections as they are opened and closed, by the peer's packets and by the program. With the lock.
 *
 *      dial    OPENING --ConnAccept--> OPEN            ConnCreate --listening--> OPEN     answered by ConnAccept
 *                      --Error-------> CLOSED                     --not--------> none     answered by Error
 *      close   OPEN --nothing left to send--> CLOSED, by ConnClose; CLOSING until then
 *      peer    any  --ConnClose--> CLOSED
 */
#ifndef HQQ_ADVANCED_CONNECT_H
#define HQQ_ADVANCED_CONNECT_H

#include "advanced/state.h"

/* Begins to dial. */
int hqq_connect_begin(struct hqq_advanced *advanced, struct hqq_connection **ret_connection);

/* Takes a connection that waits to be accepted, for the program. */
void hqq_connect_take(struct hqq_advanced *advanced, struct hqq_connection *connection);

/* The program lets it go: after what was posted the peer is told. Whoever waits in a call on it does so in vain. */
void hqq_connect_leave(struct hqq_advanced *advanced, struct hqq_connection *connection, uint64_t reason);

void hqq_connect_handle_create(struct hqq_advanced *advanced, uint64_t id, uint64_t flags);
void hqq_connect_handle_accept(struct hqq_advanced *advanced, uint64_t id);
void hqq_connect_handle_close(struct hqq_advanced *advanced, uint64_t id, uint64_t reason);
void hqq_connect_handle_error(struct hqq_advanced *advanced, uint64_t id, int error);

/* The link has ended. */
void hqq_connect_end_all(struct hqq_advanced *advanced);

#endif
