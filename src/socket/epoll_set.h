/*
 * Epoll sets that have, or may get, endpoints as members: what the program asked for, and where it stands. The sets are the kernel's;
 * this is kept so that datagrams in rings can be reported as the kernel would. A set is an object of the table of descriptors, so
 * duplicates of its descriptor are one set.
 *
 * A set that is polled itself, or is a member of another one, makes its endpoints foreign: what waits for it sleeps in the kernel.
 *
 * Waits go through the members without a lock. What they find is good if the set's version has not changed in between; what they
 * find by accident is still a member of this set, or one that was: members are not given to other sets.
 */
#ifndef HQQ_SOCKET_EPOLL_SET_H
#define HQQ_SOCKET_EPOLL_SET_H

#include <sys/epoll.h>

#include "endpoint/endpoint.h"
#include "endpoint/scheduler.h"
#include "runtime/fdtable.h"
#include "runtime/lock.h"

#define HQQ_EPOLL_BUCKETS 256

/* Changes that a handler makes of a set which the code that it interrupted is changing wait for that, so many of them. */
#define HQQ_EPOLL_DEFERRED 4

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

struct hqq_epoll_change {
    int epoll, operation, fd;
    struct epoll_event event;
};

struct hqq_epoll_set {
    struct hqq_object object;   /* first */
    struct hqq_epoll_set *next; /* of all there ever were */
    struct hqq_lock lock;       /* of changes */
    hqq_atomic_u32 version;     /* odd: a change is under way */
    hqq_atomic_u32 waiters;     /* threads that are asleep in a wait for it */
    hqq_atomic_u32 busy;        /* members that are */
    hqq_atomic_u32 pending;     /* members that are no endpoints yet, but may become some */
    hqq_atomic_u32 members, descriptors;
    hqq_atomic_u32 is_nudged;    /* the kernel reports our event */
    hqq_atomic_u32 is_foreign;   /* of unknown origin, or: */
    hqq_atomic_u32 is_polled;    /* as a descriptor, or within another set */
    hqq_atomic_u32 kernel_first; /* whose events go first, in turn, where there is room for few */
    hqq_atomic_u32 first_bucket; /* where the next wait begins, so that each member has its turn */
    struct hqq_endpoint
        *linking; /* the change under way has this one's lock, or is taking it; and nothing below it had */
    uint32_t deferred_count;
    struct hqq_epoll_change deferred[HQQ_EPOLL_DEFERRED];
    hqq_atomic_pointer bucket[HQQ_EPOLL_BUCKETS]; /* the first member of each */
    hqq_atomic_pointer unused;
};

/* The members, one after the other, from a bucket on. A place, 0 at first, is a bucket times a power of two, counted from there, and a
 * position in it: members that come and go in between may be passed twice, or not at all. NULL: that was the last. */
struct hqq_epoll_member *hqq_epoll_member_at(const struct hqq_epoll_set *set, size_t first_bucket, size_t *place);

static inline struct hqq_epoll_member *hqq_epoll_first(const struct hqq_epoll_set *set, size_t bucket)
{
    return hqq_load_pointer_acquire(&set->bucket[bucket % HQQ_EPOLL_BUCKETS]);
}

static inline struct hqq_epoll_member *hqq_epoll_next(const struct hqq_epoll_member *member)
{
    return hqq_load_pointer_acquire(&member->next);
}

static inline struct hqq_epoll_seen hqq_epoll_look(const struct hqq_epoll_member *member)
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
static inline bool hqq_epoll_is_reported(const struct hqq_epoll_member *member, const struct hqq_epoll_seen *seen)
{
    return seen->endpoint && (seen->events & HQQ_EPOLL_READABLE) && hqq_load32_relaxed(&member->is_disarmed) == 0;
}

/* Where only news are reported: what is to be asked for them; else NULL. */
static inline struct hqq_membership *hqq_epoll_edge(struct hqq_epoll_member *member, const struct hqq_epoll_seen *seen)
{
    return seen->events & EPOLLET ? &member->membership : NULL;
}

/* The set of a descriptor; NULL: none, or not known. And the same, known from now on; NULL: no memory. */
struct hqq_epoll_set *hqq_epoll_find(int fd);
struct hqq_epoll_set *hqq_epoll_find_or_make(int fd);

/* Members that have become endpoints since they were added; also of sets within. */
void hqq_epoll_settle(struct hqq_epoll_set *set);

/* The last thread that was asleep in a set whose descriptors are all closed has woken. */
void hqq_epoll_end_if_closed(struct hqq_epoll_set *set);

/* True if this is the event that wakes who sleeps in a set to which an endpoint was added whose rings hold something. */
bool hqq_epoll_is_nudge(const struct epoll_event *event);

/* It was found, if there was one: the set reports it no more. */
void hqq_epoll_nudged(struct hqq_epoll_set *set, int epoll);

/* ---- For the life of descriptors, and for poll and select -------------------------------------------------------- */

extern const struct hqq_ops hqq_epoll_ops;

/* A set was made, with this descriptor. */
void hqq_epoll_made(int fd);

/* A socket has got a name, or a peer: sets that it is a member of may have waited for that. */
void hqq_epoll_settle_all(void);

/* A descriptor is closed: as a member of sets. */
void hqq_epoll_forget(int fd);

/* Somebody polls a set. True if it has endpoints. */
bool hqq_epoll_is_polled(struct hqq_object *object, int fd);

/* True if the descriptor is of a set, and a member of it has something in a ring; also of a set within. */
bool hqq_epoll_has_data(int fd);

/* In a child of a fork. */
void hqq_epoll_reset_locks(void);

#endif
