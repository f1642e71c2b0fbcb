/*
 * Waiting without a thread of our own: whoever waits drives the link. It takes packets if nobody else does, sends what can
 * be sent, and else sleeps until somebody who does finds that its wait may be over.
 *
 * Nothing is lost when a driver goes away: it wakes another waiter, which takes over. Who makes a wait come to its end
 * wakes it wherever it is, by what it waits for (wake.h).
 */
#ifndef HQQ_ADVANCED_WAIT_H
#define HQQ_ADVANCED_WAIT_H

#include "advanced/state.h"

/* Whether what is waited for has come; the lock is held. */
typedef bool hqq_ready_fn(void *arg);

enum hqq_await_kind {
    HQQ_AWAIT_PEER, /* something that the peer sends */
    HQQ_AWAIT_SLOT, /* a free slot, most likely */
};

struct hqq_await {
    const void *object; /* what hqq_advanced_wake() will name */
    hqq_ready_fn *is_ready;
    void *arg;
    enum hqq_await_kind kind;
    uint64_t deadline_ns; /* 0: drive the link, but do not wait */
};

/* With the lock, which is given up meanwhile. 0 once is_ready() says so, also if the link has ended; else WOULD_BLOCK,
 * TIMEOUT, why the link ended, or INVALID_OP in a stream's function. */
int hqq_advanced_wait(struct hqq_advanced *advanced, const struct hqq_await *wait);

#endif
