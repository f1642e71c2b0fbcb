/* One ring, one thread: claiming, publishing and releasing, full and empty, in batches and across the wrap-around of
 * positions, with the counters set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "layout/layout.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "ring/ring.h"
#include "support/plain_ring.h"

#define COUNT 8
#define SIZE 16

static struct plain_ring plain;
static struct hqq_ring *ring = &plain.ring;

/* Where rings start: at nothing, within a lap, before positions turn negative, and before they wrap. */
static const uint64_t starts[] = {0, 5, INT64_MAX - UINT64_C(2), UINT64_MAX, UINT64_MAX - 2, UINT64_MAX - 2 * COUNT};

#define STARTS (sizeof(starts) / sizeof(starts[0]))

static int set_up(void **state)
{
    (void)state;
    plain = plain_ring_new(COUNT, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plain_ring_delete(&plain);
    return 0;
}

/* The steps, each with what must hold. */

static void write_one(uint64_t expected_position)
{
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, 1, &position), 1);
    assert_int_equal(position, expected_position);
    memset(hqq_ring_buffer(ring, position), (int)(position & 0xff), SIZE);
    hqq_ring_publish(ring, position);
}

static void read_one(uint64_t expected_position)
{
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_read(ring, 1, &position), 1);
    assert_int_equal(position, expected_position);
    for (int i = 0; i < SIZE; i++)
        assert_int_equal(hqq_ring_buffer(ring, position)[i], position & 0xff);
    hqq_ring_release(ring, position);
}

static void assert_full(void)
{
    uint64_t position = 99;
    assert_int_equal(hqq_ring_claim_write(ring, 1, &position), 0);
    assert_int_equal(position, 99);
    assert_false(hqq_ring_is_writable(ring));
}

static void assert_empty(void)
{
    uint64_t position = 99;
    assert_int_equal(hqq_ring_claim_read(ring, 1, &position), 0);
    assert_int_equal(position, 99);
    assert_false(hqq_ring_is_readable(ring));
}

/* ---- The header -------------------------------------------------------------------------------------------------- */

static void a_formatted_ring_has_the_words_of_the_format(void **state)
{
    (void)state;
    memset(ring->control, 0x5a, 512 + 72 * COUNT);
    memset(ring->buffers, 0x5a, COUNT * SIZE);
    hqq_ring_format(ring, false);
    for (size_t i = 0; i < 512 + 72 * COUNT; i += 8) {
        uint64_t word, expected = 0;
        memcpy(&word, ring->control + i, 8);
        if (i == 0)
            expected = UINT64_C(0xc9d8c1d43f096701);
        else if (i == 8)
            expected = COUNT;
        else if (i == 16)
            expected = 2;
        else if (i >= 256 && i < 256 + 72 * COUNT && (i - 256) % 72 == 64)
            expected = (i - 256) / 72;
        assert_int_equal(word, expected);
    }
    for (size_t i = 0; i < COUNT * SIZE; i++)
        assert_int_equal(ring->buffers[i], 0);
}

static void buffers_known_to_be_zero_are_not_touched(void **state)
{
    (void)state;
    memset(ring->buffers, 0x5a, COUNT * SIZE);
    hqq_ring_format(ring, true);
    for (size_t i = 0; i < COUNT * SIZE; i++)
        assert_int_equal(ring->buffers[i], 0x5a);
}

static void a_ring_is_valid_only_with_its_magic_size_and_flag(void **state)
{
    (void)state;
    assert_true(hqq_ring_is_valid(ring));
    for (size_t offset = 0; offset <= 16; offset += 8) {
        hqq_atomic_u64 *word = (hqq_atomic_u64 *)(void *)(ring->control + offset);
        uint64_t honest = hqq_load_relaxed(word);
        const uint64_t wrong[] = {0, 1, honest + 1, honest * 2, UINT64_MAX};
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            hqq_store_relaxed(word, wrong[i]);
            assert_false(hqq_ring_is_valid(ring));
        }
        hqq_store_relaxed(word, honest);
        assert_true(hqq_ring_is_valid(ring));
    }
}

/* ---- One at a time ----------------------------------------------------------------------------------------------- */

static void a_fresh_ring_is_empty_and_writable(void **state)
{
    (void)state;
    assert_empty();
    assert_true(hqq_ring_is_writable(ring));
    assert_int_equal(hqq_ring_depth(ring), 0);
}

static void what_is_written_is_read_in_order_from_any_start(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        for (uint64_t i = 0; i < 5 * COUNT; i++) {
            write_one(starts[s] + 2 * i);
            write_one(starts[s] + 2 * i + 1);
            assert_int_equal(hqq_ring_depth(ring), 2);
            read_one(starts[s] + 2 * i);
            read_one(starts[s] + 2 * i + 1);
            assert_empty();
        }
    }
}

static void a_ring_takes_count_slots_and_no_more_from_any_start(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        for (uint64_t i = 0; i < COUNT; i++) {
            assert_true(hqq_ring_is_writable(ring));
            write_one(starts[s] + i);
        }
        assert_full();
        assert_int_equal(hqq_ring_depth(ring), COUNT);
        read_one(starts[s]);
        write_one(starts[s] + COUNT);
        assert_full();
        for (uint64_t i = 1; i <= COUNT; i++)
            read_one(starts[s] + i);
        assert_empty();
    }
}

static void a_claimed_slot_is_not_readable_until_it_is_published(void **state)
{
    (void)state;
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, 1, &position), 1);
    assert_empty();
    assert_int_equal(hqq_ring_depth(ring), 1);
    hqq_ring_publish(ring, position);
    assert_true(hqq_ring_is_readable(ring));
}

static void an_unpublished_slot_holds_up_those_behind_it(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0, position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, 1, &first), 1);
    assert_int_equal(hqq_ring_claim_write(ring, 1, &second), 1);
    hqq_ring_publish(ring, second);
    assert_empty();
    hqq_ring_publish(ring, first);
    assert_int_equal(hqq_ring_claim_read(ring, COUNT, &position), 2);
}

static void an_unreleased_slot_keeps_the_ring_full(void **state)
{
    (void)state;
    uint64_t first = 0, second = 0;
    for (uint64_t i = 0; i < COUNT; i++)
        write_one(i);
    assert_int_equal(hqq_ring_claim_read(ring, 1, &first), 1);
    assert_int_equal(hqq_ring_claim_read(ring, 1, &second), 1);
    hqq_ring_release(ring, second);
    assert_full();
    hqq_ring_release(ring, first);
    write_one(COUNT);
    write_one(COUNT + 1);
    assert_full();
}

static void every_position_has_the_buffer_of_its_slot(void **state)
{
    (void)state;
    for (uint64_t p = UINT64_MAX - COUNT; p != COUNT; p++) {
        uint64_t slot = p % COUNT;
        assert_ptr_equal(hqq_ring_buffer(ring, p), ring->buffers + slot * SIZE);
        assert_ptr_equal(hqq_ring_packet(ring, p), ring->control + 256 + slot * 72);
        assert_ptr_equal(hqq_ring_seq(ring, p), ring->control + 256 + slot * 72 + 64);
    }
}

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

static void a_claim_takes_what_is_there_if_more_is_wanted(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t position = 0;
        plain_ring_start_at(&plain, starts[s]);
        write_one(starts[s]);
        assert_int_equal(hqq_ring_claim_write(ring, COUNT, &position), COUNT - 1);
        assert_int_equal(position, starts[s] + 1);
        assert_full();
        for (uint64_t i = 0; i < 3; i++)
            hqq_ring_publish(ring, position + i);
        assert_int_equal(hqq_ring_claim_read(ring, COUNT, &position), 4);
        assert_int_equal(position, starts[s]);
        assert_empty();
    }
}

static void a_claim_takes_no_more_than_is_wanted(void **state)
{
    (void)state;
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, 3, &position), 3);
    assert_int_equal(hqq_ring_claim_write(ring, 2, &position), 2);
    assert_int_equal(position, 3);
    for (uint64_t i = 0; i < 5; i++)
        hqq_ring_publish(ring, i);
    assert_int_equal(hqq_ring_claim_read(ring, 4, &position), 4);
    assert_int_equal(hqq_ring_claim_read(ring, 4, &position), 1);
    assert_int_equal(position, 4);
}

static void batches_go_across_the_end_of_the_ring(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        for (int round = 0; round < 2 * COUNT; round++) {
            uint64_t position = 0;
            assert_int_equal(hqq_ring_claim_write(ring, 5, &position), 5);
            assert_int_equal(position, at);
            for (uint64_t i = 5; i-- > 0;)
                hqq_ring_publish(ring, at + i);
            assert_int_equal(hqq_ring_claim_read(ring, COUNT, &position), 5);
            assert_int_equal(position, at);
            for (uint64_t i = 0; i < 5; i++)
                hqq_ring_release(ring, at + i);
            at += 5;
        }
    }
}

static void a_whole_ring_can_be_claimed_at_once(void **state)
{
    (void)state;
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, COUNT, &position), COUNT);
    assert_full();
    for (uint64_t i = 0; i < COUNT; i++)
        hqq_ring_publish(ring, i);
    assert_int_equal(hqq_ring_claim_read(ring, COUNT, &position), COUNT);
    assert_empty();
    assert_full();
    for (uint64_t i = 0; i < COUNT; i++)
        hqq_ring_release(ring, i);
    assert_int_equal(hqq_ring_claim_write(ring, COUNT, &position), COUNT);
    assert_int_equal(position, COUNT);
}

static void writable_ahead_looks_at_the_last_slot_wanted(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < COUNT - 2; i++)
        write_one(i);
    assert_true(hqq_ring_is_writable_ahead(ring, 1));
    assert_true(hqq_ring_is_writable_ahead(ring, 2));
    assert_false(hqq_ring_is_writable_ahead(ring, 3));
}

/* ---- The smallest ring ------------------------------------------------------------------------------------------- */

static void a_ring_of_two_slots_is_full_empty_and_wraps(void **state)
{
    (void)state;
    struct plain_ring small = plain_ring_new(2, 8);
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s], position = 0;
        plain_ring_start_at(&small, at);
        for (int round = 0; round < 9; round++, at += 2) {
            assert_int_equal(hqq_ring_claim_write(&small.ring, 2, &position), 2);
            assert_int_equal(position, at);
            assert_int_equal(hqq_ring_claim_write(&small.ring, 1, &position), 0);
            assert_int_equal(hqq_ring_claim_read(&small.ring, 1, &position), 0);
            hqq_ring_publish(&small.ring, at);
            hqq_ring_publish(&small.ring, at + 1);
            assert_int_equal(hqq_ring_claim_read(&small.ring, 2, &position), 2);
            hqq_ring_release(&small.ring, at);
            hqq_ring_release(&small.ring, at + 1);
        }
    }
    plain_ring_delete(&small);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_formatted_ring_has_the_words_of_the_format),
        TEST(buffers_known_to_be_zero_are_not_touched),
        TEST(a_ring_is_valid_only_with_its_magic_size_and_flag),
        TEST(a_fresh_ring_is_empty_and_writable),
        TEST(what_is_written_is_read_in_order_from_any_start),
        TEST(a_ring_takes_count_slots_and_no_more_from_any_start),
        TEST(a_claimed_slot_is_not_readable_until_it_is_published),
        TEST(an_unpublished_slot_holds_up_those_behind_it),
        TEST(an_unreleased_slot_keeps_the_ring_full),
        TEST(every_position_has_the_buffer_of_its_slot),
        TEST(a_claim_takes_what_is_there_if_more_is_wanted),
        TEST(a_claim_takes_no_more_than_is_wanted),
        TEST(batches_go_across_the_end_of_the_ring),
        TEST(a_whole_ring_can_be_claimed_at_once),
        TEST(writable_ahead_looks_at_the_last_slot_wanted),
        TEST(a_ring_of_two_slots_is_full_empty_and_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
