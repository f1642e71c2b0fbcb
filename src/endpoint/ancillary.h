/*
 * What the kernel adds to a datagram that was sent before its receiver asked for it: credentials of nobody, and the time at which it is
 * received. Datagrams in a ring are such: from then on all go through the kernel.
 */
#ifndef HQQ_ENDPOINT_ANCILLARY_H
#define HQQ_ENDPOINT_ANCILLARY_H

#include <stdint.h>
#include <sys/socket.h>

/* Of the options that hqq_socket_options_kernels() tells. Sets msg_controllen to what is used, and MSG_CTRUNC in msg_flags where there is
 * no room. */
void hqq_ancillary_tell(uint32_t options, struct msghdr *message);

#endif
