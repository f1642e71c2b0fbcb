/*
 * The receiver's part of the handshake: the rendezvous is opened at the first receive of a process, offers there are
 * read about once a millisecond of traffic, and a key that comes beside a datagram validates the channel that it names.
 * All under the receive lock, but for what says otherwise.
 */
#ifndef HQQ_ENDPOINT_VALIDATION_H
#define HQQ_ENDPOINT_VALIDATION_H

#include <stdbool.h>
#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* How often the rendezvous is looked at. */
#define HQQ_VALIDATION_LOOK_US 1000

/* Without the lock: true if it is time to look. */
static inline bool hqq_validation_is_due(const struct hqq_endpoint *endpoint)
{
    return hqq_load32_relaxed(&endpoint->unvalidated_count) != 0 || endpoint->offered != NULL ||
           hqq_ticks_are_due(hqq_ticks(), hqq_load_relaxed(&endpoint->looked_ticks), HQQ_VALIDATION_LOOK_US);
}

/* Reads offers, takes over channels that the sending side made, says that this process receives. */
void hqq_validation_look(struct hqq_endpoint *endpoint);

/* The same if it is time: a socket that is kept busy by one sender is still offered channels by others, whose
 * datagrams come by the kernel. Not beside a change that was interrupted. */
void hqq_validation_look_if_due(struct hqq_endpoint *endpoint);

/* A channel that the sending side made, for what its peer sends back. Under the send lock. */
void hqq_validation_push(struct hqq_endpoint *endpoint, struct hqq_channel *channel);

/* What the sending side has made is the receiving side's from now on, to receive from and to end. */
void hqq_validation_take_over_offered(struct hqq_endpoint *endpoint);

/* Those that were not taken over. */
void hqq_validation_drop_offered(struct hqq_endpoint *endpoint, bool is_own);

/* Without the lock: takes the descriptor out of what was received, if it is a challenge. is_peek: the datagram is
 * still in the queue, and will be taken with another copy of the descriptor. True: nothing of it is the app's. */
bool hqq_validation_take(struct hqq_endpoint *endpoint, struct msghdr *message, bool is_peek);

/* Opens the rendezvous; closes it, and connections to it. is_own: false leaves a file of the parent's where it is. */
void hqq_validation_listen(struct hqq_endpoint *endpoint);
void hqq_validation_end(struct hqq_endpoint *endpoint, bool is_own);

#endif
