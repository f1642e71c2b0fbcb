/* The end of a link: who is woken, what is still read, and closing while other threads are on their way out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/packet.h"
#include "standard/end.h"
#include "support/caller.h"
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
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pair_close(&pair);
    return 0;
}

static void write_text(struct hqq_link *link, const char *text)
{
    assert_int_equal(hqq_link_write(link, text, strlen(text)), 0);
}

static void fill(struct hqq_link *link)
{
    for (int i = 0; i < COUNT; i++)
        write_text(link, "fill");
}

/* Two threads that read at the secondary and two that write there; all asleep. */
static void start_sleepers(struct caller sleeper[4])
{
    fill(pair.secondary);
    sleepers_watch();
    for (int i = 0; i < 4; i++) {
        sleeper[i] = (struct caller){.call = i < 2 ? caller_read : caller_write, .link = pair.secondary, .length = 8};
        caller_start(&sleeper[i]);
    }
    sleepers_await(4);
}

/* ---- Shutting down ----------------------------------------------------------------------------------------------- */

static void shutting_an_end_down_wakes_all_who_wait_at_it(void **state)
{
    (void)state;
    struct caller sleeper[4];
    start_sleepers(sleeper);
    assert_int_equal(hqq_link_shutdown(pair.secondary), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(caller_join(&sleeper[i]), HQQ_ERROR_CLOSED);
    sleepers_forget();
}

static void shutting_an_end_down_wakes_all_who_wait_at_the_other(void **state)
{
    (void)state;
    struct caller sleeper[4];
    start_sleepers(sleeper);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(caller_join(&sleeper[i]), HQQ_ERROR_CLOSED);
    sleepers_forget();
}

static void every_call_at_an_end_that_was_shut_down_is_closed(void **state)
{
    (void)state;
    struct hqq_message message = {.data = buffer, .capacity = SIZE, .length = 8};
    struct hqq_slot slot;
    struct hqq_link *link = pair.primary;
    write_text(pair.secondary, "unread");
    assert_int_equal(hqq_link_shutdown(link), 0);
    assert_int_equal(hqq_link_write(link, "datagram", 8), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_write(link, "", 0), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_try_write(link, "datagram", 8), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_read(link, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_try_read(link, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_peek(link, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_write_batch(link, &message, 1, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_read_batch(link, &message, 1, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_reserve(link, &slot), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_borrow(link, &slot), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_write_to(link, "datagram", 8, NULL), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_read_from(link, buffer, SIZE, &length, NULL), HQQ_ERROR_CLOSED);
}

/* One takes the datagram, and with it the last reason to wait; nobody but that reader can tell the other. */
static void the_last_datagram_of_a_shut_end_ends_the_waits_of_all_readers(void **state)
{
    (void)state;
    struct caller reader[2];
    struct hqq_slot slot;
    sleepers_watch();
    for (int i = 0; i < 2; i++) {
        reader[i] = (struct caller){.call = caller_read, .link = pair.secondary};
        caller_start(&reader[i]);
    }
    sleepers_await(2);
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    sleepers_await(2); /* once more: what is reserved may still come */
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 8), 0);
    int results = caller_join(&reader[0]) + caller_join(&reader[1]);
    assert_int_equal(results, 0 + HQQ_ERROR_CLOSED);
    sleepers_forget();
}

static void shutting_down_again_does_nothing(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    uint64_t owner = hqq_load_relaxed(&region_extension(&pair.region)->end[0].owner);
    assert_int_equal(hqq_end_state(owner), HQQ_END_SHUT);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(hqq_load_relaxed(&region_extension(&pair.region)->end[0].owner), owner);
}

static void slots_that_are_held_can_still_be_handed_over(void **state)
{
    (void)state;
    struct hqq_slot reserved, borrowed;
    write_text(pair.secondary, "borrow");
    assert_int_equal(hqq_link_reserve(pair.primary, &reserved), 0);
    assert_int_equal(hqq_link_borrow(pair.primary, &borrowed), 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    memcpy(reserved.data, "late", 4);
    assert_int_equal(hqq_link_commit(pair.primary, &reserved, 4), 0);
    assert_int_equal(hqq_link_release(pair.primary, &borrowed), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "late", 4);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
}

/* ---- What the peer still reads ----------------------------------------------------------------------------------- */

static void the_peer_reads_what_was_written_before_and_is_then_told(void **state)
{
    (void)state;
    fill(pair.primary);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
}

static void what_the_peer_still_holds_is_waited_for(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    assert_int_equal(hqq_link_commit(pair.primary, &slot, 4), 0);
    assert_int_equal(caller_join(&reader), 0);
    sleepers_forget();
    assert_int_equal(reader.length, 4);
    assert_int_equal(hqq_link_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
}

static void what_the_peer_held_until_it_closed_is_not_waited_for(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = pair.secondary};
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    hqq_link_close(pair.primary);
    pair.primary = NULL;
    assert_int_equal(caller_join(&reader), HQQ_ERROR_CLOSED);
    sleepers_forget();
}

static void nobody_writes_to_a_peer_that_has_closed(void **state)
{
    (void)state;
    struct hqq_message message = {.data = buffer, .length = 8};
    hqq_link_close(pair.secondary);
    pair.secondary = NULL;
    assert_int_equal(hqq_link_write(pair.primary, "datagram", 8), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_try_write(pair.primary, "datagram", 8), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_write_batch(pair.primary, &message, 1, &length), HQQ_ERROR_CLOSED);
    assert_int_equal(length, 0);
}

/* ---- Closing ----------------------------------------------------------------------------------------------------- */

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    hqq_link_close(NULL);
}

static void take_the_primary_over(void)
{
    const struct hqq_link_config config = {.role = HQQ_ROLE_PRIMARY};
    assert_int_equal(hqq_link_attach(pair.region.base, pair.region.length, &config, &pair.primary), 0);
}

static void closing_gives_up_what_is_reserved(void **state)
{
    (void)state;
    struct hqq_slot slot;
    assert_int_equal(hqq_link_reserve(pair.primary, &slot), 0);
    hqq_link_close(pair.primary);
    take_the_primary_over();
    struct hqq_ring ring = pair_ring(&pair, FROM_PRIMARY);
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&ring, 0));
    assert_int_equal(packet.opcode, HQQ_OPCODE_TOMBSTONE);
    assert_int_equal(packet.operand[HQQ_TOMBSTONE_REASON], HQQ_TOMBSTONE_DIED);
    assert_int_equal(hqq_link_try_read(pair.secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
}

static void closing_gives_up_what_is_borrowed(void **state)
{
    (void)state;
    struct hqq_slot slot;
    fill(pair.secondary);
    assert_int_equal(hqq_link_borrow(pair.primary, &slot), 0);
    hqq_link_close(pair.primary);
    take_the_primary_over();
    assert_int_equal(hqq_link_try_write(pair.secondary, "room", 4), 0);
}

static void closing_waits_for_the_threads_that_wait(void **state)
{
    (void)state;
    struct caller sleeper[4];
    start_sleepers(sleeper);
    hqq_link_close(pair.secondary);
    pair.secondary = NULL;
    for (int i = 0; i < 4; i++)
        assert_int_equal(caller_join(&sleeper[i]), HQQ_ERROR_CLOSED);
    sleepers_forget();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(shutting_an_end_down_wakes_all_who_wait_at_it),
        TEST(shutting_an_end_down_wakes_all_who_wait_at_the_other),
        TEST(every_call_at_an_end_that_was_shut_down_is_closed),
        TEST(the_last_datagram_of_a_shut_end_ends_the_waits_of_all_readers),
        TEST(shutting_down_again_does_nothing),
        TEST(slots_that_are_held_can_still_be_handed_over),
        TEST(the_peer_reads_what_was_written_before_and_is_then_told),
        TEST(what_the_peer_still_holds_is_waited_for),
        TEST(what_the_peer_held_until_it_closed_is_not_waited_for),
        TEST(nobody_writes_to_a_peer_that_has_closed),
        TEST(closing_nothing_is_allowed),
        TEST(closing_gives_up_what_is_reserved),
        TEST(closing_gives_up_what_is_borrowed),
        TEST(closing_waits_for_the_threads_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
