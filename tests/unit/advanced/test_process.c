/* Who drives a link: a program's own loop, the dispatcher, threads that wait; what the descriptor says; and the ends of all
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <string.h>

#include <hqq/error.h>

#include "platform/clock.h"
#include "support/advanced.h"
#include "support/child.h"
#include "support/pattern.h"

#define COUNT 8
#define SIZE 64

static struct duo duo;
static unsigned char bytes[20000];

static int set_up(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES | HQQ_FEATURE_STATISTICS};
    pattern(bytes, sizeof(bytes), 9);
    duo = duo_agreed(COUNT, SIZE, &config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

/* ---- A loop of one's own ------------------------------------------------------------------------------------------- */

static void processing_says_whether_there_was_anything(void **state)
{
    (void)state;
    uint64_t soon = hqq_clock_ns() + HQQ_NS_PER_MS;
    assert_int_equal(hqq_advanced_process(duo.end[1], 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_process(duo.end[1], soon), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, 0), 0);
    assert_int_equal(hqq_advanced_process(duo.end[1], HQQ_FOREVER), 0);
    assert_int_equal(advanced_stats(duo.end[1]).waiting_messages, 1);
    assert_int_equal(hqq_advanced_process(duo.end[1], 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
    assert_int_equal(advanced_drive(duo.end[1]), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_advanced_process(duo.end[0], HQQ_FOREVER), HQQ_ERROR_CLOSED);
}

static void one_thread_drives_both_ends(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_request *request;
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, sizeof(bytes)), 0);
    assert_int_equal(hqq_advanced_post(duo.end[1], 0, bytes, sizeof(bytes)), 0);
    duo_settle(&duo);
    for (int i = 0; i < 2; i++)
        advanced_assert_receives(duo.end[i], bytes, sizeof(bytes), 0);
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, "q", 1, 0, &pending), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_int_equal(hqq_request_respond(request, 1, bytes, sizeof(bytes), 0), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
    assert_int_equal(advanced_stats(duo.end[1]).chunks_sent, 2 * ((sizeof(bytes) + SIZE - 1) / SIZE));
}

/* ---- The dispatcher ------------------------------------------------------------------------------------------------ */

static void the_dispatcher_runs_once_and_again(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_stop(duo.end[1]), HQQ_ERROR_INVALID_OP);
    for (int i = 0; i < 3; i++) {
        struct hqq_advanced_peer_stats peer;
        assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
        assert_int_equal(hqq_advanced_start(duo.end[1], NULL), HQQ_ERROR_INVALID_OP);
        assert_int_equal(hqq_advanced_get_peer_stats(duo.end[0], advanced_soon(), &peer), 0);
        assert_int_equal(hqq_advanced_stop(duo.end[1]), 0);
    }
    assert_int_equal(hqq_advanced_stop(duo.end[1]), HQQ_ERROR_INVALID_OP);
}

static void the_dispatcher_ends_with_the_link(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
    assert_int_equal(hqq_advanced_stop(duo.end[1]), 0);
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_start(duo.end[0], NULL), 0); /* closing stops it */
}

static void statistics_of_the_peer_are_the_peers(void **state)
{
    (void)state;
    struct hqq_advanced_peer_stats peer;
    assert_int_equal(hqq_advanced_send(duo.end[1], 0, bytes, 100, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, 70, 0), 0);
    assert_int_equal(hqq_advanced_stop(duo.end[1]), HQQ_ERROR_INVALID_OP); /* an error */
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_get_peer_stats(duo.end[0], advanced_soon(), &peer), 0);
    assert_int_equal(peer.messages_sent, 1);
    assert_int_equal(peer.messages_received, 1);
    assert_int_equal(peer.bytes_received, 70);
    assert_int_equal(peer.errors, 1);
}

/* ---- The descriptor ------------------------------------------------------------------------------------------------ */

static int event_fd;

/* The dispatcher is stopped again, so that nothing happens by itself. */
static void make_descriptor(void)
{
    assert_int_equal(hqq_advanced_start(duo.end[1], &event_fd), 0);
    assert_int_equal(hqq_advanced_stop(duo.end[1]), 0);
}

static bool is_readable(void)
{
    struct pollfd entry = {.fd = event_fd, .events = POLLIN};
    assert_in_range(poll(&entry, 1, 0), 0, 1);
    return (entry.revents & POLLIN) != 0;
}

static void it_is_readable_while_there_is_a_message(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    duo_connect(&duo, ends);
    make_descriptor();
    assert_false(is_readable());
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, "a", 1), 0);
    assert_int_equal(hqq_connection_post(ends[0], "b", 1), 0);
    assert_false(is_readable()); /* nobody has taken them from the link */
    duo_settle(&duo);
    assert_true(is_readable());
    advanced_assert_receives(duo.end[1], "a", 1, 0);
    assert_true(is_readable());
    advanced_assert_connection_receives(duo.end[1], ends[1], "b", 1, 0);
    assert_false(is_readable());
    assert_int_equal(hqq_connection_post(ends[0], "c", 1), 0);
    duo_settle(&duo);
    assert_true(is_readable());
    hqq_connection_close(ends[1], 0); /* and with it what waits */
    assert_false(is_readable());
}

static void it_is_readable_while_there_is_a_connection(void **state)
{
    (void)state;
    struct hqq_connection *connection;
    make_descriptor();
    assert_int_equal(hqq_advanced_listen(duo.end[1], 1), 0);
    assert_int_equal(hqq_advanced_dial(duo.end[0], 0, &connection), HQQ_ERROR_WOULD_BLOCK);
    (void)advanced_drive(duo.end[1]);
    assert_true(is_readable());
    assert_int_equal(hqq_advanced_accept(duo.end[1], 0, &connection), 0);
    assert_false(is_readable());
}

static void drop(struct hqq_request *request, void *arg)
{
    (void)arg;
    hqq_request_drop(request);
}

static void it_is_readable_while_there_is_a_request_without_a_handler(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_request *request;
    make_descriptor();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, "q", 1, 0, &pending), 0);
        (void)advanced_drive(duo.end[1]);
    }
    assert_true(is_readable());
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_true(is_readable());
    assert_int_equal(hqq_advanced_handle(duo.end[1], 1, drop, NULL), 0);
    assert_false(is_readable());
    assert_int_equal(hqq_advanced_handle(duo.end[1], 1, NULL, NULL), 0);
    assert_true(is_readable());
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_false(is_readable());
    assert_int_equal(hqq_advanced_handle(duo.end[1], 1, drop, NULL), 0);
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, "q", 1, 0, &pending), 0);
    (void)advanced_drive(duo.end[1]);
    assert_false(is_readable());
}

static void it_is_readable_once_the_link_has_ended(void **state)
{
    (void)state;
    make_descriptor();
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
    assert_false(is_readable());
    (void)advanced_drive(duo.end[1]);
    assert_true(is_readable());
}

static void it_says_what_was_there_before_it_was_made(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, "a", 1), 0);
    duo_settle(&duo);
    make_descriptor();
    assert_true(is_readable());
}

static void the_dispatcher_raises_it(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_start(duo.end[1], &event_fd), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "a", 1, 0), 0);
    struct pollfd entry = {.fd = event_fd, .events = POLLIN};
    assert_int_equal(poll(&entry, 1, -1), 1);
    advanced_assert_receives(duo.end[1], "a", 1, 0);
    assert_false(is_readable());
}

/* ---- Waits of every kind ------------------------------------------------------------------------------------------- */

static struct hqq_connection *connected[2];

static int wait_to_receive(struct caller *caller)
{
    struct hqq_received received;
    return hqq_advanced_receive(caller->arg, HQQ_FOREVER, &received);
}

static int wait_on_connection(struct caller *caller)
{
    struct hqq_received received;
    (void)caller;
    return hqq_connection_receive(connected[0], HQQ_FOREVER, &received);
}

static int wait_to_accept(struct caller *caller)
{
    struct hqq_connection *connection;
    return hqq_advanced_accept(caller->arg, HQQ_FOREVER, &connection);
}

static int wait_to_dial(struct caller *caller)
{
    struct hqq_connection *connection;
    return hqq_advanced_dial(caller->arg, HQQ_FOREVER, &connection);
}

static int wait_for_an_answer(struct caller *caller)
{
    return hqq_advanced_call(caller->arg, 1, "q", 1, HQQ_FOREVER, NULL, NULL);
}

static int wait_to_serve(struct caller *caller)
{
    struct hqq_request *request;
    return hqq_advanced_serve(caller->arg, HQQ_FOREVER, &request);
}

static int wait_to_send(struct caller *caller)
{
    return hqq_advanced_send(caller->arg, 0, bytes, sizeof(bytes), HQQ_FOREVER);
}

static int wait_to_flush(struct caller *caller)
{
    int result = hqq_advanced_post(caller->arg, 0, bytes, sizeof(bytes));
    return result != 0 ? result : hqq_advanced_flush(caller->arg, HQQ_FOREVER);
}

static int wait_to_process(struct caller *caller)
{
    return hqq_advanced_process(caller->arg, HQQ_FOREVER);
}

static int wait_for_statistics(struct caller *caller)
{
    struct hqq_advanced_peer_stats peer;
    return hqq_advanced_get_peer_stats(caller->arg, HQQ_FOREVER, &peer);
}

/* The last one ends by anything that another does, so it begins when they are all waiting. */
static int (*const waits[])(struct caller *caller) = {
    wait_to_receive, wait_on_connection, wait_to_accept, wait_to_dial,        wait_for_an_answer,
    wait_to_serve,   wait_to_send,       wait_to_flush,  wait_for_statistics, wait_to_process,
};

#define WAITS (sizeof(waits) / sizeof(waits[0]))

/* All of them at the primary, with nobody at the secondary, until the link is ended that way. */
static void assert_all_wake(bool is_dispatching, void (*end)(void))
{
    struct caller callers[WAITS];
    uint64_t others = is_dispatching ? 1 : 0;
    duo_connect(&duo, connected);
    if (is_dispatching)
        assert_int_equal(hqq_advanced_start(duo.end[0], NULL), 0);
    for (size_t i = 0; i < WAITS; i++) {
        callers[i] = (struct caller){.call = waits[i], .arg = duo.end[0]};
        if (i == WAITS - 1)
            advanced_await_waiters(duo.end[0], i + others);
        caller_start(&callers[i]);
    }
    advanced_await_waiters(duo.end[0], WAITS + others);
    end();
    for (size_t i = 0; i < WAITS; i++)
        assert_int_equal(caller_join(&callers[i]), HQQ_ERROR_CLOSED);
}

static void shut_down_here(void)
{
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
}

static void shut_down_there(void)
{
    assert_int_equal(hqq_advanced_shutdown(duo.end[1]), 0);
}

static void close_here(void)
{
    hqq_advanced_close(duo.end[0]);
    duo.end[0] = NULL;
}

static void close_there(void)
{
    hqq_advanced_close(duo.end[1]);
    duo.end[1] = NULL;
}

static void a_shutdown_wakes_every_wait_here(void **state)
{
    (void)state;
    assert_all_wake(false, shut_down_here);
}

static void a_shutdown_wakes_every_wait_at_the_peer(void **state)
{
    (void)state;
    assert_all_wake(false, shut_down_there);
}

static void a_close_waits_for_every_wait_to_end(void **state)
{
    (void)state;
    assert_all_wake(false, close_here);
}

static void a_close_wakes_every_wait_at_the_peer(void **state)
{
    (void)state;
    assert_all_wake(false, close_there);
}

static void a_close_stops_the_dispatcher_beside_those_that_wait(void **state)
{
    (void)state;
    assert_all_wake(true, close_here);
}

/* ---- A child ------------------------------------------------------------------------------------------------------- */

static int use_and_close(void *arg)
{
    struct hqq_advanced *advanced = arg;
    struct hqq_received received;
    struct hqq_advanced_stats stats;
    struct hqq_connection *connection;
    const int results[] = {
        hqq_advanced_send(advanced, 0, "x", 1, 0),
        hqq_advanced_post(advanced, 0, "x", 1),
        hqq_advanced_receive(advanced, HQQ_FOREVER, &received),
        hqq_advanced_process(advanced, HQQ_FOREVER),
        hqq_advanced_dial(advanced, HQQ_FOREVER, &connection),
        hqq_connection_send(connected[0], "x", 1, HQQ_FOREVER),
        hqq_advanced_call(advanced, 1, "x", 1, HQQ_FOREVER, NULL, NULL),
        hqq_advanced_negotiate(advanced, HQQ_FOREVER),
        hqq_advanced_start(advanced, NULL),
        hqq_advanced_stop(advanced),
        hqq_advanced_shutdown(advanced),
        hqq_advanced_get_stats(advanced, &stats),
    };
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i] != HQQ_ERROR_FORKED)
            return 1 + (int)i;
    }
    hqq_connection_close(connected[0], 0);
    hqq_advanced_close(advanced);
    return 0;
}

static void a_forked_child_may_close_its_copy_and_nothing_else(void **state)
{
    (void)state;
    duo_connect(&duo, connected);
    make_descriptor();
    assert_int_equal(child_run(use_and_close, duo.end[0]), 0);
    assert_int_equal(child_run(use_and_close, duo.end[1]), 0);
    assert_int_equal(hqq_connection_send(connected[0], "mine", 4, 0), 0);
    advanced_assert_connection_receives(duo.end[1], connected[1], "mine", 4, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processing_says_whether_there_was_anything),
        TEST(one_thread_drives_both_ends),
        TEST(the_dispatcher_runs_once_and_again),
        TEST(the_dispatcher_ends_with_the_link),
        TEST(statistics_of_the_peer_are_the_peers),
        TEST(it_is_readable_while_there_is_a_message),
        TEST(it_is_readable_while_there_is_a_connection),
        TEST(it_is_readable_while_there_is_a_request_without_a_handler),
        TEST(it_is_readable_once_the_link_has_ended),
        TEST(it_says_what_was_there_before_it_was_made),
        TEST(the_dispatcher_raises_it),
        TEST(a_shutdown_wakes_every_wait_here),
        TEST(a_shutdown_wakes_every_wait_at_the_peer),
        TEST(a_close_waits_for_every_wait_to_end),
        TEST(a_close_wakes_every_wait_at_the_peer),
        TEST(a_close_stops_the_dispatcher_beside_those_that_wait),
        TEST(a_forked_child_may_close_its_copy_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
