/* Connections from dial to close: ids, states, who is refused, what can still be received, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "advanced/connect.h"
#include "platform/clock.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 8
#define SIZE 64
#define MANY 20
#define FIRST_ID ((UINT64_C(1) << 31) + 1) /* beside a peer that has none of our features, and may count from 1 */

static struct duo duo;
static struct hqq_connection *ends[2];
static unsigned char bytes[20000];

static int set_up(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES};
    pattern(bytes, sizeof(bytes), 2);
    duo = duo_agreed(COUNT, SIZE, &config);
    return 0;
}

static int set_up_connected(void **state)
{
    (void)set_up(state);
    duo_connect(&duo, ends);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

struct dialling {
    struct hqq_advanced *advanced;
    struct hqq_connection *connection;
};

static int dial(struct caller *caller)
{
    struct dialling *dialling = caller->arg;
    return hqq_advanced_dial(dialling->advanced, advanced_soon(), &dialling->connection);
}

static int receive_none(int end)
{
    struct hqq_received received;
    return hqq_connection_receive(ends[end], 0, &received);
}

/* ---- Opening ------------------------------------------------------------------------------------------------------- */

static void a_dial_is_accepted_and_both_ends_are_open(void **state)
{
    (void)state;
    struct dialling dialling = {.advanced = duo.end[0]};
    struct caller dialler = {.call = dial, .arg = &dialling};
    assert_int_equal(hqq_advanced_listen(duo.end[1], 1), 0);
    uint64_t before = hqq_clock_ns();
    caller_start(&dialler);
    assert_int_equal(hqq_advanced_accept(duo.end[1], advanced_soon(), &ends[1]), 0);
    assert_int_equal(caller_join(&dialler), 0);
    ends[0] = dialling.connection;
    for (int i = 0; i < 2; i++) {
        struct hqq_connection_info info;
        hqq_connection_get_info(ends[i], &info);
        assert_int_equal(info.id, FIRST_ID);
        assert_int_equal(info.state, HQQ_CONNECTION_OPEN);
        assert_int_equal(info.is_dialled, i == 0);
        assert_int_equal(info.priority, HQQ_PRIORITY_NORMAL);
        assert_in_range(info.created_ns, before, hqq_clock_ns());
        assert_int_equal(advanced_stats(duo.end[i]).connections_opened, 1);
        assert_int_equal(advanced_stats(duo.end[i]).connections, 1);
    }
}

/* The end that accepts makes no other call: what it owes to the dialler goes out with this one. */
static void an_accept_that_does_not_wait_tells_the_dialler(void **state)
{
    (void)state;
    struct dialling dialling = {.advanced = duo.end[0]};
    struct caller dialler = {.call = dial, .arg = &dialling};
    assert_int_equal(hqq_advanced_listen(duo.end[1], 1), 0);
    caller_start(&dialler);
    while (hqq_advanced_accept(duo.end[1], 0, &ends[1]) == HQQ_ERROR_WOULD_BLOCK)
        ;
    assert_int_equal(caller_join(&dialler), 0);
}

static void the_primary_gives_out_odd_ids_and_the_secondary_even_ones(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        assert_int_equal(hqq_advanced_listen(duo.end[1 - from], MANY), 0);
        assert_int_equal(hqq_advanced_start(duo.end[1 - from], NULL), 0);
        uint64_t last = 0;
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(hqq_advanced_dial(duo.end[from], advanced_soon(), &ends[0]), 0);
            assert_int_equal(hqq_connection_id(ends[0]) % 2, 1 - from);
            assert_true(hqq_connection_id(ends[0]) > last);
            last = hqq_connection_id(ends[0]);
        }
        assert_int_equal(hqq_advanced_stop(duo.end[1 - from]), 0);
    }
    assert_int_equal(advanced_stats(duo.end[0]).connections, 2 * MANY);
    assert_int_equal(advanced_stats(duo.end[1]).connections, 2 * MANY);
}

static void beside_a_peer_of_this_library_ids_begin_at_one(void **state)
{
    (void)state;
    struct hqq_connection *both[2];
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES | HQQ_FEATURE_STATISTICS};
    struct duo own = duo_agreed(COUNT, SIZE, &config);
    duo_connect(&own, both);
    assert_int_equal(hqq_connection_id(both[0]), 1);
    duo_close(&own);
}

/* The reference implementation counts 1, 2, 3, at both ends, also of what was refused. */
static void a_dial_that_counts_from_one_is_accepted_beside_our_own(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES); /* the secondary */
    struct hqq_connection *dialled = NULL, *accepted = NULL;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 10), 0);
    for (uint64_t id = 1; id <= 3; id++) {
        hqq_advanced_lock(hand.advanced);
        assert_int_equal(hqq_connect_begin(hand.advanced, &dialled), 0);
        hqq_advanced_unlock(hand.advanced);
        (void)advanced_drive(hand.advanced);
        by_hand_assert_said(&hand, HQQ_OPCODE_CONN_CREATE, (UINT64_C(1) << 31) + 2 * id, 0, 0);
        by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, id, 0, 0);
        by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, id, 0, 0);
        by_hand_say(&hand, HQQ_OPCODE_CONN_ACCEPT, hqq_connection_id(dialled), 0, 0);
        assert_int_equal(hqq_connection_state(dialled), HQQ_CONNECTION_OPEN);
        assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &accepted), 0);
        assert_int_equal(hqq_connection_id(accepted), id);
        hqq_connection_close(accepted, 0);
        by_hand_assert_said(&hand, HQQ_OPCODE_CONN_CLOSE, id, 0, 0);
    }
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 0);
    by_hand_close(&hand);
}

/* Dials, is refused with that code, and says which id it used. */
static uint64_t id_of_a_refused_dial(struct by_hand *hand, uint64_t code)
{
    struct hqq_packet create = {0};
    struct hqq_connection *connection = NULL;
    hqq_advanced_lock(hand->advanced);
    assert_int_equal(hqq_connect_begin(hand->advanced, &connection), 0);
    hqq_advanced_unlock(hand->advanced);
    (void)advanced_drive(hand->advanced);
    assert_true(by_hand_take(hand, &create, NULL, 0));
    by_hand_say(hand, HQQ_OPCODE_ERROR, create.operand[0], code, 0);
    assert_int_equal(hqq_connection_state(connection), HQQ_CONNECTION_CLOSED);
    hqq_connection_close(connection, 0);
    by_hand_assert_silent(hand);
    return create.operand[0];
}

static void a_refused_dial_gives_its_id_back(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES);
    uint64_t first = id_of_a_refused_dial(&hand, HQQ_ERROR_CONN_NOT_FOUND);
    assert_int_equal(id_of_a_refused_dial(&hand, HQQ_ERROR_CONN_NOT_FOUND), first);
    /* An id that the peer calls invalid would be so again. */
    assert_int_equal(id_of_a_refused_dial(&hand, HQQ_ERROR_INVALID_OP), first);
    assert_int_equal(id_of_a_refused_dial(&hand, HQQ_ERROR_CONN_NOT_FOUND), first + 2);
    by_hand_close(&hand);
}

static void a_dial_where_nobody_listens_is_refused(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_dial(duo.end[0], advanced_soon(), &ends[0]), HQQ_ERROR_CONN_NOT_FOUND);
    assert_int_equal(advanced_stats(duo.end[1]).connections_refused, 1);
    assert_int_equal(advanced_stats(duo.end[0]).connections, 0);
    assert_int_equal(advanced_stats(duo.end[0]).errors, 1);
}

/* The accept comes when nobody waits for it any more; the peer is told that, too. */
static void a_dial_that_has_timed_out_is_closed_at_the_other_end(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen(duo.end[1], 2), 0);
    assert_int_equal(hqq_advanced_dial(duo.end[0], hqq_clock_ns() + HQQ_NS_PER_MS, &ends[0]), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_advanced_dial(duo.end[0], 0, &ends[0]), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[0]).connections, 0);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[0]).late_frames, 2);
    assert_int_equal(advanced_stats(duo.end[1]).connections, 0);
    assert_int_equal(hqq_advanced_accept(duo.end[1], 0, &ends[1]), 0);
    assert_int_equal(hqq_connection_state(ends[1]), HQQ_CONNECTION_CLOSED);
    assert_int_equal(receive_none(1), HQQ_ERROR_CLOSED);
    hqq_connection_close(ends[1], 0);
}

/* ---- Messages ------------------------------------------------------------------------------------------------------ */

static void messages_arrive_on_their_connection_and_are_counted(void **state)
{
    (void)state;
    struct hqq_connection_info infos[2];
    assert_int_equal(hqq_connection_post(ends[0], bytes, 1000), 0);
    assert_int_equal(hqq_connection_post(ends[1], bytes, 10), 0);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, "x", 1), 0);
    duo_settle(&duo);
    hqq_connection_get_info(ends[1], &infos[1]);
    assert_int_equal(infos[1].waiting_bytes, 1000);
    advanced_assert_connection_receives(duo.end[1], ends[1], bytes, 1000, 0);
    advanced_assert_connection_receives(duo.end[0], ends[0], bytes, 10, 0);
    advanced_assert_receives(duo.end[1], "x", 1, 0);
    for (int i = 0; i < 2; i++) {
        uint64_t sent = i == 0 ? 1000 : 10;
        hqq_connection_get_info(ends[i], &infos[i]);
        assert_int_equal(infos[i].messages_sent, 1);
        assert_int_equal(infos[i].bytes_sent, sent);
        assert_int_equal(infos[i].messages_received, 1);
        assert_int_equal(infos[i].bytes_received, 1010 - sent);
        assert_int_equal(infos[i].waiting_bytes, 0);
        assert_true(infos[i].used_ns >= infos[i].created_ns);
    }
}

static void all_connections_are_enumerated_as_far_as_there_is_room(void **state)
{
    (void)state;
    struct hqq_connection_info infos[3];
    struct hqq_connection *others[2];
    size_t count = 99;
    duo_connect(&duo, others);
    assert_int_equal(hqq_advanced_connections(duo.end[0], infos, 3, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(infos[0].id + infos[1].id, hqq_connection_id(ends[0]) + hqq_connection_id(others[0]));
    infos[1].id = 77;
    assert_int_equal(hqq_advanced_connections(duo.end[0], infos, 1, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(infos[1].id, 77);
    hqq_connection_close(others[0], 0);
    assert_int_equal(hqq_advanced_connections(duo.end[0], NULL, 0, &count), 0);
    assert_int_equal(count, 1);
}

/* ---- Closing ------------------------------------------------------------------------------------------------------- */

static void what_came_before_the_close_can_still_be_received(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(ends[0], bytes, 300), 0);
    assert_int_equal(hqq_connection_post(ends[0], "last", 4), 0);
    hqq_connection_close(ends[0], 77);
    duo_settle(&duo);
    assert_int_equal(hqq_connection_state(ends[1]), HQQ_CONNECTION_CLOSED);
    assert_int_equal(hqq_connection_close_reason(ends[1]), 77);
    assert_int_equal(hqq_connection_send(ends[1], "x", 1, HQQ_FOREVER), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_connection_post(ends[1], "x", 1), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_connection_call(ends[1], 1, "x", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_CLOSED);
    advanced_assert_connection_receives(duo.end[1], ends[1], bytes, 300, HQQ_FOREVER);
    advanced_assert_connection_receives(duo.end[1], ends[1], "last", 4, HQQ_FOREVER);
    struct hqq_received received;
    assert_int_equal(hqq_connection_receive(ends[1], HQQ_FOREVER, &received), HQQ_ERROR_CLOSED);
    hqq_connection_close(ends[1], 0);
    assert_int_equal(advanced_stats(duo.end[0]).late_frames, 0);
}

/* More than the ring holds: the connection is closing until all of it has gone. */
static void what_was_posted_goes_out_before_the_close(void **state)
{
    (void)state;
    struct hqq_connection_info info;
    size_t count;
    assert_int_equal(hqq_connection_post(ends[0], bytes, sizeof(bytes)), 0);
    hqq_connection_close(ends[0], 5);
    assert_int_equal(hqq_advanced_connections(duo.end[0], &info, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(info.state, HQQ_CONNECTION_CLOSING);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_connections(duo.end[0], &info, 1, &count), 0);
    assert_int_equal(count, 0);
    advanced_assert_connection_receives(duo.end[1], ends[1], bytes, sizeof(bytes), 0);
    assert_int_equal(receive_none(1), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_connection_close_reason(ends[1]), 5);
}

static int send_much(struct caller *caller)
{
    return hqq_connection_send(caller->arg, bytes, sizeof(bytes), advanced_soon());
}

static int receive_one(struct caller *caller)
{
    struct hqq_received received;
    return hqq_connection_receive(caller->arg, advanced_soon(), &received);
}

static void a_close_by_the_peer_wakes_who_sends_and_who_receives(void **state)
{
    (void)state;
    struct caller sender = {.call = send_much, .arg = ends[0]}, receiver = {.call = receive_one, .arg = ends[0]};
    caller_start(&sender);
    caller_start(&receiver);
    advanced_await_waiters(duo.end[0], 2);
    hqq_connection_close(ends[1], 3);
    struct caller *callers[] = {&sender, &receiver};
    (void)hqq_advanced_process(duo.end[1], 0); /* makes room for a part of what the sender has to say, not for all */
    for (int i = 0; i < 2; i++)
        assert_int_equal(caller_join(callers[i]), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_connection_close_reason(ends[0]), 3);
}

/* The end that closes first has some of a message that will never be whole. */
static void nothing_is_left_of_messages_that_were_under_way(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(ends[0], bytes, sizeof(bytes)), 0);
    (void)hqq_advanced_process(duo.end[1], 0);
    assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 1);
    hqq_connection_close(ends[1], 0);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 0);
    assert_int_equal(advanced_stats(duo.end[1]).partial_bytes, 0);
    assert_int_equal(duo.end[0]->posted_bytes, 0);
    hqq_connection_close(ends[0], 0);
}

static void a_message_that_breaks_off_by_a_close_is_not_delivered(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], hqq_connection_id(ends[0]), 200, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 100, 0), 0);
    hqq_connection_close(ends[0], 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 100, 0), HQQ_ERROR_CLOSED);
    hqq_outgoing_abort(outgoing);
    duo_settle(&duo);
    assert_int_equal(receive_none(1), HQQ_ERROR_CLOSED);
    assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 0);
}

static void frames_for_a_connection_that_was_closed_are_late(void **state)
{
    (void)state;
    hqq_connection_close(ends[1], 0);
    assert_int_equal(hqq_connection_post(ends[0], "crosses the close", 17), 0);
    assert_int_equal(hqq_connection_post(ends[0], bytes, 150), 0);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[1]).late_frames, 2);
    assert_int_equal(advanced_stats(duo.end[1]).invalid_frames, 0);
    assert_int_equal(advanced_stats(duo.end[1]).messages_received, 0);
    assert_int_equal(hqq_connection_state(ends[0]), HQQ_CONNECTION_CLOSED);
}

static void closing_one_disturbs_no_other(void **state)
{
    (void)state;
    struct hqq_connection *others[2];
    duo_connect(&duo, others);
    assert_int_equal(hqq_connection_post(ends[0], bytes, sizeof(bytes)), 0);
    assert_int_equal(hqq_connection_post(others[0], bytes, 1000), 0);
    hqq_connection_close(ends[1], 0);
    duo_settle(&duo);
    advanced_assert_connection_receives(duo.end[1], others[1], bytes, 1000, 0);
    assert_int_equal(hqq_connection_send(others[1], "y", 1, 0), 0);
    advanced_assert_connection_receives(duo.end[0], others[0], "y", 1, 0);
}

static void a_message_that_was_received_outlives_its_connection(void **state)
{
    (void)state;
    struct hqq_received received;
    assert_int_equal(hqq_connection_send(ends[0], "kept", 4, 0), 0);
    assert_int_equal(hqq_connection_receive(ends[1], 0, &received), 0);
    hqq_connection_close(ends[1], 0);
    hqq_connection_close(NULL, 0);
    assert_memory_equal(received.data, "kept", 4);
    hqq_received_free(duo.end[1], &received);
}

static void the_end_of_the_link_closes_all_connections(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_send(ends[0], "before", 6, 0), 0);
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
    (void)advanced_drive(duo.end[1]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_connection_state(ends[i]), HQQ_CONNECTION_CLOSED);
    advanced_assert_connection_receives(duo.end[1], ends[1], "before", 6, 0);
    assert_int_equal(receive_none(1), HQQ_ERROR_CLOSED);
    hqq_connection_close(ends[1], 0);
    assert_int_equal(hqq_advanced_dial(duo.end[1], HQQ_FOREVER, &ends[1]), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_advanced_accept(duo.end[1], HQQ_FOREVER, &ends[1]), HQQ_ERROR_CLOSED);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define CONNECTED(function) cmocka_unit_test_setup_teardown(function, set_up_connected, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dial_is_accepted_and_both_ends_are_open),
        TEST(an_accept_that_does_not_wait_tells_the_dialler),
        TEST(the_primary_gives_out_odd_ids_and_the_secondary_even_ones),
        cmocka_unit_test(beside_a_peer_of_this_library_ids_begin_at_one),
        cmocka_unit_test(a_dial_that_counts_from_one_is_accepted_beside_our_own),
        cmocka_unit_test(a_refused_dial_gives_its_id_back),
        TEST(a_dial_where_nobody_listens_is_refused),
        TEST(a_dial_that_has_timed_out_is_closed_at_the_other_end),
        CONNECTED(messages_arrive_on_their_connection_and_are_counted),
        CONNECTED(all_connections_are_enumerated_as_far_as_there_is_room),
        CONNECTED(what_came_before_the_close_can_still_be_received),
        CONNECTED(what_was_posted_goes_out_before_the_close),
        CONNECTED(a_close_by_the_peer_wakes_who_sends_and_who_receives),
        CONNECTED(nothing_is_left_of_messages_that_were_under_way),
        CONNECTED(a_message_that_breaks_off_by_a_close_is_not_delivered),
        CONNECTED(frames_for_a_connection_that_was_closed_are_late),
        CONNECTED(closing_one_disturbs_no_other),
        CONNECTED(a_message_that_was_received_outlives_its_connection),
        CONNECTED(the_end_of_the_link_closes_all_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
