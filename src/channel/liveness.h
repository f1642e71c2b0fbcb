/*
 * Whether the process at the other end still exists. For many channels to one process at the price of one: a process that was
 * seen a moment ago by any thread, for any channel, is not looked at again. Lock-free, async-signal-safe. Across pid namespaces
 * nothing is known, and nobody dead.
 */
#ifndef HQQ_CHANNEL_LIVENESS_H
#define HQQ_CHANNEL_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#include "channel/channel.h"

/* How long a process that was seen is taken to be there. */
#define HQQ_LIVENESS_US 20

/* True if there is no process of the peer's number: as of at most 20 us ago, and misses one that is dead and not waited for. ticks:
 * now. */
bool hqq_liveness_is_missing(const struct hqq_channel *channel, uint64_t ticks);

/* True if the peer's process runs no more for certain; reads /proc. */
bool hqq_liveness_is_dead(const struct hqq_channel *channel);

/* True if the peer has closed its side for good, or there is no process of its number. */
bool hqq_liveness_has_left(const struct hqq_channel *channel);

#endif
