/* Credits: a reader that is slow holds up its own connection only, and what is reckoned is exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>

#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 16
#define SIZE 64
#define WINDOW 1024
#define FEATURES (ORIGINAL_FEATURES | HQQ_FEATURE_FLOW_CONTROL)
#define ONLY (HQQ_FRAME_BEGIN | HQQ_FRAME_END)

static const struct hqq_advanced_config controlled = {
    .features = FEATURES, .window = WINDOW, .max_received_bytes = 4 * WINDOW};
static const struct hqq_advanced_config uncontrolled = {.features = ORIGINAL_FEATURES,
                                                        .max_received_bytes = 4 * WINDOW};

static unsigned char bytes[20000];

static int make_bytes(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 8);
    return 0;
}

/* ---- Between two ends ---------------------------------------------------------------------------------------------- */

/* One connection is not read; whether another still works. */
static bool does_another_work(const struct hqq_advanced_config *config)
{
    struct hqq_connection *slow[2], *other[2];
    struct hqq_pending *pending;
    struct hqq_received received;
    struct duo duo = duo_agreed(COUNT, SIZE, config);
    duo_connect(&duo, slow);
    duo_connect(&duo, other);
    for (int i = 0; i < 20; i++)
        assert_int_equal(hqq_connection_post(slow[0], bytes, 500), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_connection_post(other[0], bytes, 500), 0);
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, "q", 1, 0, &pending),
                     config == &controlled ? 0 : HQQ_ERROR_WOULD_BLOCK);
    duo_settle(&duo);
    bool works = hqq_connection_receive(other[1], 0, &received) == 0;
    if (works) {
        struct hqq_request *request;
        assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
        assert_int_equal(hqq_request_respond(request, 1, bytes, 5000, 0), 0);
        duo_settle(&duo);
        assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
        assert_true(advanced_stats(duo.end[0]).credit_waits >= 1);
    }
    /* All of it arrives in the end. */
    for (int i = 0; i < 20; i++) {
        advanced_assert_connection_receives(duo.end[1], slow[1], bytes, 500, 0);
        duo_settle(&duo);
    }
    duo_close(&duo);
    return works;
}

static void a_slow_reader_holds_up_its_own_connection_only(void **state)
{
    (void)state;
    assert_true(does_another_work(&controlled));
    assert_false(does_another_work(&uncontrolled)); /* this is what it is for */
}

static void a_message_larger_than_the_window_arrives(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &controlled);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, sizeof(bytes)), 0);
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], bytes, sizeof(bytes), 0);
    struct hqq_advanced_stats sent = advanced_stats(duo.end[0]), received = advanced_stats(duo.end[1]);
    assert_true(sent.credits_received >= sizeof(bytes) / WINDOW);
    assert_int_equal(sent.credits_received, received.credits_sent);
    duo_close(&duo);
}

static int send_two(struct caller *caller)
{
    int result = hqq_advanced_send(caller->arg, 0, bytes, 2 * WINDOW, advanced_soon());
    return result != 0 ? result : hqq_advanced_send(caller->arg, 0, bytes, 2 * WINDOW, advanced_soon());
}

/* The reader makes no call beside those that receive: each sends the credit that it gives. */
static void a_sender_that_waits_for_credit_goes_on_when_the_reader_reads(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &controlled);
    struct caller sender = {.call = send_two, .arg = duo.end[0]};
    caller_start(&sender);
    for (int i = 0; i < 2; i++)
        advanced_assert_receives(duo.end[1], bytes, 2 * WINDOW, advanced_soon());
    assert_int_equal(caller_join(&sender), 0);
    duo_close(&duo);
}

static void a_close_waits_for_credit_and_so_for_the_reader(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct duo duo = duo_agreed(COUNT, SIZE, &controlled);
    duo_connect(&duo, ends);
    for (int i = 0; i < 4; i++)
        assert_int_equal(hqq_connection_post(ends[0], bytes, 900), 0);
    hqq_connection_close(ends[0], 6);
    for (int i = 0; i < 4; i++) {
        duo_settle(&duo);
        advanced_assert_connection_receives(duo.end[1], ends[1], bytes, 900, 0);
    }
    duo_settle(&duo);
    assert_int_equal(hqq_connection_state(ends[1]), HQQ_CONNECTION_CLOSED);
    assert_int_equal(hqq_connection_close_reason(ends[1]), 6);
    duo_close(&duo);
}

/* ---- To the byte --------------------------------------------------------------------------------------------------- */

static struct by_hand hand;

static int set_up(void **state)
{
    (void)state;
    hand = by_hand_agreed(COUNT, SIZE, &controlled, FEATURES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void put(uint64_t message, uint64_t size)
{
    const struct hqq_chunk chunk = {0, message, size, 0, size, ONLY, 0};
    by_hand_chunk(&hand, &chunk, bytes);
}

static void credit_is_given_by_quarters_of_the_window_as_messages_are_taken(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 8; i++) /* 64 bytes cost 128 */
        put(i, SIZE);
    by_hand_assert_silent(&hand);
    for (uint64_t i = 1; i <= 8; i++) {
        advanced_assert_receives(hand.advanced, bytes, SIZE, 0);
        if (i % 2 == 0)
            by_hand_assert_said(&hand, HQQ_OPCODE_CREDIT, 0, WINDOW + 128 * i, 0);
        by_hand_assert_silent(&hand);
    }
    assert_int_equal(advanced_stats(hand.advanced).credits_sent, 4);
}

static void what_is_sent_beyond_the_credit_is_refused(void **state)
{
    (void)state;
    struct hqq_received received;
    for (uint64_t i = 1; i <= 8; i++)
        put(i, SIZE);
    put(9, 0);
    for (uint64_t i = 1; i <= 8; i++)
        advanced_assert_receives(hand.advanced, bytes, SIZE, 0);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 1);
    put(10, SIZE);
    advanced_assert_receives(hand.advanced, bytes, SIZE, 0);
}

static void messages_of_nothing_cost_as_well(void **state)
{
    (void)state;
    struct hqq_received received;
    for (uint64_t i = 1; i <= WINDOW / 64; i++)
        put(i, 0);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 0);
    put(100, 0);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 1);
    for (uint64_t i = 1; i <= WINDOW / 64; i++)
        advanced_assert_receives(hand.advanced, "", 0, 0);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), HQQ_ERROR_BUFFER_OVERFLOW);
}

static void answers_need_no_credit(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_packet packet;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 1, "q", 1, 0, &pending), 0);
    assert_true(by_hand_take(&hand, &packet, NULL, 0));
    for (uint64_t i = 1; i <= 8; i++)
        put(100 + i, SIZE);
    const struct hqq_chunk answer = {0, packet.operand[1], SIZE, 0, SIZE, ONLY | HQQ_FRAME_RESPONSE, 3};
    by_hand_chunk(&hand, &answer, bytes);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
    assert_int_equal(advanced_stats(hand.advanced).messages_refused, 0);
}

static void a_sender_stops_at_the_byte_and_goes_on_with_credit(void **state)
{
    (void)state;
    struct hqq_packet packet;
    uint64_t sent = 0;
    assert_int_equal(hqq_advanced_post(hand.advanced, 0, bytes, 3000), 0);
    for (uint64_t limit = WINDOW; sent < 3000; limit += 300) {
        do {
            while (by_hand_take(&hand, &packet, NULL, 0)) {
                assert_int_equal(packet.operand[3], sent);
                sent += packet.operand[4];
            }
        } while (hqq_advanced_process(hand.advanced, 0) == 0 || hqq_ring_depth(&hand.pair.primary->rx) != 0);
        assert_int_equal(sent, limit - 64 < 3000 ? limit - 64 : 3000);
        by_hand_say(&hand, HQQ_OPCODE_CREDIT, 0, limit + 300, 0);
    }
}

#define BY_HAND(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_reader_holds_up_its_own_connection_only),
        cmocka_unit_test(a_message_larger_than_the_window_arrives),
        cmocka_unit_test(a_sender_that_waits_for_credit_goes_on_when_the_reader_reads),
        cmocka_unit_test(a_close_waits_for_credit_and_so_for_the_reader),
        BY_HAND(credit_is_given_by_quarters_of_the_window_as_messages_are_taken),
        BY_HAND(what_is_sent_beyond_the_credit_is_refused),
        BY_HAND(messages_of_nothing_cost_as_well),
        BY_HAND(answers_need_no_credit),
        BY_HAND(a_sender_stops_at_the_byte_and_goes_on_with_credit),
    };
    return cmocka_run_group_tests(tests, make_bytes, NULL);
}
