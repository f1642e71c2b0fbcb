/*
 * What the copies of a socket in several processes share, and which process this is. Only the words and who may set
 * them: what follows from them for channels and destinations is for ownership.h.
 *
 * A vfork child runs in its parent's memory and changes nothing here.
 */
#ifndef HQQ_ENDPOINT_SHARED_H
#define HQQ_ENDPOINT_SHARED_H

#include <stdalign.h>
#include <stdbool.h>

#include "endpoint/endpoint.h"

/* What the copies of a socket share across forks. */
struct hqq_shared {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 holders; /* the place itself: shared.c */
    hqq_atomic_u64 receiver;                        /* identity; 0: nobody yet */
    hqq_atomic_u64 sender;                          /* identity of the process that publishes; 0: nobody */
    hqq_atomic_u64 kernel_sends;                    /* of all others, after they have returned */
    hqq_atomic_u64 changes;                         /* connects, binds and shutdowns */
    hqq_atomic_u64 longest;                         /* datagram that SO_SNDBUF allows */
    hqq_atomic_u32 is_contested;                    /* 1: two living processes have received */
    hqq_atomic_u32 is_nonblocking;                  /* O_NONBLOCK */
    hqq_atomic_u32 is_passed;                       /* 1: another program has it, and may send */
};

/*
 * Memory for an endpoint; NULL if there is none: then nothing is shared. Taken under the registry's lock. A place is free again once
 * every process that held it has returned it. One that is killed holds its places for good: 64 bytes each.
 */
struct hqq_shared *hqq_shared_take(uint32_t *ret_take);
void hqq_shared_return(struct hqq_shared *shared, uint32_t take);

/* This process returns an endpoint's place, if it holds it: not in a child of a fork that no handler saw, which has none of its own. */
void hqq_shared_leave(struct hqq_endpoint *endpoint);

/* One more process holds the place, if it still is what was taken then. */
bool hqq_shared_hold(struct hqq_shared *shared, uint32_t take);

/* From now on places are taken from new memory, as a child of a fork does not share it with its parent. */
void hqq_shared_begin_pool(void);

/*
 * Places of sockets that have no endpoint yet, but copies since a fork: kept by the socket's cookie until an endpoint is made, in
 * each process by itself. All under the registry's lock.
 *
 * Before a fork: begin, one call for each such socket, end. What is not named any more is forgotten. False: there is no room.
 */
void hqq_shared_begin_keeping(void);
bool hqq_shared_keep(uint64_t cookie);
void hqq_shared_end_keeping(void);

/* The place that is kept for a socket, now its endpoint's; or NULL. is_inherited: it was another process's first. */
struct hqq_shared *hqq_shared_take_kept(uint64_t cookie, uint32_t *ret_take, bool *ret_is_inherited);

/* True if there is any. */
bool hqq_shared_is_keeping(void);

/* A copy of the process ends, or is about to; and is not about to any more. */
void hqq_shared_leave_kept(void);
void hqq_shared_stay_kept(void);

/* Forks since the start, and sockets that came from elsewhere: while there are none, copies need not be thought of. */
extern hqq_atomic_u64 hqq_ownership_copies;

/* Under the send lock: this process publishes from now on. False: another living one does. */
bool hqq_ownership_claim(struct hqq_endpoint *endpoint);

/* It does no more. */
void hqq_ownership_release(struct hqq_endpoint *endpoint);

/* A kernel send whose destination is not known has returned; or one in a process that does not publish. */
void hqq_ownership_count_send(struct hqq_endpoint *endpoint);

/* A connect, bind or shutdown of this process. */
void hqq_ownership_note_change(struct hqq_endpoint *endpoint);

/* Another program has the socket from now on, and what that sends nobody counts: no copy publishes any more. */
void hqq_ownership_note_passed(struct hqq_endpoint *endpoint);

static inline bool hqq_ownership_is_passed(const struct hqq_endpoint *endpoint)
{
    return __builtin_expect(hqq_load_relaxed(&hqq_ownership_copies) != 0, 0) && endpoint->shared &&
           hqq_load32_relaxed(&endpoint->shared->is_passed) != 0;
}

/* The longest datagram that the kernel would take. */
static inline uint64_t hqq_ownership_longest(const struct hqq_endpoint *endpoint)
{
    bool is_shared = __builtin_expect(hqq_load_relaxed(&hqq_ownership_copies) != 0, 0) && endpoint->shared;
    return hqq_load_relaxed(is_shared ? &endpoint->shared->longest : &endpoint->longest);
}

static inline bool hqq_ownership_is_nonblocking(const struct hqq_endpoint *endpoint)
{
    return endpoint->shared && hqq_load32_relaxed(&endpoint->shared->is_nonblocking) != 0;
}

/* This is the process that our state belongs to. */
void hqq_ownership_remember(void);

/* False in a child of a fork that has not been told so. */
bool hqq_shared_is_remembered(void);

/* ---- vfork -------------------------------------------------------------------------------------------------------- */

/* 0, or the number of the thread that a vfork child runs in. */
extern hqq_atomic_u32 hqq_ownership_vfork_thread;

bool hqq_ownership_is_vfork_child_slow(void);

/* Before anything is sent or received: a vfork child may have put another file where one of our sockets is. One load, unless such
 * a child closed or duplicated something just now. */
static inline bool hqq_ownership_is_vfork_child(void)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_ownership_vfork_thread) != 0, 0) &&
           hqq_ownership_is_vfork_child_slow();
}

/* True in a child of vfork(): no state may be changed. */
bool hqq_ownership_is_borrowed(void);

#endif
