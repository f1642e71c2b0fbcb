/*
 * The kernel's queue of a socket. Under the receive lock looks and pops never wait; without it the app's own call is made, which
 * may. Whichever it is, a descriptor that comes as a peer's challenge is taken out of the message, and never seen by the app.
 */
#ifndef HQQ_ENDPOINT_KERNEL_QUEUE_H
#define HQQ_ENDPOINT_KERNEL_QUEUE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "endpoint/endpoint.h"

/* One receive. */
struct hqq_receiving {
    struct hqq_endpoint *endpoint;
    int fd, flags;
    struct msghdr *message;
    struct hqq_receive_frame *frame; /* NULL: nothing is held that a handler could spoil */
};

/* No datagram to be had now. */
#define HQQ_RECEIVE_NOTHING (-EAGAIN)

/* A handler has received in the midst of it: begin anew. */
#define HQQ_RECEIVE_SPOILT (-ERESTART)

/* True if nothing is in it: no datagram, no error, no end of file. */
bool hqq_kernel_queue_is_empty(int fd);

/* recvmsg() that never waits, under the lock: a length, -errno, or HQQ_RECEIVE_SPOILT. */
ssize_t hqq_kernel_queue_pop(const struct hqq_receiving *receiving);

/* The app's own call, without the lock: waits as flags and socket say; a cancellation point. -errno. The endpoint counts the
 * thread for as long as it takes. *ret_has_slept: it took longer than a receive of something that was there. */
ssize_t hqq_kernel_queue_receive(const struct hqq_receiving *receiving, bool *ret_has_slept);

/* For waits: this thread is about to sleep on the socket, or no more. */
static inline void hqq_kernel_queue_enter(struct hqq_endpoint *endpoint)
{
    hqq_add32_relaxed(&endpoint->in_kernel, 1);
    hqq_fence_full(); /* edge E1: with the fence in scheduler.c */
}

void hqq_kernel_queue_leave(void *endpoint);

#endif
