/*
 * Receiving: the lock is taken, what comes next is taken (take.h), and where there is nothing the thread spins, or
 * everything is armed and the thread sleeps in the kernel. Where nothing is busy a receive is the kernel's own, without
 * the lock.
 */
#ifndef HQQ_ENDPOINT_RECEIVE_H
#define HQQ_ENDPOINT_RECEIVE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* recvmsg(): a length or -errno. Waits as the flags and the socket say. */
ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* FIONREAD: the length of the next datagram, 0 if there is none. False: the kernel tells, and the next receive shows
 * what it tells of. Leaves the kernel's queue alone, and an error that waits there. */
bool hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd, size_t *ret_length);

#endif
