/*
 * Changes of sets, one at a time: under the set's lock, with a version that is odd meanwhile. A signal handler may
 * interrupt a change of its own thread, and jump out of it, which ends the change; what it changes itself waits until
 * the interrupted change is over.
 */
#ifndef HQQ_SOCKET_EPOLL_CHANGE_H
#define HQQ_SOCKET_EPOLL_CHANGE_H

#include <stdbool.h>

#include "runtime/frame.h"
#include "socket/epoll_set.h"

/* False: this is a handler, and the code that it has interrupted is changing the set. */
bool hqq_epoll_change_begin(struct hqq_frame *frame, struct hqq_epoll_set *set);
void hqq_epoll_change_end(struct hqq_frame *frame);

/* Where hqq_epoll_change_begin() is false: to be made at the end of that change, or, if handlers run too often for
 * that, of a later one. If so many wait already the socket is left to the kernel. */
void hqq_epoll_change_defer(struct hqq_epoll_set *set, const struct hqq_epoll_change *change);

/* True if some may be left to be made by the next change. */
static inline bool hqq_epoll_change_has_deferred(const struct hqq_epoll_set *set)
{
    return hqq_load32_relaxed(&set->has_deferred) != 0;
}

/* A whole change, now or then. */
void hqq_epoll_change_make(struct hqq_epoll_set *set, const struct hqq_epoll_change *change);

#endif
