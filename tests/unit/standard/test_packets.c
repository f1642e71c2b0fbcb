/* What a standard reader makes of each kind of packet: data, what is skipped, and what is dropped with an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "standard/packets.h"
#include "support/region.h"

#define COUNT 16
#define SIZE 64
#define FROM_PRIMARY 0

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

/* Packets of an opcode, and with this in operand 2: the size, the total, or the reason. */
static void publish(uint64_t opcode, uint64_t operand2)
{
    const struct hqq_packet packet = {.opcode = opcode, .operand = {1, 0, operand2}};
    pair_publish(&pair, FROM_PRIMARY, &packet);
}

static int try_read(void)
{
    return hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length);
}

static struct hqq_link_stats stats(void)
{
    struct hqq_link_stats result;
    hqq_link_get_stats(pair.secondary, &result);
    return result;
}

/* A packet that is dropped with an error, told apart from what comes behind it. */
static void assert_dropped(uint64_t opcode, uint64_t operand2, int error)
{
    uint64_t before = stats().invalid_packets;
    publish(opcode, operand2);
    assert_int_equal(hqq_link_write(pair.primary, "next", 4), 0);
    assert_int_equal(try_read(), error);
    assert_int_equal(length, 99);
    assert_int_equal(stats().invalid_packets, before + 1);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 4);
    length = 99;
}

static void a_copy_of_size_one_to_the_buffer_size_is_a_datagram(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_COPY, 1);
    publish(HQQ_OPCODE_COPY, SIZE);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 1);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, SIZE);
}

static void a_copy_of_any_other_size_is_dropped(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, SIZE + 1, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_dropped(HQQ_OPCODE_COPY, sizes[i], HQQ_ERROR_INVALID_SIZE);
}

static void a_frame_of_the_advanced_protocol_is_a_datagram_of_its_total_size(void **state)
{
    (void)state;
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    memcpy(hqq_ring_buffer(&ring, 0), "ping", 4);
    publish(HQQ_OPCODE_CONN_COPY, 4);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(buffer, "ping", 4);
}

static void an_empty_frame_is_an_empty_datagram(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_CONN_COPY, 0);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 0);
}

static void a_frame_of_a_message_larger_than_a_buffer_is_dropped(void **state)
{
    (void)state;
    assert_dropped(HQQ_OPCODE_CONN_COPY, SIZE + 1, HQQ_ERROR_INVALID_SIZE);
    assert_dropped(HQQ_OPCODE_CONN_COPY, UINT64_MAX, HQQ_ERROR_INVALID_SIZE);
}

static void tombstones_are_skipped_and_counted(void **state)
{
    (void)state;
    publish(HQQ_OPCODE_TOMBSTONE, 7);
    publish(HQQ_OPCODE_TOMBSTONE, UINT64_MAX);
    assert_int_equal(hqq_link_write(pair.primary, "after", 5), 0);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 5);
    assert_int_equal(stats().tombstones_skipped, 2);
    assert_int_equal(stats().invalid_packets, 0);
}

static void nothing_but_tombstones_would_block(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        publish(HQQ_OPCODE_TOMBSTONE, 7);
    assert_int_equal(try_read(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(stats().tombstones_skipped, COUNT);
    assert_int_equal(hqq_link_write(pair.primary, "room", 4), 0);
}

static void every_other_opcode_is_dropped_as_an_invalid_operation(void **state)
{
    (void)state;
    for (uint64_t opcode = 0; opcode < 256; opcode++) {
        if (opcode != HQQ_OPCODE_COPY && opcode != HQQ_OPCODE_CONN_COPY && opcode != HQQ_OPCODE_TOMBSTONE)
            assert_dropped(opcode, 4, HQQ_ERROR_INVALID_OP);
    }
}

static void an_opcode_with_bits_above_its_byte_is_unknown(void **state)
{
    (void)state;
    assert_dropped(UINT64_C(0x1ff), 4, HQQ_ERROR_INVALID_OP);
    assert_dropped(UINT64_C(0x80000000000000ff), 4, HQQ_ERROR_INVALID_OP);
    assert_dropped(UINT64_C(0x1000000fe), 4, HQQ_ERROR_INVALID_OP);
    assert_dropped(UINT64_MAX, 4, HQQ_ERROR_INVALID_OP);
}

static void ids_slots_and_the_other_operands_do_not_matter(void **state)
{
    (void)state;
    const struct hqq_packet packet = {
        .opcode = HQQ_OPCODE_COPY,
        .operand = {UINT64_MAX, UINT64_MAX, 3, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
    };
    pair_publish(&pair, FROM_PRIMARY, &packet);
    assert_int_equal(try_read(), 0);
    assert_int_equal(length, 3);
}

static void a_borrowed_packet_is_judged_as_one_that_is_read(void **state)
{
    (void)state;
    struct hqq_slot slot;
    publish(HQQ_OPCODE_ERROR, 1);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), HQQ_ERROR_INVALID_OP);
    publish(HQQ_OPCODE_COPY, SIZE + 1);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), HQQ_ERROR_INVALID_SIZE);
    publish(HQQ_OPCODE_TOMBSTONE, 0);
    publish(HQQ_OPCODE_CONN_COPY, 0);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), 0);
    assert_int_equal(slot.length, 0);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
}

static void the_opcode_of_what_is_next_is_seen_behind_tombstones_and_stays(void **state)
{
    (void)state;
    uint64_t opcode = 77;
    struct hqq_taken taken;
    assert_false(hqq_link_peek_opcode(pair.secondary, &opcode));
    for (int i = 0; i < 3; i++)
        publish(HQQ_OPCODE_TOMBSTONE, 0);
    assert_false(hqq_link_peek_opcode(pair.secondary, &opcode));
    assert_int_equal(stats().tombstones_skipped, 3);
    publish(HQQ_OPCODE_TOMBSTONE, 0);
    publish(HQQ_OPCODE_PROTO_ACK, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(hqq_link_peek_opcode(pair.secondary, &opcode));
        assert_int_equal(opcode, HQQ_OPCODE_PROTO_ACK);
    }
    assert_int_equal(hqq_link_take_packet(pair.secondary, 0, &taken), 0);
    assert_int_equal(taken.packet.opcode, HQQ_OPCODE_PROTO_ACK);
    hqq_link_give_back(pair.secondary, &taken);
    assert_false(hqq_link_peek_opcode(pair.secondary, &opcode));
}

/* However many a peer goes on writing. */
static void a_ring_of_tombstones_has_nothing_next(void **state)
{
    (void)state;
    uint64_t opcode;
    for (int i = 0; i < COUNT; i++)
        publish(HQQ_OPCODE_TOMBSTONE, 0);
    assert_false(hqq_link_peek_opcode(pair.secondary, &opcode));
    publish(HQQ_OPCODE_ERROR, 0);
    assert_true(hqq_link_peek_opcode(pair.secondary, &opcode));
    assert_int_equal(opcode, HQQ_OPCODE_ERROR);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_copy_of_size_one_to_the_buffer_size_is_a_datagram),
        TEST(a_copy_of_any_other_size_is_dropped),
        TEST(a_frame_of_the_advanced_protocol_is_a_datagram_of_its_total_size),
        TEST(an_empty_frame_is_an_empty_datagram),
        TEST(a_frame_of_a_message_larger_than_a_buffer_is_dropped),
        TEST(tombstones_are_skipped_and_counted),
        TEST(nothing_but_tombstones_would_block),
        TEST(every_other_opcode_is_dropped_as_an_invalid_operation),
        TEST(an_opcode_with_bits_above_its_byte_is_unknown),
        TEST(ids_slots_and_the_other_operands_do_not_matter),
        TEST(a_borrowed_packet_is_judged_as_one_that_is_read),
        TEST(the_opcode_of_what_is_next_is_seen_behind_tombstones_and_stays),
        TEST(a_ring_of_tombstones_has_nothing_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
