/*
 * Ownership: which process receives on a socket, which one publishes for it, and what copies of it in other processes
 * have done. It stands in memory that forked copies share (shared.h).
 *
 * Sending: one process publishes, the owner. The others use the kernel, and count their sends here; the owner asks its
 * receivers to drain before it publishes again. Receiving: rings belong to whoever receives. A child takes them over
 * from a process that has gone; two living ones that both receive share the kernel's queue, and rings are suspended.
 */
#ifndef HQQ_ENDPOINT_OWNERSHIP_H
#define HQQ_ENDPOINT_OWNERSHIP_H

#include <stdbool.h>

#include "endpoint/endpoint.h"
#include "endpoint/shared.h"

/* This process receives on the socket from now on, unless another one does. Takes the receive lock. */
void hqq_ownership_receives(struct hqq_endpoint *endpoint);

/* Before a receive: what other processes may have changed. Nearly free while there are no copies. */
void hqq_ownership_refresh_slow(struct hqq_endpoint *endpoint, int fd);

static inline void hqq_ownership_refresh(struct hqq_endpoint *endpoint, int fd)
{
    if (__builtin_expect(hqq_load_relaxed(&hqq_ownership_copies) != 0, 0))
        hqq_ownership_refresh_slow(endpoint, fd);
}

/* Under the send lock: true if this process may publish. Folds what others have sent into the drain requests, and
 * forgets destinations after a change that another process made. */
bool hqq_ownership_may_publish_slow(struct hqq_endpoint *endpoint);

static inline bool hqq_ownership_may_publish(struct hqq_endpoint *endpoint)
{
    const struct hqq_shared *shared = endpoint->shared;
    return !shared ||
           (hqq_load_relaxed(&shared->kernel_sends) == endpoint->folded_sends &&
            hqq_load_relaxed(&hqq_ownership_copies) == 0) ||
           hqq_ownership_may_publish_slow(endpoint);
}

/* Another process receives on the socket too, or may. Under the receive lock. */
void hqq_ownership_contest(struct hqq_endpoint *endpoint);

/* Around a fork, as pthread_atfork() calls them; the last one also for a child that ran no handler. */
void hqq_ownership_fork_prepare(void);
void hqq_ownership_fork_parent(void);
void hqq_ownership_fork_child(void);
void hqq_ownership_noticed(struct hqq_endpoint *endpoint);

/* A child of a fork ends, or becomes another program: what it shares is its parent's. And: it has not become one
 * after all. */
void hqq_ownership_leave(void);
void hqq_ownership_stay(void);

#endif
