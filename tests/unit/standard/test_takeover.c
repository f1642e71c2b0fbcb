/* Ends that change hands: what the peer is told, what may be taken over, and what is left of who died. Children attach
 * to memory they share with the test, and end without closing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "support/caller.h"
#include "support/child.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64

static const struct hqq_link_config shape = {
    .buffer_count = COUNT, .buffer_size = SIZE, .role = HQQ_ROLE_PRIMARY, .peer_check_ns = 1};

static struct region region;
static struct hqq_link *primary;
static unsigned char buffer[SIZE];
static size_t length;

static int set_up(void **state)
{
    (void)state;
    region = region_for(COUNT, SIZE);
    return hqq_link_attach(region.base, region.length, &shape, &primary);
}

static int tear_down(void **state)
{
    (void)state;
    hqq_link_close(primary);
    region_delete(&region);
    return 0;
}

static int attach(enum hqq_role role, struct hqq_link **ret_link)
{
    const struct hqq_link_config config = {.role = role};
    return hqq_link_attach(region.base, region.length, &config, ret_link);
}

static struct hqq_link *attach_secondary(void)
{
    struct hqq_link *link = NULL;
    assert_int_equal(attach(HQQ_ROLE_SECONDARY, &link), 0);
    return link;
}

static struct hqq_link_stats stats(const struct hqq_link *link)
{
    struct hqq_link_stats result;
    hqq_link_get_stats(link, &result);
    return result;
}

/* ---- Children: each returns 0 and leaves what it holds behind ---------------------------------------------------- */

static int child_attaches(void *arg)
{
    struct hqq_link *link;
    (void)arg;
    return attach(HQQ_ROLE_SECONDARY, &link);
}

static int child_writes_one(void *arg)
{
    struct hqq_link *link;
    (void)arg;
    if (attach(HQQ_ROLE_SECONDARY, &link) != 0)
        return 1;
    return hqq_link_try_write(link, "last words", 10);
}

/* Published, reserved, published; and two borrowed of those there are. */
static int child_holds_slots(void *arg)
{
    struct hqq_link *link;
    struct hqq_slot slot;
    (void)arg;
    if (attach(HQQ_ROLE_SECONDARY, &link) != 0 || hqq_link_try_write(link, "first", 5) != 0 ||
        hqq_link_reserve(link, &slot) != 0 || hqq_link_try_write(link, "third", 5) != 0)
        return 1;
    return hqq_link_borrow(link, &slot) != 0 || hqq_link_borrow(link, &slot) != 0;
}

static int child_shuts_down(void *arg)
{
    struct hqq_link *link;
    (void)arg;
    return attach(HQQ_ROLE_SECONDARY, &link) != 0 ? 1 : hqq_link_shutdown(link);
}

/* ---- What the peer is told --------------------------------------------------------------------------------------- */

static void a_peer_is_unknown_alive_or_closed(void **state)
{
    (void)state;
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_UNKNOWN);
    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_ALIVE);
    assert_int_equal(hqq_link_peer(secondary), HQQ_PEER_ALIVE);
    hqq_link_shutdown(secondary);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_CLOSED);
    hqq_link_close(secondary);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_CLOSED);
}

static void a_peer_that_died_is_alive_until_somebody_looks(void **state)
{
    (void)state;
    enum hqq_peer peer = HQQ_PEER_UNKNOWN;
    assert_int_equal(child_run(child_attaches, NULL), 0);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_ALIVE);
    assert_int_equal(hqq_link_check_peer(primary, &peer), 0);
    assert_int_equal(peer, HQQ_PEER_DIED);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_DIED);
    assert_int_equal(stats(primary).peer_deaths, 1);
    assert_int_equal(hqq_link_check_peer(primary, &peer), 0);
    assert_int_equal(stats(primary).peer_deaths, 1);
}

static void a_wait_finds_out_that_the_peer_died(void **state)
{
    (void)state;
    assert_int_equal(child_run(child_attaches, NULL), 0);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), HQQ_ERROR_PEER_DIED);
    assert_int_equal(hqq_link_write(primary, "nobody", 6), HQQ_ERROR_PEER_DIED);
}

static void a_call_that_never_waits_finds_out_too(void **state)
{
    (void)state;
    assert_int_equal(child_run(child_attaches, NULL), 0);
    assert_int_equal(hqq_link_try_read(primary, buffer, SIZE, &length), HQQ_ERROR_PEER_DIED);
}

static void what_the_dead_wrote_is_read_first(void **state)
{
    (void)state;
    enum hqq_peer peer;
    assert_int_equal(child_run(child_writes_one, NULL), 0);
    assert_int_equal(hqq_link_check_peer(primary, &peer), 0);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), 0);
    assert_int_equal(length, 10);
    assert_memory_equal(buffer, "last words", 10);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), HQQ_ERROR_PEER_DIED);
}

static void a_peer_that_shut_down_and_died_stays_closed(void **state)
{
    (void)state;
    enum hqq_peer peer;
    assert_int_equal(child_run(child_shuts_down, NULL), 0);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_CLOSED);
    assert_int_equal(hqq_link_write(primary, "nobody", 6), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_link_check_peer(primary, &peer), 0);
    assert_int_equal(peer, HQQ_PEER_CLOSED);
    assert_int_equal(hqq_link_write(primary, "nobody", 6), HQQ_ERROR_CLOSED);
    hqq_link_close(attach_secondary());
}

/* ---- What is left of it ------------------------------------------------------------------------------------------ */

static void slots_that_the_dead_held_are_free_again(void **state)
{
    (void)state;
    enum hqq_peer peer;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_write(primary, "filled", 6), 0);
    assert_int_equal(child_run(child_holds_slots, NULL), 0);
    assert_int_equal(hqq_link_check_peer(primary, &peer), 0);
    assert_int_equal(stats(primary).slots_recovered, 3);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "first", 5);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "third", 5);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), HQQ_ERROR_PEER_DIED);

    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(hqq_link_try_write(primary, "room", 4), 0);
    assert_int_equal(hqq_link_try_write(primary, "room", 4), 0);
    assert_int_equal(hqq_link_try_write(primary, "room", 4), HQQ_ERROR_WOULD_BLOCK);
    hqq_link_close(secondary);
}

static void who_takes_over_frees_what_its_predecessor_held(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_link_write(primary, "filled", 6), 0);
    assert_int_equal(child_run(child_holds_slots, NULL), 0);
    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(stats(secondary).slots_recovered, 3);
    assert_int_equal(stats(secondary).peer_deaths, 0);
    assert_int_equal(hqq_link_peer(primary), HQQ_PEER_ALIVE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_link_read(secondary, buffer, SIZE, &length), 0);
    assert_int_equal(hqq_link_try_read(secondary, buffer, SIZE, &length), HQQ_ERROR_WOULD_BLOCK);
    hqq_link_close(secondary);
}

static void a_wait_goes_on_when_the_end_is_taken_over(void **state)
{
    (void)state;
    struct caller reader = {.call = caller_read, .link = primary};
    sleepers_watch();
    caller_start(&reader);
    sleepers_await(1);
    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(hqq_link_write(secondary, "hello", 5), 0);
    assert_int_equal(caller_join(&reader), 0);
    assert_int_equal(reader.length, 5);
    sleepers_forget();
    hqq_link_close(secondary);
}

/* ---- Who may ----------------------------------------------------------------------------------------------------- */

static void an_end_that_is_held_is_busy(void **state)
{
    (void)state;
    struct hqq_link *secondary = attach_secondary(), *other = NULL;
    assert_int_equal(attach(HQQ_ROLE_SECONDARY, &other), HQQ_ERROR_BUSY);
    assert_int_equal(attach(HQQ_ROLE_PRIMARY, &other), HQQ_ERROR_BUSY);
    hqq_link_shutdown(secondary);
    assert_int_equal(attach(HQQ_ROLE_SECONDARY, &other), HQQ_ERROR_BUSY);
    assert_null(other);
    hqq_link_close(secondary);
}

static int child_is_refused(void *arg)
{
    struct hqq_link *link;
    enum hqq_role role = *(enum hqq_role *)arg;
    return attach(role, &link) == HQQ_ERROR_BUSY ? 0 : 1;
}

static void an_end_that_another_process_holds_is_busy(void **state)
{
    (void)state;
    enum hqq_role roles[] = {HQQ_ROLE_PRIMARY, HQQ_ROLE_SECONDARY};
    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(child_run(child_is_refused, &roles[0]), 0);
    assert_int_equal(child_run(child_is_refused, &roles[1]), 0);
    hqq_link_close(secondary);
}

static void a_closed_end_is_taken_over_and_the_link_goes_on(void **state)
{
    (void)state;
    struct hqq_link *secondary = attach_secondary();
    for (int round = 0; round < 3; round++) {
        hqq_link_close(primary);
        assert_int_equal(hqq_link_read(secondary, buffer, SIZE, &length), HQQ_ERROR_CLOSED);
        assert_int_equal(attach(HQQ_ROLE_PRIMARY, &primary), 0);
        assert_int_equal(hqq_link_role(primary), HQQ_ROLE_PRIMARY);
        assert_int_equal(hqq_link_write(primary, "again", 5), 0);
        assert_int_equal(hqq_link_read(secondary, buffer, SIZE, &length), 0);
    }
    hqq_link_close(secondary);
}

static void what_a_closed_end_had_written_is_there_for_who_comes_later(void **state)
{
    (void)state;
    struct hqq_link *secondary = attach_secondary();
    assert_int_equal(hqq_link_write(secondary, "kept", 4), 0);
    hqq_link_close(secondary);
    hqq_link_close(primary);
    assert_int_equal(attach(HQQ_ROLE_PRIMARY, &primary), 0);
    assert_int_equal(hqq_link_read(primary, buffer, SIZE, &length), 0);
    assert_memory_equal(buffer, "kept", 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_peer_is_unknown_alive_or_closed),
        TEST(a_peer_that_died_is_alive_until_somebody_looks),
        TEST(a_wait_finds_out_that_the_peer_died),
        TEST(a_call_that_never_waits_finds_out_too),
        TEST(what_the_dead_wrote_is_read_first),
        TEST(a_peer_that_shut_down_and_died_stays_closed),
        TEST(slots_that_the_dead_held_are_free_again),
        TEST(who_takes_over_frees_what_its_predecessor_held),
        TEST(a_wait_goes_on_when_the_end_is_taken_over),
        TEST(an_end_that_is_held_is_busy),
        TEST(an_end_that_another_process_holds_is_busy),
        TEST(a_closed_end_is_taken_over_and_the_link_goes_on),
        TEST(what_a_closed_end_had_written_is_there_for_who_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
