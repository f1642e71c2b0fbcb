/*
 * Moves of an endpoint between its modes (mode.h), and why it is in one. One setter, hqq_mode_set(): asserts that the
 * move is legal, traces it, and stops the channels that the new mode has no use for.
 */
#ifndef HQQ_ENDPOINT_MODES_H
#define HQQ_ENDPOINT_MODES_H

#include "endpoint/endpoint.h"

/* Under the receive lock. */
void hqq_mode_set(struct hqq_endpoint *endpoint, enum hqq_mode mode);

/* One reason more to be FOREIGN, or one less. Under the receive lock; the channels are suspended or may be polled again. */
void hqq_mode_add_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why);
void hqq_mode_remove_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why);

const char *hqq_mode_text(enum hqq_mode mode);

#endif
