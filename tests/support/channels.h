/*
 * A channel whose two ends lie in this process, without sockets: for tests of sending and receiving alone. The offerer's end sends,
 * the other receives. Ring counters can begin anywhere. Where a channel can't be had the test fails.
 */
#ifndef TESTS_SUPPORT_CHANNELS_H
#define TESTS_SUPPORT_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "channel/rx.h"
#include "channel/tx.h"

struct channel_ends {
    struct hqq_channel *sender, *receiver;
};

/* Both rings are empty, their counters at begin, and the receiver is ARMED. */
struct channel_ends channel_ends_open(uint32_t slots, uint32_t slot_size, uint64_t begin);
void channel_ends_close(struct channel_ends *ends);

/* Makes it so again, with the receiver in a state; what was is forgotten. */
void channel_ends_reset(struct channel_ends *ends, uint64_t begin, enum hqq_notify state);

/* Fills and publishes a datagram of a length, whose bytes follow from its seed. */
enum hqq_tx_outcome channel_ends_send(struct channel_ends *ends, size_t length, unsigned char seed);

/* Peeks, takes, copies, releases, and checks the bytes. The length; -1: nothing is there, -2: broken. */
long channel_ends_receive(struct channel_ends *ends, unsigned char seed);

/* The states that words in the region hold. */
enum hqq_notify channel_ends_state(const struct channel_ends *ends);
hqq_atomic_u64 *channel_ends_word(const struct channel_ends *ends);

#endif
