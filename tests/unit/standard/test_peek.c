/* The length of the next datagram, without taking it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "platform/process.h"
#include "standard/end.h"
#include "support/child.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define FROM_PRIMARY 0
#define SECONDARY_END 1

static struct pair pair;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    length = 99;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static int peek(void)
{
    return hqq_link_peek(pair.secondary, &length);
}

static void publish(uint64_t opcode, uint64_t operand2)
{
    const struct hqq_packet packet = {.opcode = opcode, .operand = {1, 0, operand2}};
    pair_publish(&pair, FROM_PRIMARY, &packet);
}

static struct hqq_link_stats stats(void)
{
    struct hqq_link_stats result;
    hqq_link_get_stats(pair.secondary, &result);
    return result;
}

static void there_is_nothing_to_peek_at_in_an_empty_queue(void **state)
{
    (void)state;
    assert_int_equal(peek(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(length, 99);
}

static void peeking_tells_the_length_and_takes_nothing(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "first", 5), 0);
    assert_int_equal(hqq_link_write(pair.primary, "second", 6), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(peek(), 0);
        assert_int_equal(length, 5);
    }
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "first", 5);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 6);
}

static void a_reserved_slot_at_the_head_hides_what_is_behind_it(void **state)
{
    (void)state;
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_write(pair.primary, "behind", 6), 0);
    assert_int_equal(peek(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 3), 0);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 3);
}

static void tombstones_at_the_head_are_taken_out_of_the_way_and_counted(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    publish(HQQ_OPCODE_TOMBSTONE, 8);
    publish(HQQ_OPCODE_COPY, 8);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 8);
    assert_int_equal(stats().tombstones_skipped, 2);
    assert_int_equal(stats().read_depth, 1);
    for (int i = 0; i < COUNT - 1; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "room", 4), 0);
}

/* A peek takes nothing, so it says what the read will. */
static void an_invalid_packet_at_the_head_is_told_and_left_to_the_read(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_ERROR, 1);
    publish(HQQ_OPCODE_COPY, SIZE + 1);
    publish(HQQ_OPCODE_COPY, 8);
    for (int i = 0; i < 2; i++)
        assert_int_equal(peek(), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_INVALID_OP);
    assert_int_equal(peek(), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(length, 99);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 8);
    assert_int_equal(stats().invalid_packets, 2);
}

static void a_queue_of_tombstones_alone_would_block(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_int_equal(peek(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(stats().tombstones_skipped, COUNT);
}

static void an_empty_frame_of_the_advanced_protocol_has_length_0(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_CONN_COPY, 0);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 0);
}

static void what_a_closed_peer_left_is_peeked_at_before_the_end_is_told(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "last", 4), 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(peek(), 0);
    assert_int_equal(length, 4);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_int_equal(peek(), HQQ_ERROR_CLOSED);
}

static void a_peer_that_died_is_told_after_what_it_left(void **state)
{
    (void)state;
    enum hqq_peer peer;
    struct hqq_end *end = &region_extension(&pair.region)->end[SECONDARY_END];
    assert_int_equal(hqq_link_write(pair.secondary, "last", 4), 0);
    hqq_store_relaxed(&end->owner, (uint64_t)HQQ_END_ALIVE << HQQ_PROCESS_BITS | child_dead_identity());
    assert_int_equal(hqq_link_check_peer(pair.primary, &peer), 0);
    assert_int_equal(hqq_link_peek(pair.primary, &length), 0);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_peek(pair.primary, &length), HQQ_ERROR_PEER_DIED);
}

static void an_end_that_was_shut_down_peeks_at_nothing(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "there", 5), 0);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    assert_int_equal(peek(), HQQ_ERROR_CLOSED);
    assert_int_equal(length, 99);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(there_is_nothing_to_peek_at_in_an_empty_queue),
        TEST(peeking_tells_the_length_and_takes_nothing),
        TEST(a_reserved_slot_at_the_head_hides_what_is_behind_it),
        TEST(tombstones_at_the_head_are_taken_out_of_the_way_and_counted),
        TEST(an_invalid_packet_at_the_head_is_told_and_left_to_the_read),
        TEST(a_queue_of_tombstones_alone_would_block),
        TEST(an_empty_frame_of_the_advanced_protocol_has_length_0),
        TEST(what_a_closed_peer_left_is_peeked_at_before_the_end_is_told),
        TEST(a_peer_that_died_is_told_after_what_it_left),
        TEST(an_end_that_was_shut_down_peeks_at_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
