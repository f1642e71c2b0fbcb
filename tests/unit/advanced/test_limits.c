/* Every limit of the configuration: reached, refused with an error of its own, and no obstacle to what comes after. */
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

static unsigned char bytes[100000];
static struct by_hand hand;

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 3);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void open_with(const struct hqq_advanced_config *config)
{
    hand = by_hand_agreed(COUNT, SIZE, config, ORIGINAL_FEATURES);
}

/* With a peer of this library, which aborts what it gives up. */
static void open_with_a_peer_of_ours(const struct hqq_advanced_config *config)
{
    hand = by_hand_agreed(COUNT, SIZE, config, ORIGINAL_FEATURES | HQQ_FEATURE_STATISTICS);
}

/* The chunk at that offset of message id, which has so many bytes. */
static void put_chunk(uint64_t message, uint64_t total, uint64_t offset, uint64_t kind)
{
    uint64_t left = total - offset, size = left < SIZE ? left : SIZE;
    const struct hqq_chunk chunk = {
        .message = message,
        .total = total,
        .offset = offset,
        .size = size,
        .flags = kind | (offset == 0 ? HQQ_FRAME_BEGIN : 0) | (size == left ? HQQ_FRAME_END : 0),
    };
    by_hand_chunk(&hand, &chunk, bytes + offset);
}

static void put_message(uint64_t message, uint64_t total, uint64_t kind)
{
    uint64_t offset = 0;
    do {
        put_chunk(message, total, offset, kind);
        offset += SIZE;
    } while (offset < total);
}

static int receive_none(void)
{
    struct hqq_received received;
    return hqq_advanced_receive(hand.advanced, 0, &received);
}

static void assert_receives(size_t length)
{
    advanced_assert_receives(hand.advanced, bytes, length, 0);
}

/* ---- Arriving ------------------------------------------------------------------------------------------------------ */

static void a_message_above_the_largest_is_refused_and_told_once(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_message = 200};
    open_with(&config);
    put_message(1, 201, 0);
    put_message(2, 200, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_receives(200);
    assert_int_equal(receive_none(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 1);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 0);
}

static void more_messages_than_may_be_arriving_are_refused(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_partial_count = 2};
    open_with_a_peer_of_ours(&config);
    put_chunk(1, 100, 0, 0);
    put_chunk(2, 100, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 2);
    put_chunk(3, 100, 0, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_TOO_MANY_MESSAGES);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 1);
    put_chunk(1, 100, 64, 0);
    put_chunk(4, 100, 0, 0);
    put_chunk(4, 100, 64, 0);
    put_chunk(2, 100, 64, 0);
    for (int i = 0; i < 3; i++)
        assert_receives(100);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 0);
}

/* A message that is whole in its first chunk has no time in which it is arriving. */
static void a_message_of_one_chunk_arrives_beside_as_many_as_there_may_be(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_partial_count = 1};
    open_with(&config);
    put_chunk(1, 100, 0, 0);
    put_message(2, SIZE, 0);
    assert_receives(SIZE);
    put_chunk(1, 100, 64, 0);
    assert_receives(100);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 0);
}

static void more_bytes_than_may_be_arriving_are_refused(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_partial_bytes = 300};
    open_with_a_peer_of_ours(&config);
    put_chunk(1, 200, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 200);
    put_message(2, 101, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_TOO_MANY_BYTES);
    put_message(3, 100, 0);
    assert_receives(100);
    put_chunk(1, 200, 64, 0);
    put_chunk(1, 200, 128, 0);
    put_chunk(1, 200, 192, 0);
    assert_receives(200);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 0);
    put_message(4, 300, 0);
    assert_receives(300);
}

/* ---- A peer that cannot abort -------------------------------------------------------------------------------------- */

static void assert_news(int error, uint64_t message)
{
    struct hqq_received received = {.data = bytes};
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), error);
    assert_int_equal(received.message, message);
    assert_null(received.data);
}

/* Left midway, one after another, more than may be arriving; then one that is whole. */
static void messages_that_are_left_midway_do_not_keep_others_out(void **state)
{
    (void)state;
    open_with(NULL);
    for (uint64_t i = 1; i <= 256; i++)
        put_chunk(i, 100, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 256);
    assert_int_equal(advanced_stats(hand.advanced).messages_displaced, 0);
    put_message(300, 1000, 0);
    assert_news(HQQ_ERROR_ABORTED, 1);
    assert_receives(1000);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 255);
    assert_int_equal(advanced_stats(hand.advanced).messages_displaced, 1);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 1);
}

static void what_has_had_no_chunk_for_longest_makes_room(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_partial_count = 2};
    open_with(&config);
    put_chunk(1, 200, 0, 0);
    put_chunk(2, 200, 0, 0);
    put_chunk(1, 200, 64, 0); /* it goes on */
    put_message(3, 100, 0);
    assert_news(HQQ_ERROR_ABORTED, 2);
    assert_receives(100);
    put_chunk(1, 200, 128, 0);
    put_chunk(1, 200, 192, 0);
    assert_receives(200);
    put_chunk(2, 200, 64, 0); /* of what is no more */
    assert_int_equal(receive_none(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 1);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 0);
}

static void bytes_that_are_left_midway_make_room_as_many_as_it_takes(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_message = 1000, .max_partial_bytes = 1000};
    open_with(&config);
    for (uint64_t i = 1; i <= 5; i++)
        put_chunk(i, 200, 0, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 1000);
    put_message(6, 500, 0);
    assert_news(HQQ_ERROR_ABORTED, 1); /* and of the next two: news of one kind is told once */
    assert_receives(500);
    assert_int_equal(advanced_stats(hand.advanced).messages_displaced, 3);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 400);
}

/* Neither one that is too large, nor one to a connection that was closed, nor a stream's, which takes no memory. */
static void what_is_refused_anyway_makes_no_room(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_message = 1000, .max_partial_bytes = 300};
    open_with(&config);
    put_chunk(1, 300, 0, 0);
    put_message(2, 1001, 0);
    assert_news(HQQ_ERROR_BUFFER_OVERFLOW, 2);
    put_message(3, 301, 0);
    assert_news(HQQ_ERROR_TOO_MANY_BYTES, 3);
    assert_int_equal(advanced_stats(hand.advanced).messages_displaced, 0);
    for (uint64_t offset = 64; offset < 300; offset += 64)
        put_chunk(1, 300, offset, 0);
    assert_receives(300);
}

static void a_request_that_makes_room_is_answered(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_partial_count = 1};
    struct hqq_packet packet;
    open_with(&config);
    put_chunk(1, 100, 0, HQQ_FRAME_REQUEST);
    put_message(2, 100, 0);
    assert_receives(100);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(packet.operand[1], 1);
    assert_int_equal(packet.operand[5], ONLY | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR);
    assert_int_equal(packet.operand[6], HQQ_ERROR_ABORTED);
}

/* ---- What is told ------------------------------------------------------------------------------------------------- */

static void news_of_the_same_kind_is_told_once_until_it_is_taken(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_message = 100};
    open_with(&config);
    for (uint64_t i = 1; i <= 5; i++)
        put_message(i, 101, 0);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 5);
    assert_int_equal(receive_none(), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(receive_none(), HQQ_ERROR_WOULD_BLOCK);
    put_message(9, 101, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_BUFFER_OVERFLOW);
}

static void beyond_what_may_wait_nothing_more_is_taken_until_some_is_received(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_received_bytes = 1000};
    open_with(&config);
    uint64_t taken = 0;
    while (hqq_ring_depth(&hand.pair.primary->tx) == 0) {
        put_message(1 + taken, SIZE, 0);
        taken++;
        assert_true(taken < 100);
    }
    assert_int_equal(advanced_stats(hand.advanced).messages_received, taken - 1);
    assert_true(advanced_stats(hand.advanced).waiting_bytes >= 1000);
    assert_true(advanced_stats(hand.advanced).waiting_bytes < 1000 + SIZE + 128);
    assert_int_equal(hqq_advanced_process(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    for (uint64_t i = 0; i < taken; i++)
        assert_receives(SIZE);
    assert_int_equal(hqq_ring_depth(&hand.pair.primary->tx), 0);
}

/* What is refused takes credit like everything else, or the peer would stand still some day. */
static void a_connection_goes_on_after_more_was_refused_than_its_window(void **state)
{
    (void)state;
    const struct hqq_advanced_config receiver = {
        .features = ORIGINAL_FEATURES | HQQ_FEATURE_FLOW_CONTROL, .window = 1024, .max_partial_bytes = 500};
    const struct hqq_advanced_config sender = {.window = 1024};
    hand = by_hand_open(COUNT, SIZE, NULL);
    struct duo duo = duo_open(COUNT, SIZE, &sender, &receiver);
    duo_agree(&duo);
    for (int i = 0; i < 3; i++) {
        struct hqq_received received;
        assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 5000), 0);
        duo_settle(&duo);
        assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_TOO_MANY_BYTES);
        assert_int_equal(duo.end[0]->posted_bytes, 0);
    }
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 500), 0);
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], bytes, 500, 0);
    assert_int_equal(advanced_stats(duo.end[1]).messages_refused, 3);
    duo_close(&duo);
}

/* ---- Connections --------------------------------------------------------------------------------------------------- */

static void a_backlog_that_is_full_refuses(void **state)
{
    (void)state;
    struct hqq_connection *accepted;
    open_with(NULL);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 1, HQQ_ERROR_CONN_NOT_FOUND, 0); /* nobody listens */
    assert_int_equal(hqq_advanced_listen(hand.advanced, 2), 0);
    for (uint64_t id = 3; id <= 5; id += 2) {
        by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, id, 0, 0);
        by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, id, 0, 0);
    }
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 7, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 7, HQQ_ERROR_CONN_NOT_FOUND, 0);
    assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &accepted), 0);
    assert_int_equal(hqq_connection_id(accepted), 3);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 9, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 9, 0, 0);
    assert_int_equal(hqq_advanced_listen(hand.advanced, 0), 0);
    assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &accepted), 0);
    assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &accepted), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 11, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 11, HQQ_ERROR_CONN_NOT_FOUND, 0);
    assert_int_equal(advanced_stats(hand.advanced).connections_refused, 3);
    assert_int_equal(advanced_stats(hand.advanced).connections_opened, 3);
}

static void no_more_connections_than_the_limit_either_way(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_connections = 2};
    struct hqq_connection *connection;
    open_with(&config);
    assert_int_equal(hqq_advanced_listen(hand.advanced, 10), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 3, 0, 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 5, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 1, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 3, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 5, HQQ_ERROR_CONN_NOT_FOUND, 0);
    assert_int_equal(hqq_advanced_dial(hand.advanced, HQQ_FOREVER, &connection), HQQ_ERROR_TOO_MANY_CONNECTIONS);
    by_hand_assert_silent(&hand);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CLOSE, 1, 0, 0);
    assert_int_equal(hqq_advanced_dial(hand.advanced, 0, &connection), HQQ_ERROR_WOULD_BLOCK);
    struct hqq_packet create;
    assert_true(by_hand_take(&hand, &create, NULL, 0));
    assert_int_equal(create.opcode, HQQ_OPCODE_CONN_CREATE);
}

/* ---- Calls --------------------------------------------------------------------------------------------------------- */

static void no_more_calls_are_under_way_than_the_limit(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_calls = 2};
    struct hqq_pending *pending[3];
    open_with(&config);
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "a", 1, 0, &pending[0]), 0);
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "b", 1, 0, &pending[1]), 0);
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "c", 1, 0, &pending[2]), HQQ_ERROR_TOO_MANY_CALLS);
    assert_int_equal(hqq_advanced_call(hand.advanced, 1, "c", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_TOO_MANY_CALLS);
    assert_int_equal(advanced_stats(hand.advanced).calls, 2);
    hqq_pending_cancel(pending[0]);
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "c", 1, 0, &pending[2]), 0);
}

static void more_requests_than_may_wait_are_answered_with_an_error(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_calls = 2};
    struct hqq_request *request;
    struct hqq_packet packet;
    open_with(&config);
    for (uint64_t i = 1; i <= 3; i++)
        put_message(i, 4, HQQ_FRAME_REQUEST);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    const struct hqq_packet refusal = {
        4, {0, 3, 0, 0, 0, ONLY | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR, HQQ_ERROR_TOO_MANY_CALLS}};
    assert_memory_equal(&packet, &refusal, sizeof(packet));
    assert_int_equal(advanced_stats(hand.advanced).requests_received, 2);
    assert_int_equal(hqq_advanced_serve(hand.advanced, 0, &request), 0);
    hqq_request_drop(request);
    put_message(4, 4, HQQ_FRAME_REQUEST);
    by_hand_assert_silent(&hand);
    assert_int_equal(advanced_stats(hand.advanced).requests_received, 3);
}

/* Beyond the bound they are refused, not left in the link: the answer that this end waits for may lie behind them. */
static void the_bytes_of_requests_that_wait_are_bounded(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_received_bytes = 1000};
    struct hqq_request *request;
    struct hqq_packet packet;
    open_with(&config);
    put_message(1, 600, HQQ_FRAME_REQUEST);
    put_message(2, 600, HQQ_FRAME_REQUEST);
    by_hand_assert_silent(&hand);
    assert_int_equal(advanced_stats(hand.advanced).waiting_bytes, 1200);
    put_message(3, 600, HQQ_FRAME_REQUEST);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(packet.operand[1], 3);
    assert_int_equal(packet.operand[5], ONLY | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR);
    assert_int_equal(packet.operand[6], HQQ_ERROR_TOO_MANY_BYTES);
    assert_int_equal(hqq_advanced_serve(hand.advanced, 0, &request), 0);
    hqq_request_drop(request);
    put_message(4, 600, HQQ_FRAME_REQUEST);
    by_hand_assert_silent(&hand);
    assert_int_equal(advanced_stats(hand.advanced).requests_received, 3);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_above_the_largest_is_refused_and_told_once),
        TEST(more_messages_than_may_be_arriving_are_refused),
        TEST(a_message_of_one_chunk_arrives_beside_as_many_as_there_may_be),
        TEST(more_bytes_than_may_be_arriving_are_refused),
        TEST(messages_that_are_left_midway_do_not_keep_others_out),
        TEST(what_has_had_no_chunk_for_longest_makes_room),
        TEST(bytes_that_are_left_midway_make_room_as_many_as_it_takes),
        TEST(what_is_refused_anyway_makes_no_room),
        TEST(a_request_that_makes_room_is_answered),
        TEST(news_of_the_same_kind_is_told_once_until_it_is_taken),
        TEST(beyond_what_may_wait_nothing_more_is_taken_until_some_is_received),
        TEST(a_connection_goes_on_after_more_was_refused_than_its_window),
        TEST(a_backlog_that_is_full_refuses),
        TEST(no_more_connections_than_the_limit_either_way),
        TEST(no_more_calls_are_under_way_than_the_limit),
        TEST(more_requests_than_may_wait_are_answered_with_an_error),
        TEST(the_bytes_of_requests_that_wait_are_bounded),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
