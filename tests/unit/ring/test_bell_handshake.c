/* The bell's handshake: a ringer without a fence is made to pass a barrier by who sleeps, and with either kind of
 * ringer no work is slept through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/membarrier.h>

#include <hqq/link.h>

#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "ring/bell.h"
#include "support/caller.h"

static struct hqq_sys real;
static struct hqq_bell bell;

/* What the replaced calls saw. */
static struct {
    int wakes, last_count;
} woken;

static int note_a_wake(const void *word, int count)
{
    (void)word;
    woken.wakes++;
    woken.last_count = count;
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

/* For a ringer that fences. */
static const hqq_atomic_u32 heavy;

static uint32_t arm(void)
{
    return hqq_bell_arm(&bell, &heavy).sequence;
}

/* ---- Ringing without a fence ------------------------------------------------------------------------------------- */

static const hqq_atomic_u32 light = 1;
static int barriers, barrier_result;

static int count_a_barrier(int command)
{
    assert_int_equal(command, MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    barriers++;
    return barrier_result;
}

static void who_sleeps_makes_a_light_ringer_pass_a_barrier(void **state)
{
    (void)state;
    barriers = barrier_result = 0;
    hqq_sys.membarrier = count_a_barrier;
    assert_false(hqq_bell_arm(&bell, &heavy).is_unheard);
    assert_int_equal(barriers, 0);
    assert_false(hqq_bell_arm(&bell, &light).is_unheard);
    assert_int_equal(barriers, 1);
    assert_true(hqq_bell_pass_on(&bell, &light));
    assert_int_equal(barriers, 2);
}

static void who_cannot_make_a_light_ringer_pass_a_barrier_is_told(void **state)
{
    (void)state;
    barrier_result = -EPERM;
    hqq_sys.membarrier = count_a_barrier;
    assert_true(hqq_bell_arm(&bell, &light).is_unheard);
    assert_false(hqq_bell_arm(&bell, &heavy).is_unheard);
    assert_int_equal(sleepers(), 2);
}

static void ringing_lightly_wakes_and_disarms_as_ringing_does(void **state)
{
    (void)state;
    assert_false(hqq_bell_ring_light(&bell, 3));
    arm();
    assert_true(hqq_bell_ring_light(&bell, 3));
    assert_false(hqq_bell_ring_light(&bell, 3));
    assert_int_equal(woken.wakes, 1);
    assert_int_equal(woken.last_count, 3);
    assert_int_equal(sequence(), 1);
}

/* ---- The handshake ----------------------------------------------------------------------------------------------- */

static hqq_atomic_u32 made, taken, missed;

/* Takes what the ringer makes, sleeping while there is nothing, and counts pieces that it slept through, to the end of a
 * long sleep: a short one may end by the late wake of the piece before. arg is whether the ringer is light. */
static int take_work(struct caller *caller)
{
    for (uint32_t i = 0; i < caller->length; i++) {
        while (hqq_load32_acquire(&made) == i) {
            uint32_t remembered = hqq_bell_arm(&bell, caller->arg).sequence;
            if (hqq_load32_acquire(&made) == i) {
                uint64_t deadline = hqq_clock_ns() + 20 * HQQ_NS_PER_S;
                hqq_bell_sleep(&bell, remembered, deadline);
                if (hqq_clock_ns() >= deadline && hqq_load32_acquire(&made) != i)
                    hqq_add32_relaxed(&missed, 1);
            }
            hqq_bell_disarm(&bell);
        }
        hqq_add32_relaxed(&taken, 1);
    }
    return 0;
}

/* Each piece is made just when the one before was taken: while the sleeper arms its bell, looks, or goes to sleep. */
static void assert_no_work_is_slept_through(hqq_atomic_u32 *is_light)
{
    struct caller sleeper = {.call = take_work, .length = 20000, .arg = is_light};
    hqq_sys = real;
    hqq_store32_relaxed(&made, 0);
    hqq_store32_relaxed(&taken, 0);
    hqq_store32_relaxed(&missed, 0);
    caller_start(&sleeper);
    for (size_t i = 0; i < sleeper.length; i++) {
        hqq_store32_relaxed(&made, (uint32_t)i + 1);
        if (hqq_load32_relaxed(is_light))
            hqq_bell_ring_light(&bell, 1);
        else
            hqq_bell_ring(&bell, 1);
        while (hqq_load32_relaxed(&taken) == i)
            real.sched_yield();
    }
    caller_join(&sleeper);
    assert_int_equal(hqq_load32_relaxed(&missed), 0);
    assert_int_equal(sleepers(), 0);
}

static void no_work_is_slept_through(void **state)
{
    (void)state;
    hqq_atomic_u32 is_light = 0;
    assert_no_work_is_slept_through(&is_light);
}

static void no_work_of_a_light_ringer_is_slept_through(void **state)
{
    (void)state;
    hqq_atomic_u32 is_light = 1;
    if (!hqq_barrier_register())
        skip();
    assert_no_work_is_slept_through(&is_light);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_sleeps_makes_a_light_ringer_pass_a_barrier),
        TEST(who_cannot_make_a_light_ringer_pass_a_barrier_is_told),
        TEST(ringing_lightly_wakes_and_disarms_as_ringing_does),
        TEST(no_work_is_slept_through),
        TEST(no_work_of_a_light_ringer_is_slept_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
