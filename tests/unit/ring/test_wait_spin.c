/* Before a wait sleeps: how long it spins, when it does not, that it yields, and what it learns for the next time. The
 * kernel's part and the processors are replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "ring/wait.h"
#include "support/waiting.h"

#define OWN_CPU 5

static int cpus;

static int cpu_count(void)
{
    return cpus;
}

static int cpu_now(void)
{
    return OWN_CPU;
}

/* A wait that may spin so long, on a machine of two processors. */
static int set_up(void **state)
{
    waiting_set_up(state);
    cpus = 2;
    hqq_sys.cpu_count = cpu_count;
    hqq_sys.cpu_now = cpu_now;
    hqq_spin_init(&waiting.spin, HQQ_NS_PER_MS);
    return 0;
}

static void publish_at_once(int time)
{
    (void)time;
    waiting_publish();
}

static void publish_the_third_time(int time)
{
    if (time == 3)
        waiting_publish();
}

static void interrupt_the_third_time(int time)
{
    if (time == 3)
        waiting.interruption = HQQ_ERROR_CLOSED;
}

static uint64_t budget(void)
{
    return hqq_load_relaxed(&waiting.spin.budget_ns);
}

/* Whether a wait that ends with its first sleep has spun: it then asked more than once whether to go on. */
static bool spins(void)
{
    waiting.act = publish_at_once;
    waiting.looks = waiting.sleeps = 0;
    plain_ring_start_at(&waiting.plain, 0);
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 1);
    return waiting.looks > 1;
}

/* ---- Spinning ---------------------------------------------------------------------------------------------------- */

static void a_wait_spins_for_its_budget_before_it_sleeps(void **state)
{
    (void)state;
    uint64_t before = hqq_clock_ns();
    assert_true(spins());
    assert_true(waiting.sleep_began[0] - before >= HQQ_NS_PER_MS);
}

static void a_wait_that_may_not_spin_neither_spins_nor_yields(void **state)
{
    (void)state;
    hqq_spin_init(&waiting.spin, HQQ_SPIN_NEVER);
    assert_int_equal(budget(), 0);
    assert_false(spins());
    assert_int_equal(waiting.yields, 0);
}

static void nobody_spins_on_the_only_processor(void **state)
{
    (void)state;
    cpus = 1;
    hqq_spin_init(&waiting.spin, HQQ_NS_PER_MS);
    assert_false(spins());
}

static void nobody_spins_on_the_processor_that_the_peer_waited_on(void **state)
{
    (void)state;
    hqq_store32_relaxed(&waiting.peer_cpu, OWN_CPU + 1);
    assert_false(spins());
}

static void a_peer_on_another_processor_is_spun_for(void **state)
{
    (void)state;
    hqq_store32_relaxed(&waiting.peer_cpu, OWN_CPU + 2);
    assert_true(spins());
}

static void a_wait_tells_its_peer_on_which_processor_it_is(void **state)
{
    (void)state;
    spins();
    assert_int_equal(hqq_load32_relaxed(&waiting.own_cpu), OWN_CPU + 1);
}

static void a_slot_that_comes_while_spinning_ends_the_wait(void **state)
{
    (void)state;
    hqq_spin_init(&waiting.spin, 3600 * HQQ_NS_PER_S);
    waiting.on_look = publish_the_third_time;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 0);
    assert_int_equal(waiting.yields, 0);
    assert_false(waiting.slept);
}

static void an_interruption_ends_the_spinning(void **state)
{
    (void)state;
    hqq_spin_init(&waiting.spin, 3600 * HQQ_NS_PER_S);
    waiting.on_look = interrupt_the_third_time;
    assert_int_equal(waiting_run(), HQQ_ERROR_CLOSED);
    assert_int_equal(waiting.sleeps, 0);
}

/* Long enough to be told from the deadline, short enough not to time the test out. */
static void a_deadline_ends_the_spinning(void **state)
{
    (void)state;
    uint64_t before = hqq_clock_ns();
    hqq_spin_init(&waiting.spin, 20 * HQQ_NS_PER_S);
    waiting.wait.until_ns = before + 5 * HQQ_NS_PER_MS;
    assert_int_equal(waiting_run(), HQQ_ERROR_TIMEOUT);
    assert_in_range(hqq_clock_ns() - before, 5 * HQQ_NS_PER_MS, 15 * HQQ_NS_PER_S);
}

static void a_look_at_the_peer_that_is_due_ends_the_spinning(void **state)
{
    (void)state;
    hqq_spin_init(&waiting.spin, 3600 * HQQ_NS_PER_S);
    waiting.wait.check_ns = HQQ_NS_PER_MS;
    waiting.act = publish_at_once;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 1);
    assert_int_equal(waiting.due_checks, 1);
}

/* ---- Yielding ---------------------------------------------------------------------------------------------------- */

static void a_wait_yields_three_times_before_it_sleeps(void **state)
{
    (void)state;
    spins();
    assert_int_equal(waiting.yields, 3);
}

static void a_slot_that_comes_while_yielding_ends_the_wait(void **state)
{
    (void)state;
    waiting.on_yield = publish_the_third_time;
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(waiting.sleeps, 0);
    assert_false(waiting.slept);
}

/* ---- Learning ---------------------------------------------------------------------------------------------------- */

#define LONGEST (100 * HQQ_NS_PER_US)

/* However short the spin, the wait takes longer than the longest would. */
static void publish_late(int sleep)
{
    (void)sleep;
    uint64_t began = hqq_clock_ns();
    while (hqq_clock_ns() - began <= LONGEST)
        hqq_cpu_pause();
    waiting_publish();
}

static void wait_in_vain_and_long(void)
{
    waiting.act = publish_late;
    plain_ring_start_at(&waiting.plain, 0);
    assert_int_equal(waiting_run(), 0);
}

static void spinning_in_vain_is_halved_from_wait_to_wait_down_to_a_microsecond(void **state)
{
    (void)state;
    static const uint64_t halves[] = {LONGEST / 2,  LONGEST / 4,  LONGEST / 8,  LONGEST / 16,
                                      LONGEST / 32, LONGEST / 64, LONGEST / 64, LONGEST / 64};
    hqq_spin_init(&waiting.spin, LONGEST);
    for (size_t i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
        wait_in_vain_and_long();
        assert_int_equal(budget(), halves[i]);
    }
}

static void a_wait_shorter_than_the_longest_spin_restores_it(void **state)
{
    (void)state;
    hqq_spin_init(&waiting.spin, 3600 * HQQ_NS_PER_S);
    hqq_store_relaxed(&waiting.spin.budget_ns, LONGEST / 4);
    plain_ring_start_at(&waiting.plain, 0);
    waiting_publish();
    assert_int_equal(waiting_run(), 0);
    assert_int_equal(budget(), 3600 * HQQ_NS_PER_S);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, waiting_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wait_spins_for_its_budget_before_it_sleeps),
        TEST(a_wait_that_may_not_spin_neither_spins_nor_yields),
        TEST(nobody_spins_on_the_only_processor),
        TEST(nobody_spins_on_the_processor_that_the_peer_waited_on),
        TEST(a_peer_on_another_processor_is_spun_for),
        TEST(a_wait_tells_its_peer_on_which_processor_it_is),
        TEST(a_slot_that_comes_while_spinning_ends_the_wait),
        TEST(an_interruption_ends_the_spinning),
        TEST(a_deadline_ends_the_spinning),
        TEST(a_look_at_the_peer_that_is_due_ends_the_spinning),
        TEST(a_wait_yields_three_times_before_it_sleeps),
        TEST(a_slot_that_comes_while_yielding_ends_the_wait),
        TEST(spinning_in_vain_is_halved_from_wait_to_wait_down_to_a_microsecond),
        TEST(a_wait_shorter_than_the_longest_spin_restores_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
