/*
 * A sender's wait for the drain: short where the receiver shows nothing, and given up for a while where it was in vain; longer while
 * the receiver is at work on a deep queue.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include <hqq/link.h>

#include "endpoint/patience.h"
#include "endpoint/scheduler.h"
#include "channel/tx.h"
#include "support/channels.h"

#define SIGNS 30
#define SIGN_NS 5000
#define TRIED_NS (30 * HQQ_NS_PER_S) /* until other programs leave both threads a processor */

static struct channel_ends ends;
static struct hqq_endpoint receiver;
static struct hqq_destination destination;
static hqq_atomic_u32 is_over;

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(8, 64, 0);
    receiver = (struct hqq_endpoint){.busy = ends.receiver, .channels = ends.receiver};
    ends.receiver->busy_next = ends.receiver->busy_previous = ends.receiver;
    ends.receiver->is_busy = true;
    assert_true(hqq_rx_poll(ends.receiver));
    destination = (struct hqq_destination){.channel = ends.sender};
    hqq_store32_relaxed(&is_over, 0);
    hqq_ticks_per_us();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* so that ticks have been measured */
    hqq_ticks_per_us();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    channel_ends_close(&ends);
    return 0;
}

static void wait_ns(uint64_t ns)
{
    for (uint64_t began = hqq_clock_ns(); hqq_clock_ns() - began < ns;)
        hqq_cpu_pause();
}

static void *read_for_ever(void *unused)
{
    (void)unused;
    while (hqq_load32_relaxed(&is_over) == 0) {
        hqq_scheduler_show_progress(&receiver);
        wait_ns(SIGN_NS);
    }
    return NULL;
}

/* A queue that takes longer to read than a sender waits where it sees nothing. */
static void *read_for_a_while(void *unused)
{
    (void)unused;
    uint64_t note = hqq_scheduler_note_requests(&receiver);
    for (int i = 0; i < SIGNS; i++) {
        hqq_scheduler_show_progress(&receiver);
        wait_ns(SIGN_NS);
    }
    hqq_scheduler_acknowledge(&receiver, note, note);
    return NULL;
}

static void what_nobody_wants_shows_no_progress(void **state)
{
    (void)state;
    uint64_t before = hqq_load_relaxed(&ends.sender->peer->drain_progress);
    hqq_scheduler_show_progress(&receiver);
    assert_int_equal(hqq_load_relaxed(&ends.sender->peer->drain_progress), before);
    hqq_tx_request_drain(ends.sender, 1);
    hqq_scheduler_show_progress(&receiver);
    assert_int_not_equal(hqq_load_relaxed(&ends.sender->peer->drain_progress), before);
}

static void waits_in_vain_are_left_out_more_and_more(void **state)
{
    (void)state;
    hqq_tx_request_drain(ends.sender, 1);
    for (uint64_t missed = 1; missed <= 8; missed++) {
        uint64_t skipped = missed < 7 ? (UINT64_C(1) << (missed - 1)) - 1 : 64;
        for (uint64_t i = 0; i < skipped; i++)
            hqq_patience_for_drain(&destination);
        assert_int_equal(destination.missed_waits, missed - 1);
        hqq_patience_for_drain(&destination);
        assert_int_equal(destination.missed_waits, missed);
    }
    assert_int_equal(destination.unwilling_us, 0);
}

static void a_receiver_at_work_is_waited_for(void **state)
{
    (void)state;
    pthread_t reader;
    uint64_t began = hqq_clock_ns();
    do {
        hqq_tx_request_drain(ends.sender, 1);
        destination = (struct hqq_destination){.channel = ends.sender};
        uint64_t before = hqq_load_relaxed(&ends.sender->peer->drain_progress);
        assert_int_equal(pthread_create(&reader, NULL, read_for_a_while, NULL), 0);
        while (hqq_load_relaxed(&ends.sender->peer->drain_progress) == before)
            hqq_cpu_pause();
        hqq_patience_for_drain(&destination);
        pthread_join(reader, NULL);
    } while (destination.missed_waits != 0 && hqq_clock_ns() - began < TRIED_NS);
    assert_int_equal(destination.missed_waits, 0);
}

static void a_queue_that_never_runs_empty_costs_one_part_of_the_time(void **state)
{
    (void)state;
    pthread_t reader;
    uint64_t began = hqq_clock_ns(), won = 0;
    hqq_tx_request_drain(ends.sender, 1);
    assert_int_equal(pthread_create(&reader, NULL, read_for_ever, NULL), 0);
    do {
        destination = (struct hqq_destination){.channel = ends.sender};
        hqq_patience_for_drain(&destination);
        won += destination.missed_waits == 0;
    } while (destination.unwilling_us == 0 && hqq_clock_ns() - began < TRIED_NS);
    uint64_t unwilling_us = destination.unwilling_us;

    uint64_t waited_at = hqq_ticks();
    destination = (struct hqq_destination){.channel = ends.sender, .waited_at = waited_at, .unwilling_us = 1000000000};
    for (int i = 0; i < 500; i++)
        hqq_patience_for_drain(&destination);
    hqq_store32_relaxed(&is_over, 1);
    pthread_join(reader, NULL);
    assert_int_equal(won, 0);
    assert_in_range(unwilling_us, 500, 100 * 1000);
    assert_int_equal(destination.waited_at, waited_at);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_nobody_wants_shows_no_progress, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_in_vain_are_left_out_more_and_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_receiver_at_work_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_queue_that_never_runs_empty_costs_one_part_of_the_time, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
