/*
 * What passes along with datagrams and changes what is known of descriptors.
 */
#ifndef HQQ_SOCKET_OPTIONS_H
#define HQQ_SOCKET_OPTIONS_H

#include <sys/socket.h>

/* Descriptors came: what was known of their numbers is of earlier ones. */
void hqq_options_see_received(const struct msghdr *message);

#endif
