/*
 * Sending: through the ring of the destination's pair, or through the kernel. See PROTOCOL.md, "Sockets".
 */
#ifndef HQQ_SOCKET_SEND_H
#define HQQ_SOCKET_SEND_H

#include <sys/socket.h>

#include "socket/endpoint.h"

/* sendmsg() on an endpoint: what it returns, and errno. Waits as the flags and the socket say. */
ssize_t hqq_send_message(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags);

/* The same for a datagram of one part that lies where it would be copied to: in the slots of this pair's ring that come
 * next, from this position on, which the caller has been lent (pair->is_lent). Sent, by whichever way, they are lent no
 * more; not so on failure. */
ssize_t hqq_send_reserved(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags,
                          struct hqq_pair *pair, uint64_t position);

#endif
