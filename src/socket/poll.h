/*
 * Polling descriptors none of which is a socket of AF_HQQ.
 */
#ifndef HQQ_SOCKET_POLL_H
#define HQQ_SOCKET_POLL_H

#include <poll.h>
#include <signal.h>
#include <time.h>

/* ppoll() with arguments that have been checked: -1 and errno. */
int hqq_poll_sockets(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);

#endif
