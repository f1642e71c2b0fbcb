/*
 * A link for callers that sleep in calls of their own, poll(2) above all, on a descriptor that becomes readable when the
 * peer has something to tell: a datagram socket that is bound to the *knocking address* of the end.
 *
 *      sleeper                                     peer
 *      takes earlier knocks out of the socket      publishes (or releases) a slot
 *      arms the bell (ring/bell.h), looks again    finds the bell armed: rings it, and as it is polled
 *      sleeps in poll(2)                           knocks: one byte to that address
 *
 * The address follows from the named object's device and inode and from the end's role, and from nothing that stands in
 * the region: a hostile peer cannot send the knocks elsewhere. A knock carries nothing and proves nothing; who gets one
 * looks at the ring. One that is lost, as the peer lives in another network namespace, costs time: a sleep lasts no
 * longer than hqq_link_arm() says.
 *
 * No function here waits; all are async-signal-safe.
 */
#ifndef HQQ_STANDARD_POLL_H
#define HQQ_STANDARD_POLL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <hqq/link.h>

#include "ring/wait.h"

/* The knocking address of this end. False if the link has no name, and so no such address. */
bool hqq_link_knock_address(const struct hqq_link *link, struct sockaddr_un *ret_address, socklen_t *ret_length);

/* Whether who sleeps at this end's bells is to be woken by knocks, too: from the bind of that socket to its end. */
void hqq_link_set_polled(struct hqq_link *link, bool is_polled);

/* hqq_link_reserve() and hqq_link_borrow() that return WOULD_BLOCK where those wait. */
int hqq_link_try_reserve(struct hqq_link *link, struct hqq_slot *ret_slot);
int hqq_link_try_borrow(struct hqq_link *link, struct hqq_slot *ret_slot);

/* True if a call would not wait: there is a datagram, or a free slot, or an error to be told. */
bool hqq_link_is_ready(struct hqq_link *link, enum hqq_wait_for what);

/* Looks again and again for the adaptive time; true if a claim has a chance. */
bool hqq_link_spin(struct hqq_link *link, enum hqq_wait_for what);

/* After a wait that had begun at start_ns. */
void hqq_link_learn(struct hqq_link *link, enum hqq_wait_for what, uint64_t start_ns);

/* Arms the bell for a sleep, and returns when that must end for a look at the peer, or for one at the ring if the peer
 * may be silent. *look_ns is 0 before the first sleep of a wait. Look once more before sleeping; disarm afterwards. */
uint64_t hqq_link_arm(struct hqq_link *link, enum hqq_wait_for what, uint64_t *look_ns);
void hqq_link_disarm(struct hqq_link *link, enum hqq_wait_for what);

/* True if the bell is armed, so that whatever is published next brings a knock. */
bool hqq_link_is_armed(const struct hqq_link *link, enum hqq_wait_for what);

#endif
