/* Slots held between two calls: reserve, commit and abort, borrow and release, and calls with a slot that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define FROM_PRIMARY 0

static struct pair pair;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    /* A call that has nothing to do must come back, whatever it was expected to do. */
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

static struct hqq_slot reserve(void)
{
    struct hqq_slot slot = {0};
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    return slot;
}

static struct hqq_slot borrow(void)
{
    struct hqq_slot slot = {0};
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), 0);
    return slot;
}

static void write_text(const char *text)
{
    assert_int_equal(hqq_link_write(pair.primary, text, strlen(text)), 0);
}

static void assert_reads(const char *text)
{
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(buffer, text, length);
}

static void assert_nothing_to_read(void)
{
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length), HQQ_ERROR_WOULD_BLOCK);
}

/* ---- Reserving --------------------------------------------------------------------------------------------------- */

static void a_reserved_slot_is_a_whole_buffer_of_the_region(void **state)
{
    (void)state;
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct hqq_slot slot = reserve();
        assert_ptr_equal(slot.data, hqq_ring_buffer(&ring, i));
        assert_int_equal(slot.length, SIZE);
    }
}

static void what_is_committed_is_read(void **state)
{
    (void)state;
    struct hqq_slot slot = reserve();
    memcpy(slot.data, "in place", 8);
    assert_nothing_to_read();
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 8), 0);
    assert_reads("in place");
}

static void what_is_aborted_is_skipped_and_carries_its_reason(void **state)
{
    (void)state;
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    struct hqq_slot slot = reserve();
    assert_int_equal(hqq_link_abort(pair.primary, &slot, UINT64_MAX - 1), 0);
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&ring, 0));
    assert_int_equal(packet.opcode, HQQ_OPCODE_TOMBSTONE);
    assert_int_equal(packet.operand[HQQ_TOMBSTONE_REASON], UINT64_MAX - 1);
    write_text("after");
    assert_reads("after");
}

static void slots_committed_out_of_order_are_read_in_the_order_of_their_reservation(void **state)
{
    (void)state;
    struct hqq_slot first = reserve(), second = reserve();
    memcpy(first.data, "first", 5);
    memcpy(second.data, "second", 6);
    assert_int_equal(hqq_link_commit(pair.primary, &second, 6), 0);
    assert_nothing_to_read();
    assert_int_equal(hqq_link_commit(pair.primary, &first, 5), 0);
    assert_reads("first");
    assert_reads("second");
}

static void a_length_that_does_not_fit_is_refused_and_the_slot_is_still_held(void **state)
{
    (void)state;
    struct hqq_slot slot = reserve();
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 0), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, SIZE + 1), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, SIZE_MAX), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, SIZE), 0);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(length, SIZE);
}

static void a_full_ring_has_no_slot_to_reserve(void **state)
{
    (void)state;
    struct hqq_slot slot = {0};
    for (int i = 0; i < COUNT; i++)
        reserve();
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), HQQ_ERROR_WOULD_BLOCK);
    assert_null(slot.data);
}

/* ---- Borrowing --------------------------------------------------------------------------------------------------- */

static void a_borrowed_datagram_is_looked_at_where_it_lies(void **state)
{
    (void)state;
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    write_text("look");
    struct hqq_slot slot = borrow();
    assert_ptr_equal(slot.data, hqq_ring_buffer(&ring, 0));
    assert_int_equal(slot.length, 4);
    assert_memory_equal(slot.data, "look", 4);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
}

static void a_borrowed_slot_is_not_written_to_until_it_is_released(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        write_text("fill");
    struct hqq_slot slot = borrow();
    assert_int_equal(hqq_link_try_write(pair.primary, "more", 4), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "more", 4), 0);
}

static void datagrams_behind_a_borrowed_one_can_be_read(void **state)
{
    (void)state;
    write_text("first");
    write_text("second");
    struct hqq_slot slot = borrow();
    assert_reads("second");
    assert_memory_equal(slot.data, "first", 5);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
}

static void there_is_nothing_to_borrow_where_there_is_nothing_to_read(void **state)
{
    (void)state;
    struct hqq_slot slot = {0};
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), HQQ_ERROR_WOULD_BLOCK);
    assert_null(slot.data);
}

/* ---- Wrong calls ------------------------------------------------------------------------------------------------- */

static void a_slot_that_was_committed_or_aborted_is_done_with(void **state)
{
    (void)state;
    struct hqq_slot committed = reserve(), aborted = reserve();
    struct hqq_slot copy = committed;
    assert_int_equal(hqq_link_commit(pair.primary, &committed, 1), 0);
    assert_int_equal(hqq_link_abort(pair.primary, &aborted, 0), 0);
    assert_int_equal(hqq_link_commit(pair.primary, &committed, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_abort(pair.primary, &committed, 0), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_commit(pair.primary, &aborted, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_abort(pair.primary, &aborted, 0), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_commit(pair.primary, &copy, 1), HQQ_ERROR_INVALID_OP);
}

static void a_slot_that_was_released_is_done_with(void **state)
{
    (void)state;
    write_text("once");
    struct hqq_slot slot = borrow(), copy = slot;
    assert_int_equal(hqq_link_release(pair.secondary, &slot), 0);
    assert_int_equal(hqq_link_release(pair.secondary, &slot), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_release(pair.secondary, &copy), HQQ_ERROR_INVALID_OP);
    for (int i = 0; i < COUNT; i++)
        write_text("next");
    assert_int_equal(hqq_link_release(pair.secondary, &copy), HQQ_ERROR_INVALID_OP);
}

static void a_slot_of_zeroes_is_none(void **state)
{
    (void)state;
    struct hqq_slot zero = {0};
    reserve();
    assert_int_equal(hqq_link_commit(pair.primary, &zero, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_abort(pair.primary, &zero, 0), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_release(pair.primary, &zero), HQQ_ERROR_INVALID_OP);
}

static void a_slot_that_nobody_claimed_is_none(void **state)
{
    (void)state;
    struct hqq_slot slot = reserve();
    for (uint64_t beside = 1; beside <= 2 * COUNT; beside++) {
        struct hqq_slot wrong = slot;
        wrong.position += beside;
        assert_int_equal(hqq_link_commit(pair.primary, &wrong, 1), HQQ_ERROR_INVALID_OP);
        wrong.position = slot.position - beside;
        assert_int_equal(hqq_link_commit(pair.primary, &wrong, 1), HQQ_ERROR_INVALID_OP);
    }
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 1), 0);
}

static void a_reserved_slot_is_not_released_and_a_borrowed_one_not_committed(void **state)
{
    (void)state;
    write_text("here");
    struct hqq_slot borrowed = borrow();
    assert_int_equal(hqq_link_commit(pair.secondary, &borrowed, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_abort(pair.secondary, &borrowed, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_release(pair.secondary, &borrowed), 0);
    struct hqq_slot reserved = reserve();
    assert_int_equal(hqq_link_release(pair.primary, &reserved), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_commit(pair.primary, &reserved, 1), 0);
}

/* Both slots have position 0, each in its own direction. */
static void a_reserved_slot_is_not_taken_for_a_borrowed_one_of_the_same_position(void **state)
{
    (void)state;
    write_text("here");
    struct hqq_slot borrowed = borrow(), reserved = {0};
    assert_int_equal(hqq_link_reserve(pair.secondary, &reserved), 0);
    assert_int_equal(borrowed.position, reserved.position);
    assert_int_equal(hqq_link_release(pair.secondary, &reserved), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_commit(pair.secondary, &borrowed, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_abort(pair.secondary, &borrowed, 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_release(pair.secondary, &borrowed), 0);
    assert_int_equal(hqq_link_commit(pair.secondary, &reserved, 1), 0);
}

/* ---- With callbacks ---------------------------------------------------------------------------------------------- */

static int fill_with_text(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    const char *text = arg;
    if (capacity != SIZE)
        return HQQ_ERROR_INVALID_SIZE;
    memcpy(data, text, strlen(text));
    *ret_length = strlen(text);
    return 0;
}

static int fill_too_much(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)data;
    (void)arg;
    *ret_length = capacity + 1;
    return 0;
}

static int fail_with(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)data;
    (void)capacity;
    (void)ret_length;
    return *(int *)arg;
}

static void a_filled_datagram_is_read(void **state)
{
    (void)state;
    char text[] = "filled";
    assert_int_equal(hqq_link_write_with(pair.primary, fill_with_text, text), 0);
    assert_reads("filled");
}

static void a_callback_that_fails_aborts_the_datagram_and_its_error_is_returned(void **state)
{
    (void)state;
    static int errors[] = {-12, 1000};
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(hqq_link_write_with(pair.primary, fail_with, &errors[i]), errors[i]);
        assert_int_equal(hqq_packet_load(hqq_ring_packet(&ring, i)).opcode, HQQ_OPCODE_TOMBSTONE);
    }
    assert_nothing_to_read();
}

static void a_callback_that_fills_nothing_or_too_much_is_an_invalid_size(void **state)
{
    (void)state;
    char nothing[] = "";
    assert_int_equal(hqq_link_write_with(pair.primary, fill_too_much, NULL), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_write_with(pair.primary, fill_with_text, nothing), HQQ_ERROR_INVALID_SIZE);
    write_text("after");
    assert_reads("after");
}

static int look_for_text(const void *data, size_t bytes, void *arg)
{
    const char *text = arg;
    return bytes == strlen(text) && memcmp(data, text, bytes) == 0 ? 0 : 1000;
}

static void a_datagram_is_consumed_whatever_the_callback_says_of_it(void **state)
{
    (void)state;
    char text[] = "same";
    write_text("same");
    write_text("other");
    assert_int_equal(hqq_link_read_with(pair.secondary, look_for_text, text), 0);
    assert_int_equal(hqq_link_read_with(pair.secondary, look_for_text, text), 1000);
    assert_int_equal(hqq_link_read_with(pair.secondary, look_for_text, text), HQQ_ERROR_WOULD_BLOCK);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reserved_slot_is_a_whole_buffer_of_the_region),
        TEST(what_is_committed_is_read),
        TEST(what_is_aborted_is_skipped_and_carries_its_reason),
        TEST(slots_committed_out_of_order_are_read_in_the_order_of_their_reservation),
        TEST(a_length_that_does_not_fit_is_refused_and_the_slot_is_still_held),
        TEST(a_full_ring_has_no_slot_to_reserve),
        TEST(a_borrowed_datagram_is_looked_at_where_it_lies),
        TEST(a_borrowed_slot_is_not_written_to_until_it_is_released),
        TEST(datagrams_behind_a_borrowed_one_can_be_read),
        TEST(there_is_nothing_to_borrow_where_there_is_nothing_to_read),
        TEST(a_slot_that_was_committed_or_aborted_is_done_with),
        TEST(a_slot_that_was_released_is_done_with),
        TEST(a_slot_of_zeroes_is_none),
        TEST(a_slot_that_nobody_claimed_is_none),
        TEST(a_reserved_slot_is_not_released_and_a_borrowed_one_not_committed),
        TEST(a_reserved_slot_is_not_taken_for_a_borrowed_one_of_the_same_position),
        TEST(a_filled_datagram_is_read),
        TEST(a_callback_that_fails_aborts_the_datagram_and_its_error_is_returned),
        TEST(a_callback_that_fills_nothing_or_too_much_is_an_invalid_size),
        TEST(a_datagram_is_consumed_whatever_the_callback_says_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
