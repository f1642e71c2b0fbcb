/*
 * Reservations: slots of a ring that the next datagram would take, lent to the program to write in. Not a claim: nothing of it shows in
 * the ring before the commit, so there is nothing to recover if this process dies, and the receiver never finds a hole.
 * Others that send meanwhile find channel->is_reserved, and use the kernel.
 */
#ifndef HQQ_ENDPOINT_LOAN_H
#define HQQ_ENDPOINT_LOAN_H

#include "endpoint/endpoint.h"

/* In the ring of the channel to where the socket is connected. False: not now, memory from elsewhere has to do. */
bool hqq_loan_reserve(struct hqq_endpoint *endpoint, int fd, size_t length, struct hqq_reservation *reservation);

/* -errno, or what was sent; then the reservation is over. */
ssize_t hqq_loan_commit(const struct hqq_reservation *reservation, size_t length);
void hqq_loan_abandon(const struct hqq_reservation *reservation);

#endif
