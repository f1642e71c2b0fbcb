/* HQQ_LINK_STREAM_READ: reads take bytes, and what a short one leaves of a datagram is the next one's. */
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
#include "support/pattern.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define UNTOUCHED 0x5a

static struct pair pair;
static unsigned char buffer[2 * SIZE], expected[2 * SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE, .flags = HQQ_LINK_STREAM_READ};
    pair = pair_open_with(&config);
    memset(buffer, UNTOUCHED, sizeof(buffer));
    length = 99;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static void write_pattern(size_t bytes, size_t seed)
{
    unsigned char data[SIZE];
    pattern(data, bytes, seed);
    assert_int_equal(hqq_link_write(pair.primary, data, bytes), 0);
}

/* A read of so many bytes, of which these come. */
static void assert_read(size_t capacity, const unsigned char *bytes, size_t count)
{
    assert_int_equal(hqq_link_read(pair.secondary, buffer, capacity, &length), 0);
    assert_int_equal(length, count);
    assert_memory_equal(buffer, bytes, count);
}

static void a_short_read_keeps_the_rest_for_the_next_ones(void **state)
{
    (void)state;
    pattern(expected, 20, 1);
    write_pattern(20, 1);
    assert_read(8, expected, 8);
    assert_int_equal(buffer[8], UNTOUCHED);
    assert_read(8, expected + 8, 8);
    assert_read(8, expected + 16, 4);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_WOULD_BLOCK);
}

static void a_read_does_not_go_from_one_datagram_into_the_next(void **state)
{
    (void)state;
    write_pattern(10, 1);
    write_pattern(10, 2);
    pattern(expected, 10, 1);
    assert_read(6, expected, 6);
    assert_read(sizeof(buffer), expected + 6, 4);
    pattern(expected, 10, 2);
    assert_read(sizeof(buffer), expected, 10);
}

static void a_datagram_that_fits_is_read_whole(void **state)
{
    (void)state;
    write_pattern(SIZE, 1);
    pattern(expected, SIZE, 1);
    assert_read(SIZE, expected, SIZE);
}

static void the_rest_is_there_for_a_read_that_never_waits(void **state)
{
    (void)state;
    write_pattern(10, 1);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, 4, &length), 0);
    assert_int_equal(length, 4);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, 40, &length), 0);
    assert_int_equal(length, 6);
}

/* What is read in pieces stays where it is. */
static void the_slot_is_held_until_all_of_it_was_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        write_pattern(10, i);
    pattern(expected, 10, 0);
    assert_read(9, expected, 9);
    assert_int_equal(hqq_link_try_write(pair.primary, "room", 4), HQQ_ERROR_WOULD_BLOCK);
    assert_read(9, expected + 9, 1);
    assert_int_equal(hqq_link_try_write(pair.primary, "room", 4), 0);
}

static void the_kept_rest_is_given_up_by_who_closes(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.role = HQQ_ROLE_SECONDARY};
    for (size_t i = 0; i < COUNT; i++)
        write_pattern(10, i);
    pattern(expected, 10, 0);
    assert_read(4, expected, 4);
    hqq_link_close(pair.secondary);
    assert_int_equal(hqq_link_attach(pair.region.base, pair.region.length, &config, &pair.secondary), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "room", 4), 0);
    pattern(expected, 10, 1);
    assert_read(sizeof(buffer), expected, 10);
}

static void a_read_of_no_bytes_keeps_all_of_the_datagram(void **state)
{
    (void)state;
    write_pattern(10, 1);
    pattern(expected, 10, 1);
    assert_int_equal(hqq_link_read(pair.secondary, NULL, 0, &length), 0);
    assert_int_equal(length, 0);
    assert_read(sizeof(buffer), expected, 10);
}

static void the_kept_rest_is_still_read_after_the_peer_closed(void **state)
{
    (void)state;
    write_pattern(10, 1);
    pattern(expected, 10, 1);
    assert_read(4, expected, 4);
    hqq_link_close(pair.primary);
    pair.primary = NULL;
    assert_read(sizeof(buffer), expected + 4, 6);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_CLOSED);
}

static void an_end_that_was_shut_down_reads_no_kept_rest(void **state)
{
    (void)state;
    write_pattern(10, 1);
    pattern(expected, 10, 1);
    assert_read(4, expected, 4);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_CLOSED);
}

static int look_at_nothing(const void *data, size_t bytes, void *arg)
{
    (void)data;
    (void)bytes;
    (void)arg;
    return 1000;
}

static void what_has_no_place_in_a_stream_is_an_invalid_operation(void **state)
{
    (void)state;
    struct hqq_slot slot;
    struct hqq_message message = {.data = buffer, .capacity = sizeof(buffer)};
    size_t count = 99;
    write_pattern(10, 1);
    assert_int_equal(hqq_link_peek(pair.secondary, &length), HQQ_ERROR_INVALID_OP);
    assert_int_equal(length, 99);
    assert_int_equal(hqq_link_read_batch(pair.secondary, &message, 1, &count), HQQ_ERROR_INVALID_OP);
    assert_int_equal(count, 0);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_read_with(pair.secondary, look_at_nothing, NULL), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, sizeof(buffer), &length), 0);
}

static void every_read_takes_bytes_that_no_other_read_takes(void **state)
{
    (void)state;
    struct caller reader[4];
    for (int i = 0; i < 4; i++) {
        reader[i] = (struct caller){.call = caller_read, .link = pair.secondary};
        caller_start(&reader[i]);
    }
    for (size_t i = 0; i < 4; i++)
        write_pattern(1 + i, i);
    size_t total = 0;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(caller_join(&reader[i]), 0);
        total += reader[i].length;
    }
    assert_int_equal(total, 1 + 2 + 3 + 4);
}

static void a_reader_that_waits_does_not_let_another_try(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_WOULD_BLOCK);
    write_pattern(5, 1);
    assert_int_equal(caller_join(&reader), 0);
    assert_int_equal(reader.length, 5);
    sleepers_forget();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_short_read_keeps_the_rest_for_the_next_ones),
        TEST(a_read_does_not_go_from_one_datagram_into_the_next),
        TEST(a_datagram_that_fits_is_read_whole),
        TEST(the_rest_is_there_for_a_read_that_never_waits),
        TEST(the_slot_is_held_until_all_of_it_was_read),
        TEST(the_kept_rest_is_given_up_by_who_closes),
        TEST(a_read_of_no_bytes_keeps_all_of_the_datagram),
        TEST(the_kept_rest_is_still_read_after_the_peer_closed),
        TEST(an_end_that_was_shut_down_reads_no_kept_rest),
        TEST(what_has_no_place_in_a_stream_is_an_invalid_operation),
        TEST(every_read_takes_bytes_that_no_other_read_takes),
        TEST(a_reader_that_waits_does_not_let_another_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
