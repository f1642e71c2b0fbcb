/*
 * Receiving: which datagram comes next, from the rings or from the kernel's queue, and how a thread sleeps until there
 * is one. The rules, and why they lose nothing, stand in PROTOCOL.md, "Sockets".
 */
#ifndef HQQ_SOCKET_RECEIVE_H
#define HQQ_SOCKET_RECEIVE_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "socket/endpoint.h"

/* One receive. */
struct hqq_receiving {
    struct hqq_endpoint *endpoint;
    int fd, flags;
    struct msghdr *message;
};

/* No datagram to be had now; none of ours: the kernel is to be asked by the app's own call. */
#define HQQ_RECEIVE_NOTHING (-EAGAIN)
#define HQQ_RECEIVE_KERNELS (-ENOTSUP)

/* recvmsg() on an endpoint: what it returns, and errno. Waits as the flags and the socket say. */
ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* ---- For those who wait for several descriptors; under the receive lock ------------------------------------------ */

/* True if a receive would find something. Takes tokens out of the kernel's queue on the way. */
bool hqq_receive_is_ready(struct hqq_endpoint *endpoint, int fd);

/* Arms all links for a sleep. False if a look after that found something: then do not sleep. */
bool hqq_receive_arm(struct hqq_endpoint *endpoint, int fd);

/* A quick look at the rings alone. */
bool hqq_receive_glance(struct hqq_endpoint *endpoint);

/* For edge-triggered waits. True if a ring holds something and has got something since the last two said: all that is
 * there has been told; nothing has. */
bool hqq_receive_has_news(const struct hqq_endpoint *endpoint);
void hqq_receive_note_told(struct hqq_endpoint *endpoint);
void hqq_receive_forget_told(struct hqq_endpoint *endpoint);

/* For borrowers (borrow.c): one receive that never waits, as recvmsg(), but -errno. */
ssize_t hqq_receive_now(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* A datagram that was taken from a ring and lies there still. Its slots are the caller's to release, and so is a reference
 * to the pair. */
struct hqq_lent {
    struct hqq_pair *pair;
    uint64_t position, slots;
};

/* The length of the next datagram, or -errno. If it lies in a ring it has been taken; else pair is NULL, and it is the
 * one that hqq_receive_now() takes next, unless another process is quicker. -EAGAIN: try again. */
ssize_t hqq_receive_lend(struct hqq_endpoint *endpoint, int fd, struct hqq_lent *ret_lent);

/* FIONREAD: the length of the next datagram, 0 if there is none. */
size_t hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd);

/* Datagrams come through the kernel from now on. What the rings hold can still be received. */
void hqq_receive_park(struct hqq_endpoint *endpoint, enum hqq_park why);

/* All pairs end: the socket is closed, or connected elsewhere. is_own: false leaves their regions alone. */
void hqq_receive_end_all(struct hqq_endpoint *endpoint, bool is_own);

/* Every pair is looked at again, as tokens may have been lost. */
void hqq_receive_look_anew(struct hqq_endpoint *endpoint);

#endif
