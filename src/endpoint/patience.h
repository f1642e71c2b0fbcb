/*
 * A sender's short waits, under the send lock, which others only ever try. Each is a bet: bounded, given up where it was lost
 * before, and never made beside a receiver that needs this processor, which is given it instead.
 */
#ifndef HQQ_ENDPOINT_PATIENCE_H
#define HQQ_ENDPOINT_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint/destinations.h"

/* Some microseconds for the receiver, which is awake, to find its kernel queue empty: as long as the kernel's own send would take.
 * Else a saturated stream, whose every datagram adds to that queue, would never come back to the ring. */
void hqq_patience_for_drain(struct hqq_destination *destination);

/* As long as the receiver makes progress, up to what is configured. True: there may be room. */
bool hqq_patience_for_room(struct hqq_endpoint *endpoint, struct hqq_destination *destination, uint64_t length);

#endif
