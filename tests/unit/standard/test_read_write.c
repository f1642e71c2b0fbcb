/* Datagrams by copy: whole or not at all, in order, cut by short buffers, and what the forms that never wait say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

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
    pair = pair_open(COUNT, SIZE);
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

static void write_pattern(struct hqq_link *link, size_t bytes, size_t seed)
{
    unsigned char data[SIZE];
    pattern(data, bytes, seed);
    assert_int_equal(hqq_link_write(link, data, bytes), 0);
}

static void read_pattern(struct hqq_link *link, size_t bytes, size_t seed)
{
    pattern(expected, bytes, seed);
    assert_int_equal(hqq_link_read(link, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(length, bytes);
    assert_memory_equal(buffer, expected, bytes);
}

static void assert_nothing_to_read(struct hqq_link *link)
{
    assert_int_equal(hqq_link_try_read(link, buffer, sizeof(buffer), &length), HQQ_ERROR_WOULD_BLOCK);
}

/* ---- Whole and in order ------------------------------------------------------------------------------------------ */

static void a_datagram_written_at_either_end_is_read_at_the_other(void **state)
{
    (void)state;
    write_pattern(pair.primary, 5, 1);
    write_pattern(pair.secondary, 7, 2);
    read_pattern(pair.secondary, 5, 1);
    read_pattern(pair.primary, 7, 2);
}

static void every_length_from_one_byte_to_the_buffer_size_arrives(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= SIZE; bytes++) {
        write_pattern(pair.primary, bytes, bytes);
        read_pattern(pair.secondary, bytes, bytes);
    }
}

static void datagrams_arrive_in_order_over_many_laps(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10 * COUNT; i++) {
        write_pattern(pair.primary, 1 + i % SIZE, 2 * i);
        write_pattern(pair.primary, 1 + i % SIZE, 2 * i + 1);
        read_pattern(pair.secondary, 1 + i % SIZE, 2 * i);
        read_pattern(pair.secondary, 1 + i % SIZE, 2 * i + 1);
    }
}

static void an_end_does_not_read_what_it_wrote(void **state)
{
    (void)state;
    write_pattern(pair.primary, 5, 1);
    assert_nothing_to_read(pair.primary);
    read_pattern(pair.secondary, 5, 1);
    assert_nothing_to_read(pair.secondary);
}

static void the_two_directions_do_not_hold_each_other_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        write_pattern(pair.primary, 8, i);
    assert_int_equal(hqq_link_try_write(pair.primary, "x", 1), HQQ_ERROR_WOULD_BLOCK);
    write_pattern(pair.secondary, 8, 9);
    read_pattern(pair.primary, 8, 9);
}

/* ---- Empty and too long ------------------------------------------------------------------------------------------ */

static void writing_nothing_publishes_nothing_and_succeeds(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_write(pair.primary, "", 0), 0);
    assert_int_equal(hqq_link_write(pair.primary, NULL, 0), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, NULL, 0), 0);
    assert_nothing_to_read(pair.secondary);
}

static void writing_nothing_succeeds_where_there_is_no_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        write_pattern(pair.primary, 8, i);
    assert_int_equal(hqq_link_write(pair.primary, "", 0), 0);
}

static void more_than_a_buffer_is_refused_and_takes_no_slot(void **state)
{
    (void)state;
    memset(buffer, 1, sizeof(buffer));
    assert_int_equal(hqq_link_write(pair.primary, buffer, SIZE + 1), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_link_try_write(pair.primary, buffer, SIZE + 1), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_link_write(pair.primary, buffer, SIZE_MAX), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_nothing_to_read(pair.secondary);
    for (size_t i = 0; i < COUNT; i++)
        write_pattern(pair.primary, SIZE, i);
}

/* ---- Short buffers ----------------------------------------------------------------------------------------------- */

static void a_short_buffer_gets_the_beginning_and_the_rest_is_dropped(void **state)
{
    (void)state;
    write_pattern(pair.primary, 20, 1);
    write_pattern(pair.primary, 6, 2);
    pattern(expected, 20, 1);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, 8, &length), HQQ_ERROR_TRUNCATED);
    assert_int_equal(length, 20);
    assert_memory_equal(buffer, expected, 8);
    assert_int_equal(buffer[8], UNTOUCHED);
    read_pattern(pair.secondary, 6, 2);
}

static void a_buffer_that_just_fits_is_not_short(void **state)
{
    (void)state;
    write_pattern(pair.primary, 20, 1);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, 20, &length), 0);
    assert_int_equal(length, 20);
    assert_int_equal(buffer[20], UNTOUCHED);
}

static void no_buffer_at_all_drops_a_datagram_and_tells_its_length(void **state)
{
    (void)state;
    write_pattern(pair.primary, 20, 1);
    write_pattern(pair.primary, 6, 2);
    assert_int_equal(hqq_link_read(pair.secondary, NULL, 0, &length), HQQ_ERROR_TRUNCATED);
    assert_int_equal(length, 20);
    read_pattern(pair.secondary, 6, 2);
}

/* ---- Never waiting ----------------------------------------------------------------------------------------------- */

static void trying_to_read_nothing_would_block_and_touches_no_output(void **state)
{
    (void)state;
    assert_nothing_to_read(pair.secondary);
    assert_int_equal(length, 99);
    assert_int_equal(buffer[0], UNTOUCHED);
}

static void trying_to_write_to_a_full_ring_would_block_until_one_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), 0);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), HQQ_ERROR_WOULD_BLOCK);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = E2BIG;
    hqq_link_try_read(pair.secondary, buffer, sizeof(buffer), &length);
    hqq_link_write(pair.primary, "datagram", 8);
    hqq_link_read(pair.secondary, buffer, sizeof(buffer), &length);
    hqq_link_set_read_timeout(pair.secondary, 1000);
    hqq_link_read(pair.secondary, buffer, sizeof(buffer), &length);
    hqq_link_shutdown(pair.secondary);
    hqq_link_write(pair.primary, "datagram", 8);
    assert_int_equal(errno, E2BIG);
}

/* ---- Copy ids ---------------------------------------------------------------------------------------------------- */

static void copy_ids_count_from_one_at_each_end(void **state)
{
    (void)state;
    for (int index = 0; index < 2; index++) {
        struct hqq_link *writer = index == 0 ? pair.primary : pair.secondary;
        struct hqq_ring ring = pair_ring(&pair, index);
        for (uint64_t i = 0; i < COUNT; i++) {
            write_pattern(writer, 5, i);
            struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&ring, i));
            assert_int_equal(packet.opcode, HQQ_OPCODE_COPY);
            assert_int_equal(packet.operand[HQQ_COPY_ID], i + 1);
            assert_int_equal(packet.operand[HQQ_COPY_SLOT], i);
            assert_int_equal(packet.operand[HQQ_COPY_SIZE], 5);
        }
    }
}

static void copy_ids_count_from_one_again_for_who_takes_an_end_over(void **state)
{
    (void)state;
    write_pattern(pair.primary, 5, 1);
    write_pattern(pair.primary, 5, 2);
    hqq_link_close(pair.primary);
    const struct hqq_link_config config = {.role = HQQ_ROLE_PRIMARY};
    assert_int_equal(hqq_link_attach(pair.region.base, pair.region.length, &config, &pair.primary), 0);
    write_pattern(pair.primary, 5, 3);
    struct hqq_ring ring = pair_ring(&pair, 0);
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&ring, 2));
    assert_int_equal(packet.operand[HQQ_COPY_ID], 1);
    assert_int_equal(packet.operand[HQQ_COPY_SLOT], 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_datagram_written_at_either_end_is_read_at_the_other),
        TEST(every_length_from_one_byte_to_the_buffer_size_arrives),
        TEST(datagrams_arrive_in_order_over_many_laps),
        TEST(an_end_does_not_read_what_it_wrote),
        TEST(the_two_directions_do_not_hold_each_other_up),
        TEST(writing_nothing_publishes_nothing_and_succeeds),
        TEST(writing_nothing_succeeds_where_there_is_no_room),
        TEST(more_than_a_buffer_is_refused_and_takes_no_slot),
        TEST(a_short_buffer_gets_the_beginning_and_the_rest_is_dropped),
        TEST(a_buffer_that_just_fits_is_not_short),
        TEST(no_buffer_at_all_drops_a_datagram_and_tells_its_length),
        TEST(trying_to_read_nothing_would_block_and_touches_no_output),
        TEST(trying_to_write_to_a_full_ring_would_block_until_one_is_read),
        TEST(errno_is_left_alone),
        TEST(copy_ids_count_from_one_at_each_end),
        TEST(copy_ids_count_from_one_again_for_who_takes_an_end_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
