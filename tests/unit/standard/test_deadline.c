/* Deadlines and time-outs: which calls they end and when, that another thread may move a deadline, and that one call
 * waits no longer than its time-out whatever comes in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "support/caller.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define SHORT (3 * HQQ_NS_PER_MS)
#define FROM_PRIMARY 0

static struct pair pair;
static struct hqq_sys real;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    pair = pair_open(COUNT, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    pair_close(&pair);
    return 0;
}

static int read_one(void)
{
    return hqq_link_read(pair.secondary, buffer, SIZE, &length);
}

static int write_one(void)
{
    return hqq_link_write(pair.primary, "datagram", 8);
}

static void fill(void)
{
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(write_one(), 0);
}

/* ---- Deadlines --------------------------------------------------------------------------------------------------- */

static void a_read_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    uint64_t deadline = hqq_clock_ns() + SHORT;
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, deadline), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_true(hqq_clock_ns() >= deadline);
}

static void a_write_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    fill();
    uint64_t deadline = hqq_clock_ns() + SHORT;
    assert_int_equal(hqq_link_set_write_deadline(pair.primary, deadline), 0);
    assert_int_equal(write_one(), HQQ_ERROR_TIMEOUT);
    assert_true(hqq_clock_ns() >= deadline);
}

static void a_deadline_that_has_passed_ends_waits_but_not_work(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_deadline(pair.primary, 0), 0);
    assert_int_equal(hqq_link_set_deadline(pair.secondary, 0), 0);
    fill();
    assert_int_equal(write_one(), HQQ_ERROR_TIMEOUT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(read_one(), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
}

static void reading_and_writing_have_deadlines_of_their_own(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_write_deadline(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(read_one(), HQQ_ERROR_WOULD_BLOCK);
    fill();
    assert_int_equal(hqq_link_set_read_deadline(pair.primary, 0), 0);
    assert_int_equal(hqq_link_set_write_timeout(pair.primary, 0), 0);
    assert_int_equal(write_one(), HQQ_ERROR_WOULD_BLOCK);
}

static void a_deadline_stays_until_another_is_set(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_deadline(pair.secondary, 0), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_set_deadline(pair.secondary, HQQ_FOREVER), 0);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(read_one(), HQQ_ERROR_WOULD_BLOCK);
}

static void a_deadline_moved_to_now_ends_a_read_that_sleeps(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, 0), 0);
    assert_int_equal(caller_join(&reader), HQQ_ERROR_TIMEOUT);
    sleepers_forget();
}

static void a_deadline_moved_to_now_ends_a_write_that_sleeps(void **state)
{
    (void)state;
    struct caller writer = {.call = caller_write, .link = pair.primary, .length = 8};
    fill();
    sleepers_watch();
    caller_start(&writer);
    sleepers_await(1);
    assert_int_equal(hqq_link_set_deadline(pair.primary, 0), 0);
    assert_int_equal(caller_join(&writer), HQQ_ERROR_TIMEOUT);
    sleepers_forget();
}

static void a_deadline_moved_later_holds_for_a_read_that_sleeps(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, hqq_clock_ns() + 3600 * HQQ_NS_PER_S), 0);
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, HQQ_FOREVER), 0);
    sleepers_await(1);
    assert_int_equal(write_one(), 0);
    assert_int_equal(caller_join(&reader), 0);
    sleepers_forget();
}

/* ---- Time-outs --------------------------------------------------------------------------------------------------- */

static void each_call_has_its_time_out_anew(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, SHORT), 0);
    for (int i = 0; i < 2; i++) {
        uint64_t before = hqq_clock_ns();
        assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
        assert_true(hqq_clock_ns() - before >= SHORT);
    }
    assert_int_equal(write_one(), 0);
    assert_int_equal(read_one(), 0);
}

static void a_time_out_of_0_is_no_wait_at_all(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_set_write_timeout(pair.primary, 0), 0);
    assert_int_equal(read_one(), HQQ_ERROR_WOULD_BLOCK);
    fill();
    assert_int_equal(write_one(), HQQ_ERROR_WOULD_BLOCK);
}

static void the_earlier_of_deadline_and_time_out_ends_a_wait(void **state)
{
    (void)state;
    uint64_t before = hqq_clock_ns();
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 3600 * HQQ_NS_PER_S), 0);
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, before + SHORT), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, SHORT), 0);
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, before + 3600 * HQQ_NS_PER_S), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_true(hqq_clock_ns() - before >= 2 * SHORT);
}

static void the_longest_time_out_there_is_does_not_overflow(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, HQQ_FOREVER - 1), 0);
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(write_one(), 0);
    assert_int_equal(caller_join(&reader), 0);
    sleepers_forget();
}

static void the_forms_that_never_wait_have_no_time_out(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_set_deadline(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    fill();
    assert_int_equal(hqq_link_set_deadline(pair.primary, 0), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), HQQ_ERROR_WOULD_BLOCK);
}

/* ---- One call, one time-out -------------------------------------------------------------------------------------- */

#define TIMEOUT_OF_ONE (20 * HQQ_NS_PER_MS)
#define EVENTS_MAX 20

static int events;

/* Sleeps for more than half of the time-out, then wakes the caller with something that is not what it waits for. */
static int publish_a_tombstone_late(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    const struct hqq_packet tombstone = {.opcode = HQQ_OPCODE_TOMBSTONE};
    uint64_t until = hqq_clock_ns() + TIMEOUT_OF_ONE * 6 / 10;
    (void)word;
    (void)expected;
    while (real.sleep_until(until < deadline_ns ? until : deadline_ns) != 0) {
    }
    if (until < deadline_ns && events < EVENTS_MAX) {
        events++;
        pair_publish(&pair, FROM_PRIMARY, &tombstone);
    }
    return 0;
}

static void tombstones_do_not_prolong_a_read(void **state)
{
    (void)state;
    events = 0;
    hqq_sys.futex_wait = publish_a_tombstone_late;
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, TIMEOUT_OF_ONE), 0);
    assert_int_equal(read_one(), HQQ_ERROR_TIMEOUT);
    assert_in_range(events, 0, 1);
}

static void tombstones_do_not_prolong_a_batch_that_is_read(void **state)
{
    (void)state;
    struct hqq_message message = {.data = buffer, .capacity = SIZE};
    events = 0;
    hqq_sys.futex_wait = publish_a_tombstone_late;
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, TIMEOUT_OF_ONE), 0);
    assert_int_equal(hqq_link_read_batch(pair.secondary, &message, 1, &length), HQQ_ERROR_TIMEOUT);
    assert_in_range(events, 0, 1);
}

/* Likewise: one slot becomes free. */
static int free_a_slot_late(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    uint64_t until = hqq_clock_ns() + TIMEOUT_OF_ONE * 6 / 10;
    (void)word;
    (void)expected;
    while (real.sleep_until(until < deadline_ns ? until : deadline_ns) != 0) {
    }
    if (until < deadline_ns && events < EVENTS_MAX) {
        size_t bytes;
        unsigned char data[SIZE];
        events++;
        hqq_link_try_read(pair.secondary, data, SIZE, &bytes);
    }
    return 0;
}

static void a_reader_that_is_slow_does_not_prolong_a_batch_that_is_written(void **state)
{
    (void)state;
    struct hqq_message messages[COUNT + EVENTS_MAX];
    for (int i = 0; i < COUNT + EVENTS_MAX; i++)
        messages[i] = (struct hqq_message){.data = buffer, .length = 8};
    events = 0;
    hqq_sys.futex_wait = free_a_slot_late;
    assert_int_equal(hqq_link_set_write_timeout(pair.primary, TIMEOUT_OF_ONE), 0);
    assert_int_equal(hqq_link_write_batch(pair.primary, messages, COUNT + EVENTS_MAX, &length), HQQ_ERROR_TIMEOUT);
    assert_in_range(events, 0, 1);
    assert_int_equal(length, COUNT + events);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_read_ends_at_its_deadline_and_not_before),
        TEST(a_write_ends_at_its_deadline_and_not_before),
        TEST(a_deadline_that_has_passed_ends_waits_but_not_work),
        TEST(reading_and_writing_have_deadlines_of_their_own),
        TEST(a_deadline_stays_until_another_is_set),
        TEST(a_deadline_moved_to_now_ends_a_read_that_sleeps),
        TEST(a_deadline_moved_to_now_ends_a_write_that_sleeps),
        TEST(a_deadline_moved_later_holds_for_a_read_that_sleeps),
        TEST(each_call_has_its_time_out_anew),
        TEST(a_time_out_of_0_is_no_wait_at_all),
        TEST(the_earlier_of_deadline_and_time_out_ends_a_wait),
        TEST(the_longest_time_out_there_is_does_not_overflow),
        TEST(the_forms_that_never_wait_have_no_time_out),
        TEST(tombstones_do_not_prolong_a_read),
        TEST(tombstones_do_not_prolong_a_batch_that_is_read),
        TEST(a_reader_that_is_slow_does_not_prolong_a_batch_that_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
