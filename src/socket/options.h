/*
 * What passes along with datagrams and may change how a socket is to be served.
 */
#ifndef HQQ_SOCKET_OPTIONS_H
#define HQQ_SOCKET_OPTIONS_H

#include <sys/socket.h>

/* Descriptors are passed on: if one of them is ours, another process may receive on it from now on. */
void hqq_options_see_passed(const struct msghdr *message);

/* Descriptors came: what was known of their numbers is of earlier ones. */
void hqq_options_see_received(const struct msghdr *message);

#endif
