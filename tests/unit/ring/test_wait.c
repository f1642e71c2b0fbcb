/* Waiting for a slot, with the kernel's part replaced: what ends a wait, what comes first, and until when it sleeps.
 * The last tests have two threads and the real kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "ring/wait.h"
#include "support/caller.h"
#include "support/waiting.h"

/* ---- What ends a wait -------------------------------------------------------------------------------------------- */

static void data_that_is_there_ends_a_wait_for_data_without_a_sleep(void **state)
{
    (void)state;
    waiting_publish();
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 0);
}

static void space_that_is_there_ends_a_wait_for_space_without_a_sleep(void **state)
{
    (void)state;
    waiting.wait.what = HQQ_WAIT_SPACE;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 0);
}

static void a_full_ring_ends_a_wait_for_space_at_its_deadline(void **state)
{
    (void)state;
    for (int i = 0; i < WAITING_COUNT; i++)
        waiting_publish();
    waiting.wait.what = HQQ_WAIT_SPACE;
    waiting.wait.until_ns = 0;
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
}

static void a_deadline_that_has_passed_ends_a_wait_without_a_sleep(void **state)
{
    (void)state;
    waiting.wait.until_ns = hqq_clock_ns();
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
    assert_int_equal(waiting.sleeps, 0);
}

static void an_interruption_ends_a_wait_without_a_sleep(void **state)
{
    (void)state;
    waiting.interruption = HQQ_ERROR_CLOSED;
    assert_int_equal(waiting_run(), HQQ_ERROR_CLOSED);
    assert_int_equal(waiting.sleeps, 0);
}

static void a_slot_comes_before_a_passed_deadline_and_an_interruption(void **state)
{
    (void)state;
    waiting_publish();
    waiting.wait.until_ns = 0;
    assert_int_equal(waiting_run(), 0);
    waiting.interruption = HQQ_ERROR_CLOSED;
    assert_int_equal(waiting_run(), 0);
}

static void an_interruption_comes_before_a_passed_deadline(void **state)
{
    (void)state;
    waiting.wait.until_ns = 0;
    waiting.interruption = HQQ_ERROR_PEER_DIED;
    assert_int_equal(waiting_run(), HQQ_ERROR_PEER_DIED);
}

static void publish_on_the_third_sleep(int sleep)
{
    if (sleep == 3)
        waiting_publish();
}

static void a_wait_sleeps_again_where_it_was_woken_for_nothing(void **state)
{
    (void)state;
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 3);
    assert_true(waiting.slept);
    assert_int_equal(hqq_load_relaxed(&waiting.spin.sleeps), 3);
    assert_int_equal(hqq_load_relaxed(&waiting.spin.waits), 1);
}

static void interrupt_on_the_second_sleep(int sleep)
{
    if (sleep == 2)
        waiting.interruption = HQQ_ERROR_CLOSED;
}

static void an_interruption_during_a_sleep_ends_the_wait(void **state)
{
    (void)state;
    waiting.act = interrupt_on_the_second_sleep;
    assert_int_equal(waiting_run(), HQQ_ERROR_CLOSED);
    assert_int_equal(waiting.sleeps, 2);
}

static void publish_and_interrupt(int sleep)
{
    (void)sleep;
    waiting_publish();
    waiting.interruption = HQQ_ERROR_CLOSED;
    hqq_store_relaxed(&waiting.deadline, 0);
}

static void a_slot_that_came_during_a_sleep_comes_before_all_else(void **state)
{
    (void)state;
    waiting.act = publish_and_interrupt;
    assert_int_equal(waiting_run(), 0);
}

static void publish_at_the_armed_bell(const char *label)
{
    if (strcmp(label, "bell.armed") == 0)
        waiting_publish();
}

static void a_slot_that_comes_after_arming_is_not_slept_through(void **state)
{
    (void)state;
    hqq_point_hook = publish_at_the_armed_bell;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 0);
    assert_int_equal(hqq_load_relaxed(&waiting.spin.sleeps), 0);
}

static void interrupt_at_the_armed_bell(const char *label)
{
    if (strcmp(label, "bell.armed") == 0)
        waiting.interruption = HQQ_ERROR_CLOSED;
}

static void an_interruption_after_arming_is_not_slept_through(void **state)
{
    (void)state;
    hqq_point_hook = interrupt_at_the_armed_bell;
    assert_int_equal(waiting_run(), HQQ_ERROR_CLOSED);
    assert_int_equal(waiting.sleeps, 0);
}

/* ---- Until when -------------------------------------------------------------------------------------------------- */

static void publish_at_once(int sleep)
{
    (void)sleep;
    waiting_publish();
}

static void a_sleep_ends_at_the_earlier_of_the_two_deadlines(void **state)
{
    (void)state;
    uint64_t later = waiting_later();
    waiting.act = publish_at_once;
    waiting.wait.until_ns = later;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleep_deadline[0], later);

    plain_ring_start_at(&waiting.plain, 0);
    hqq_store_relaxed(&waiting.deadline, later - 5);
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleep_deadline[1], later - 5);

    plain_ring_start_at(&waiting.plain, 0);
    waiting.wait.until_ns = later - 9;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleep_deadline[2], later - 9);
}

static void a_wait_without_any_deadline_sleeps_for_ever(void **state)
{
    (void)state;
    waiting.act = publish_at_once;
    waiting.wait.until_ns = HQQ_FOREVER;
    assert_int_equal(waiting_run(), 0);
    assert_true(waiting.sleep_deadline[0] == HQQ_FOREVER);
}

static void move_the_deadline(int sleep)
{
    hqq_store_relaxed(&waiting.deadline, sleep == 1 ? 12345 + waiting_later() : 0);
}

static void a_deadline_that_moves_during_a_sleep_holds_from_then_on(void **state)
{
    (void)state;
    waiting.act = move_the_deadline;
    waiting.wait.until_ns = HQQ_FOREVER;
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
    assert_int_equal(waiting.sleeps, 2);
    assert_true(waiting.sleep_deadline[0] == HQQ_FOREVER);
    assert_true(waiting.sleep_deadline[1] > 12345 && waiting.sleep_deadline[1] < HQQ_FOREVER);
}

static void late_is_after_either_deadline(void **state)
{
    (void)state;
    assert_false(hqq_wait_is_late(&waiting.wait));
    hqq_store_relaxed(&waiting.deadline, 1);
    assert_true(hqq_wait_is_late(&waiting.wait));
    hqq_store_relaxed(&waiting.deadline, HQQ_FOREVER);
    waiting.wait.until_ns = 1;
    assert_true(hqq_wait_is_late(&waiting.wait));
}

/* ---- With the real kernel ---------------------------------------------------------------------------------------- */

static int run_wait(struct caller *caller)
{
    (void)caller;
    return waiting_run();
}

static void publishing_and_ringing_wakes_a_wait(void **state)
{
    (void)state;
    struct caller waiter = {.call = run_wait};
    hqq_sys = waiting.real;
    sleepers_watch();
    caller_start(&waiter);
    sleepers_await(1);
    waiting_publish();
    hqq_bell_ring(&waiting.bell, 1);
    assert_int_equal(caller_join(&waiter), 0);
    sleepers_forget();
    assert_true(waiting.slept);
}

static void a_deadline_moved_to_now_wakes_a_wait(void **state)
{
    (void)state;
    struct caller waiter = {.call = run_wait};
    hqq_sys = waiting.real;
    sleepers_watch();
    caller_start(&waiter);
    sleepers_await(1);
    hqq_store_relaxed(&waiting.deadline, 0);
    hqq_bell_ring_all(&waiting.bell);
    assert_int_equal(caller_join(&waiter), HQQ_ERROR_TIMEOUT);
    sleepers_forget();
}

static void a_wait_lasts_until_its_deadline(void **state)
{
    (void)state;
    hqq_sys = waiting.real;
    waiting.wait.until_ns = hqq_clock_ns() + 5 * HQQ_NS_PER_MS;
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
    assert_true(hqq_clock_ns() >= waiting.wait.until_ns);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, waiting_set_up, waiting_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_that_is_there_ends_a_wait_for_data_without_a_sleep),
        TEST(space_that_is_there_ends_a_wait_for_space_without_a_sleep),
        TEST(a_full_ring_ends_a_wait_for_space_at_its_deadline),
        TEST(a_deadline_that_has_passed_ends_a_wait_without_a_sleep),
        TEST(an_interruption_ends_a_wait_without_a_sleep),
        TEST(a_slot_comes_before_a_passed_deadline_and_an_interruption),
        TEST(an_interruption_comes_before_a_passed_deadline),
        TEST(a_wait_sleeps_again_where_it_was_woken_for_nothing),
        TEST(an_interruption_during_a_sleep_ends_the_wait),
        TEST(a_slot_that_came_during_a_sleep_comes_before_all_else),
        TEST(a_slot_that_comes_after_arming_is_not_slept_through),
        TEST(an_interruption_after_arming_is_not_slept_through),
        TEST(a_sleep_ends_at_the_earlier_of_the_two_deadlines),
        TEST(a_wait_without_any_deadline_sleeps_for_ever),
        TEST(a_deadline_that_moves_during_a_sleep_holds_from_then_on),
        TEST(late_is_after_either_deadline),
        TEST(publishing_and_ringing_wakes_a_wait),
        TEST(a_deadline_moved_to_now_wakes_a_wait),
        TEST(a_wait_lasts_until_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
