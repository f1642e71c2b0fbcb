/*
 * What passes along with datagrams and may change how a socket is to be served.
 */
#ifndef HQQ_SOCKET_OPTIONS_H
#define HQQ_SOCKET_OPTIONS_H

#include <stdbool.h>
#include <sys/socket.h>

/* True if an option is set that only the kernel can serve; or one after which the queue is not to be looked at. */
bool hqq_options_has_kernels(int fd);
bool hqq_options_has_kernels_only(int fd);

/* Descriptors are passed on: if one of them is ours, another process may receive on it from now on. */
void hqq_options_see_passed(const struct msghdr *message);

/* Descriptors came: what was known of their numbers is of earlier ones. */
void hqq_options_see_received(const struct msghdr *message);

#endif
