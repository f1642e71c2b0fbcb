/*
 * Epoll sets that have, or may get, endpoints as members: what the program asked for, and where it stands. The sets are
 * the kernel's; this is kept so that datagrams in rings can be reported as the kernel would. A set is an object of the
 * table of descriptors, so duplicates of its descriptor are one set.
 *
 * Waits go through the members without a lock. What they find is good if the set's version has not changed in between;
 * what they find by accident is still a member of this set, or one that was: members are not given to other sets.
 */
#ifndef HQQ_SOCKET_EPOLL_SET_H
#define HQQ_SOCKET_EPOLL_SET_H

#include <sys/epoll.h>

#include "endpoint/endpoint.h"
#include "runtime/fdtable.h"
#include "runtime/lock.h"

#define HQQ_EPOLL_BUCKETS 256

/* Descriptors for which a handler may want changes of a set while the code that it interrupted is changing it. */
#define HQQ_EPOLL_DEFERRED 32

struct hqq_epoll_change {
    int epoll, operation, fd;
    struct epoll_event event;
};

/* A change that waits for the one under way: the last that was wanted for its descriptor. */
struct hqq_epoll_deferred {
    hqq_atomic_u32 number; /* counted by the set; 0: none. One is special: epoll_change.c */
    struct hqq_epoll_change change;
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
    hqq_atomic_u32 inner_sets;   /* members that are sets */
    hqq_atomic_u32 is_nudged;    /* the kernel reports our event */
    hqq_atomic_u32 is_foreign;   /* of unknown origin, or: */
    hqq_atomic_u32 is_polled;    /* as a descriptor, or within another set */
    hqq_atomic_u32 kernel_first; /* whose events go first, in turn, where there is room for few */
    hqq_atomic_u32 first_bucket; /* where the next wait begins, so that each member has its turn */
    /* The change under way has this one's lock, or is taking it; and nothing below it had. */
    struct hqq_endpoint *linking;
    hqq_atomic_u32 has_deferred;    /* 1: there may be such */
    hqq_atomic_u32 deferred_number; /* of the last */
    struct hqq_epoll_deferred deferred[HQQ_EPOLL_DEFERRED];
    hqq_atomic_pointer bucket[HQQ_EPOLL_BUCKETS]; /* the first member of each */
    hqq_atomic_pointer unused;
};

/* What a set can do as an object of the table: epoll_life.c. */
extern const struct hqq_ops hqq_epoll_ops;

/* The set of a descriptor; NULL: none, or not known. And the same, known from now on; NULL: no memory. */
struct hqq_epoll_set *hqq_epoll_set_find(int fd);
struct hqq_epoll_set *hqq_epoll_set_find_or_make(int fd);

/* A set was made, with this descriptor. */
void hqq_epoll_set_made(int fd);

/* The first of all there ever were. */
struct hqq_epoll_set *hqq_epoll_set_all(void);

/* In a child of a fork: sets live on there, where nobody waits for them yet. What waits for them in two processes is
 * not seen. */
void hqq_epoll_set_reset_locks(void);

#endif
