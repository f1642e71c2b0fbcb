/*
 * The next datagram: from a ring, or from the kernel's queue. Under the receive lock; never waits.
 *
 * The order: what a ring holds comes before a datagram of the kernel's queue that was seen after it; the kernel's queue
 * is empty before a sender's next datagram may be published (the drain). So per sender the order is that of the calls.
 */
#ifndef HQQ_ENDPOINT_TAKE_H
#define HQQ_ENDPOINT_TAKE_H

#include "endpoint/endpoint.h"
#include "endpoint/kernel_queue.h"

/* A length, which MSG_TRUNC and MSG_PEEK may say of what was not copied or taken; HQQ_RECEIVE_NOTHING,
 * HQQ_RECEIVE_SPOILT or another -errno. */
ssize_t hqq_take_next(const struct hqq_receiving *receiving);

/* A datagram of this length has been taken from a ring. */
static inline void hqq_take_count(struct hqq_endpoint *endpoint, uint64_t length)
{
    hqq_count_own(&endpoint->counters->received_ring, 1);
    hqq_count_own(&endpoint->counters->received_ring_bytes, length);
    endpoint->since_kernel_poll++;
    endpoint->burst++;
    hqq_bet_gain(&endpoint->bet);
}

#endif
