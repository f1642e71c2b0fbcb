/*
 * Loans of received datagrams: one that lies in a ring is taken, and stays there until it is given back.
 */
#ifndef HQQ_ENDPOINT_BORROW_H
#define HQQ_ENDPOINT_BORROW_H

#include <stdint.h>
#include <sys/types.h>

#include "endpoint/endpoint.h"

/* A datagram that was taken from a ring and lies there still. Its slots are the caller's to release, and so is a
 * reference to the channel. */
struct hqq_borrowed {
    struct hqq_channel *channel;
    uint64_t position, slots;
};

/* The length of the next datagram, or -errno. If it lies in a ring it has been taken; else channel is NULL, and it
 * is the one that a receive takes next, unless another process is quicker. -EAGAIN: there is none. Takes the lock. */
ssize_t hqq_borrow_next(struct hqq_endpoint *endpoint, int fd, struct hqq_borrowed *ret_borrowed);

/* Its slots are free again. */
void hqq_borrow_give_back(struct hqq_channel *channel, uint64_t position, uint64_t slots);

#endif
