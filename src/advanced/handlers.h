/* The program's functions for requests, by method. With the lock. */
#ifndef HQQ_ADVANCED_HANDLERS_H
#define HQQ_ADVANCED_HANDLERS_H

#include "advanced/state.h"

/* The function for that method, or that for any; NULL if there is none. */
const struct hqq_handler *hqq_handlers_find(const struct hqq_advanced *advanced, uint64_t method);

/* The entry of exactly that method, new if it has none; NULL without memory for it. */
struct hqq_handler *hqq_handlers_entry(struct hqq_advanced *advanced, uint64_t method);

/* Whether there is one for a request; whether some request waits that has one, or has none. */
bool hqq_handlers_is_handled(const struct hqq_advanced *advanced, const struct hqq_request *request);
bool hqq_handlers_has_request(const struct hqq_advanced *advanced, bool is_handled);

#endif
