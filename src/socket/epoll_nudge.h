/*
 * Nudges: an event of our own, which wakes who sleeps in the kernel's wait for a set to which a socket is added whose
 * rings hold something already. Programs never see it.
 */
#ifndef HQQ_SOCKET_EPOLL_NUDGE_H
#define HQQ_SOCKET_EPOLL_NUDGE_H

#include <stdbool.h>

#include "socket/epoll_set.h"

/* A socket was added by this descriptor of the set. Threads that sleep in a wait for the set, or for it as a
 * descriptor, must not miss what is sent from now on, so the socket is armed for them; and they must learn of what
 * its rings hold. */
void hqq_epoll_nudge(struct hqq_epoll_set *set, int epoll, struct hqq_endpoint *endpoint,
                     const struct epoll_event *event);

/* From now on the kernel reports our event in the set, by this descriptor of it. */
void hqq_epoll_nudge_begin(struct hqq_epoll_set *set, int epoll);

bool hqq_epoll_nudge_is(const struct epoll_event *event);

/* It was found, if there was one: the set reports it no more. */
void hqq_epoll_nudge_found(struct hqq_epoll_set *set, int epoll);

/* In a child of a fork. */
void hqq_epoll_nudge_reset_lock(void);

#endif
