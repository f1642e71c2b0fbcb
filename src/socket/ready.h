/*
 * Readiness: whether a receive would find something, and what must be so before control is with an app that may wait by
 * itself, or a thread with it that sleeps. The calls for those who wait for several descriptors stand in receive.h.
 */
#ifndef HQQ_SOCKET_READY_H
#define HQQ_SOCKET_READY_H

#include "socket/endpoint.h"

/*
 * Before control goes back to an app that may wait by itself: either a token is in the kernel's queue while there is
 * something to read, or every link is armed and empty and no token is left to make the socket look readable. A token
 * that came for the arming just made stays, as there is something again. Under the receive lock.
 */
void hqq_ready_settle(struct hqq_endpoint *endpoint, int fd);

#endif
