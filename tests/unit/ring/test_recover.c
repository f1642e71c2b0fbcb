/* Sweeping a ring after one side of it has died: what it had claimed is freed, what was published or free stays. From
 * any start, also where positions wrap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/point.h"
#include "layout/packet.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "ring/recover.h"
#include "support/plain_ring.h"

#define COUNT 8
#define SIZE 16

static struct plain_ring plain;
static struct hqq_ring *ring = &plain.ring;

static const uint64_t starts[] = {0, 3, COUNT, 1000, INT64_MAX - UINT64_C(2), UINT64_MAX - 2, UINT64_MAX - COUNT};

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
    hqq_point_hook = NULL;
    plain_ring_delete(&plain);
    return 0;
}

static void claim_write(uint64_t count)
{
    uint64_t position;
    assert_int_equal(hqq_ring_claim_write(ring, count, &position), count);
}

static void claim_read(uint64_t count)
{
    uint64_t position;
    assert_int_equal(hqq_ring_claim_read(ring, count, &position), count);
}

static void publish(uint64_t position)
{
    const struct hqq_packet packet = {.opcode = HQQ_OPCODE_COPY, .operand = {position, 0, SIZE}};
    hqq_packet_store(hqq_ring_packet(ring, position), &packet);
    hqq_ring_publish(ring, position);
}

static uint64_t opcode_at(uint64_t position)
{
    return hqq_packet_load(hqq_ring_packet(ring, position)).opcode;
}

/* ---- Producers --------------------------------------------------------------------------------------------------- */

static void an_unused_ring_has_nothing_to_recover(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        assert_int_equal(hqq_ring_recover_producers(ring), 0);
        assert_int_equal(hqq_ring_recover_consumers(ring), 0);
    }
}

static void claimed_slots_become_tombstones_that_say_died(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(3);
        assert_int_equal(hqq_ring_recover_producers(ring), 3);
        for (uint64_t i = 0; i < 3; i++) {
            struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(ring, at + i));
            assert_int_equal(packet.opcode, 0xfe);
            assert_int_equal(packet.operand[HQQ_COPY_SLOT], (at + i) % COUNT);
            assert_int_equal(packet.operand[HQQ_TOMBSTONE_REASON], UINT64_C(0x44494544));
            for (int operand = 3; operand < HQQ_PACKET_OPERANDS; operand++)
                assert_int_equal(packet.operand[operand], 0);
        }
        claim_read(3);
    }
}

static void published_slots_among_claimed_ones_keep_what_they_hold(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(5);
        publish(at + 1);
        publish(at + 3);
        assert_int_equal(hqq_ring_recover_producers(ring), 3);
        for (uint64_t i = 0; i < 5; i++)
            assert_int_equal(opcode_at(at + i), i % 2 == 0 ? HQQ_OPCODE_TOMBSTONE : HQQ_OPCODE_COPY);
        claim_read(5);
    }
}

static void a_whole_ring_of_claimed_slots_is_recovered(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        claim_write(COUNT);
        assert_int_equal(hqq_ring_recover_producers(ring), COUNT);
        claim_read(COUNT);
    }
}

static void producers_leave_slots_that_readers_hold(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(4);
        for (uint64_t i = 0; i < 3; i++)
            publish(at + i);
        claim_read(2);
        assert_int_equal(hqq_ring_recover_producers(ring), 1);
        assert_true(hqq_ring_is_claimed_read(ring, at));
        assert_true(hqq_ring_is_claimed_read(ring, at + 1));
        assert_int_equal(opcode_at(at + 2), HQQ_OPCODE_COPY);
        assert_int_equal(opcode_at(at + 3), HQQ_OPCODE_TOMBSTONE);
    }
}

/* ---- Consumers --------------------------------------------------------------------------------------------------- */

static void slots_that_a_reader_took_become_free(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            publish(at + i);
        claim_read(3);
        assert_int_equal(hqq_ring_recover_consumers(ring), 3);
        claim_write(3);
        claim_read(COUNT - 3);
    }
}

static void released_slots_among_claimed_ones_stay_free(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            publish(at + i);
        claim_read(5);
        hqq_ring_release(ring, at + 1);
        hqq_ring_release(ring, at + 3);
        assert_int_equal(hqq_ring_recover_consumers(ring), 3);
        claim_write(5);
    }
}

static void consumers_leave_slots_that_wait_to_be_read_and_those_of_writers(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(3);
        publish(at);
        publish(at + 1);
        claim_read(1);
        assert_int_equal(hqq_ring_recover_consumers(ring), 1);
        claim_read(1);
        assert_true(hqq_ring_is_claimed_write(ring, at + 2));
    }
}

/* A slot that was freed and is used for the next lap is no longer at the position that was swept. */
static void slots_that_writers_use_again_are_left_to_them(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(COUNT);
        for (uint64_t i = 0; i < COUNT; i++)
            publish(at + i);
        claim_read(4);
        hqq_ring_release(ring, at);
        hqq_ring_release(ring, at + 1);
        claim_write(2);
        publish(at + COUNT);
        assert_int_equal(hqq_ring_recover_consumers(ring), 2);
        assert_true(hqq_ring_is_claimed_write(ring, at + COUNT + 1));
        assert_int_equal(opcode_at(at + COUNT), HQQ_OPCODE_COPY);
    }
}

/* ---- Twice, and unfinished --------------------------------------------------------------------------------------- */

static void sweeping_twice_is_the_same_as_sweeping_once(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        unsigned char once[72 * COUNT];
        uint64_t at = starts[s];
        plain_ring_start_at(&plain, at);
        claim_write(COUNT);
        for (uint64_t i = 0; i < 4; i++)
            publish(at + i);
        claim_read(2);
        assert_int_equal(hqq_ring_recover_producers(ring), COUNT - 4);
        assert_int_equal(hqq_ring_recover_consumers(ring), 2);
        memcpy(once, hqq_ring_packet(ring, 0), sizeof(once));
        assert_int_equal(hqq_ring_recover_producers(ring), 0);
        assert_int_equal(hqq_ring_recover_consumers(ring), 0);
        assert_memory_equal(once, hqq_ring_packet(ring, 0), sizeof(once));
    }
}

static jmp_buf where_the_recoverer_dies;

static void die_after_the_first_slot(const char *label)
{
    if (strcmp(label, "recover.swept") == 0)
        longjmp(where_the_recoverer_dies, 1);
}

/* A sweep that ends after its first slot, whatever there was to sweep. */
static void begin_to_recover_producers(void)
{
    hqq_point_hook = die_after_the_first_slot;
    if (setjmp(where_the_recoverer_dies) == 0)
        hqq_ring_recover_producers(ring);
    hqq_point_hook = NULL;
}

static void a_sweep_that_somebody_else_began_is_finished(void **state)
{
    (void)state;
    for (size_t s = 0; s < STARTS; s++) {
        plain_ring_start_at(&plain, starts[s]);
        claim_write(4);
        begin_to_recover_producers();
        assert_int_equal(hqq_ring_recover_producers(ring), 3);
        claim_read(4);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unused_ring_has_nothing_to_recover),
        TEST(claimed_slots_become_tombstones_that_say_died),
        TEST(published_slots_among_claimed_ones_keep_what_they_hold),
        TEST(a_whole_ring_of_claimed_slots_is_recovered),
        TEST(producers_leave_slots_that_readers_hold),
        TEST(slots_that_a_reader_took_become_free),
        TEST(released_slots_among_claimed_ones_stay_free),
        TEST(consumers_leave_slots_that_wait_to_be_read_and_those_of_writers),
        TEST(slots_that_writers_use_again_are_left_to_them),
        TEST(sweeping_twice_is_the_same_as_sweeping_once),
        TEST(a_sweep_that_somebody_else_began_is_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
