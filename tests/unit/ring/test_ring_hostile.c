/*
 * A ring whose words a hostile peer has written. Nothing may reach beyond its memory (which ends at pages that nobody
 * may touch), claim more than was wanted, or run for longer than its bound of attempts: the test's time-out is the
 * judge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "layout/layout.h"
#include "layout/packet.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "ring/recover.h"
#include "ring/ring.h"
#include "support/plain_ring.h"

#define COUNT 8
#define SIZE 16
#define RANDOM_VALUES 8

static const uint64_t values[] = {
    0, 1, 2, COUNT - 1, COUNT, COUNT + 1, 1000003, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX,
};

#define VALUES (sizeof(values) / sizeof(values[0]) + RANDOM_VALUES)

static struct plain_ring plain;
static struct hqq_ring *ring = &plain.ring;
static uint64_t random_state;

static int set_up(void **state)
{
    (void)state;
    plain = plain_ring_new(COUNT, SIZE);
    random_state = 88172645463325252u;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    plain_ring_delete(&plain);
    return 0;
}

/* Xorshift, from a seed that is always the same. */
static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t value_number(size_t i)
{
    const size_t fixed = sizeof(values) / sizeof(values[0]);
    return i < fixed ? values[i] : next_random();
}

/* Everything that can be done with a ring. True if each step kept its bounds. */
static bool use_everything(void)
{
    uint64_t position = 0;
    bool is_good = true;

    is_good &= hqq_ring_depth(ring) <= COUNT;
    (void)hqq_ring_is_readable(ring);
    (void)hqq_ring_is_writable(ring);
    (void)hqq_ring_is_writable_ahead(ring, COUNT / 2);
    (void)hqq_ring_is_valid(ring);
    if (hqq_ring_peek(ring, &position)) {
        struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(ring, position));
        (void)packet;
        (void)hqq_ring_is_unchanged(ring, position);
        (void)hqq_ring_claim_head(ring, position);
    }
    for (uint64_t want = 1; want <= COUNT; want += COUNT - 1) {
        uint64_t claimed = hqq_ring_claim_write(ring, want, &position);
        is_good &= claimed <= want;
        for (uint64_t i = 0; i < claimed; i++) {
            memset(hqq_ring_buffer(ring, position + i), 1, SIZE);
            (void)hqq_ring_is_claimed_write(ring, position + i);
            hqq_ring_publish(ring, position + i);
        }
        hqq_ring_note_depth(ring, (position + claimed) & ~UINT64_C(15));
        hqq_ring_note_full(ring);
        is_good &= hqq_load_relaxed(&ring->high_water) <= COUNT;
        claimed = hqq_ring_claim_read(ring, want, &position);
        is_good &= claimed <= want;
        for (uint64_t i = 0; i < claimed; i++) {
            memset(hqq_ring_buffer(ring, position + i), 2, SIZE);
            (void)hqq_ring_is_claimed_read(ring, position + i);
            hqq_ring_release(ring, position + i);
        }
    }
    is_good &= hqq_ring_recover_producers(ring) <= COUNT;
    is_good &= hqq_ring_recover_consumers(ring) <= COUNT;
    return is_good;
}

/* A ring with something in it. */
static void refill(void)
{
    uint64_t position = 0;
    plain_ring_start_at(&plain, COUNT - 2);
    hqq_ring_claim_write(ring, COUNT / 2, &position);
    for (uint64_t i = 0; i < COUNT / 2; i++)
        hqq_ring_publish(ring, position + i);
}

static void any_value_of_one_header_word_keeps_every_bound(void **state)
{
    (void)state;
    static const size_t offsets[] = {HQQ_RING_MAGIC_OFFSET, HQQ_RING_SIZE_OFFSET, HQQ_RING_FLAG_OFFSET,
                                     HQQ_RING_R_OFFSET, HQQ_RING_W_OFFSET};
    for (size_t o = 0; o < sizeof(offsets) / sizeof(offsets[0]); o++) {
        for (size_t i = 0; i < VALUES; i++) {
            hqq_ring_format(ring, true);
            refill();
            hqq_store_relaxed((hqq_atomic_u64 *)(void *)(ring->control + offsets[o]), value_number(i));
            assert_true(use_everything());
        }
    }
}

static void any_value_of_one_sequence_keeps_every_bound(void **state)
{
    (void)state;
    for (uint64_t slot = 0; slot < COUNT; slot++) {
        for (size_t i = 0; i < VALUES; i++) {
            refill();
            hqq_store_relaxed(hqq_ring_seq(ring, slot), value_number(i));
            assert_true(use_everything());
        }
    }
}

static void random_words_everywhere_keep_every_bound(void **state)
{
    (void)state;
    const size_t bytes = HQQ_RING_HEADER_BYTES + HQQ_RING_ELEMENT_STRIDE * COUNT;
    for (int round = 0; round < 200; round++) {
        for (size_t offset = 0; offset < bytes; offset += 8)
            hqq_store_relaxed((hqq_atomic_u64 *)(void *)(ring->control + offset), next_random() >> round % 64);
        assert_true(use_everything());
    }
}

/* ---- What a claim makes of it ------------------------------------------------------------------------------------ */

static void sequences_that_all_say_free_give_no_more_slots_than_wanted(void **state)
{
    (void)state;
    uint64_t position = 0;
    hqq_store_relaxed(hqq_ring_w(ring), 1000);
    for (uint64_t i = 0; i < COUNT; i++)
        hqq_store_relaxed(hqq_ring_seq(ring, 1000 + i), 1000 + i);
    assert_int_equal(hqq_ring_claim_write(ring, COUNT, &position), COUNT);
    assert_int_equal(hqq_ring_claim_write(ring, COUNT, &position), 0);
}

static void a_tail_that_is_always_ahead_gives_no_slot(void **state)
{
    (void)state;
    uint64_t position = 99;
    hqq_store_relaxed(hqq_ring_seq(ring, 0), 5);
    assert_int_equal(hqq_ring_claim_write(ring, 1, &position), 0);
    assert_int_equal(position, 99);
}

static void a_head_that_is_always_ahead_gives_no_slot(void **state)
{
    (void)state;
    uint64_t position = 99;
    hqq_store_relaxed(hqq_ring_seq(ring, 0), 5);
    assert_int_equal(hqq_ring_claim_read(ring, 1, &position), 0);
    assert_int_equal(position, 99);
}

/* ---- While it happens -------------------------------------------------------------------------------------------- */

static hqq_atomic_u32 is_over;

/* Writes random words for as long as the test runs. */
static void *scribble(void *arg)
{
    uint64_t random = 1;
    (void)arg;
    while (!hqq_load32_relaxed(&is_over)) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t value = random >> 33;
        hqq_store_relaxed(value & 1 ? hqq_ring_r(ring) : hqq_ring_w(ring), value & 2 ? value >> 28 : value);
        hqq_store_relaxed(hqq_ring_seq(ring, value >> 3), value >> 28);
    }
    return NULL;
}

static void words_that_change_all_the_time_keep_every_bound(void **state)
{
    (void)state;
    pthread_t thread;
    bool is_good = true;
    hqq_store32_relaxed(&is_over, 0);
    assert_int_equal(pthread_create(&thread, NULL, scribble, NULL), 0);
    for (int i = 0; i < 2000; i++)
        is_good &= use_everything();
    hqq_store32_relaxed(&is_over, 1);
    pthread_join(thread, NULL);
    assert_true(is_good);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(any_value_of_one_header_word_keeps_every_bound),
        TEST(any_value_of_one_sequence_keeps_every_bound),
        TEST(random_words_everywhere_keep_every_bound),
        TEST(sequences_that_all_say_free_give_no_more_slots_than_wanted),
        TEST(a_tail_that_is_always_ahead_gives_no_slot),
        TEST(a_head_that_is_always_ahead_gives_no_slot),
        TEST(words_that_change_all_the_time_keep_every_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
