/*
 * The bet: whether polling pays for a socket. To look at rings costs a little with each receive, and to spin costs a
 * processor that somebody else may want; what is won is the price of the kernel's calls and of waking up. So polling is earned.
 *
 *      COLD    nothing is polled; receives are the kernel's own. A streak of receives that found something without
 *              sleeping leads to HOT, and so does, at growing distances, a trial
 *      HOT     channels are polled, and waits may spin. Sleeps in a row without a datagram from a ring between them lead to COLD
 *
 * A spin is a bet with somebody else's processor. Spins that are lost cost at most 1 % of the time, for each endpoint; and there are
 * none for a while, which doubles each time, once they win too late to save anything, or others want the processor; nor in a
 * real-time thread, or under a filter. All under the receive lock, but for hqq_bet_count(), which is a guess that threads may
 * spoil for one another.
 */
#ifndef HQQ_ENDPOINT_BET_H
#define HQQ_ENDPOINT_BET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "runtime/config.h"
#include "runtime/ticks.h"

struct hqq_bet {
    enum hqq_polling polling; /* as configured: but for AUTO the state never changes */
    hqq_atomic_u32 is_hot;
    hqq_atomic_u32 streak;   /* COLD: receives in a row that found something without sleeping */
    hqq_atomic_u32 receives; /* COLD: since the last trial */
    uint32_t sleeps;         /* HOT: in a row, without a datagram from a ring */
    uint64_t began;          /* of this state, in ticks as all that follows */
    uint64_t distance_us;    /* from the end of the last HOT to the next trial */
    /* Spins. */
    uint32_t wins;                   /* since they are allowed */
    uint64_t win_ticks;              /* how long those took, a moving average */
    uint64_t blocked_at, blocked_us; /* none for so long from then on */
    uint64_t lost_ticks, lost_since;
    uint64_t sampled;  /* when the scheduler was asked last */
    uint64_t switches; /* involuntary ones, then */
};

/* Receives that ended within this did not sleep. */
#define HQQ_BET_AWAKE_US 3

/* A new endpoint's bet. */
void hqq_bet_begin(struct hqq_bet *bet, enum hqq_polling polling);

static inline bool hqq_bet_is_hot(const struct hqq_bet *bet)
{
    return hqq_load32_relaxed(&bet->is_hot) != 0;
}

/* COLD: a receive of the kernel's delivered a datagram; whether it slept. True: it is time for hqq_bet_consider(). */
static inline bool hqq_bet_count(struct hqq_bet *bet, bool has_slept)
{
    uint32_t streak = has_slept ? 0 : hqq_load32_relaxed(&bet->streak) + 1;
    uint32_t receives = hqq_load32_relaxed(&bet->receives) + 1;
    hqq_store32_relaxed(&bet->streak, streak);
    hqq_store32_relaxed(&bet->receives, receives);
    return (streak & 3) == 3 || (receives & 7) == 7;
}

/* COLD: true if the state is HOT now. */
bool hqq_bet_consider(struct hqq_bet *bet);

/* HOT: a datagram came from a ring. */
static inline void hqq_bet_gain(struct hqq_bet *bet)
{
    bet->sleeps = 0;
}

/* HOT: nothing is there, and the thread is about to sleep. False: the state is COLD now. */
bool hqq_bet_sleep(struct hqq_bet *bet);

/* HOT: how long a spin may take, in ticks; 0: not at all. longest_ns: what is configured. */
uint64_t hqq_bet_stake(struct hqq_bet *bet, uint64_t longest_ns);

/* A spin ended. */
void hqq_bet_won(struct hqq_bet *bet, uint64_t ticks);
void hqq_bet_lost(struct hqq_bet *bet, uint64_t ticks);

#endif
