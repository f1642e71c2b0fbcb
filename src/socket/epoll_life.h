/*
 * The life of descriptors, as far as sets are concerned: those of sets, which are shared, passed and closed, and those
 * of members.
 */
#ifndef HQQ_SOCKET_EPOLL_LIFE_H
#define HQQ_SOCKET_EPOLL_LIFE_H

#include "socket/epoll_set.h"

/* A descriptor is closed: as a member of sets. */
void hqq_epoll_life_forget(int fd);

/* The last thread that was asleep in a set whose descriptors are all closed has woken: until then what its members get
 * wakes it still. */
void hqq_epoll_life_end_if_closed(struct hqq_epoll_set *set);

/* In a child of a fork. */
void hqq_epoll_life_reset_locks(void);

#endif
