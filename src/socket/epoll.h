/*
 * Which sockets of ours are in which epoll sets. The sets are the kernel's; what is kept here is what the app asked for,
 * so that datagrams in rings can be reported as the kernel would.
 */
#ifndef HQQ_SOCKET_EPOLL_H
#define HQQ_SOCKET_EPOLL_H

#include <stdbool.h>

#include "socket/endpoint.h"

struct hqq_epoll;

extern hqq_atomic_pointer hqq_epolls[HQQ_TABLE_SIZE];

/* True if this descriptor is an epoll set with sockets of ours, or may be in one. */
bool hqq_epoll_knows(int fd);

/* The descriptor is closed: as a set, and as a member of others. */
void hqq_epoll_forget(int fd);

void hqq_epoll_poll_slow(struct hqq_epoll *epoll);

/* Somebody polls this descriptor: if it is an epoll set its sockets are served by the kernel, as such a wait sees the
 * kernel's queues alone. */
static inline void hqq_epoll_is_polled(int fd)
{
    if ((unsigned)fd >= HQQ_TABLE_SIZE)
        return;
    struct hqq_epoll *epoll = hqq_load_pointer_acquire(&hqq_epolls[fd]);
    if (__builtin_expect(epoll != NULL, 0))
        hqq_epoll_poll_slow(epoll);
}

/* After a fork. */
void hqq_epoll_reset_locks(void);

#endif
