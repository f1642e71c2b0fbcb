/* The bet: what makes a socket HOT and COLD again, and what stops spins. The clock is the processor's: moments are moved into the past
 * where a test would have to wait for them, and what must not be due yet has tens of milliseconds left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hqq/link.h>

#include "endpoint/bet.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "runtime/libc.h"

#define LONGEST_NS 50000

static struct hqq_bet bet;

/* What the scheduler says. */
static long policy, involuntary;
static long (*real_syscall)(long number, ...);

static long answer(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    long first = va_arg(arguments, long);
    void *second = number == SYS_getrusage ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (number == SYS_getrusage) {
        *(struct rusage *)second = (struct rusage){.ru_nivcsw = involuntary};
        return 0;
    }
    return number == SYS_sched_getscheduler ? policy : real_syscall(number, first);
}

static int set_up(void **state)
{
    (void)state;
    policy = SCHED_OTHER;
    involuntary = 0;
    real_syscall = hqq_libc.syscall;
    hqq_libc.syscall = answer;
    hqq_ticks_per_us(); /* measured once a millisecond has passed since the first call */
    hqq_sys.sleep_until(hqq_clock_ns() + 2 * HQQ_NS_PER_MS);
    hqq_ticks_per_us();
    hqq_bet_begin(&bet, HQQ_POLLING_AUTO);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_libc.syscall = real_syscall;
    return 0;
}

/* As if so long had passed. */
static void pass(uint64_t us)
{
    uint64_t ticks = us * hqq_ticks_per_us();
    bet.began -= ticks;
    bet.blocked_at -= ticks;
    bet.lost_since -= ticks;
    bet.sampled -= ticks;
}

/* Whether so long has passed indeed, from then on: a busy machine may hold a test up for longer than what it says is to come. */
static bool has_passed(uint64_t since, uint64_t us)
{
    return hqq_ticks() - since > us * hqq_ticks_per_us();
}

/* So many receives of the kernel's that found something at once. True: one of them said that it is time to consider. */
static bool receive(int count, bool have_slept)
{
    bool is_time = false;
    for (int i = 0; i < count; i++)
        is_time |= hqq_bet_count(&bet, have_slept);
    return is_time;
}

static void make_hot(void)
{
    pass(1000000);
    receive(3, false);
    assert_true(hqq_bet_consider(&bet));
}

static void a_streak_makes_it_hot(void **state)
{
    (void)state;
    assert_false(hqq_bet_is_hot(&bet));
    pass(1000000);
    assert_false(receive(2, false));
    assert_false(hqq_bet_consider(&bet));
    assert_true(receive(1, false));
    assert_true(hqq_bet_consider(&bet));
    assert_true(hqq_bet_is_hot(&bet));
}

static void a_sleep_breaks_the_streak(void **state)
{
    (void)state;
    pass(1000000);
    receive(2, false);
    receive(1, true);
    receive(2, false);
    assert_false(hqq_bet_consider(&bet));
}

static void sleepers_get_a_trial_after_some_receives_and_not_at_once(void **state)
{
    (void)state;
    pass(1000000);
    assert_false(receive(6, true));
    assert_false(hqq_bet_consider(&bet));
    assert_true(receive(1, true));
    assert_true(hqq_bet_consider(&bet));

    hqq_bet_begin(&bet, HQQ_POLLING_AUTO); /* it has just begun */
    bet.distance_us = 3600000000;
    receive(7, true);
    assert_false(hqq_bet_consider(&bet));
}

static void sleeps_in_a_row_make_it_cold_and_a_gain_between_them_does_not(void **state)
{
    (void)state;
    make_hot();
    for (int i = 0; i < 7; i++)
        assert_true(hqq_bet_sleep(&bet));
    hqq_bet_gain(&bet);
    for (int i = 0; i < 7; i++)
        assert_true(hqq_bet_sleep(&bet));
    assert_false(hqq_bet_sleep(&bet));
    assert_false(hqq_bet_is_hot(&bet));
    assert_false(hqq_bet_consider(&bet)); /* what led here before is forgotten */
}

static void trials_that_fail_come_at_growing_distances_that_have_an_end(void **state)
{
    (void)state;
    uint64_t last = 0;
    for (int trial = 0; trial < 12; trial++) {
        pass(1000000);
        receive(7, true);
        assert_true(hqq_bet_consider(&bet));
        while (hqq_bet_sleep(&bet))
            ;
        assert_true(bet.distance_us >= 2000 && bet.distance_us <= 100000);
        assert_true(bet.distance_us == (2 * last < 100000 && last != 0 ? 2 * last : trial == 0 ? 2000 : 100000));
        last = bet.distance_us;
        /* not before that distance */
        receive(7, true);
        uint64_t ended = bet.began;
        if (last > 50000 && hqq_bet_consider(&bet))
            assert_true(has_passed(ended, last));
    }
    assert_int_equal(last, 100000);
}

static void a_stream_does_not_wait_as_long_as_a_trial(void **state)
{
    (void)state;
    make_hot();
    bet.distance_us = 50000;
    while (hqq_bet_sleep(&bet))
        ;
    receive(7, false);
    assert_int_equal(bet.distance_us, 100000);
    uint64_t ended = bet.began;
    if (hqq_bet_consider(&bet)) {
        assert_true(has_passed(ended, 25000));
        return;
    }
    pass(25001);
    assert_true(hqq_bet_consider(&bet));
}

static void nothing_is_polled_in_a_real_time_thread(void **state)
{
    (void)state;
    pass(1000000);
    receive(3, false);
    policy = SCHED_FIFO;
    assert_false(hqq_bet_consider(&bet));
    policy = SCHED_BATCH;
    assert_false(hqq_bet_consider(&bet)); /* not asked again at once */
    pass(1000000);
    policy = SCHED_RR | 0x40000000; /* SCHED_RESET_ON_FORK */
    assert_false(hqq_bet_consider(&bet));
    pass(1000000);
    policy = SCHED_BATCH;
    assert_true(hqq_bet_consider(&bet));
}

static void what_is_configured_never_changes(void **state)
{
    (void)state;
    hqq_bet_begin(&bet, HQQ_POLLING_NEVER);
    pass(1000000);
    receive(30, false);
    assert_false(hqq_bet_consider(&bet));
    assert_true(hqq_bet_stake(&bet, LONGEST_NS) == 0);
    hqq_bet_begin(&bet, HQQ_POLLING_ALWAYS);
    assert_true(hqq_bet_consider(&bet));
    for (int i = 0; i < 100; i++)
        assert_true(hqq_bet_sleep(&bet));
    hqq_bet_lost(&bet, UINT64_MAX / 2);
    assert_true(hqq_bet_stake(&bet, LONGEST_NS) != 0);
}

/* ---- Spins ------------------------------------------------------------------------------------------------------- */

static void there_are_spins_only_while_it_is_hot_and_only_if_configured(void **state)
{
    (void)state;
    assert_true(hqq_bet_stake(&bet, LONGEST_NS) == 0);
    make_hot();
    assert_true(hqq_bet_stake(&bet, 0) == 0);
    assert_true(hqq_bet_stake(&bet, LONGEST_NS) == LONGEST_NS * hqq_ticks_per_us() / 1000);
}

/* A spin that is no longer than what a sleep costs: longer ones are not allowed for now. */
static bool is_a_glimpse(void)
{
    uint64_t stake = hqq_bet_stake(&bet, LONGEST_NS);
    assert_true(stake == 2 * hqq_ticks_per_us() || stake == LONGEST_NS * hqq_ticks_per_us() / 1000);
    return stake == 2 * hqq_ticks_per_us();
}

/* Each loss is a bit: whether what followed it was a glimpse. */
static unsigned glimpses_after_losses(void)
{
    uint64_t per_us = hqq_ticks_per_us();
    bet.lost_since = hqq_ticks();
    bet.lost_ticks = 0;
    hqq_bet_lost(&bet, 90 * per_us); /* less than may be lost at once */
    unsigned glimpses = is_a_glimpse();
    hqq_bet_lost(&bet, 2010 * per_us);
    glimpses |= (unsigned)is_a_glimpse() << 1;
    bet.lost_since -= 100000 * per_us; /* 1 % of it, and 100 us, is too little */
    glimpses |= (unsigned)is_a_glimpse() << 2;
    bet.lost_since -= 100001 * per_us;
    glimpses |= (unsigned)is_a_glimpse() << 3;
    hqq_bet_lost(&bet, 100000 * per_us);
    glimpses |= (unsigned)is_a_glimpse() << 4;
    return glimpses;
}

static void lost_spins_cost_one_percent_at_most(void **state)
{
    (void)state;
    make_hot();
    uint64_t began;
    unsigned glimpses;
    do { /* what is lost is forgiven with time, so until it did not take any */
        began = hqq_ticks();
        glimpses = glimpses_after_losses();
    } while (has_passed(began, 50000));
    assert_int_equal(glimpses, 1 << 1 | 1 << 2 | 1 << 4);
    bet.lost_since -= 1000001 * hqq_ticks_per_us(); /* another second */
    assert_false(is_a_glimpse());
    assert_int_equal(bet.lost_ticks, 0);
}

static void win_late(void)
{
    for (int i = 0; i < 64; i++)
        hqq_bet_won(&bet, 30 * hqq_ticks_per_us());
}

static void wins_that_come_too_late_stop_spins_each_time_for_twice_as_long(void **state)
{
    (void)state;
    make_hot();
    uint64_t expected = 2000;
    for (int i = 0; i < 10; i++) {
        win_late();
        assert_true(is_a_glimpse());
        assert_int_equal(bet.blocked_us, expected);
        if (expected > 50000) { /* it is not for longer because it was asked again */
            assert_true(is_a_glimpse() || has_passed(bet.blocked_at, expected));
            assert_int_equal(bet.blocked_us, expected);
        }
        pass(expected + 1);
        bet.sampled = hqq_ticks();
        assert_false(is_a_glimpse());
        expected = expected * 2 < 100000 ? expected * 2 : 100000;
    }
}

static void a_few_late_wins_and_many_early_ones_are_no_reason(void **state)
{
    (void)state;
    make_hot();
    for (int i = 0; i < 63; i++)
        hqq_bet_won(&bet, 30 * hqq_ticks_per_us());
    assert_false(is_a_glimpse());
    for (int i = 0; i < 64; i++)
        hqq_bet_won(&bet, hqq_ticks_per_us());
    assert_false(is_a_glimpse());
}

static void wins_that_pay_forgive_what_was_before(void **state)
{
    (void)state;
    make_hot();
    win_late();
    assert_true(is_a_glimpse());
    bet.distance_us = 100000;
    for (int i = 0; i < 256; i++)
        hqq_bet_won(&bet, hqq_ticks_per_us());
    assert_int_equal(bet.blocked_us, 0);
    assert_int_equal(bet.distance_us, 1000);
}

static void a_processor_that_others_want_stops_spins(void **state)
{
    (void)state;
    make_hot();
    involuntary += 1;
    pass(1001);
    assert_false(is_a_glimpse()); /* one may be chance */
    involuntary += 2;
    pass(1001);
    assert_true(is_a_glimpse());
    assert_int_equal(bet.blocked_us, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_streak_makes_it_hot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sleep_breaks_the_streak, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sleepers_get_a_trial_after_some_receives_and_not_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sleeps_in_a_row_make_it_cold_and_a_gain_between_them_does_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(trials_that_fail_come_at_growing_distances_that_have_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_does_not_wait_as_long_as_a_trial, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_polled_in_a_real_time_thread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_configured_never_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(there_are_spins_only_while_it_is_hot_and_only_if_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lost_spins_cost_one_percent_at_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wins_that_come_too_late_stop_spins_each_time_for_twice_as_long, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_few_late_wins_and_many_early_ones_are_no_reason, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wins_that_pay_forgive_what_was_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_processor_that_others_want_stops_spins, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
