/*
 * Epoll sets that have, or may get, endpoints as members. The sets are the kernel's; what is kept here is what the program asked for, so
 * that datagrams in rings can be reported as the kernel would. A set is an object of the table of descriptors, so duplicates of its
 * descriptor are one set.
 *
 * A set that is polled itself, or is a member of another one, makes its endpoints foreign: what waits for it sleeps in the kernel.
 */
#ifndef HQQ_SOCKET_EPOLL_H
#define HQQ_SOCKET_EPOLL_H

#include <stdbool.h>

#include "runtime/fdtable.h"

extern const struct hqq_ops hqq_epoll_ops;

/* A set was made, with this descriptor. */
void hqq_epoll_made(int fd);

/* A socket has got a name, or a peer: sets that it is a member of may have waited for that. */
void hqq_epoll_settle_all(void);

/* A descriptor is closed: as a member of sets. */
void hqq_epoll_forget(int fd);

/* Somebody polls a set. True if it has endpoints. */
bool hqq_epoll_is_polled(struct hqq_object *object);

/* True if the descriptor is of a set, and a member of it has something in a ring; also of a set within. */
bool hqq_epoll_has_data(int fd);

/* In a child of a fork. */
void hqq_epoll_reset_locks(void);

#endif
