/* The bell alone: who counts as a sleeper, when ringing makes a system call, and that a ring between the second look
 * and the sleep is not lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>

#include <hqq/link.h>

#include "platform/sys.h"
#include "ring/bell.h"
#include "support/caller.h"

static struct hqq_sys real;
static struct hqq_bell bell;

/* What the replaced calls saw. */
static struct {
    int wakes, last_count;
    const void *last_word;
} woken;

static int note_a_wake(const void *word, int count)
{
    woken.wakes++;
    woken.last_count = count;
    woken.last_word = word;
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    hqq_store32_relaxed(&bell.sequence, 0);
    hqq_store32_relaxed(&bell.armed, 0);
    hqq_store32_relaxed(&bell.sleepers, 0);
    woken.wakes = 0;
    hqq_sys.futex_wake = note_a_wake;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    hqq_point_hook = NULL;
    return 0;
}

static uint32_t sequence(void)
{
    return hqq_load32_relaxed(&bell.sequence);
}

static uint32_t sleepers(void)
{
    return hqq_load32_relaxed(&bell.sleepers);
}

static bool is_armed(void)
{
    return hqq_load32_relaxed(&bell.armed) != 0;
}

/* For a ringer that fences. */
static const hqq_atomic_u32 heavy;

static uint32_t arm(void)
{
    return hqq_bell_arm(&bell, &heavy).sequence;
}

/* ---- Arming and ringing ------------------------------------------------------------------------------------------ */

static void ringing_a_bell_that_is_not_armed_makes_no_system_call_and_writes_nothing(void **state)
{
    (void)state;
    assert_false(hqq_bell_ring(&bell, 5));
    assert_int_equal(woken.wakes, 0);
    assert_int_equal(sequence(), 0);
}

static void arming_counts_a_sleeper_until_it_is_disarmed(void **state)
{
    (void)state;
    arm();
    arm();
    assert_int_equal(sleepers(), 2);
    assert_true(is_armed());
    hqq_bell_disarm(&bell);
    hqq_bell_disarm(&bell);
    assert_int_equal(sleepers(), 0);
}

static void arming_remembers_the_sequence(void **state)
{
    (void)state;
    hqq_store32_relaxed(&bell.sequence, UINT32_MAX);
    assert_int_equal(arm(), UINT32_MAX);
    assert_true(hqq_bell_ring(&bell, 1));
    assert_int_equal(arm(), 0);
}

static void ringing_an_armed_bell_moves_the_sequence_and_wakes_as_many_as_there_are_slots(void **state)
{
    (void)state;
    arm();
    assert_true(hqq_bell_ring(&bell, 3));
    assert_int_equal(sequence(), 1);
    assert_int_equal(woken.wakes, 1);
    assert_int_equal(woken.last_count, 3);
    assert_ptr_equal(woken.last_word, &bell.sequence);
}

static void a_burst_of_rings_costs_one_system_call(void **state)
{
    (void)state;
    arm();
    arm();
    assert_true(hqq_bell_ring(&bell, 1));
    assert_false(hqq_bell_ring(&bell, 1));
    assert_false(hqq_bell_ring_armed(&bell, 1));
    assert_int_equal(woken.wakes, 1);
    assert_int_equal(sequence(), 1);
    assert_int_equal(sleepers(), 2);
}

static void ringing_for_more_slots_than_an_int_holds_wakes_int_max(void **state)
{
    (void)state;
    arm();
    hqq_bell_ring(&bell, UINT64_C(1) << 32);
    assert_int_equal(woken.last_count, INT_MAX);
}

static void ringing_for_all_wakes_those_too_that_an_earlier_ring_left_asleep(void **state)
{
    (void)state;
    arm();
    arm();
    assert_true(hqq_bell_ring(&bell, 1));
    hqq_bell_ring_all(&bell);
    assert_int_equal(woken.wakes, 2);
    assert_int_equal(woken.last_count, INT_MAX);
    assert_int_equal(sequence(), 2);
}

static void ringing_for_all_where_nobody_sleeps_makes_no_system_call(void **state)
{
    (void)state;
    hqq_bell_ring_all(&bell);
    assert_int_equal(woken.wakes, 0);
}

/* A ringer whose bell a hostile peer has written to must still come back. */
static void any_words_of_a_bell_are_worth_one_system_call_at_most(void **state)
{
    (void)state;
    hqq_store32_relaxed(&bell.sleepers, UINT32_MAX);
    hqq_store32_relaxed(&bell.armed, UINT32_MAX);
    hqq_store32_relaxed(&bell.sequence, UINT32_MAX);
    assert_true(hqq_bell_ring(&bell, 1));
    assert_int_equal(woken.wakes, 1);
    assert_int_equal(sequence(), 0);
}

/* ---- Passing on -------------------------------------------------------------------------------------------------- */

static void who_was_the_only_sleeper_passes_nothing_on(void **state)
{
    (void)state;
    arm();
    assert_true(hqq_bell_ring(&bell, 1));
    hqq_bell_disarm(&bell);
    assert_false(hqq_bell_pass_on(&bell, &heavy));
    assert_false(is_armed());
}

static void who_leaves_others_asleep_arms_the_bell_for_them(void **state)
{
    (void)state;
    arm();
    arm();
    assert_true(hqq_bell_ring(&bell, 1));
    hqq_bell_disarm(&bell);
    assert_true(hqq_bell_pass_on(&bell, &heavy));
    assert_true(is_armed());
    assert_true(hqq_bell_ring(&bell, 1));
    assert_int_equal(woken.wakes, 2);
}

/* ---- Sleeping ---------------------------------------------------------------------------------------------------- */

static int futex_result;

static int note_the_result(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    futex_result = real.futex_wait(word, expected, deadline_ns);
    return futex_result;
}

static void a_ring_between_arming_and_sleeping_ends_the_sleep_at_once(void **state)
{
    (void)state;
    hqq_sys.futex_wait = note_the_result;
    uint32_t remembered = arm();
    assert_true(hqq_bell_ring(&bell, 1));
    hqq_bell_sleep(&bell, remembered, HQQ_FOREVER);
    assert_int_equal(futex_result, -EAGAIN);
}

static void a_sleep_ends_at_its_deadline(void **state)
{
    (void)state;
    hqq_sys.futex_wait = note_the_result;
    uint64_t deadline = hqq_clock_ns() + 1000000;
    hqq_bell_sleep(&bell, arm(), deadline);
    assert_int_equal(futex_result, -ETIMEDOUT);
    assert_true(hqq_clock_ns() >= deadline);
}

static int arm_and_sleep(struct caller *caller)
{
    (void)caller;
    uint32_t remembered = arm();
    while (sequence() == remembered)
        hqq_bell_sleep(&bell, remembered, HQQ_FOREVER);
    hqq_bell_disarm(&bell);
    return 0;
}

static void a_ring_wakes_a_sleeping_thread(void **state)
{
    (void)state;
    struct caller sleeper = {.call = arm_and_sleep};
    hqq_sys = real;
    sleepers_watch();
    caller_start(&sleeper);
    sleepers_await(1);
    assert_true(hqq_bell_ring(&bell, 1));
    caller_join(&sleeper);
    sleepers_forget();
    assert_int_equal(sleepers(), 0);
}

static void ringing_for_all_wakes_every_sleeping_thread(void **state)
{
    (void)state;
    struct caller sleeper[5];
    hqq_sys = real;
    sleepers_watch();
    for (int i = 0; i < 5; i++) {
        sleeper[i] = (struct caller){.call = arm_and_sleep};
        caller_start(&sleeper[i]);
    }
    sleepers_await(5);
    hqq_bell_ring_all(&bell);
    for (int i = 0; i < 5; i++)
        caller_join(&sleeper[i]);
    sleepers_forget();
    assert_int_equal(sleepers(), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ringing_a_bell_that_is_not_armed_makes_no_system_call_and_writes_nothing),
        TEST(arming_counts_a_sleeper_until_it_is_disarmed),
        TEST(arming_remembers_the_sequence),
        TEST(ringing_an_armed_bell_moves_the_sequence_and_wakes_as_many_as_there_are_slots),
        TEST(a_burst_of_rings_costs_one_system_call),
        TEST(ringing_for_more_slots_than_an_int_holds_wakes_int_max),
        TEST(ringing_for_all_wakes_those_too_that_an_earlier_ring_left_asleep),
        TEST(ringing_for_all_where_nobody_sleeps_makes_no_system_call),
        TEST(any_words_of_a_bell_are_worth_one_system_call_at_most),
        TEST(who_was_the_only_sleeper_passes_nothing_on),
        TEST(who_leaves_others_asleep_arms_the_bell_for_them),
        TEST(a_ring_between_arming_and_sleeping_ends_the_sleep_at_once),
        TEST(a_sleep_ends_at_its_deadline),
        TEST(a_ring_wakes_a_sleeping_thread),
        TEST(ringing_for_all_wakes_every_sleeping_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
