/*
 * A set with the sets that are its members, and theirs: what is done to all of them.
 *
 * A set that is polled itself, or is a member of another one, makes its endpoints foreign: what waits for it sleeps in
 * the kernel.
 */
#ifndef HQQ_SOCKET_EPOLL_TREE_H
#define HQQ_SOCKET_EPOLL_TREE_H

#include <stdbool.h>

#include "socket/epoll_set.h"

/* Members that have become endpoints since they were added; and whether sets within the set are readable. */
void hqq_epoll_tree_settle(struct hqq_epoll_set *set);

/* A set was made a member of another one, by this descriptor of it, or is now a member in another way. */
void hqq_epoll_tree_nest(struct hqq_epoll_set *inner, int fd);

/* A socket has got a name, or a peer: sets that it is a member of may have waited for that. */
void hqq_epoll_tree_settle_all(void);

/* What waits for the set is not seen: its endpoints get everything through the kernel. */
void hqq_epoll_tree_make_foreign(struct hqq_epoll_set *set);

/* The same, as the set is waited for as a descriptor, or in another set. */
void hqq_epoll_tree_make_polled(struct hqq_epoll_set *set);

/* Somebody polls a set. True if it has endpoints. */
bool hqq_epoll_tree_is_polled(struct hqq_object *object, int fd);

/* True if the descriptor is of a set, and a member of it has something in a ring. */
bool hqq_epoll_tree_has_data(int fd);

#endif
