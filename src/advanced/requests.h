/* What the peer has asked, and waits for the program. With the lock. */
#ifndef HQQ_ADVANCED_REQUESTS_H
#define HQQ_ADVANCED_REQUESTS_H

#include "advanced/state.h"

/* The peer calls; the data becomes the request's. */
void hqq_requests_add(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                      const struct hqq_received *received);

/* A request that can't be taken: answers with an error, whose status is that result. */
void hqq_requests_refuse(struct hqq_advanced *advanced, struct hqq_connection *on, const struct hqq_chunk *begin,
                         int error);

/* Takes a request that waits; the first that there is, or is no, handler for: NULL if there is none. */
void hqq_requests_take(struct hqq_advanced *advanced, struct hqq_request *request);
struct hqq_request *hqq_requests_take_first(struct hqq_advanced *advanced, bool is_handled);

#endif
