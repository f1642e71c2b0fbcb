/*
 * Forks. Sending belongs to the process that made the links; a child starts afresh. Receiving belongs to whoever
 * receives: the word that says who it is lies in memory that parent and child share. A child takes it over from a
 * process that has gone; two living ones that both receive share the kernel's queue, without links.
 *
 * A vfork child runs in its parent's memory and changes nothing here.
 */
#ifndef HQQ_SOCKET_FORK_H
#define HQQ_SOCKET_FORK_H

#include <stdbool.h>

#include "socket/endpoint.h"
#include "socket/token.h"

/* What the copies of a socket share across forks. */
struct hqq_shared {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 receiver; /* identity; 0: nobody yet */
    hqq_atomic_u32 is_contested;                     /* 1: two living processes have received */
};

/* Memory for an endpoint; NULL if there is none: then nothing is shared. Taken under the registry's lock. */
struct hqq_shared *hqq_shared_take(void);
void hqq_shared_return(struct hqq_shared *shared);

/* This process receives on the socket. Under the receive lock. */
void hqq_fork_receives(struct hqq_endpoint *endpoint);

/* True if no other living process does, as far as is known. */
bool hqq_fork_may_receive_alone(struct hqq_endpoint *endpoint);

/* Another process receives on the socket too, or may. Under the receive lock. */
void hqq_fork_share(struct hqq_endpoint *endpoint);

/* A token was taken that another process may be waiting for: it is sent again, to whoever waits now. */
void hqq_fork_pass_token_on(struct hqq_endpoint *endpoint, int fd, const struct hqq_token *token);

/* In a child of a fork that ran no handler: does what the handler would have done. */
void hqq_fork_noticed(void);

/* This is the process that our state belongs to. */
void hqq_fork_remember(void);
extern hqq_atomic_u64 hqq_fork_generation;

/* Forks since the start. */
extern hqq_atomic_u64 hqq_fork_count;

/* 0, or the number of the thread that a vfork child runs in. */
extern hqq_atomic_u32 hqq_fork_vfork_thread;

bool hqq_fork_is_vfork_child_slow(void);

/* Before anything is sent or received: a vfork child may have put another file where one of our sockets is. One load,
 * unless such a child closed or duplicated something just now. */
static inline bool hqq_fork_is_vfork_child(void)
{
    return __builtin_expect(hqq_load32_relaxed(&hqq_fork_vfork_thread) != 0, 0) && hqq_fork_is_vfork_child_slow();
}

/* True in a child of vfork(): no state may be changed. */
bool hqq_fork_is_borrowed(void);

#endif
