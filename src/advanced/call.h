/*
 * Calls: what was asked and is not answered yet, by connection and message, and what the peer has asked. With the lock.
 * serve.c has the side that answers.
 */
#ifndef HQQ_ADVANCED_CALL_H
#define HQQ_ADVANCED_CALL_H

#include "advanced/state.h"

/* ---- Asking -------------------------------------------------------------------------------------------------------- */

bool hqq_call_is_pending(struct hqq_advanced *advanced, uint64_t connection, uint64_t message);

/* An answer has come; its data becomes the call's. Dropped and counted where nobody waits for it any more. */
void hqq_call_answer(struct hqq_advanced *advanced, const struct hqq_chunk *begin, const struct hqq_received *received);

/* The answer will not come. */
void hqq_call_fail(struct hqq_advanced *advanced, uint64_t connection, uint64_t message, int error);
void hqq_calls_end_connection(struct hqq_advanced *advanced, uint64_t connection, int error);
void hqq_calls_end(struct hqq_advanced *advanced, int error);

/* ---- Answering ----------------------------------------------------------------------------------------------------- */

/* The peer calls; the data becomes the request's. */
void hqq_call_request(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      const struct hqq_received *received);

/* A request that can't be taken: answers with an error, whose status is that result. */
void hqq_call_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                     int error);

/* Takes the first request that there is a handler for; NULL if there is none. */
struct hqq_request *hqq_call_next_handled(struct hqq_advanced *advanced, struct hqq_handler *ret_handler);
/* True if some request waits for hqq_advanced_serve(), or for a handler. */
bool hqq_call_has_request(const struct hqq_advanced *advanced, bool is_handled);

#endif
