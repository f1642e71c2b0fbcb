/*
 * Sending: through the ring of the destination's pair, or through the kernel. See PROTOCOL.md, "Sockets".
 */
#ifndef HQQ_SOCKET_SEND_H
#define HQQ_SOCKET_SEND_H

#include <sys/socket.h>

#include "socket/endpoint.h"

/* sendmsg() on an endpoint: what it returns, and errno. Waits as the flags and the socket say. */
ssize_t hqq_send_message(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags);

#endif
