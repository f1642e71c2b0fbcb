/*
 * Sending again what a receiver that has gone did not read: through the kernel, in order, once each. Under the send
 * lock.
 */
#ifndef HQQ_ENDPOINT_RESEND_H
#define HQQ_ENDPOINT_RESEND_H

#include "endpoint/destinations.h"

/* What a send says inside when there was no room: no error number of the kernel's. */
#define HQQ_RESEND_FULL (-4095)

/* RESENDING: all that there is, if the kernel's queue has room. 0: done, the destination is NONE; -EAGAIN: not yet.
 * Another -errno is the kernel's answer, and the program's: the socket is connected there, and what is left is lost; or
 * nobody has the name, the destination is RESENDING still, and what the kernel's queue would not have held is kept for
 * a second for who may have the name then. */
int hqq_resend(struct hqq_endpoint *endpoint, struct hqq_destination *destination, int fd);

/* The receiver has ended, and so has its queue: as much is lost as the kernel would have lost, the oldest. True: there is
 * more, which the kernel would not have taken while that receiver did not read. */
bool hqq_resend_give_up_queue(struct hqq_destination *destination);

/* Before that: 0, or the -errno that the app's datagram has for itself, whoever is to have it, and which comes before whatever the
 * receiver's end makes of it. */
int hqq_resend_judge(int fd, const struct msghdr *datagram, int flags);

/* Without the lock, in a send that may wait: before it is tried again. 0; -EAGAIN: the time of SO_SNDTIMEO is over,
 * which *until_ns, 0 at first, says; -EINTR: a handler that ends waits has run since hqq_handlers_interrupting was
 * so many. */
int hqq_resend_wait(int fd, uint32_t handlers, uint64_t *until_ns);

#endif
