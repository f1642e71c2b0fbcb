/*
 * Waiting for a slot: spin for a bounded, adaptive time, then yield the processor, then sleep on the bell. A peer
 * that rings bells is trusted to wake us, but for a look every check_ns whether it lives; for any other the sleep is
 * a series of short timed looks. Relies on ring.h and bell.h; knows of links only what struct hqq_wait tells.
 */
#ifndef HQQ_RING_WAIT_H
#define HQQ_RING_WAIT_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "ring/bell.h"
#include "ring/ring.h"

/* What waits for one direction learn about it; shared by the threads of a process, exact for none of them. */
struct hqq_spin {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 budget_ns; /* how long the next spin may take */
    uint64_t longest_ns;                              /* the bound of that */
    hqq_atomic_u32 alone;                             /* 1: this process may use one processor only */
    hqq_atomic_u32 streak;                            /* dry spells in a row, all of them short and of a stream */
    hqq_atomic_u64 answered;                          /* where our own direction stood at the last dry spell */
    hqq_atomic_u64 waits, sleeps;                     /* statistics */
};

enum hqq_wait_for {
    HQQ_WAIT_DATA,  /* the head of the ring is published */
    HQQ_WAIT_SPACE, /* the tail of the ring is free */
};

/* What a look at the peer tells the wait. */
enum hqq_wait_peer {
    HQQ_WAIT_PEER_RINGS,  /* it will ring the bell */
    HQQ_WAIT_PEER_SILENT, /* it may never do so */
};

struct hqq_wait {
    enum hqq_wait_for what;
    uint64_t room; /* for space: how many slots must be free at the tail; 0 and 1 mean the same */
    const struct hqq_ring *ring;
    const struct hqq_ring *answers; /* the other direction: who writes between reads waits for answers */
    struct hqq_bell *bell;
    struct hqq_spin *spin;
    hqq_atomic_u32 *own_cpu;           /* where each side last waited, plus one: spinning on the processor */
    const hqq_atomic_u32 *peer_cpu;    /*    that the other side needs is worse than useless */
    const hqq_atomic_u32 *is_light;    /* whether the other side rings without a fence */
    uint64_t until_ns;                 /* the end of this wait */
    const hqq_atomic_u64 *deadline_ns; /* another one, which other threads may move; they wake the bell when they do */
    uint64_t check_ns;                 /* how often to look whether the peer lives */
    hqq_atomic_u64 *checked_ns;        /* when that was done last, by any call of this process */

    /* Why the wait must end without a slot (an enum hqq_error), or 0. Cheap: loads only. */
    int (*interrupted)(void *arg);
    /* Looks whether the peer lives, and frees what it held if not. A few system calls. */
    enum hqq_wait_peer (*check_peer)(void *arg, bool is_due);
    void *arg;
};

void hqq_spin_init(struct hqq_spin *spin, uint64_t longest_ns);

/*
 * Waits until a claim has a chance. 0: try it now, and come back if another thread was faster. HQQ_ERROR_TIMEOUT: the
 * deadline passed. Else what interrupted() said. In both cases the caller tries once more, for what was published
 * meanwhile. *ret_slept is set if this thread armed the bell: it must pass it on once it has claimed what it came
 * for, or goes without.
 */
int hqq_wait_run(const struct hqq_wait *wait, bool *ret_slept);

/*
 * The same in steps, for who sleeps in a call of its own. Spin: true if a claim has a chance. Learn: how long the whole
 * wait took. Arm: counts this thread as a sleeper of the bell, and returns until when it may sleep before it looks
 * again; it looks once more before it sleeps, and disarms the bell after. *look_ns is 0 before the first time.
 */
bool hqq_wait_spin(const struct hqq_wait *wait);
void hqq_wait_learn(const struct hqq_wait *wait, uint64_t took_ns);
uint64_t hqq_wait_arm(const struct hqq_wait *wait, uint64_t *look_ns);

/* True if the deadline has passed. */
bool hqq_wait_is_late(const struct hqq_wait *wait);

#endif
