/* Calls on a link whose peer writes what no honest peer would. A call that may wait must end at its deadline, and one
 * that may not must end; lengths must never reach beyond a buffer. Where the region has no extension block that is
 * ours, a link does without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "base/point.h"
#include "layout/extension.h"
#include "layout/packet.h"
#include "platform/clock.h"
#include "support/caller.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define SHORT (2 * HQQ_NS_PER_MS)
#define FROM_PRIMARY 0

static struct pair pair;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    pair = pair_open(COUNT, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_point_hook = NULL;
    pair_close(&pair);
    return 0;
}

static const uint64_t values[] = {0, 1, 2, COUNT, 1000, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};

#define VALUES (sizeof(values) / sizeof(values[0]))

/* ---- Sequences that are ahead ------------------------------------------------------------------------------------ */

/* Whatever a wait makes of it, the next claim fails too: the slot seems to be there, but never is. */
static void put_ahead(int ring_index)
{
    struct hqq_ring ring = pair_ring(&pair, ring_index);
    for (uint64_t i = 0; i < COUNT; i++)
        hqq_store_relaxed(hqq_ring_seq(&ring, i), i + 5);
}

static void a_head_that_is_ahead_does_not_hold_a_read_beyond_its_deadline(void **state)
{
    (void)state;
    put_ahead(FROM_PRIMARY);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, SHORT), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
}

static void a_tail_that_is_ahead_does_not_hold_a_write_beyond_its_deadline(void **state)
{
    (void)state;
    put_ahead(FROM_PRIMARY);
    assert_int_equal(hqq_link_set_write_timeout(pair.primary, SHORT), 0);
    assert_int_equal(hqq_link_write(pair.primary, "datagram", 8), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), HQQ_ERROR_WOULD_BLOCK);
}

static void a_head_that_is_ahead_does_not_hide_that_the_peer_has_closed(void **state)
{
    (void)state;
    put_ahead(FROM_PRIMARY);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, SHORT), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
}

static void a_head_that_is_ahead_does_not_keep_a_read_from_being_shut_down(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    put_ahead(FROM_PRIMARY);
    caller_start(&reader);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    assert_int_equal(caller_join(&reader), HQQ_ERROR_CLOSED);
}

/* ---- Nothing but tombstones -------------------------------------------------------------------------------------- */

/* For each packet that is released there comes another tombstone. */
static void publish_another_tombstone(const char *label)
{
    const struct hqq_packet tombstone = {.opcode = HQQ_OPCODE_TOMBSTONE};
    if (strcmp(label, "consume.released") == 0)
        pair_publish(&pair, FROM_PRIMARY, &tombstone);
}

static void a_peer_that_writes_tombstones_without_end_holds_no_call(void **state)
{
    (void)state;
    const struct hqq_packet tombstone = {.opcode = HQQ_OPCODE_TOMBSTONE};
    struct hqq_message message = {.data = buffer, .capacity = SIZE};
    struct hqq_slot slot;
    pair_publish(&pair, FROM_PRIMARY, &tombstone);
    hqq_point_hook = publish_another_tombstone;
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_peek(pair.secondary, &length), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_set_read_timeout(pair.secondary, SHORT), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_borrow(pair.secondary, &slot), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_link_read_batch(pair.secondary, &message, 1, &length), HQQ_ERROR_TIMEOUT);
}

/* ---- Any words --------------------------------------------------------------------------------------------------- */

/* Every kind of call, at both ends, each of which has to come back. */
static void call_everything(void)
{
    struct hqq_message messages[2] = {{buffer, SIZE, 8}, {buffer, SIZE, 8}};
    struct hqq_link *links[] = {pair.primary, pair.secondary};
    for (int i = 0; i < 2; i++) {
        struct hqq_link *link = links[i];
        struct hqq_slot slot;
        struct hqq_link_stats stats;
        enum hqq_peer peer;
        if (hqq_link_try_read(link, buffer, SIZE, &length) == 0)
            assert_in_range(length, 0, SIZE);
        if (hqq_link_peek(link, &length) == 0)
            assert_in_range(length, 0, SIZE);
        (void)hqq_link_try_write(link, "datagram", 8);
        (void)hqq_link_write(link, "datagram", 8);
        (void)hqq_link_read(link, buffer, SIZE, &length);
        (void)hqq_link_write_batch(link, messages, 2, &length);
        (void)hqq_link_read_batch(link, messages, 2, &length);
        assert_in_range(length, 0, 2);
        if (hqq_link_reserve(link, &slot) == 0)
            (void)hqq_link_commit(link, &slot, SIZE);
        if (hqq_link_borrow(link, &slot) == 0) {
            assert_in_range(slot.length, 0, SIZE);
            (void)hqq_link_release(link, &slot);
        }
        hqq_link_get_stats(link, &stats);
        assert_in_range(stats.write_depth, 0, COUNT);
        assert_in_range(stats.read_depth, 0, COUNT);
        assert_in_range(stats.write_high_water, 0, COUNT);
        (void)hqq_link_peer(link);
        (void)hqq_link_check_peer(link, &peer);
    }
}

static void limit_waits(void)
{
    struct hqq_link *links[] = {pair.primary, pair.secondary};
    for (int i = 0; i < 2; i++) {
        hqq_link_set_read_timeout(links[i], 1000);
        hqq_link_set_write_timeout(links[i], 1000);
    }
}

static void any_value_of_any_word_of_a_ring_lets_every_call_come_back(void **state)
{
    (void)state;
    limit_waits();
    for (int index = 0; index < 2; index++) {
        struct hqq_ring ring = pair_ring(&pair, index);
        for (size_t i = 0; i < VALUES; i++) {
            hqq_store_relaxed(hqq_ring_r(&ring), values[i]);
            call_everything();
            hqq_store_relaxed(hqq_ring_w(&ring), values[i]);
            call_everything();
            for (uint64_t slot = 0; slot < COUNT; slot++) {
                hqq_store_relaxed(hqq_ring_seq(&ring, slot), values[i]);
                call_everything();
            }
        }
    }
}

static void any_value_of_any_word_of_the_first_page_lets_every_call_come_back(void **state)
{
    (void)state;
    limit_waits();
    for (size_t offset = 0; offset < HQQ_EXTENSION_OFFSET + sizeof(struct hqq_extension); offset += 8) {
        for (size_t i = 0; i < VALUES; i++) {
            hqq_store_relaxed(region_word(&pair.region, offset), values[i]);
            call_everything();
        }
        hqq_store_relaxed(region_word(&pair.region, offset), 0);
    }
}

/* ---- Without an extension block ---------------------------------------------------------------------------------- */

/* Both ends anew, after the block has been made one that we do not know. */
static void attach_to_a_foreign_block(hqq_atomic_u64 *word, uint64_t value)
{
    const struct hqq_link_config primary = {.role = HQQ_ROLE_PRIMARY}, secondary = {.role = HQQ_ROLE_SECONDARY};
    struct region *region = &pair.region;
    hqq_link_close(pair.primary);
    hqq_link_close(pair.secondary);
    pair.primary = pair.secondary = NULL;
    hqq_store_relaxed(word, value);
    assert_int_equal(hqq_link_attach(region->base, region->length, &primary, &pair.primary), 0);
    assert_int_equal(hqq_link_attach(region->base, region->length, &secondary, &pair.secondary), 0);
}

static void assert_works_without_a_block(void)
{
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(hqq_link_write(pair.primary, "hello", 5), 0);
    assert_int_equal(caller_join(&reader), 0);
    assert_int_equal(reader.length, 5);
    sleepers_forget();
    assert_int_equal(hqq_link_peer(pair.primary), HQQ_PEER_UNKNOWN);
    hqq_link_set_read_timeout(pair.primary, SHORT);
    assert_int_equal(hqq_link_read(pair.primary, buffer, SIZE, &length), HQQ_ERROR_TIMEOUT);
}

static void a_link_works_without_a_block_that_it_knows(void **state)
{
    (void)state;
    attach_to_a_foreign_block(&region_extension(&pair.region)->flags, 1);
    assert_works_without_a_block();
    attach_to_a_foreign_block(&region_extension(&pair.region)->magic, 12345);
    assert_works_without_a_block();
}

static void a_block_that_is_not_ours_is_left_alone(void **state)
{
    (void)state;
    unsigned char before[sizeof(struct hqq_extension)];
    hqq_atomic_u64 *magic = &region_extension(&pair.region)->magic;
    attach_to_a_foreign_block(magic, 12345);
    memcpy(before, region_extension(&pair.region), sizeof(before));
    assert_works_without_a_block();
    assert_memory_equal(before, magic, sizeof(before));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_head_that_is_ahead_does_not_hold_a_read_beyond_its_deadline),
        TEST(a_tail_that_is_ahead_does_not_hold_a_write_beyond_its_deadline),
        TEST(a_head_that_is_ahead_does_not_hide_that_the_peer_has_closed),
        TEST(a_head_that_is_ahead_does_not_keep_a_read_from_being_shut_down),
        TEST(a_peer_that_writes_tombstones_without_end_holds_no_call),
        TEST(any_value_of_any_word_of_a_ring_lets_every_call_come_back),
        TEST(any_value_of_any_word_of_the_first_page_lets_every_call_come_back),
        TEST(a_link_works_without_a_block_that_it_knows),
        TEST(a_block_that_is_not_ours_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
