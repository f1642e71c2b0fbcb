/* What stands still elsewhere: full rings with thousands of control packets on both sides, a peer that asks and does not
 * read, a full inbox beside a peer that has gone, small rings, and connections that are closed under whoever waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>

#include <hqq/error.h>

#include "advanced/control.h"
#include "advanced/output.h"
#include "platform/clock.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 8
#define SIZE 64
#define CONTROLS 4096 /* beyond so many that wait questions are not answered */

static unsigned char bytes[20000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 5);
    return 0;
}

/* ---- Control packets ----------------------------------------------------------------------------------------------------- */

/* Each end owes the other one so many packets that mean nothing any more, and both rings are full of them. */
static void two_ends_that_owe_each_other_thousands_of_packets_go_on(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL);
    for (int i = 0; i < 2; i++) {
        hqq_advanced_lock(duo.end[i]);
        for (uint64_t n = 0; n < CONTROLS + 100; n++) {
            const struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_CONN_CLOSE, 1000 + n, 0, 0);
            assert_int_equal(hqq_control_queue(duo.end[i], &packet), 0);
        }
        hqq_output_push(duo.end[i]);
        hqq_advanced_unlock(duo.end[i]);
        assert_true(duo.end[i]->controls >= CONTROLS);
    }
    duo_settle(&duo);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(duo.end[i]->controls, 0);
        assert_int_equal(advanced_stats(duo.end[i]).late_frames, CONTROLS + 100);
    }
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "on", 2, 0), 0);
    advanced_assert_receives(duo.end[1], "on", 2, 0);
    duo_close(&duo);
}

static _Atomic int flushed;

/* Two programs that dial, and never let the other end be answered: both get through, or are told that they do not. */
static int dial_and_close(struct caller *caller)
{
    struct hqq_advanced *advanced = caller->arg;
    int failure = 0;
    for (int i = 0; i < 3 * CONTROLS && failure == 0; i++) {
        struct hqq_connection *connection;
        int result = hqq_advanced_dial(advanced, 0, &connection);
        if (result == 0)
            hqq_connection_close(connection, 0);
        else if (result != HQQ_ERROR_WOULD_BLOCK && result != HQQ_ERROR_TOO_MANY_CONNECTIONS &&
                 result != HQQ_ERROR_CONN_NOT_FOUND) /* refused: the peer does not listen any more */
            failure = result;
    }
    int result = hqq_advanced_flush(advanced, advanced_soon());
    atomic_fetch_add(&flushed, 1);
    while (atomic_load(&flushed) < 2) /* the other end may need this one to read */
        (void)hqq_advanced_process(advanced, hqq_clock_ns() + HQQ_NS_PER_MS);
    return failure != 0 ? failure : result;
}

static void two_ends_that_only_dial_do_not_block_one_another(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL);
    struct caller dialler[2];
    atomic_store(&flushed, 0);
    for (int i = 0; i < 2; i++) {
        dialler[i] = (struct caller){.call = dial_and_close, .arg = duo.end[i]};
        caller_start(&dialler[i]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(caller_join(&dialler[i]), 0);
    duo_close(&duo);
}

static void a_peer_that_asks_and_does_not_read_is_listened_to_and_not_answered(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES);
    const struct hqq_chunk message = {0, 1, 4, 0, 4, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0};
    for (uint64_t i = 1; i <= CONTROLS + 100; i++)
        by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 2 * i - 1, 0, 0);
    assert_int_equal(hand.advanced->controls, CONTROLS);
    assert_true(advanced_stats(hand.advanced).answers_dropped >= 100 - COUNT);
    by_hand_chunk(&hand, &message, bytes);
    advanced_assert_receives(hand.advanced, bytes, 4, 0);

    /* A connection whose dialler could not be told is none. */
    assert_int_equal(hqq_advanced_listen(hand.advanced, 5), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 3 * CONTROLS + 1, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).connections, 0);
    struct hqq_connection *connection;
    assert_int_equal(hqq_advanced_dial(hand.advanced, 0, &connection), HQQ_ERROR_TOO_MANY_CONNECTIONS);

    /* Once it reads, it is answered again. */
    struct hqq_packet packet;
    for (int i = 0; i < CONTROLS + COUNT; i++) {
        (void)by_hand_take(&hand, &packet, NULL, 0);
        (void)advanced_drive(hand.advanced);
    }
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 3 * CONTROLS + 3, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).connections, 1);
    by_hand_close(&hand);
}

static uint64_t controls_after(struct by_hand *hand, uint64_t opcode, uint64_t times)
{
    for (uint64_t i = 1; i <= times; i++)
        by_hand_say(hand, opcode, i, 0, 0);
    return hand->advanced->controls;
}

/* Of answers of which the last one counts one waits, which says the last. */
static void statistics_that_wait_to_be_told_are_told_once(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES | HQQ_FEATURE_STATISTICS);
    struct hqq_packet packet, last = {0};
    assert_int_equal(controls_after(&hand, HQQ_OPCODE_STATS_ASK, 1000), 1);
    while (by_hand_take(&hand, &packet, NULL, 0)) {
        last = packet;
        (void)advanced_drive(hand.advanced);
    }
    assert_int_equal(last.opcode, HQQ_OPCODE_STATS);
    assert_int_equal(last.operand[0], 1000);
    by_hand_close(&hand);
}

static void credit_that_waits_to_be_told_is_told_once(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.window = 1024};
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, &config, ORIGINAL_FEATURES | HQQ_FEATURE_FLOW_CONTROL);
    struct hqq_packet packet, last = {0};
    for (uint64_t i = 1; i <= 100; i++) {
        const struct hqq_chunk message = {0, i, SIZE, 0, SIZE, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0};
        by_hand_chunk(&hand, &message, bytes);
        advanced_assert_receives(hand.advanced, bytes, SIZE, 0);
        assert_true(hand.advanced->controls <= 1);
    }
    while (by_hand_take(&hand, &packet, NULL, 0)) {
        last = packet;
        (void)advanced_drive(hand.advanced);
    }
    assert_int_equal(last.opcode, HQQ_OPCODE_CREDIT);
    assert_int_equal(last.operand[1], hand.advanced->ground->granted_limit);
    by_hand_close(&hand);
}

/* ---- A full inbox --------------------------------------------------------------------------------------------------------- */

static struct by_hand open_with_a_full_inbox(void)
{
    const struct hqq_advanced_config config = {.max_received_bytes = 100};
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, &config, ORIGINAL_FEATURES);
    const struct hqq_chunk message = {0, 1, SIZE, 0, SIZE, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0};
    by_hand_chunk(&hand, &message, bytes);
    assert_true(hand.advanced->waiting_bytes >= 100);
    hand.advanced->link->peer_check_ns = HQQ_NS_PER_MS;
    return hand;
}

static int call_something(struct caller *caller)
{
    return hqq_advanced_call(caller->arg, 1, "q", 1, advanced_soon(), NULL, NULL);
}

static int dial_somebody(struct caller *caller)
{
    struct hqq_connection *connection;
    return hqq_advanced_dial(caller->arg, advanced_soon(), &connection);
}

static void a_caller_beside_a_full_inbox_sees_that_the_peer_has_gone(void **state)
{
    (void)state;
    int (*const calls[])(struct caller * caller) = {call_something, dial_somebody};
    for (size_t i = 0; i < 2; i++) {
        struct by_hand hand = open_with_a_full_inbox();
        struct caller caller = {.call = calls[i], .arg = hand.advanced};
        caller_start(&caller);
        advanced_await_waiters(hand.advanced, 1);
        assert_int_equal(hqq_link_shutdown(hand.pair.primary), 0);
        assert_int_equal(caller_join(&caller), HQQ_ERROR_CLOSED);
        advanced_assert_receives(hand.advanced, bytes, SIZE, 0); /* what came before is there */
        by_hand_close(&hand);
    }
}

static void a_caller_beside_a_full_inbox_sees_its_deadline(void **state)
{
    (void)state;
    struct by_hand hand = open_with_a_full_inbox();
    uint64_t soon = hqq_clock_ns() + 20 * HQQ_NS_PER_MS;
    assert_int_equal(hqq_advanced_call(hand.advanced, 1, "q", 1, soon, NULL, NULL), HQQ_ERROR_TIMEOUT);
    assert_true(hqq_clock_ns() >= soon);
    by_hand_close(&hand);
}

/* ---- An empty message that is finished -------------------------------------------------------------------------------------- */

static struct hqq_outgoing *begin_beside_a_full_ring(struct by_hand *hand)
{
    struct hqq_outgoing *outgoing;
    *hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(hqq_advanced_send(hand->advanced, 0, "x", 1, 0), 0);
    assert_int_equal(hqq_outgoing_begin(hand->advanced, 0, 0, &outgoing), 0);
    return outgoing;
}

static void finishing_an_empty_message_ends_at_its_deadline_and_may_be_tried_again(void **state)
{
    (void)state;
    struct by_hand hand;
    struct hqq_packet packet = {0};
    struct hqq_outgoing *outgoing = begin_beside_a_full_ring(&hand);
    assert_int_equal(hqq_outgoing_finish(outgoing, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_outgoing_finish(outgoing, hqq_clock_ns() + HQQ_NS_PER_MS), HQQ_ERROR_TIMEOUT);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(hqq_outgoing_finish(outgoing, 0), 0);
    while (by_hand_take(&hand, &packet, NULL, 0))
        ;
    assert_int_equal(packet.operand[2], 0);
    assert_int_equal(packet.operand[5], HQQ_FRAME_BEGIN | HQQ_FRAME_END);
    by_hand_close(&hand);
}

static int finish(struct caller *caller)
{
    return hqq_outgoing_finish(caller->arg, HQQ_FOREVER);
}

static void finishing_an_empty_message_sees_that_the_peer_has_gone(void **state)
{
    (void)state;
    struct by_hand hand;
    struct hqq_outgoing *outgoing = begin_beside_a_full_ring(&hand);
    struct caller caller = {.call = finish, .arg = outgoing};
    caller_start(&caller);
    advanced_await_waiters(hand.advanced, 1);
    assert_int_equal(hqq_link_shutdown(hand.pair.primary), 0);
    assert_int_equal(caller_join(&caller), HQQ_ERROR_CLOSED);
    by_hand_close(&hand);
}

/* ---- Small rings ----------------------------------------------------------------------------------------------------------- */

/* Whatever part of the ring its class may fill, if it fits the ring at all. */
static void a_message_that_fits_an_idle_ring_gets_through_at_once(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL); /* with classes */
    assert_true(hqq_advanced_is_qos_enabled(duo.end[0]));
    for (int class = HQQ_PRIORITY_BULK; class <= HQQ_PRIORITY_URGENT; class ++) {
        assert_int_equal(hqq_advanced_set_priority(duo.end[0], (enum hqq_priority) class), 0);
        for (size_t chunks = 1; chunks <= COUNT; chunks++) {
            assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, chunks * SIZE, 0), 0);
            advanced_assert_receives(duo.end[1], bytes, chunks * SIZE, 0);
            duo_settle(&duo);
        }
    }
    /* The same of one who would wait, which is as good as for ever if nobody reads. */
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, 7 * SIZE, advanced_soon()), 0);
    duo_close(&duo);
}

static void a_message_that_may_not_wait_goes_as_a_whole_or_not_at_all(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, 0), 0);
    uint64_t depth = hqq_ring_depth(&duo.pair.primary->tx);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, COUNT * SIZE, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_ring_depth(&duo.pair.primary->tx), depth); /* nothing that would have to be aborted */
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, (COUNT - 1) * SIZE, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "y", 1, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[0]).messages_aborted, 0);
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], "x", 1, 0);
    advanced_assert_receives(duo.end[1], bytes, (COUNT - 1) * SIZE, 0);
    duo_close(&duo);
}

/* ---- A connection that is closed here ----------------------------------------------------------------------------------------- */

static struct hqq_connection *ends[2];

static int receive_one(struct caller *caller)
{
    struct hqq_received received;
    return hqq_connection_receive(caller->arg, advanced_soon(), &received);
}

static int send_much(struct caller *caller)
{
    return hqq_connection_send(caller->arg, bytes, sizeof(bytes), advanced_soon());
}

static int call_it(struct caller *caller)
{
    return hqq_connection_call(caller->arg, 1, "q", 1, advanced_soon(), NULL, NULL);
}

static void whoever_waits_on_a_connection_is_told_when_it_is_closed_here(void **state)
{
    (void)state;
    int (*const waits[])(struct caller * caller) = {receive_one, send_much, call_it};
    for (size_t i = 0; i < 3; i++) {
        struct duo duo = duo_agreed(COUNT, SIZE, NULL);
        struct caller waiter = {.call = waits[i]};
        duo_connect(&duo, ends);
        waiter.arg = ends[0];
        caller_start(&waiter);
        advanced_await_waiters(duo.end[0], 1);
        hqq_connection_close(ends[0], 7);
        assert_int_equal(caller_join(&waiter), HQQ_ERROR_CLOSED);
        duo_settle(&duo);
        assert_int_equal(hqq_connection_state(ends[1]), HQQ_CONNECTION_CLOSED);
        assert_int_equal(hqq_connection_close_reason(ends[1]), 7);
        assert_int_equal(advanced_stats(duo.end[0]).connections, 0);
        assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 0);
        duo_close(&duo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_that_owe_each_other_thousands_of_packets_go_on),
        cmocka_unit_test(two_ends_that_only_dial_do_not_block_one_another),
        cmocka_unit_test(a_peer_that_asks_and_does_not_read_is_listened_to_and_not_answered),
        cmocka_unit_test(statistics_that_wait_to_be_told_are_told_once),
        cmocka_unit_test(credit_that_waits_to_be_told_is_told_once),
        cmocka_unit_test(a_caller_beside_a_full_inbox_sees_that_the_peer_has_gone),
        cmocka_unit_test(a_caller_beside_a_full_inbox_sees_its_deadline),
        cmocka_unit_test(finishing_an_empty_message_ends_at_its_deadline_and_may_be_tried_again),
        cmocka_unit_test(finishing_an_empty_message_sees_that_the_peer_has_gone),
        cmocka_unit_test(a_message_that_fits_an_idle_ring_gets_through_at_once),
        cmocka_unit_test(a_message_that_may_not_wait_goes_as_a_whole_or_not_at_all),
        cmocka_unit_test(whoever_waits_on_a_connection_is_told_when_it_is_closed_here),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
