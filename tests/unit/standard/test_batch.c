/* Many datagrams at once: written all or as far as they get, read as many as there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "platform/clock.h"
#include "support/caller.h"
#include "support/pattern.h"
#include "support/region.h"

#define COUNT 8
#define SIZE 64
#define MANY 50
#define FROM_PRIMARY 0

static struct pair pair;
static unsigned char written[MANY][SIZE], found[MANY][SIZE];
static struct hqq_message out[MANY], in[MANY];

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    memset(found, 0, sizeof(found));
    for (size_t i = 0; i < MANY; i++) {
        pattern(written[i], SIZE, i);
        out[i] = (struct hqq_message){.data = written[i], .length = 1 + i};
        in[i] = (struct hqq_message){.data = found[i], .capacity = SIZE, .length = 99};
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static void assert_written(size_t count)
{
    size_t done = 99;
    assert_int_equal(hqq_link_write_batch(pair.primary, out, count, &done), 0);
    assert_int_equal(done, count);
}

/* Messages first to first + count - 1 of those written lie in the first count of those read. */
static void assert_found(size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(in[i].length, first + i + 1);
        assert_memory_equal(found[i], written[first + i], first + i + 1);
    }
}

static size_t read_batch(size_t count)
{
    size_t done = 99;
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, count, &done), 0);
    return done;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void a_batch_is_written_in_order(void **state)
{
    (void)state;
    assert_written(5);
    assert_int_equal(read_batch(COUNT), 5);
    assert_found(0, 5);
}

static void a_batch_across_the_end_of_the_ring_is_in_order(void **state)
{
    (void)state;
    for (int round = 0; round < 3 * COUNT; round++) {
        assert_written(5);
        assert_int_equal(read_batch(MANY), 5);
        assert_found(0, 5);
    }
}

static void an_empty_batch_writes_and_reads_nothing(void **state)
{
    (void)state;
    assert_written(0);
    assert_int_equal(read_batch(0), 0);
}

static void an_invalid_length_anywhere_refuses_the_whole_batch(void **state)
{
    (void)state;
    size_t done = 99;
    out[4].length = 0;
    assert_int_equal(hqq_link_write_batch(pair.primary, out, 5, &done), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(done, 0);
    done = 99;
    out[4].length = SIZE + 1;
    assert_int_equal(hqq_link_write_batch(pair.primary, out, 5, &done), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(done, 0);
    assert_int_equal(hqq_link_try_read(pair.secondary, found[0], SIZE, &done), HQQ_ERROR_WOULD_BLOCK);
}

static void a_batch_that_does_not_fit_is_written_as_far_as_it_goes(void **state)
{
    (void)state;
    size_t done = 99;
    assert_int_equal(hqq_link_set_write_timeout(pair.primary, 0), 0);
    assert_int_equal(hqq_link_write_batch(pair.primary, out, COUNT + 3, &done), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(done, COUNT);
    assert_int_equal(read_batch(MANY), COUNT);
    assert_found(0, COUNT);
}

static void a_deadline_ends_a_batch_that_does_not_fit(void **state)
{
    (void)state;
    size_t done = 99;
    assert_int_equal(hqq_link_set_write_deadline(pair.primary, hqq_clock_ns() + HQQ_NS_PER_MS), 0);
    assert_int_equal(hqq_link_write_batch(pair.primary, out, COUNT + 3, &done), HQQ_ERROR_TIMEOUT);
    assert_int_equal(done, COUNT);
}

static int write_many(struct caller *caller)
{
    return hqq_link_write_batch(caller->link, out, MANY, &caller->length);
}

static void a_batch_longer_than_the_ring_waits_for_the_reader(void **state)
{
    (void)state;
    struct caller writer = {.call = write_many, .link = pair.primary};
    caller_start(&writer);
    size_t total = 0;
    while (total < MANY) {
        size_t count = read_batch(3);
        assert_in_range(count, 1, 3);
        assert_found(total, count);
        total += count;
    }
    assert_int_equal(caller_join(&writer), 0);
    assert_int_equal(writer.length, MANY);
}

static void a_peer_that_closes_ends_a_batch(void **state)
{
    (void)state;
    struct caller writer = {.call = write_many, .link = pair.primary};
    sleepers_watch();
    caller_start(&writer);
    sleepers_await(1);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    assert_int_equal(caller_join(&writer), HQQ_ERROR_CLOSED);
    assert_int_equal(writer.length, COUNT);
    sleepers_forget();
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void a_read_takes_no_more_than_it_has_room_for(void **state)
{
    (void)state;
    assert_written(COUNT);
    assert_int_equal(read_batch(3), 3);
    assert_found(0, 3);
    assert_int_equal(read_batch(MANY), COUNT - 3);
    assert_found(3, COUNT - 3);
}

static int read_many(struct caller *caller)
{
    return hqq_link_read_batch(caller->link, in, MANY, &caller->length);
}

static void a_read_waits_for_the_first_datagram_only(void **state)
{
    (void)state;
    struct caller reader = {.call = read_many, .link = pair.secondary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_written(1);
    assert_int_equal(caller_join(&reader), 0);
    assert_int_equal(reader.length, 1);
    assert_found(0, 1);
    sleepers_forget();
}

static void nothing_to_read_would_block_or_times_out(void **state)
{
    (void)state;
    size_t done = 99;
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, MANY, &done), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(done, 0);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 1000), 0);
    done = 99;
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, MANY, &done), HQQ_ERROR_TIMEOUT);
    assert_int_equal(done, 0);
}

static void a_datagram_that_is_cut_tells_its_length_and_the_others_are_whole(void **state)
{
    (void)state;
    size_t done = 99;
    in[1].capacity = 1;
    in[2].capacity = 0;
    in[2].data = NULL;
    assert_written(4);
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, MANY, &done), HQQ_ERROR_TRUNCATED);
    assert_int_equal(done, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(in[i].length, i + 1);
    assert_memory_equal(found[0], written[0], 1);
    assert_int_equal(found[1][0], written[1][0]);
    assert_int_equal(found[1][1], 0);
    assert_memory_equal(found[3], written[3], 4);
}

static void publish(uint64_t opcode, uint64_t operand2)
{
    const struct hqq_packet packet = {.opcode = opcode, .operand = {1, 0, operand2}};
    pair_publish(&pair, FROM_PRIMARY, &packet);
}

static void tombstones_and_invalid_packets_among_datagrams_are_only_counted(void **state)
{
    (void)state;
    struct hqq_link_stats stats;
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_written(2);
    publish(HQQ_OPCODE_COPY, SIZE + 1);
    publish(HQQ_OPCODE_ERROR, 1);
    publish(HQQ_OPCODE_CONN_COPY, 3);
    assert_int_equal(read_batch(MANY), 3);
    assert_found(0, 2);
    assert_int_equal(in[2].length, 3);
    hqq_link_get_stats(pair.secondary, &stats);
    assert_int_equal(stats.tombstones_skipped, 1);
    assert_int_equal(stats.invalid_packets, 2);
    assert_int_equal(stats.messages_read, 3);
}

static void nothing_but_tombstones_is_nothing_to_read(void **state)
{
    (void)state;
    size_t done = 99;
    for (int i = 0; i < 5; i++)
        publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, MANY, &done), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(done, 0);
    assert_written(COUNT);
}

static void tombstones_do_not_hide_the_datagram_behind_them(void **state)
{
    (void)state;
    size_t done = 99;
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_written(1);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, 1, &done), 0);
    assert_int_equal(done, 1);
    assert_found(0, 1);
}

static void tombstones_do_not_hide_the_datagram_behind_them_from_a_late_read(void **state)
{
    (void)state;
    size_t done = 99;
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_written(1);
    assert_int_equal(hqq_link_set_read_deadline(pair.secondary, 0), 0);
    assert_int_equal(hqq_link_read_batch(pair.secondary, in, 1, &done), 0);
    assert_int_equal(done, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_is_written_in_order),
        TEST(a_batch_across_the_end_of_the_ring_is_in_order),
        TEST(an_empty_batch_writes_and_reads_nothing),
        TEST(an_invalid_length_anywhere_refuses_the_whole_batch),
        TEST(a_batch_that_does_not_fit_is_written_as_far_as_it_goes),
        TEST(a_deadline_ends_a_batch_that_does_not_fit),
        TEST(a_batch_longer_than_the_ring_waits_for_the_reader),
        TEST(a_peer_that_closes_ends_a_batch),
        TEST(a_read_takes_no_more_than_it_has_room_for),
        TEST(a_read_waits_for_the_first_datagram_only),
        TEST(nothing_to_read_would_block_or_times_out),
        TEST(a_datagram_that_is_cut_tells_its_length_and_the_others_are_whole),
        TEST(tombstones_and_invalid_packets_among_datagrams_are_only_counted),
        TEST(nothing_but_tombstones_is_nothing_to_read),
        TEST(tombstones_do_not_hide_the_datagram_behind_them),
        TEST(tombstones_do_not_hide_the_datagram_behind_them_from_a_late_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
