/* Frames that are malformed or that nobody expects, made by hand: dropped, counted each as what it is, and what comes
 * after them works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 16
#define SIZE 64
#define ONLY (HQQ_FRAME_BEGIN | HQQ_FRAME_END)

static struct by_hand hand;
static struct hqq_advanced_stats before;
static unsigned char bytes[256];
static uint64_t next_message = 1000;

static int open_with(uint64_t features)
{
    pattern(bytes, sizeof(bytes), 4);
    hand = by_hand_agreed(COUNT, SIZE, NULL, features);
    before = advanced_stats(hand.advanced);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return open_with(ORIGINAL_FEATURES);
}

static int set_up_all(void **state)
{
    (void)state;
    return open_with(ORIGINAL_FEATURES | HQQ_FEATURE_FLOW_CONTROL | HQQ_FEATURE_STATISTICS);
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void put(uint64_t message, uint64_t total, uint64_t offset, uint64_t size, uint64_t flags)
{
    const struct hqq_chunk chunk = {0, message, total, offset, size, flags, 0};
    by_hand_chunk(&hand, &chunk, size <= SIZE && offset <= sizeof(bytes) - SIZE ? bytes + offset : NULL);
}

static int receive_none(void)
{
    struct hqq_received received;
    return hqq_advanced_receive(hand.advanced, 0, &received);
}

/* So much was counted since the beginning of the test; a good message still arrives. */
static void assert_counted(uint64_t invalid, uint64_t late, uint64_t refused)
{
    struct hqq_advanced_stats after = advanced_stats(hand.advanced);
    assert_int_equal(after.invalid_frames - before.invalid_frames, invalid);
    assert_int_equal(after.late_frames - before.late_frames, late);
    assert_int_equal(after.messages_refused - before.messages_refused, refused);
    assert_int_equal(after.partial_messages, 0);
    assert_int_equal(after.partial_bytes, 0);
    uint64_t message = next_message++;
    put(message, 100, 0, 64, HQQ_FRAME_BEGIN);
    put(message, 100, 64, 36, HQQ_FRAME_END);
    advanced_assert_receives(hand.advanced, bytes, 100, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_WOULD_BLOCK);
    by_hand_assert_silent(&hand);
}

/* ---- Chunks of a message under way --------------------------------------------------------------------------------- */

/* A second chunk that makes no sense ends the message, whose rest belongs to nobody any more. */
static void assert_second_chunk_ends_it(uint64_t total, uint64_t offset, uint64_t size, uint64_t flags)
{
    uint64_t message = next_message++;
    before = advanced_stats(hand.advanced);
    put(message, 200, 0, 64, HQQ_FRAME_BEGIN);
    put(message, total, offset, size, flags);
    assert_int_equal(receive_none(), HQQ_ERROR_INVALID_SIZE);
    const struct hqq_chunk abort = {.message = message, .flags = HQQ_FRAME_ABORT};
    by_hand_chunk(&hand, &abort, NULL);
    struct hqq_advanced_stats after = advanced_stats(hand.advanced);
    assert_int_equal(after.invalid_frames - before.invalid_frames, 1);
    assert_int_equal(after.messages_refused - before.messages_refused, 1);
    before = after;
    assert_counted(0, 0, 0);
}

static void a_range_that_came_before_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, 32, 64, 0);
    assert_second_chunk_ends_it(200, 63, 64, 0);
    assert_second_chunk_ends_it(200, 1, 1, 0);
}

static void a_gap_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, 65, 64, 0);
    assert_second_chunk_ends_it(200, 128, 64, 0);
}

static void an_early_end_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, 64, 64, HQQ_FRAME_END);
    assert_second_chunk_ends_it(128, 64, 64, HQQ_FRAME_END);
}

static void a_total_that_changes_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(201, 64, 64, 0);
    assert_second_chunk_ends_it(199, 64, 64, 0);
    assert_second_chunk_ends_it(UINT64_MAX, 64, 64, 0);
}

static void a_kind_that_changes_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, 64, 64, HQQ_FRAME_REQUEST);
    assert_second_chunk_ends_it(200, 64, 64, HQQ_FRAME_ERROR);
}

static void sizes_that_overflow_end_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, UINT64_MAX - 10, 64, 0);
    assert_second_chunk_ends_it(200, 64, UINT64_MAX, 0);
    assert_second_chunk_ends_it(200, 64, SIZE + 1, 0);
    assert_second_chunk_ends_it(200, 64, 0, 0);
}

static void an_unknown_flag_ends_the_message(void **state)
{
    (void)state;
    assert_second_chunk_ends_it(200, 64, 64, 128);
    assert_second_chunk_ends_it(200, 64, 64, HQQ_FRAME_COMPRESSED); /* was not agreed on */
    assert_second_chunk_ends_it(200, 64, 64, UINT64_C(1) << 63);
}

static void a_second_beginning_ends_the_first_message(void **state)
{
    (void)state;
    put(1, 200, 0, 64, HQQ_FRAME_BEGIN);
    put(1, 100, 0, 64, HQQ_FRAME_BEGIN);
    assert_int_equal(receive_none(), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 1);
    put(1, 100, 64, 36, HQQ_FRAME_END);
    advanced_assert_receives(hand.advanced, bytes, 100, 0);
    assert_counted(1, 0, 1);
}

/* ---- Chunks of no message ------------------------------------------------------------------------------------------ */

static void chunks_of_unknown_messages_are_invalid(void **state)
{
    (void)state;
    put(7, 200, 64, 64, 0);
    put(7, 200, 128, 72 - 8, 0);
    put(7, 128, 64, 64, HQQ_FRAME_END);
    assert_counted(3, 0, 0);
}

static void malformed_beginnings_are_invalid(void **state)
{
    (void)state;
    put(7, 200, 0, SIZE + 1, HQQ_FRAME_BEGIN);
    put(7, 200, 0, UINT64_MAX, HQQ_FRAME_BEGIN);
    put(7, UINT64_MAX, 0, 64, HQQ_FRAME_BEGIN);
    put(7, 200, 0, 64, ONLY);
    put(7, 64, 0, 64, HQQ_FRAME_BEGIN);
    put(7, 0, 0, 0, HQQ_FRAME_BEGIN);
    put(7, 1, 0, 1, ONLY | 128);
    put(7, 1, 0, 1, ONLY | HQQ_FRAME_COMPRESSED);
    put(7, 1, 0, 1, ONLY | HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE);
    assert_counted(9, 0, 0);
}

/* The peer may have given up a message whose beginning it could not send any more. */
static void an_abort_of_an_unknown_message_is_late(void **state)
{
    (void)state;
    put(7, 0, 0, 0, HQQ_FRAME_ABORT);
    put(7, 0, 0, 0, HQQ_FRAME_ABORT | HQQ_FRAME_REQUEST);
    put(7, 0, 0, 0, HQQ_FRAME_ABORT | HQQ_FRAME_RESPONSE);
    assert_counted(0, 3, 0);
}

static void a_response_that_nobody_asked_for_is_late(void **state)
{
    (void)state;
    put(7, 1, 0, 1, ONLY | HQQ_FRAME_RESPONSE);
    put(8, 200, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE);
    put(8, 200, 64, 64, HQQ_FRAME_RESPONSE);
    put(8, 200, 128, 64, HQQ_FRAME_RESPONSE);
    put(8, 200, 192, 8, HQQ_FRAME_RESPONSE | HQQ_FRAME_END);
    assert_int_equal(advanced_stats(hand.advanced).late_responses, 2);
    assert_int_equal(advanced_stats(hand.advanced).messages_received, 0);
    assert_counted(0, 0, 0);
}

static void interleaved_messages_are_told_apart(void **state)
{
    (void)state;
    put(1, 200, 0, 64, HQQ_FRAME_BEGIN);
    put(2, 100, 0, 64, HQQ_FRAME_BEGIN);
    put(1, 200, 64, 64, 0);
    put(2, 100, 64, 36, HQQ_FRAME_END);
    put(1, 200, 128, 64, 0);
    put(1, 200, 192, 8, HQQ_FRAME_END);
    advanced_assert_receives(hand.advanced, bytes, 100, 0);
    advanced_assert_receives(hand.advanced, bytes, 200, 0);
    assert_counted(0, 0, 0);
}

/* ---- Kinds, which every chunk says -------------------------------------------------------------------------------- */

static void a_request_says_in_all_its_chunks_that_it_is_one(void **state)
{
    (void)state;
    struct hqq_request *request;
    put(1, 200, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_REQUEST);
    put(1, 200, 64, 64, HQQ_FRAME_REQUEST);
    put(1, 200, 128, 64, HQQ_FRAME_REQUEST);
    put(1, 200, 192, 8, HQQ_FRAME_END | HQQ_FRAME_REQUEST);
    assert_int_equal(hqq_advanced_serve(hand.advanced, 0, &request), 0);
    assert_int_equal(hqq_request_length(request), 200);
    assert_int_equal(hqq_request_message(request), 1);
    assert_memory_equal(hqq_request_data(request), bytes, 200);
    hqq_request_drop(request);
    assert_counted(0, 0, 0);
}

static void a_request_whose_second_chunk_does_not_say_so_is_refused(void **state)
{
    (void)state;
    struct hqq_request *request;
    struct hqq_packet packet;
    put(1, 200, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_REQUEST);
    put(1, 200, 64, 64, 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(packet.operand[5], ONLY | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR);
    assert_int_equal(packet.operand[6], HQQ_ERROR_INVALID_SIZE);
    put(1, 200, 128, 64, HQQ_FRAME_REQUEST);
    put(1, 200, 192, 8, HQQ_FRAME_END | HQQ_FRAME_REQUEST);
    assert_int_equal(hqq_advanced_serve(hand.advanced, 0, &request), HQQ_ERROR_WOULD_BLOCK);
    assert_counted(1, 0, 1);
}

static void a_response_whose_second_chunk_does_not_say_so_waits_for_one_that_does(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_packet packet;
    struct hqq_received answer;
    uint64_t status;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 5, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    uint64_t id = packet.operand[1];
    assert_int_equal(hqq_pending_message(pending), id);
    const struct hqq_chunk first = {0, id, 100, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE, 42};
    by_hand_chunk(&hand, &first, bytes);
    put(id, 100, 64, 36, HQQ_FRAME_END); /* of a message that has not begun */
    assert_int_equal(hqq_pending_wait(pending, 0, &status, &answer), HQQ_ERROR_WOULD_BLOCK);
    put(id, 100, 64, 36, HQQ_FRAME_END | HQQ_FRAME_RESPONSE);
    assert_int_equal(hqq_pending_wait(pending, 0, &status, &answer), 0);
    assert_int_equal(status, 42);
    assert_int_equal(answer.length, 100);
    assert_int_equal(answer.flags, HQQ_MESSAGE_RESPONSE);
    assert_memory_equal(answer.data, bytes, 100);
    hqq_received_free(hand.advanced, &answer);
    assert_counted(1, 0, 0);
}

static void an_error_that_is_no_response_is_not_delivered(void **state)
{
    (void)state;
    put(7, 1, 0, 1, ONLY | HQQ_FRAME_ERROR);
    put(8, 200, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_ERROR);
    assert_counted(2, 0, 0);
}

static void a_method_that_is_said_again_ends_the_message(void **state)
{
    (void)state;
    const struct hqq_chunk again = {0, 1, 200, 64, 64, 0, 5};
    put(1, 200, 0, 64, HQQ_FRAME_BEGIN);
    by_hand_chunk(&hand, &again, bytes);
    assert_int_equal(receive_none(), HQQ_ERROR_INVALID_SIZE);
    assert_counted(1, 0, 1);
}

/* Whoever aborts a message need not say of which kind it was. */
static void an_abort_without_a_kind_ends_a_response_too(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_packet packet;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 5, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    put(packet.operand[1], 100, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE);
    put(packet.operand[1], 0, 0, 0, HQQ_FRAME_ABORT);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), HQQ_ERROR_ABORTED);
    assert_counted(0, 0, 1);
}

/* The numbers of the peer's messages and of its answers to ours are not of one kind. */
static void a_message_and_a_response_of_one_number_are_told_apart(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_packet packet;
    struct hqq_received answer;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 5, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    uint64_t id = packet.operand[1];
    put(id, 200, 0, 64, HQQ_FRAME_BEGIN);
    put(id, 100, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE);
    put(id, 200, 64, 64, 0);
    put(id, 100, 64, 36, HQQ_FRAME_END | HQQ_FRAME_RESPONSE);
    put(id, 200, 128, 64, 0);
    put(id, 200, 192, 8, HQQ_FRAME_END);
    advanced_assert_receives(hand.advanced, bytes, 200, 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, &answer), 0);
    assert_int_equal(answer.length, 100);
    hqq_received_free(hand.advanced, &answer);
    assert_counted(0, 0, 0);
}

static void an_answer_that_breaks_off_fails_its_call(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_packet packet;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 5, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    put(packet.operand[1], 100, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), HQQ_ERROR_WOULD_BLOCK);
    put(packet.operand[1], 0, 0, 0, HQQ_FRAME_ABORT | HQQ_FRAME_RESPONSE);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), HQQ_ERROR_ABORTED);
    assert_counted(0, 0, 1);
}

/* ---- Control packets ----------------------------------------------------------------------------------------------- */

static void say(uint64_t opcode, uint64_t operand0, uint64_t operand1)
{
    by_hand_say(&hand, opcode, operand0, operand1, 0);
}

static void accepts_closes_and_errors_of_unknown_connections_are_late(void **state)
{
    (void)state;
    say(HQQ_OPCODE_CONN_ACCEPT, 2, 0);
    say(HQQ_OPCODE_CONN_CLOSE, 3, 0);
    say(HQQ_OPCODE_ERROR, 4, HQQ_ERROR_CONN_NOT_FOUND);
    say(HQQ_OPCODE_CONN_CLOSE, UINT64_MAX, 0);
    say(HQQ_OPCODE_CONN_CLOSE, 0, 0);
    say(HQQ_OPCODE_CONN_ACCEPT, 0, 0);
    assert_counted(0, 6, 0);
}

static void connections_with_reserved_ids_or_flags_are_refused(void **state)
{
    (void)state;
    const uint64_t ids[] = {0, UINT64_C(1) << 32, UINT64_MAX, 1};
    assert_int_equal(hqq_advanced_listen(hand.advanced, 10), 0);
    for (size_t i = 0; i < 4; i++) {
        say(HQQ_OPCODE_CONN_CREATE, ids[i], i == 3 ? 1 : 0);
        by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, ids[i], HQQ_ERROR_INVALID_OP, 0);
    }
    assert_int_equal(advanced_stats(hand.advanced).connections, 0);
    assert_counted(4, 0, 0);
}

static void an_id_is_used_once(void **state)
{
    (void)state;
    struct hqq_connection *accepted;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 10), 0);
    say(HQQ_OPCODE_CONN_CREATE, 5, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 5, 0, 0);
    say(HQQ_OPCODE_CONN_CREATE, 5, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 5, HQQ_ERROR_INVALID_OP, 0);
    assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &accepted), 0);
    hqq_connection_close(accepted, 9);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_CLOSE, 5, 9, 0);
    say(HQQ_OPCODE_CONN_CREATE, 5, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 5, HQQ_ERROR_INVALID_OP, 0);
    say(HQQ_OPCODE_CONN_ACCEPT, 5, 0); /* it was not even ours to be accepted */
    assert_counted(2, 1, 0);
}

static void an_accept_of_what_is_open_is_invalid(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 1), 0);
    say(HQQ_OPCODE_CONN_CREATE, 1, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 1, 0, 0);
    say(HQQ_OPCODE_CONN_ACCEPT, 1, 0);
    assert_int_equal(advanced_stats(hand.advanced).connections, 1);
    assert_counted(1, 0, 0);
}

static void packets_of_features_that_were_not_agreed_on_are_invalid(void **state)
{
    (void)state;
    say(HQQ_OPCODE_CREDIT, 0, 1000000);
    say(HQQ_OPCODE_STATS_ASK, 1, 0);
    say(HQQ_OPCODE_STATS, 1, 0);
    assert_counted(3, 0, 0);
}

static void packets_of_the_negotiation_are_invalid_after_it(void **state)
{
    (void)state;
    say(HQQ_OPCODE_SETUP, 1024, 1000);
    say(HQQ_OPCODE_KEY_EXCHANGE, 1, 1);
    say(HQQ_OPCODE_KEY_CONFIRM, 0, 0);
    say(HQQ_OPCODE_PROTO_ACK, 0x100, 3);
    assert_int_equal(hqq_advanced_features(hand.advanced) & ORIGINAL_FEATURES, ORIGINAL_FEATURES);
    assert_counted(4, 0, 0);
}

static void unknown_packets_are_invalid(void **state)
{
    (void)state;
    say(0x07, 1, 2);
    say(0x16, 1, 2);
    say(0xfd, 1, 2);
    say(0x104, 1, 2);
    say(UINT64_MAX, 1, 2);
    assert_counted(5, 0, 0);
}

/* A credit that is lower than the last changes nothing; one for nobody neither. */
static void credits_never_take_anything_back(void **state)
{
    (void)state;
    uint64_t limit = hand.advanced->ground->credit_limit;
    say(HQQ_OPCODE_CREDIT, 0, limit - 1);
    say(HQQ_OPCODE_CREDIT, 99, limit + 1000);
    assert_int_equal(hand.advanced->ground->credit_limit, limit);
    say(HQQ_OPCODE_CREDIT, 0, limit + 1);
    assert_int_equal(hand.advanced->ground->credit_limit, limit + 1);
    assert_counted(0, 0, 0);
}

static void statistics_that_nobody_asked_for_are_invalid(void **state)
{
    (void)state;
    struct hqq_advanced_peer_stats peer;
    say(HQQ_OPCODE_STATS, 1, 5);
    assert_int_equal(hqq_advanced_get_peer_stats(hand.advanced, 0, &peer), HQQ_ERROR_WOULD_BLOCK);
    by_hand_assert_said(&hand, HQQ_OPCODE_STATS_ASK, 1, 0, 0);
    say(HQQ_OPCODE_STATS, 2, 5);
    say(HQQ_OPCODE_STATS, 0, 5);
    say(HQQ_OPCODE_STATS, 1, 5);
    say(HQQ_OPCODE_STATS, 1, 6);
    assert_int_equal(hand.advanced->peer_stats.messages_sent, 5);
    assert_counted(4, 0, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define ALL(function) cmocka_unit_test_setup_teardown(function, set_up_all, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_range_that_came_before_ends_the_message),
        TEST(a_gap_ends_the_message),
        TEST(an_early_end_ends_the_message),
        TEST(a_total_that_changes_ends_the_message),
        TEST(a_kind_that_changes_ends_the_message),
        TEST(sizes_that_overflow_end_the_message),
        TEST(an_unknown_flag_ends_the_message),
        TEST(a_second_beginning_ends_the_first_message),
        TEST(chunks_of_unknown_messages_are_invalid),
        TEST(malformed_beginnings_are_invalid),
        TEST(an_abort_of_an_unknown_message_is_late),
        TEST(a_response_that_nobody_asked_for_is_late),
        TEST(interleaved_messages_are_told_apart),
        TEST(a_request_says_in_all_its_chunks_that_it_is_one),
        TEST(a_request_whose_second_chunk_does_not_say_so_is_refused),
        TEST(a_response_whose_second_chunk_does_not_say_so_waits_for_one_that_does),
        TEST(an_error_that_is_no_response_is_not_delivered),
        TEST(a_method_that_is_said_again_ends_the_message),
        TEST(an_abort_without_a_kind_ends_a_response_too),
        TEST(a_message_and_a_response_of_one_number_are_told_apart),
        TEST(an_answer_that_breaks_off_fails_its_call),
        TEST(accepts_closes_and_errors_of_unknown_connections_are_late),
        TEST(connections_with_reserved_ids_or_flags_are_refused),
        TEST(an_id_is_used_once),
        TEST(an_accept_of_what_is_open_is_invalid),
        TEST(packets_of_features_that_were_not_agreed_on_are_invalid),
        TEST(packets_of_the_negotiation_are_invalid_after_it),
        TEST(unknown_packets_are_invalid),
        ALL(unknown_packets_are_invalid),
        ALL(packets_of_the_negotiation_are_invalid_after_it),
        ALL(credits_never_take_anything_back),
        ALL(statistics_that_nobody_asked_for_are_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
