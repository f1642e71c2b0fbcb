/*
 * Readiness, for waits on several descriptors: whether rings hold something, and how a thread that finds nothing arms
 * them before it sleeps in the kernel. Takes the receive lock where nothing else is said, and never sleeps.
 */
#ifndef HQQ_ENDPOINT_READY_H
#define HQQ_ENDPOINT_READY_H

#include <stdbool.h>

#include "endpoint/endpoint.h"
#include "endpoint/ownership.h"

/* Under a filter: senders are sent to the kernel. True once the rings are empty. */
bool hqq_ready_is_kernels(struct hqq_endpoint *endpoint);

/* True if a ring has something that a receive would find now; for an edge-triggered member of a set (else NULL):
 * something new. False at once where nothing is busy. */
bool hqq_ready_has_data_slow(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);

static inline bool hqq_ready_has_data(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_receiver) == 0, 0))
        hqq_ownership_receives(endpoint);
    return hqq_load32_relaxed(&endpoint->is_busy) != 0 && hqq_ready_has_data_slow(endpoint, edge);
}

/* Before a wait asks the kernel, without waiting, whether something is in the queue; and after it said that there is
 * nothing. from and to are the first and the last note of that wait; 0: none was made, in a handler that must not. */
uint64_t hqq_ready_note_requests(struct hqq_endpoint *endpoint);
void hqq_ready_acknowledge(struct hqq_endpoint *endpoint, uint64_t from, uint64_t to);

/* The wait is about to sleep: the thread is counted, everything armed. False: look again, and it is not counted. */
bool hqq_ready_sleep(struct hqq_endpoint *endpoint);

/* The same for a wait that counts its threads as a whole. */
bool hqq_ready_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge);

/* After hqq_ready_sleep(); also from a cleanup handler. */
void hqq_ready_wake(struct hqq_endpoint *endpoint);

/* This thread has slept in a wait since its last receive, which finds what it was woken for: that is no stream. */
extern __thread bool hqq_ready_has_slept __attribute__((tls_model("initial-exec")));

/* What the rings hold was reported by an edge-triggered set. */
void hqq_ready_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge);

/* ---- Spins ------------------------------------------------------------------------------------------------------- */

/* With the receive lock: how long a spin on this socket may take, in ticks; 0: not at all. *ret_shares_cpu: the peer
 * needs this processor, so give it up instead. */
uint64_t hqq_ready_stake(struct hqq_endpoint *endpoint, bool *ret_shares_cpu);

/* With the receive lock: what became of it. */
static inline void hqq_ready_count_spin(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks)
{
    if (is_won) {
        hqq_count_own(&endpoint->counters->spins_won, 1);
        hqq_bet_won(&endpoint->bet, ticks);
    } else {
        hqq_bet_lost(&endpoint->bet, ticks);
    }
}

/* The same for a wait, without the lock. */
uint64_t hqq_ready_begin_spin(struct hqq_endpoint *endpoint, bool *ret_shares_cpu);
void hqq_ready_end_spin(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks);

#endif
