/*
 * Descriptors that are passed to other processes beside a message (SCM_RIGHTS).
 */
#ifndef HQQ_ENDPOINT_PASSED_H
#define HQQ_ENDPOINT_PASSED_H

#include <sys/socket.h>

/* Calls see() for each descriptor in the control data, as far as that can be read. */
void hqq_passed_each(const struct msghdr *message, void (*see)(int fd));

/* Endpoints among those that are about to be passed: another process may receive on them. */
void hqq_passed_see(const struct msghdr *message);

#endif
