/*
 * Members of sets: what was registered, and the endpoint, if there is one. A member is an entry in the endpoint's list
 * too, so that what its rings hold makes the set busy.
 */
#ifndef HQQ_SOCKET_EPOLL_MEMBER_H
#define HQQ_SOCKET_EPOLL_MEMBER_H

#include "endpoint/scheduler.h"
#include "socket/epoll_set.h"

/* A registration: of an endpoint, of a socket that may become one, or of another set. */
struct hqq_epoll_member {
    struct hqq_membership membership; /* first; linked while there is an endpoint */
    hqq_atomic_pointer next;          /* of the bucket, or of those that are not in use */
    hqq_atomic_pointer endpoint;      /* NULL: not yet */
    hqq_atomic_pointer inner;         /* another set, or NULL */
    hqq_atomic_u32 fd;                /* -1: it was closed, and the socket lives on by others */
    hqq_atomic_u32 events;            /* what was registered, and: */
    hqq_atomic_u64 data;
    hqq_atomic_u32 is_disarmed; /* EPOLLONESHOT, and an event was reported */
};

/* What a member was when it was looked at. */
struct hqq_epoll_seen {
    struct hqq_endpoint *endpoint;
    int fd;
    uint32_t events;
    uint64_t data;
};

/* ---- Without a lock ---------------------------------------------------------------------------------------------- */

/* The members, one after the other, from a bucket on. A place, 0 at first, is a bucket times a power of two, counted
 * from there, and a position in it: members that come and go in between may be passed twice, or not at all. NULL:
 * that was the last. */
struct hqq_epoll_member *hqq_epoll_member_at(const struct hqq_epoll_set *set, size_t first_bucket, size_t *place);

static inline struct hqq_epoll_member *hqq_epoll_member_first(const struct hqq_epoll_set *set, size_t bucket)
{
    return hqq_load_pointer_acquire(&set->bucket[bucket % HQQ_EPOLL_BUCKETS]);
}

static inline struct hqq_epoll_member *hqq_epoll_member_next(const struct hqq_epoll_member *member)
{
    return hqq_load_pointer_acquire(&member->next);
}

static inline struct hqq_epoll_seen hqq_epoll_member_look(const struct hqq_epoll_member *member)
{
    return (struct hqq_epoll_seen){
        .endpoint = hqq_load_pointer_acquire(&member->endpoint),
        .fd = (int)hqq_load32_relaxed(&member->fd),
        .events = hqq_load32_relaxed(&member->events),
        .data = hqq_load_relaxed(&member->data),
    };
}

#define HQQ_EPOLL_READABLE ((uint32_t)(EPOLLIN | EPOLLRDNORM))

/* True if it is reported when its rings hold something. */
static inline bool hqq_epoll_member_is_reported(const struct hqq_epoll_member *member,
                                                const struct hqq_epoll_seen *seen)
{
    return seen->endpoint && (seen->events & HQQ_EPOLL_READABLE) && hqq_load32_relaxed(&member->is_disarmed) == 0;
}

/* Where only news are reported: what is to be asked for them; else NULL. */
static inline struct hqq_membership *hqq_epoll_member_edge(struct hqq_epoll_member *member,
                                                           const struct hqq_epoll_seen *seen)
{
    return seen->events & EPOLLET ? &member->membership : NULL;
}

/* ---- Under a change (epoll_change.h) ----------------------------------------------------------------------------- */

/* Where the pointer to a member is; that is NULL if there is none. */
hqq_atomic_pointer *hqq_epoll_member_place(struct hqq_epoll_set *set, int fd);

/* True if the descriptor is an endpoint's, or of a socket that may become one. */
bool hqq_epoll_member_is_possible(int fd);

/* Registers a descriptor, in place of what it was registered for. inner: it is of a set itself; or NULL. */
void hqq_epoll_member_put(struct hqq_epoll_set *set, int fd, const struct epoll_event *event,
                          struct hqq_epoll_set *inner);
void hqq_epoll_member_remove(struct hqq_epoll_set *set, hqq_atomic_pointer *place);

/* Those that have become endpoints since they were registered. */
void hqq_epoll_member_link_pending(struct hqq_epoll_set *set);

/* After a jump out of one of these: the lock of an endpoint that it held. */
void hqq_epoll_member_unlock(struct hqq_epoll_set *set);

/* In a child of a fork. */
void hqq_epoll_member_reset_lock(void);

#endif
