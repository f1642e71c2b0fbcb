/*
 * Taking datagrams from the rings of a socket: which is next, whether its barrier has been passed, and what goes before
 * the datagram at the head of the kernel's queue. All under the receive lock; never waits, never calls the system. What
 * a ring holds is hostile input: it is copied once, checked, and the copy used.
 */
#ifndef HQQ_SOCKET_RINGS_H
#define HQQ_SOCKET_RINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "socket/receive.h"

enum hqq_look {
    HQQ_LOOK_EMPTY,
    HQQ_LOOK_BLOCKED, /* its barrier has not been passed */
    HQQ_LOOK_DATA,
    HQQ_LOOK_BROKEN, /* nothing that an honest peer writes */
};

/* What is at the head of a ring. A barrier in the way is noted. */
enum hqq_look hqq_rings_look(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* True if one of them has something that may be taken now. */
bool hqq_rings_have_data(struct hqq_endpoint *endpoint);

/* Takes the next datagram from the rings: that of the current one, for a while, then of those behind it. With limits,
 * only what was there when a datagram was seen at the head of the kernel's queue. Returns what recvmsg() would, or
 * HQQ_RECEIVE_NOTHING. */
ssize_t hqq_rings_take(const struct hqq_receiving *receiving);

/* Takes the datagram at the head of a ring, which stays where it is: its slots are the caller's to release, and so is a
 * reference to the pair. Returns its length, HQQ_RECEIVE_NOTHING if its sender took it back, or HQQ_RECEIVE_KERNELS if
 * the datagram at the head of the kernel's queue goes before it. */
ssize_t hqq_rings_lend(struct hqq_endpoint *endpoint, struct hqq_pair *pair, struct hqq_lent *ret_lent);

/* The kernel's queue is empty: barriers that were noted before it was looked at, and whose tokens were sent before that,
 * have lost them, or another process took them. True if there were any. */
bool hqq_rings_pass_noted(struct hqq_endpoint *endpoint);

/* A datagram is at the head of the kernel's queue: what the rings hold now goes before it. */
void hqq_rings_set_limits(struct hqq_endpoint *endpoint);

#endif
