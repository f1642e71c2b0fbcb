/*
 * Sending: through the ring of the destination's channel, or through the kernel. The send lock is only ever tried: who finds it
 * held, by another thread or by the code that this handler interrupts, uses the kernel; both orders are what the kernel itself
 * could have made of calls that overlap.
 */
#ifndef HQQ_ENDPOINT_SEND_H
#define HQQ_ENDPOINT_SEND_H

#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* sendmsg(): a length or -errno. Waits as the flags and the socket say. */
ssize_t hqq_send_message(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags);

/* The same for a datagram of one part that lies where it would be copied to: in the slots of this channel that come next, from this
 * position on, which the caller has reserved (channel->is_reserved). Sent, by whichever way, they are reserved no more; not so on
 * failure. */
ssize_t hqq_send_reserved(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags,
                          struct hqq_channel *channel, uint64_t position);

#endif
