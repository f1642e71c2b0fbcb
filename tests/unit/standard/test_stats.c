/* Statistics: each count, after exactly what it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "support/caller.h"
#include "support/child.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define FROM_PRIMARY 0

static struct pair pair;
static unsigned char buffer[2 * SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    hqq_link_set_read_timeout(pair.secondary, 0);
    hqq_link_set_write_timeout(pair.primary, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static struct hqq_link_stats stats(const struct hqq_link *link)
{
    struct hqq_link_stats result;
    memset(&result, 0x5a, sizeof(result));
    hqq_link_get_stats(link, &result);
    return result;
}

static void write_bytes(size_t bytes)
{
    assert_int_equal(hqq_link_write(pair.primary, buffer, bytes), 0);
}

static void read_bytes(void)
{
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
}

static void fill(void)
{
    for (int i = 0; i < COUNT; i++)
        write_bytes(8);
}

/* ---- Traffic ----------------------------------------------------------------------------------------------------- */

static void a_new_link_has_counted_nothing(void **state)
{
    (void)state;
    const struct hqq_link_stats zero = {0};
    struct hqq_link_stats primary = stats(pair.primary), secondary = stats(pair.secondary);
    assert_memory_equal(&primary, &zero, sizeof(zero));
    assert_memory_equal(&secondary, &zero, sizeof(zero));
}

static void messages_and_bytes_are_counted_at_both_ends(void **state)
{
    (void)state;
    write_bytes(5);
    write_bytes(64);
    read_bytes();
    assert_int_equal(stats(pair.primary).messages_written, 2);
    assert_int_equal(stats(pair.primary).bytes_written, 69);
    assert_int_equal(stats(pair.primary).messages_read, 0);
    assert_int_equal(stats(pair.secondary).messages_read, 1);
    assert_int_equal(stats(pair.secondary).bytes_read, 5);
    assert_int_equal(stats(pair.secondary).messages_written, 0);
}

static void every_way_of_writing_and_reading_counts_the_same(void **state)
{
    (void)state;
    struct hqq_message out[2] = {{.data = buffer, .length = 3}, {.data = buffer, .length = 4}};
    struct hqq_message in[2] = {{.data = buffer, .capacity = SIZE}, {.data = buffer, .capacity = SIZE}};
    struct hqq_slot slot;
    assert_int_equal(hqq_link_write_batch(pair.primary, out, 2, &length), 0);
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 5), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, buffer, 6), 0);
    assert_int_equal(stats(pair.primary).messages_written, 4);
    assert_int_equal(stats(pair.primary).bytes_written, 3 + 4 + 5 + 6);

    assert_int_equal(hqq_link_read_batch(pair.secondary, in, 2, &length), 0);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), 0);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_int_equal(stats(pair.secondary).messages_read, 4);
    assert_int_equal(stats(pair.secondary).bytes_read, 3 + 4 + 5 + 6);
}

static void nothing_is_counted_for_a_write_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, buffer, 0), 0);
    assert_int_equal(stats(pair.primary).messages_written, 0);
}

static void a_truncated_datagram_counts_with_all_its_bytes(void **state)
{
    (void)state;
    write_bytes(20);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_TRUNCATED);
    assert_int_equal(stats(pair.secondary).truncated, 1);
    assert_int_equal(stats(pair.secondary).messages_read, 1);
    assert_int_equal(stats(pair.secondary).bytes_read, 20);
    assert_int_equal(stats(pair.secondary).errors, 0);
}

/* ---- What did not arrive ----------------------------------------------------------------------------------------- */

static void tombstones_are_counted_where_they_are_written_and_skipped(void **state)
{
    (void)state;
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_abort(pair.primary, &slot, 7), 0);
    write_bytes(8);
    read_bytes();
    assert_int_equal(stats(pair.primary).tombstones_written, 1);
    assert_int_equal(stats(pair.primary).messages_written, 1);
    assert_int_equal(stats(pair.secondary).tombstones_skipped, 1);
    assert_int_equal(stats(pair.secondary).messages_read, 1);
}

static void an_invalid_packet_counts_as_such_and_as_an_error(void **state)
{
    (void)state;
    const struct hqq_packet packet = {.opcode = HQQ_OPCODE_ERROR};
    pair_publish(&pair, FROM_PRIMARY, &packet);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_INVALID_OP);
    assert_int_equal(stats(pair.secondary).invalid_packets, 1);
    assert_int_equal(stats(pair.secondary).errors, 1);
    assert_int_equal(stats(pair.secondary).messages_read, 0);
}

static void calls_that_may_not_wait_count_as_timed_out(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(stats(pair.secondary).read_timeouts, 2);
    fill();
    assert_int_equal(hqq_link_try_write(pair.primary, buffer, 8), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_write(pair.primary, buffer, 8), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(stats(pair.primary).write_timeouts, 2);
    assert_int_equal(stats(pair.primary).errors, 0);
    assert_int_equal(stats(pair.secondary).errors, 0);
}

static void waits_that_time_out_count_as_waits_and_as_timed_out(void **state)
{
    (void)state;
    fill();
    hqq_link_set_write_timeout(pair.primary, 1000);
    assert_int_equal(hqq_link_write(pair.primary, buffer, 8), HQQ_ERROR_TIMEOUT);
    assert_int_equal(stats(pair.primary).write_waits, 1);
    assert_int_equal(stats(pair.primary).write_timeouts, 1);
    hqq_link_set_read_timeout(pair.primary, 1000);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), HQQ_ERROR_TIMEOUT);
    assert_int_equal(stats(pair.primary).read_waits, 1);
    assert_int_equal(stats(pair.primary).read_timeouts, 1);
}

static void other_failures_count_as_errors(void **state)
{
    (void)state;
    struct hqq_slot none = {0};
    struct hqq_message empty = {.data = buffer, .length = 0};
    uint64_t expected = 0;
    assert_int_equal(hqq_link_write(pair.primary, buffer, SIZE + 1), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(hqq_link_write_batch(pair.primary, &empty, 1, &length), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(hqq_link_commit(pair.primary, &none, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(hqq_link_release(pair.primary, &none), HQQ_ERROR_INVALID_OP);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    assert_int_equal(hqq_link_write(pair.primary, buffer, 8), HQQ_ERROR_CLOSED);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(stats(pair.primary).errors, ++expected);
    assert_int_equal(stats(pair.primary).messages_written, 0);
}

/* ---- Sleeping ---------------------------------------------------------------------------------------------------- */

static void a_reader_that_sleeps_and_the_call_that_wakes_it_are_counted(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    hqq_link_set_read_timeout(pair.secondary, HQQ_FOREVER);
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    write_bytes(8);
    assert_int_equal(caller_join(&reader), 0);
    sleepers_forget();
    assert_int_equal(stats(pair.secondary).read_waits, 1);
    assert_true(stats(pair.secondary).read_sleeps >= 1);
    assert_int_equal(stats(pair.primary).wakeups_sent, 1);
    assert_int_equal(stats(pair.secondary).write_sleeps, 0);
}

static void a_writer_that_sleeps_and_the_call_that_wakes_it_are_counted(void **state)
{
    (void)state;
    struct caller writer = {.call = caller_write, .link = pair.primary, .length = 8};
    fill();
    hqq_link_set_write_timeout(pair.primary, HQQ_FOREVER);
    sleepers_watch();
    caller_start(&writer);
    sleepers_await(1);
    read_bytes();
    assert_int_equal(caller_join(&writer), 0);
    sleepers_forget();
    assert_int_equal(stats(pair.primary).write_waits, 1);
    assert_true(stats(pair.primary).write_sleeps >= 1);
    assert_int_equal(stats(pair.secondary).wakeups_sent, 1);
}

static void nobody_is_woken_where_nobody_sleeps(void **state)
{
    (void)state;
    fill();
    for (int i = 0; i < COUNT; i++)
        read_bytes();
    assert_int_equal(stats(pair.primary).wakeups_sent, 0);
    assert_int_equal(stats(pair.secondary).wakeups_sent, 0);
    assert_int_equal(stats(pair.primary).write_waits, 0);
    assert_int_equal(stats(pair.secondary).read_waits, 0);
}

/* ---- Depth ------------------------------------------------------------------------------------------------------- */

static void the_depth_is_what_is_claimed_by_writers_and_not_yet_by_readers(void **state)
{
    (void)state;
    struct hqq_slot slot;
    write_bytes(8);
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(stats(pair.primary).write_depth, 2);
    assert_int_equal(stats(pair.secondary).read_depth, 2);
    assert_int_equal(stats(pair.primary).read_depth, 0);
    assert_int_equal(stats(pair.secondary).write_depth, 0);
    read_bytes();
    assert_int_equal(stats(pair.primary).write_depth, 1);
}

static void the_high_water_mark_is_the_whole_ring_once_it_was_found_full(void **state)
{
    (void)state;
    fill();
    assert_int_equal(hqq_link_try_write(pair.primary, buffer, 8), HQQ_ERROR_WOULD_BLOCK);
    for (int i = 0; i < COUNT; i++)
        read_bytes();
    assert_int_equal(stats(pair.primary).write_high_water, COUNT);
    assert_int_equal(stats(pair.primary).write_depth, 0);
    assert_int_equal(stats(pair.secondary).write_high_water, 0);
}

/* ---- Peers ------------------------------------------------------------------------------------------------------- */

static int child_takes_over_and_reserves(void *arg)
{
    const struct hqq_link_config config = {.role = HQQ_ROLE_SECONDARY};
    struct hqq_link *link;
    struct hqq_slot slot;
    (void)arg;
    if (hqq_link_attach(pair.region.base, pair.region.length, &config, &link) != 0)
        return 1;
    return hqq_link_reserve(link, &slot) != 0 || hqq_link_reserve(link, &slot) != 0;
}

static void a_peer_that_died_and_the_slots_it_held_are_counted_once(void **state)
{
    (void)state;
    enum hqq_peer peer;
    hqq_link_close(pair.secondary);
    pair.secondary = NULL;
    assert_int_equal(child_run(child_takes_over_and_reserves, NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_link_check_peer(pair.primary, &peer), 0);
        assert_int_equal(stats(pair.primary).peer_deaths, 1);
        assert_int_equal(stats(pair.primary).slots_recovered, 2);
    }
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), HQQ_ERROR_PEER_DIED);
    assert_int_equal(stats(pair.primary).tombstones_skipped, 2);
}

static void who_opens_the_link_counts_from_zero(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.role = HQQ_ROLE_PRIMARY};
    write_bytes(8);
    hqq_link_close(pair.primary);
    assert_int_equal(hqq_link_attach(pair.region.base, pair.region.length, &config, &pair.primary), 0);
    assert_int_equal(stats(pair.primary).messages_written, 0);
    assert_int_equal(stats(pair.primary).write_depth, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_link_has_counted_nothing),
        TEST(messages_and_bytes_are_counted_at_both_ends),
        TEST(every_way_of_writing_and_reading_counts_the_same),
        TEST(nothing_is_counted_for_a_write_of_nothing),
        TEST(a_truncated_datagram_counts_with_all_its_bytes),
        TEST(tombstones_are_counted_where_they_are_written_and_skipped),
        TEST(an_invalid_packet_counts_as_such_and_as_an_error),
        TEST(calls_that_may_not_wait_count_as_timed_out),
        TEST(waits_that_time_out_count_as_waits_and_as_timed_out),
        TEST(other_failures_count_as_errors),
        TEST(a_reader_that_sleeps_and_the_call_that_wakes_it_are_counted),
        TEST(a_writer_that_sleeps_and_the_call_that_wakes_it_are_counted),
        TEST(nobody_is_woken_where_nobody_sleeps),
        TEST(the_depth_is_what_is_claimed_by_writers_and_not_yet_by_readers),
        TEST(the_high_water_mark_is_the_whole_ring_once_it_was_found_full),
        TEST(a_peer_that_died_and_the_slots_it_held_are_counted_once),
        TEST(who_opens_the_link_counts_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
