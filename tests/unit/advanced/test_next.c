/* Whatever comes next, in order, by one call; and what a program is told of each message: its id, its kind, and which it
 * was that did not arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "platform/clock.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 16
#define SIZE 64
#define ONLY (HQQ_FRAME_BEGIN | HQQ_FRAME_END)

static struct by_hand hand;
static struct hqq_next next;
static unsigned char bytes[256];

static int set_up(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 6);
    hand = by_hand_agreed(COUNT, SIZE, NULL, ORIGINAL_FEATURES);
    memset(&next, 0xee, sizeof(next));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void put(uint64_t connection, uint64_t message, uint64_t flags, uint64_t method)
{
    const struct hqq_chunk chunk = {connection, message, 4, 0, 4, ONLY | flags, method};
    by_hand_chunk(&hand, &chunk, bytes);
}

static void take_next(enum hqq_next_kind kind)
{
    assert_int_equal(hqq_advanced_next(hand.advanced, 0, &next), 0);
    assert_int_equal(next.kind, kind);
}

static void assert_message(uint64_t connection, uint64_t message)
{
    take_next(HQQ_NEXT_MESSAGE);
    assert_int_equal(next.error, 0);
    assert_int_equal(next.message.connection, connection);
    assert_int_equal(next.message.message, message);
    assert_int_equal(next.message.length, 4);
    assert_memory_equal(next.message.data, bytes, 4);
    hqq_received_free(hand.advanced, &next.message);
}

static void assert_nothing_more(void)
{
    assert_int_equal(hqq_advanced_next(hand.advanced, 0, &next), HQQ_ERROR_WOULD_BLOCK);
}

/* ---- In the order in which it came ----------------------------------------------------------------------------------- */

static void messages_requests_and_connections_come_in_their_order(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 5), 0);
    put(0, 1, 0, 0);
    put(0, 2, HQQ_FRAME_REQUEST, 7);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    put(1, 3, 0, 0);
    put(0, 4, 0, 0);
    put(1, 5, HQQ_FRAME_REQUEST, 8);
    put(1, 6, 0, 0);

    assert_message(0, 1);
    assert_null(next.connection);
    take_next(HQQ_NEXT_REQUEST);
    assert_int_equal(hqq_request_method(next.request), 7);
    assert_int_equal(hqq_request_message(next.request), 2);
    hqq_request_drop(next.request);
    take_next(HQQ_NEXT_CONNECTION);
    struct hqq_connection *connection = next.connection;
    assert_int_equal(hqq_connection_id(connection), 1);
    assert_message(1, 3);
    assert_ptr_equal(next.connection, connection);
    assert_message(0, 4);
    take_next(HQQ_NEXT_REQUEST);
    assert_int_equal(hqq_request_connection(next.request), 1);
    hqq_request_drop(next.request);
    assert_message(1, 6);
    assert_nothing_more();
    hqq_connection_close(connection, 0);
}

static void what_was_taken_by_another_call_does_not_come_again(void **state)
{
    (void)state;
    struct hqq_connection *connection;
    struct hqq_request *request;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 5), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    put(1, 1, 0, 0);
    put(0, 2, HQQ_FRAME_REQUEST, 7);
    put(0, 3, 0, 0);
    put(0, 4, 0, 0);
    assert_int_equal(hqq_advanced_accept(hand.advanced, 0, &connection), 0);
    assert_int_equal(hqq_advanced_serve(hand.advanced, 0, &request), 0);
    advanced_assert_receives(hand.advanced, bytes, 4, 0);
    assert_message(1, 1);
    assert_message(0, 4);
    assert_nothing_more();
    hqq_request_drop(request);
}

static void what_a_closed_connection_held_is_gone(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 5), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    put(1, 1, 0, 0);
    put(0, 2, 0, 0);
    take_next(HQQ_NEXT_CONNECTION);
    hqq_connection_close(next.connection, 0);
    assert_message(0, 2);
    assert_nothing_more();
}

static void handle(struct hqq_request *request, void *arg)
{
    ++*(int *)arg;
    hqq_request_drop(request);
}

static void a_request_with_a_handler_is_left_to_it(void **state)
{
    (void)state;
    int handled = 0;
    const struct hqq_chunk chunk = {0, 1, 4, 0, 4, ONLY | HQQ_FRAME_REQUEST, 7};
    const struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    assert_int_equal(hqq_advanced_handle(hand.advanced, 7, handle, &handled), 0);
    pair_publish(&hand.pair, 0, &packet);
    assert_nothing_more();
    assert_int_equal(handled, 0);
    assert_int_equal(hqq_advanced_process(hand.advanced, 0), 0);
    assert_int_equal(handled, 1);
}

static void a_message_that_does_not_arrive_says_which_it_was(void **state)
{
    (void)state;
    const struct hqq_chunk begin = {9, 5, 100, 0, 64, HQQ_FRAME_BEGIN, 0};
    const struct hqq_chunk abort = {9, 5, 0, 0, 0, HQQ_FRAME_ABORT, 0};
    by_hand_chunk(&hand, &begin, NULL);
    by_hand_chunk(&hand, &abort, NULL);
    put(0, 6, 0, 0);
    take_next(HQQ_NEXT_FAILED);
    assert_int_equal(next.error, HQQ_ERROR_ABORTED);
    assert_int_equal(next.message.connection, 9);
    assert_int_equal(next.message.message, 5);
    assert_null(next.message.data);
    assert_message(0, 6);
}

static int wait_for_next(struct caller *caller)
{
    return hqq_advanced_next(caller->arg, advanced_soon(), &next);
}

/* Lets a waiter begin, does what is to end its wait, and says how it ended. */
static int result_of_a_wait(void (*act)(void))
{
    struct caller waiter = {.call = wait_for_next, .arg = hand.advanced};
    caller_start(&waiter);
    advanced_await_waiters(hand.advanced, 1);
    act();
    return caller_join(&waiter);
}

static void publish(const struct hqq_packet *packet)
{
    uint64_t position;
    assert_int_equal(hqq_link_claim_slot(hand.pair.primary, 1, &position), 0);
    hqq_link_put_packet(hand.pair.primary, position, packet, 0);
}

static void send_a_message(void)
{
    const struct hqq_chunk chunk = {0, 1, 4, 0, 4, ONLY, 0};
    const struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    publish(&packet);
}

static void send_a_request(void)
{
    const struct hqq_chunk chunk = {0, 2, 4, 0, 4, ONLY | HQQ_FRAME_REQUEST, 7};
    const struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    publish(&packet);
}

static void dial(void)
{
    const struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    publish(&packet);
}

static void shut_down(void)
{
    assert_int_equal(hqq_link_shutdown(hand.pair.primary), 0);
}

static void each_kind_ends_a_wait_and_so_does_the_end_of_the_link(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen(hand.advanced, 5), 0);
    assert_int_equal(result_of_a_wait(send_a_message), 0);
    assert_int_equal(next.kind, HQQ_NEXT_MESSAGE);
    assert_int_equal(result_of_a_wait(send_a_request), 0);
    assert_int_equal(next.kind, HQQ_NEXT_REQUEST);
    assert_int_equal(result_of_a_wait(dial), 0);
    assert_int_equal(next.kind, HQQ_NEXT_CONNECTION);
    assert_int_equal(result_of_a_wait(shut_down), HQQ_ERROR_CLOSED);
}

static void a_deadline_ends_a_wait_for_what_comes_next(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_next(hand.advanced, hqq_clock_ns() + HQQ_NS_PER_MS, &next), HQQ_ERROR_TIMEOUT);
    struct by_hand early = by_hand_open(COUNT, SIZE, NULL);
    assert_int_equal(hqq_advanced_next(early.advanced, HQQ_FOREVER, &next), HQQ_ERROR_INVALID_OP);
    by_hand_close(&early);
}

/* ---- What is told of a message ---------------------------------------------------------------------------------------- */

static void whoever_sends_learns_the_id(void **state)
{
    (void)state;
    struct hqq_packet packet;
    struct hqq_outgoing *outgoing;
    struct hqq_pending *pending;
    uint64_t id = 0;
    assert_int_equal(hqq_advanced_send_message(hand.advanced, 0, bytes, 4, 0, &id), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(packet.operand[1], id);
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, bytes, 4, 0, &pending), 0);
    assert_int_equal(hqq_pending_message(pending), id + 1);
    assert_int_equal(hqq_outgoing_begin(hand.advanced, 0, 4, &outgoing), 0);
    assert_int_equal(hqq_outgoing_message(outgoing), id + 2);
    hqq_outgoing_abort(outgoing);
    assert_int_equal(hqq_advanced_send_message(hand.advanced, 0, bytes, UINT64_C(1) << 49, 0, &id),
                     HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(id, 0);
}

static void whoever_gives_a_message_up_learns_its_id_too(void **state)
{
    (void)state;
    static unsigned char large[(COUNT + 1) * SIZE];
    struct hqq_packet packet;
    uint64_t id = 0;
    assert_int_equal(hqq_advanced_send_message(hand.advanced, 0, large, sizeof(large), 1, &id), HQQ_ERROR_TIMEOUT);
    for (int i = 0; i < COUNT; i++)
        assert_true(by_hand_take(&hand, &packet, NULL, 0));
    (void)advanced_drive(hand.advanced);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    assert_int_equal(packet.operand[5], HQQ_FRAME_ABORT);
    assert_int_equal(packet.operand[1], id);
}

static void a_connection_tells_ids_as_well(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct hqq_received received;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL);
    uint64_t id;
    duo_connect(&duo, ends);
    assert_int_equal(hqq_connection_send_message(ends[0], bytes, 4, 0, &id), 0);
    assert_int_equal(hqq_connection_receive(ends[1], 0, &received), 0);
    assert_int_equal(received.message, id);
    assert_int_equal(received.flags, 0);
    hqq_received_free(duo.end[1], &received);
    duo_close(&duo);
}

/* ---- Datagrams of the link --------------------------------------------------------------------------------------------- */

static void a_plain_datagram_is_one_to_a_standard_reader(void **state)
{
    (void)state;
    char data[SIZE];
    size_t length;
    assert_int_equal(hqq_advanced_send(hand.advanced, 0, "a", 1, 0), 0);
    assert_int_equal(hqq_advanced_send_datagram(hand.advanced, "datagram", 8, 0), 0);
    struct hqq_packet packet;
    uint64_t position = hqq_load_relaxed(hqq_ring_w(&hand.pair.secondary->tx)) - 1;
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    packet = hqq_packet_load(hqq_ring_packet(&hand.pair.secondary->tx, position));
    const struct hqq_packet expected = {
        0xff, {position - hand.pair.secondary->first_copy + 1, position % COUNT, 8, 0, 0, 0, 0}};
    assert_memory_equal(&packet, &expected, sizeof(packet));
    assert_int_equal(hqq_link_try_read(hand.pair.primary, data, sizeof(data), &length), 0);
    assert_int_equal(length, 8);
    assert_memory_equal(data, "datagram", 8);
    assert_int_equal(hqq_advanced_send_datagram(hand.advanced, bytes, SIZE + 1, 0), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_send_datagram(hand.advanced, bytes, 0, 0), 0);
    by_hand_assert_silent(&hand);
}

static void a_plain_datagram_is_a_message_that_says_so_to_an_advanced_end(void **state)
{
    (void)state;
    struct hqq_received received;
    struct duo duo = duo_agreed(COUNT, SIZE, NULL);
    assert_int_equal(hqq_advanced_send_datagram(duo.end[0], bytes, SIZE, 0), 0);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), 0);
    assert_int_equal(received.length, SIZE);
    assert_memory_equal(received.data, bytes, SIZE);
    assert_int_equal(received.flags, HQQ_MESSAGE_DATAGRAM);
    assert_int_equal(received.message, 0);
    hqq_received_free(duo.end[1], &received);
    duo_close(&duo);
}

static void a_plain_datagram_would_be_in_the_clear_beside_encryption(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.key = advanced_key};
    if ((hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) == 0)
        skip();
    struct duo duo = duo_agreed(COUNT, SIZE, &config);
    assert_int_equal(hqq_advanced_send_datagram(duo.end[0], bytes, 1, 0), HQQ_ERROR_INVALID_OP);
    duo_close(&duo);
}

/* It takes the credit of connection 0 like everything else there, and goes as a whole or not at all. */
static void a_plain_datagram_is_never_cut_where_credit_ends(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.window = 1024};
    struct hqq_received received;
    struct duo duo = duo_agreed(64, SIZE, &config);
    int sent = 0;
    while (hqq_advanced_send_datagram(duo.end[0], bytes, SIZE, 0) == 0)
        sent++;
    assert_in_range(sent, 5, 1024 / (SIZE + 64));
    for (int i = 0; i < sent; i++) {
        assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), 0);
        assert_int_equal(received.length, SIZE);
        hqq_received_free(duo.end[1], &received);
    }
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_send_datagram(duo.end[0], bytes, SIZE, 0), 0);
    duo_close(&duo);
}

/* ---- Limits of one's own ------------------------------------------------------------------------------------------------ */

static void no_larger_message_is_sent_than_the_program_wants(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_sent = 100};
    struct hqq_outgoing *outgoing;
    struct duo duo = duo_agreed(COUNT, SIZE, &config);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, 101, 0), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 101), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 101, &outgoing), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, 100, 0), 0);
    advanced_assert_receives(duo.end[1], bytes, 100, 0);
    duo_close(&duo);
}

static void listening_ends_at_its_deadline(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_listen_until(hand.advanced, 5, hqq_clock_ns() + 600 * HQQ_NS_PER_S), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_CONN_ACCEPT, 1, 0, 0);
    assert_int_equal(hqq_advanced_listen_until(hand.advanced, 5, hqq_clock_ns()), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 2, 0, 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_ERROR, 2, HQQ_ERROR_CONN_NOT_FOUND, 0);
    take_next(HQQ_NEXT_CONNECTION); /* what came in time is still there */
    assert_nothing_more();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_requests_and_connections_come_in_their_order),
        TEST(what_was_taken_by_another_call_does_not_come_again),
        TEST(what_a_closed_connection_held_is_gone),
        TEST(a_request_with_a_handler_is_left_to_it),
        TEST(a_message_that_does_not_arrive_says_which_it_was),
        TEST(each_kind_ends_a_wait_and_so_does_the_end_of_the_link),
        TEST(a_deadline_ends_a_wait_for_what_comes_next),
        TEST(whoever_sends_learns_the_id),
        TEST(whoever_gives_a_message_up_learns_its_id_too),
        TEST(a_connection_tells_ids_as_well),
        TEST(a_plain_datagram_is_one_to_a_standard_reader),
        TEST(a_plain_datagram_is_a_message_that_says_so_to_an_advanced_end),
        TEST(a_plain_datagram_would_be_in_the_clear_beside_encryption),
        TEST(a_plain_datagram_is_never_cut_where_credit_ends),
        TEST(no_larger_message_is_sent_than_the_program_wants),
        TEST(listening_ends_at_its_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
