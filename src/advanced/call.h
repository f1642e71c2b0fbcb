/* Calls that were made and are not answered yet, by connection and message. With the lock. */
#ifndef HQQ_ADVANCED_CALL_H
#define HQQ_ADVANCED_CALL_H

#include "advanced/state.h"

/* A new one, under way; NULL without memory. Takes it out of what is under way, and frees it with its answer. */
struct hqq_pending *hqq_call_new(struct hqq_advanced *advanced, uint64_t connection, uint64_t message);
void hqq_call_forget(struct hqq_advanced *advanced, struct hqq_pending *pending);

bool hqq_call_is_pending(struct hqq_advanced *advanced, uint64_t connection, uint64_t message);

/* An answer has come; its data becomes the call's. Dropped and counted where nobody waits for it any more. */
void hqq_call_answer(struct hqq_advanced *advanced, const struct hqq_chunk *begin, const struct hqq_received *received);

/* The answer will not come. */
void hqq_call_fail(struct hqq_advanced *advanced, uint64_t connection, uint64_t message, int error);
void hqq_call_end_connection(struct hqq_advanced *advanced, uint64_t connection, int error);
void hqq_call_end_all(struct hqq_advanced *advanced, int error);

#endif
