/* Waiting for a peer, with the kernel's part replaced: one that rings bells is trusted but for a look now and then, one
 * that does not is looked after by short sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "ring/wait.h"
#include "support/waiting.h"

static void publish_on_the_third_sleep(int sleep)
{
    if (sleep == 3)
        waiting_publish();
}

static void a_sleep_ends_when_the_peer_is_to_be_looked_at(void **state)
{
    (void)state;
    uint64_t checked = hqq_load_relaxed(&waiting.checked);
    waiting.act = publish_on_the_third_sleep;
    waiting.wait.check_ns = 1800 * HQQ_NS_PER_S;
    assert_int_equal(waiting_run(), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(waiting.sleep_deadline[i], checked + 1800 * HQQ_NS_PER_S);
    assert_int_equal(waiting.checks, 3);
    assert_int_equal(waiting.due_checks, 0);
    assert_int_equal(hqq_load_relaxed(&waiting.checked), checked);
}

static void a_peer_is_looked_at_as_soon_as_that_is_due(void **state)
{
    (void)state;
    waiting.act = publish_on_the_third_sleep;
    waiting.wait.check_ns = 1; /* the clock moves by more from one sleep to the next */
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.checks, 3);
    assert_int_equal(waiting.due_checks, 3);
}

static void a_look_is_good_for_all_waits_of_the_process(void **state)
{
    (void)state;
    uint64_t before = hqq_clock_ns();
    waiting.wait.check_ns = 1800 * HQQ_NS_PER_S;
    hqq_store_relaxed(&waiting.checked, before - 1800 * HQQ_NS_PER_S);
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.due_checks, 1);
    uint64_t checked = hqq_load_relaxed(&waiting.checked);
    assert_in_range(checked, before, waiting.sleep_began[0]);
    assert_int_equal(waiting.sleep_deadline[0], checked + 1800 * HQQ_NS_PER_S);

    plain_ring_start_at(&waiting.plain, 0);
    waiting.sleeps = 0;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.due_checks, 1);
}

/* Another thread read the clock later than this one, and stored that before. */
static void a_look_in_the_future_is_not_one_that_is_due(void **state)
{
    (void)state;
    waiting.wait.check_ns = 1;
    hqq_store_relaxed(&waiting.checked, waiting_later());
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.due_checks, 0);
}

static void interrupt_on_the_ninth_sleep(int sleep)
{
    if (sleep == 9)
        waiting.interruption = HQQ_ERROR_CLOSED;
}

static void timed_looks_at_a_silent_peer_s_ring_double_up_to_a_millisecond(void **state)
{
    (void)state;
    static const uint64_t looks_us[] = {50, 100, 200, 400, 800, 1000, 1000, 1000, 1000};
    waiting.peer = HQQ_WAIT_PEER_SILENT;
    waiting.act = interrupt_on_the_ninth_sleep;
    uint64_t before = hqq_clock_ns();
    assert_int_equal(waiting_run(), HQQ_ERROR_CLOSED);
    assert_int_equal(waiting.sleeps, 9);
    for (int i = 0; i < 9; i++) {
        uint64_t look = looks_us[i] * HQQ_NS_PER_US;
        assert_in_range(waiting.sleep_deadline[i], before + look, waiting.sleep_began[i] + look);
        before = waiting.sleep_began[i];
    }
}

static void each_wait_looks_soon_again(void **state)
{
    (void)state;
    waiting.peer = HQQ_WAIT_PEER_SILENT;
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    plain_ring_start_at(&waiting.plain, 0);
    waiting.sleeps = 0;
    uint64_t before = hqq_clock_ns();
    assert_int_equal(waiting_run(), 0);
    assert_in_range(waiting.sleep_deadline[0], before, waiting.sleep_began[0] + 50 * HQQ_NS_PER_US);
}

static void a_look_at_a_silent_peer_s_ring_does_not_go_beyond_the_deadline(void **state)
{
    (void)state;
    waiting.peer = HQQ_WAIT_PEER_SILENT;
    waiting.wait.until_ns = hqq_clock_ns() + 5 * HQQ_NS_PER_MS;
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
    for (int i = 0; i < waiting.sleeps && i < WAITING_LOG; i++)
        assert_true(waiting.sleep_deadline[i] <= waiting.wait.until_ns);
}

static void fall_silent(int sleep)
{
    waiting.peer = HQQ_WAIT_PEER_SILENT;
    if (sleep == 2)
        waiting_publish();
}

static void a_peer_that_falls_silent_is_looked_after_from_then_on(void **state)
{
    (void)state;
    waiting.act = fall_silent;
    assert_int_equal(waiting_run(), 0);
    assert_true(waiting.sleep_deadline[0] > waiting.sleep_began[0] + HQQ_NS_PER_S);
    assert_true(waiting.sleep_deadline[1] <= waiting.sleep_began[1] + HQQ_NS_PER_MS);
}

/* ---- A peer that rings without a fence --------------------------------------------------------------------------- */

static int barriers, barrier_result;

static int count_a_barrier(int command)
{
    (void)command;
    barriers++;
    return barrier_result;
}

static void a_light_peer_passes_a_barrier_before_every_sleep(void **state)
{
    (void)state;
    barriers = barrier_result = 0;
    hqq_sys.membarrier = count_a_barrier;
    hqq_store32_relaxed(&waiting.is_light, 1);
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(barriers, 3);
    assert_true(waiting.sleep_deadline[0] > waiting.sleep_began[0] + HQQ_NS_PER_S);
}

static void a_peer_that_is_not_light_needs_no_barrier(void **state)
{
    (void)state;
    barriers = 0;
    hqq_sys.membarrier = count_a_barrier;
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(barriers, 0);
}

static void a_light_peer_that_cannot_be_made_to_pass_a_barrier_is_looked_after(void **state)
{
    (void)state;
    barrier_result = -EPERM;
    hqq_sys.membarrier = count_a_barrier;
    hqq_store32_relaxed(&waiting.is_light, 1);
    waiting.act = publish_on_the_third_sleep;
    assert_int_equal(waiting_run(), 0);
    for (int i = 0; i < 3; i++)
        assert_true(waiting.sleep_deadline[i] <= waiting.sleep_began[i] + HQQ_NS_PER_MS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, waiting_set_up, waiting_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sleep_ends_when_the_peer_is_to_be_looked_at),
        TEST(a_peer_is_looked_at_as_soon_as_that_is_due),
        TEST(a_look_is_good_for_all_waits_of_the_process),
        TEST(a_look_in_the_future_is_not_one_that_is_due),
        TEST(timed_looks_at_a_silent_peer_s_ring_double_up_to_a_millisecond),
        TEST(each_wait_looks_soon_again),
        TEST(a_look_at_a_silent_peer_s_ring_does_not_go_beyond_the_deadline),
        TEST(a_peer_that_falls_silent_is_looked_after_from_then_on),
        TEST(a_light_peer_passes_a_barrier_before_every_sleep),
        TEST(a_peer_that_is_not_light_needs_no_barrier),
        TEST(a_light_peer_that_cannot_be_made_to_pass_a_barrier_is_looked_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
