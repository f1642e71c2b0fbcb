/*
 * Reservations and loans in memory from the heap: where a datagram takes, or may take, the kernel.
 */
#ifndef HQQ_ENDPOINT_HEAP_LOAN_H
#define HQQ_ENDPOINT_HEAP_LOAN_H

#include <stdint.h>

#include <hqq/socket.h>

/* What a socket keeps whatever its descriptor; 0 for what is no socket. */
uint64_t hqq_heap_loan_cookie(int fd);

/* For reservation->fd. 0 or -ENOMEM. */
int hqq_heap_loan_reserve(size_t length, struct hqq_reservation *reservation);

#endif
