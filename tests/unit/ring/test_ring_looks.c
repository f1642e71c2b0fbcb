/* Looking at a ring without moving it: the head, the depth, its high-water mark, and who holds a position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "ring/consume.h"
#include "ring/produce.h"
#include "ring/ring.h"
#include "support/plain_ring.h"

#define COUNT 32
#define SIZE 8

static struct plain_ring plain;
static struct hqq_ring *ring = &plain.ring;

static const uint64_t starts[] = {0, 5, INT64_MAX - UINT64_C(2), UINT64_MAX - 2};

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

static uint64_t claim_write(uint64_t want)
{
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_write(ring, want, &position), want);
    return position;
}

static void write_many(uint64_t count)
{
    uint64_t position = claim_write(count);
    for (uint64_t i = 0; i < count; i++)
        hqq_ring_publish(ring, position + i);
}

static uint64_t claim_read(uint64_t want)
{
    uint64_t position = 0;
    assert_int_equal(hqq_ring_claim_read(ring, want, &position), want);
    return position;
}

static void read_many(uint64_t count)
{
    uint64_t position = claim_read(count);
    for (uint64_t i = 0; i < count; i++)
        hqq_ring_release(ring, position + i);
}

/* ---- The head ---------------------------------------------------------------------------------------------------- */

static void an_empty_ring_has_no_head_to_peek_at(void **state)
{
    (void)state;
    uint64_t position = 99;
    assert_false(hqq_ring_peek(ring, &position));
    claim_write(1);
    assert_false(hqq_ring_peek(ring, &position));
    assert_int_equal(position, 99);
}

static void peeking_tells_the_head_and_leaves_it(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        write_many(2);
        for (int i = 0; i < 2; i++) {
            uint64_t position = 0;
            assert_true(hqq_ring_peek(ring, &position));
            assert_int_equal(position, starts[s]);
            assert_true(hqq_ring_is_unchanged(ring, position));
        }
        assert_int_equal(claim_read(1), starts[s]);
    }
}

static void what_was_taken_is_unchanged_until_it_is_released(void **state)
{
    (void)state;
    uint64_t position = 0;
    write_many(1);
    assert_true(hqq_ring_peek(ring, &position));
    claim_read(1);
    assert_true(hqq_ring_is_unchanged(ring, position));
    hqq_ring_release(ring, position);
    assert_false(hqq_ring_is_unchanged(ring, position));
    write_many(COUNT);
    assert_false(hqq_ring_is_unchanged(ring, position));
}

static void the_head_is_claimed_where_it_was_peeked_at(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t position = 0;
        plain_ring_start_at(&plain, starts[s]);
        write_many(2);
        assert_true(hqq_ring_peek(ring, &position));
        assert_true(hqq_ring_claim_head(ring, position));
        assert_false(hqq_ring_claim_head(ring, position));
        assert_int_equal(claim_read(1), starts[s] + 1);
    }
}

static void a_head_that_somebody_took_meanwhile_is_not_claimed(void **state)
{
    (void)state;
    uint64_t position = 0;
    write_many(3);
    assert_true(hqq_ring_peek(ring, &position));
    read_many(1);
    assert_false(hqq_ring_claim_head(ring, position));
    assert_int_equal(hqq_ring_depth(ring), 2);
}

/* ---- Who holds a position ---------------------------------------------------------------------------------------- */

static void a_position_is_the_writer_s_from_claim_to_publish(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t p = starts[s];
        plain_ring_start_at(&plain, p);
        assert_false(hqq_ring_is_claimed_write(ring, p));
        claim_write(1);
        assert_true(hqq_ring_is_claimed_write(ring, p));
        assert_false(hqq_ring_is_claimed_write(ring, p + 1));
        assert_false(hqq_ring_is_claimed_write(ring, p + COUNT));
        assert_false(hqq_ring_is_claimed_write(ring, p - COUNT));
        hqq_ring_publish(ring, p);
        assert_false(hqq_ring_is_claimed_write(ring, p));
        read_many(1);
        assert_false(hqq_ring_is_claimed_write(ring, p));
    }
}

static void a_position_is_the_reader_s_from_claim_to_release(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t p = starts[s];
        plain_ring_start_at(&plain, p);
        write_many(2);
        assert_false(hqq_ring_is_claimed_read(ring, p));
        claim_read(1);
        assert_true(hqq_ring_is_claimed_read(ring, p));
        assert_false(hqq_ring_is_claimed_read(ring, p + 1));
        assert_false(hqq_ring_is_claimed_read(ring, p + COUNT));
        hqq_ring_release(ring, p);
        assert_false(hqq_ring_is_claimed_read(ring, p));
        write_many(COUNT - 1);
        assert_false(hqq_ring_is_claimed_read(ring, p));
        assert_false(hqq_ring_is_claimed_read(ring, p + COUNT));
    }
}

/* ---- Depth ------------------------------------------------------------------------------------------------------- */

static void the_depth_counts_what_writers_claimed_and_readers_did_not(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        assert_int_equal(hqq_ring_depth(ring), 0);
        write_many(3);
        claim_write(2);
        assert_int_equal(hqq_ring_depth(ring), 5);
        claim_read(2);
        assert_int_equal(hqq_ring_depth(ring), 3);
    }
}

static void the_depth_is_never_below_0_nor_above_count_whatever_the_words_say(void **state)
{
    (void)state;
    static const uint64_t words[] = {0, 1, COUNT, COUNT + 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    const size_t n = sizeof(words) / sizeof(words[0]);
    for (size_t i = 0; i < n * n; i++) {
        hqq_store_relaxed(hqq_ring_r(ring), words[i / n]);
        hqq_store_relaxed(hqq_ring_w(ring), words[i % n]);
        assert_in_range(hqq_ring_depth(ring), 0, COUNT);
    }
}

/* ---- The high-water mark ----------------------------------------------------------------------------------------- */

static uint64_t high_water(void)
{
    return hqq_load_relaxed(&ring->high_water);
}

static void the_depth_is_noted_at_every_sixteenth_position(void **state)
{
    (void)state;
    write_many(20);
    for (uint64_t next = 1; next < 16; next++)
        hqq_ring_note_depth(ring, next);
    assert_int_equal(high_water(), 0);
    hqq_ring_note_depth(ring, 16);
    assert_int_equal(high_water(), 16);
}

static void a_full_ring_is_noted_wherever_it_is(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        write_many(COUNT);
        hqq_ring_note_full(ring);
        assert_int_equal(high_water(), COUNT);
    }
}

static void a_lower_depth_does_not_lower_the_mark(void **state)
{
    (void)state;
    write_many(20);
    hqq_ring_note_full(ring);
    read_many(20);
    write_many(12);
    hqq_ring_note_depth(ring, 32);
    hqq_ring_note_full(ring);
    assert_int_equal(high_water(), 20);
}

static void the_mark_is_never_above_count_whatever_the_words_say(void **state)
{
    (void)state;
    static const uint64_t words[] = {0, 16, COUNT + 16, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - COUNT};
    const size_t n = sizeof(words) / sizeof(words[0]);
    for (size_t i = 0; i < n * n; i++) {
        hqq_store_relaxed(hqq_ring_r(ring), words[i / n]);
        hqq_store_relaxed(hqq_ring_w(ring), words[i % n]);
        hqq_ring_note_depth(ring, words[i % n] & ~UINT64_C(15));
        hqq_ring_note_full(ring);
        assert_in_range(high_water(), 0, COUNT);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_ring_has_no_head_to_peek_at),
        TEST(peeking_tells_the_head_and_leaves_it),
        TEST(what_was_taken_is_unchanged_until_it_is_released),
        TEST(the_head_is_claimed_where_it_was_peeked_at),
        TEST(a_head_that_somebody_took_meanwhile_is_not_claimed),
        TEST(a_position_is_the_writer_s_from_claim_to_publish),
        TEST(a_position_is_the_reader_s_from_claim_to_release),
        TEST(the_depth_counts_what_writers_claimed_and_readers_did_not),
        TEST(the_depth_is_never_below_0_nor_above_count_whatever_the_words_say),
        TEST(the_depth_is_noted_at_every_sixteenth_position),
        TEST(a_full_ring_is_noted_wherever_it_is),
        TEST(a_lower_depth_does_not_lower_the_mark),
        TEST(the_mark_is_never_above_count_whatever_the_words_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
