/*
 * Receiving: which datagram comes next, from a ring or from the kernel's queue, and how a thread sleeps until there is one.
 *
 * The order: what a ring holds comes before a datagram of the kernel's queue that was seen after it; the kernel's queue is empty
 * before a sender's next datagram may be published (the drain). So per sender the order is that of the calls.
 */
#ifndef HQQ_ENDPOINT_RECEIVE_H
#define HQQ_ENDPOINT_RECEIVE_H

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* recvmsg(): a length or -errno. Waits as the flags and the socket say. */
ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* The same, but it never waits. Takes the lock. */
ssize_t hqq_receive_now(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags);

/* A datagram that was taken from a ring and lies there still. Its slots are the caller's to release, and so is a reference to the
 * channel. */
struct hqq_borrowed {
    struct hqq_channel *channel;
    uint64_t position, slots;
};

/* The length of the next datagram, or -errno. If it lies in a ring it has been taken; else channel is NULL, and it is the one that
 * hqq_receive_now() takes next, unless another process is quicker. -EAGAIN: there is none. Takes the lock. */
ssize_t hqq_receive_borrow(struct hqq_endpoint *endpoint, int fd, struct hqq_borrowed *ret_borrowed);

/* Its slots are free again. */
void hqq_receive_give_back(struct hqq_channel *channel, uint64_t position, uint64_t slots);

/* FIONREAD: the length of the next datagram, 0 if there is none. False: the kernel tells, and the next receive shows what it tells
 * of. Leaves the kernel's queue alone, and an error that waits there. */
bool hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd, size_t *ret_length);

/* ---- For waits on several descriptors --------------------------------------------------------------------------- */

/* Under a filter: senders are sent to the kernel. True once the rings are empty. */
bool hqq_receive_is_kernels(struct hqq_endpoint *endpoint);

struct hqq_membership;

/* The first wait of this process for the socket: it is one that receives. */
void hqq_receive_begins(struct hqq_endpoint *endpoint);

/* True if a ring has something that a receive would find now; for an edge-triggered member of a set (else NULL): something new. False at
 * once where nothing is busy. */
bool hqq_receive_is_ready_slow(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);

static inline bool hqq_receive_is_ready(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_receiver) == 0, 0))
        hqq_receive_begins(endpoint);
    return hqq_load32_relaxed(&endpoint->is_busy) != 0 && hqq_receive_is_ready_slow(endpoint, edge);
}

/* Before a wait asks the kernel, without waiting, whether something is in the queue; and after it said that there is nothing. */
void hqq_receive_note_requests(struct hqq_endpoint *endpoint);
void hqq_receive_acknowledge(struct hqq_endpoint *endpoint);

/* The wait is about to sleep: the thread is counted, everything armed. False: look again, and it is not counted. */
bool hqq_receive_sleep(struct hqq_endpoint *endpoint);

/* The same for a wait that counts its threads as a whole. */
bool hqq_receive_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);

/* After hqq_receive_sleep(); also from a cleanup handler. */
void hqq_receive_wake(struct hqq_endpoint *endpoint);

/* This thread has slept in a wait: its next receive finds what it was woken for, and that is no stream. */
void hqq_receive_has_slept(void);

/* What the rings hold was reported by an edge-triggered set. */
void hqq_receive_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge);

/* How long a wait may spin on this socket, in ticks: 0 is not at all; and what became of it. *ret_shares_cpu: the peer needs this
 * processor, so give it up instead. */
uint64_t hqq_receive_stake(struct hqq_endpoint *endpoint, bool *ret_shares_cpu);
void hqq_receive_spun(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks);

#endif
