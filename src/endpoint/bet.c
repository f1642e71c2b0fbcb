#include "endpoint/bet.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

/* Receives in a row that did not sleep, until rings are worth a look. */
#define STREAK 3

/* Sleeps in a row with nothing gained, until they are not. */
#define SLEEPS 8

/* From one trial to the next, and how long there are no spins. What fails again doubles it. */
#define FIRST_DISTANCE_US 2000
#define LAST_DISTANCE_US 100000

/* Spins that are won later than this save no more than they cost; how many are waited for until that is judged. */
#define LATE_US 10
#define WINS_JUDGED 64

/* The part of the time that lost spins may cost, and what they may cost at once. */
#define LOST_PART 100
#define LOST_AT_ONCE_US 100
#define LOST_WINDOW_US 1000000

/* Where a long spin is not allowed: as long as a sender that is at work needs to see the acknowledgement, and less than a sleep costs. */
#define GLIMPSE_US 2

/* How often the scheduler is asked. */
#define SAMPLE_US 1000

static uint64_t doubled(uint64_t distance_us)
{
    return distance_us * 2 < LAST_DISTANCE_US ? distance_us * 2 : LAST_DISTANCE_US;
}

void hqq_bet_begin(struct hqq_bet *bet, enum hqq_polling polling)
{
    uint64_t now = hqq_ticks();
    *bet = (struct hqq_bet){.distance_us = FIRST_DISTANCE_US / 2, .began = now, .lost_since = now, .blocked_at = now};
    bet->polling = polling;
    hqq_store32_relaxed(&bet->is_hot, polling == HQQ_POLLING_ALWAYS);
}

/* Involuntary switches of the whole process: somebody wanted a processor that one of its threads was using. */
static uint64_t involuntary_switches(void)
{
    struct rusage usage;
    if (hqq_libc.syscall(SYS_getrusage, RUSAGE_SELF, &usage) != 0)
        return 0;
    return (uint64_t)usage.ru_nivcsw;
}

/* Real-time threads would keep the peer from running, and have asked for the kernel's order. */
static bool is_real_time(void)
{
    long policy = hqq_libc.syscall(SYS_sched_getscheduler, 0);
    return policy > 0 && (policy & ~SCHED_RESET_ON_FORK) != SCHED_BATCH &&
           (policy & ~SCHED_RESET_ON_FORK) != SCHED_IDLE;
}

static bool are_spins_blocked(const struct hqq_bet *bet, uint64_t now)
{
    return bet->blocked_us != 0 && !hqq_ticks_are_due(now, bet->blocked_at, bet->blocked_us);
}

/* Not for a while. */
static void block_spins(struct hqq_bet *bet, uint64_t now)
{
    bet->blocked_at = now;
    bet->blocked_us = bet->blocked_us == 0 ? FIRST_DISTANCE_US : doubled(bet->blocked_us);
    bet->wins = 0;
    hqq_log(HQQ_LOG_DEBUG, "bet: no spins for %llu us", (unsigned long long)bet->blocked_us);
}

bool hqq_bet_consider(struct hqq_bet *bet)
{
    uint64_t now = hqq_ticks();
    if (hqq_bet_is_hot(bet) || bet->polling == HQQ_POLLING_NEVER)
        return hqq_bet_is_hot(bet);
    bool is_stream = hqq_load32_relaxed(&bet->streak) >= STREAK;
    bool is_trial = hqq_load32_relaxed(&bet->receives) >= 7 && !are_spins_blocked(bet, now);
    if (!is_stream && !is_trial)
        return false;
    /* A stream after a failure waits a little less than a trial does. */
    if (!hqq_ticks_are_due(now, bet->began, is_stream ? bet->distance_us / 4 : bet->distance_us) || hqq_filter_is_set())
        return false;
    bet->began = now; /* asked again after that distance, whatever the answer */
    if (is_real_time())
        return false;
    bet->sleeps = bet->wins = 0;
    bet->sampled = now;
    bet->switches = involuntary_switches();
    hqq_store32_relaxed(&bet->is_hot, 1);
    hqq_log(HQQ_LOG_DEBUG, "bet: COLD -> HOT, %s", is_stream ? "a stream" : "a trial");
    return true;
}

bool hqq_bet_sleep(struct hqq_bet *bet)
{
    if (++bet->sleeps < SLEEPS || bet->polling == HQQ_POLLING_ALWAYS)
        return true;
    bet->distance_us = doubled(bet->distance_us);
    bet->began = hqq_ticks();
    hqq_store32_relaxed(&bet->streak, 0);
    hqq_store32_relaxed(&bet->receives, 0);
    hqq_store32_relaxed(&bet->is_hot, 0);
    hqq_log(HQQ_LOG_DEBUG, "bet: HOT -> COLD, the next trial in %llu us", (unsigned long long)bet->distance_us);
    return false;
}

/* Once a millisecond of spins: is the processor wanted by others? */
static bool is_wanted(struct hqq_bet *bet, uint64_t now)
{
    if (!hqq_ticks_are_due(now, bet->sampled, SAMPLE_US))
        return false;
    uint64_t switches = involuntary_switches();
    bool is_crowded = switches - bet->switches > 1;
    bet->sampled = now;
    bet->switches = switches;
    return is_crowded || is_real_time();
}

/* True if a long spin is allowed. */
static bool may_spin(struct hqq_bet *bet, uint64_t now, uint64_t per_us)
{
    if (are_spins_blocked(bet, now))
        return false;
    if (now - bet->lost_since > LOST_WINDOW_US * per_us) {
        bet->lost_since = now;
        bet->lost_ticks = 0;
    }
    if ((bet->wins >= WINS_JUDGED && bet->win_ticks > LATE_US * per_us) || is_wanted(bet, now)) {
        block_spins(bet, now);
        return false;
    }
    return bet->lost_ticks <= (now - bet->lost_since) / LOST_PART + LOST_AT_ONCE_US * per_us;
}

uint64_t hqq_bet_stake(struct hqq_bet *bet, uint64_t longest_ns)
{
    uint64_t now = hqq_ticks();
    uint64_t per_us = hqq_ticks_per_us();
    uint64_t longest = longest_ns * per_us / HQQ_NS_PER_US;
    if (bet->polling == HQQ_POLLING_ALWAYS)
        return longest;
    if (!hqq_bet_is_hot(bet) || hqq_filter_is_set())
        return 0;
    if (may_spin(bet, now, per_us))
        return longest;
    return longest < GLIMPSE_US * per_us ? longest : GLIMPSE_US * per_us;
}

void hqq_bet_won(struct hqq_bet *bet, uint64_t ticks)
{
    bet->sleeps = 0;
    if (bet->wins++ == 0)
        bet->win_ticks = ticks;
    else
        bet->win_ticks += (ticks >> 3) - (bet->win_ticks >> 3);
    if (bet->wins == 4 * WINS_JUDGED) { /* it pays */
        bet->distance_us = FIRST_DISTANCE_US / 2;
        bet->blocked_us = 0;
    }
}

void hqq_bet_lost(struct hqq_bet *bet, uint64_t ticks)
{
    bet->lost_ticks += ticks;
}
