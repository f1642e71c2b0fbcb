/* Processes that end, in peace or not, and others that take their place at the same end of the link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <hqq/error.h>

#include "multiprocess/actor.h"
#include "support/heavy.h"

#define KILLED (128 + SIGKILL)

static char name[64];

static int set_up(void **state)
{
    (void)state;
    actor_name(name, sizeof(name));
    return 0;
}

static struct hqq_link *create(void)
{
    const struct hqq_link_config config = actor_config(HQQ_ROLE_ANY);
    struct hqq_link *link;
    assert_int_equal(hqq_link_create(name, &config, &link), 0);
    return link;
}

/* The next process has come: it may take a moment until it holds the end. */
static void await_peer(struct hqq_link *link)
{
    while (hqq_link_peer(link) != HQQ_PEER_ALIVE)
        usleep(500);
}

static int read_one(struct hqq_link *link)
{
    char data[ACTOR_BUFFER_SIZE];
    size_t length;
    return hqq_link_read(link, data, sizeof(data), &length);
}

static void a_secondary_that_closed_is_followed_by_another(void **state)
{
    (void)state;
    struct hqq_link *link = create();
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 50);
        await_peer(link);
        actor_converse(link, 50 * i, 50);
        assert_int_equal(heavy_reap(child), 0);
        assert_int_equal(read_one(link), HQQ_ERROR_CLOSED);
    }
    hqq_link_close(link);
}

static void a_secondary_that_was_killed_is_followed_by_another(void **state)
{
    (void)state;
    struct hqq_link *link = create();
    struct hqq_link_stats stats;
    for (unsigned i = 0; i < 5; i++) {
        pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_DIE_WRITING, 50);
        await_peer(link);
        actor_converse(link, 50 * i, 50);
        assert_int_equal(read_one(link), HQQ_ERROR_PEER_DIED);
        assert_int_equal(hqq_link_write(link, "x", 1), HQQ_ERROR_PEER_DIED);
        assert_int_equal(heavy_reap(child), KILLED);
        hqq_link_get_stats(link, &stats);
        assert_int_equal(stats.peer_deaths, i + 1);
        assert_int_equal(stats.slots_recovered, i + 1);
    }
    hqq_link_close(link);
}

static void what_a_dead_reader_left_is_read_by_the_next_but_for_what_it_had_taken(void **state)
{
    (void)state;
    struct hqq_link *link = create();
    unsigned char data[ACTOR_BUFFER_SIZE];
    pid_t child = actor_start(ACTOR_OPEN, name, ACTOR_DIE_READING, 0);
    await_peer(link);
    for (unsigned i = 0; i < ACTOR_BUFFER_COUNT; i++) {
        heavy_element_fill(data, 40, 1, i);
        assert_int_equal(hqq_link_write(link, data, 40), 0);
    }
    assert_int_equal(heavy_reap(child), KILLED); /* it had taken number 0 */
    assert_int_equal(read_one(link), HQQ_ERROR_PEER_DIED);
    enum hqq_peer peer;
    assert_int_equal(hqq_link_check_peer(link, &peer), 0);
    assert_int_equal(peer, HQQ_PEER_DIED);
    child = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, ACTOR_BUFFER_COUNT - 1);
    while (hqq_link_peer(link) == HQQ_PEER_DIED) /* it may be done and gone before we look */
        usleep(500);
    assert_int_equal(hqq_link_set_read_deadline(link, hqq_clock_ns() + 20 * HEAVY_S), 0);
    for (unsigned i = 1; i < ACTOR_BUFFER_COUNT; i++) {
        unsigned producer;
        uint32_t number;
        size_t length;
        assert_int_equal(hqq_link_read(link, data, sizeof(data), &length), 0);
        assert_int_equal(heavy_element_check(data, length, &producer, &number), HEAVY_WHOLE);
        assert_int_equal(number, i);
    }
    assert_int_equal(heavy_reap(child), 0);
    hqq_link_close(link);
}

/* The creator of the name is killed: the name stays, and with it the link. */
static void a_primary_that_was_killed_is_followed_by_one_that_asks_for_its_role(void **state)
{
    (void)state;
    pid_t child = actor_start(ACTOR_CREATE, name, ACTOR_DIE_WRITING, 50);
    struct hqq_link *link = actor_open_when_there(name);
    actor_converse(link, 0, 50);
    assert_int_equal(heavy_reap(child), KILLED);
    assert_int_equal(read_one(link), HQQ_ERROR_PEER_DIED);
    for (unsigned i = 1; i < 4; i++) {
        child = actor_start(ACTOR_PRIMARY, name, i % 2 == 0 ? ACTOR_ECHO : ACTOR_DIE_READING, 50);
        await_peer(link);
        actor_converse(link, 50 * i, 50);
        if (i % 2 == 0) {
            assert_int_equal(heavy_reap(child), 0);
            assert_int_equal(read_one(link), HQQ_ERROR_CLOSED);
        } else {
            assert_int_equal(hqq_link_write(link, "x", 1), 0); /* which it borrows, and dies */
            assert_int_equal(heavy_reap(child), KILLED);
            assert_int_equal(read_one(link), HQQ_ERROR_PEER_DIED);
        }
    }
    assert_int_equal(hqq_link_unlink(name), 0);
    hqq_link_close(link);
}

static void both_ends_can_be_taken_over_after_both_died(void **state)
{
    (void)state;
    struct hqq_link_config config = actor_config(HQQ_ROLE_PRIMARY);
    struct hqq_link *link;
    pid_t primary = actor_start(ACTOR_CREATE, name, ACTOR_DIE_WRITING, 0);
    assert_int_equal(heavy_reap(primary), KILLED);
    pid_t secondary = actor_start(ACTOR_OPEN, name, ACTOR_DIE_WRITING, 0);
    assert_int_equal(heavy_reap(secondary), KILLED);

    assert_int_equal(hqq_link_open(name, &config, &link), 0);
    assert_int_equal(read_one(link), HQQ_ERROR_PEER_DIED);
    secondary = actor_start(ACTOR_OPEN, name, ACTOR_ECHO, 100);
    await_peer(link);
    actor_converse(link, 0, 100);
    assert_int_equal(heavy_reap(secondary), 0);
    assert_int_equal(hqq_link_unlink(name), 0);
    hqq_link_close(link);
}

int main(int argc, char **argv)
{
    actor_run_if_asked(argc, argv);
    alarm(120);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_secondary_that_closed_is_followed_by_another, set_up),
        cmocka_unit_test_setup(a_secondary_that_was_killed_is_followed_by_another, set_up),
        cmocka_unit_test_setup(what_a_dead_reader_left_is_read_by_the_next_but_for_what_it_had_taken, set_up),
        cmocka_unit_test_setup(a_primary_that_was_killed_is_followed_by_one_that_asks_for_its_role, set_up),
        cmocka_unit_test_setup(both_ends_can_be_taken_over_after_both_died, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
