/* Messages that are taken in pieces as they come: without a buffer of their size, and without holding up what they may
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 128
#define SIZE 64
#define LARGE 50000
#define ALL_BUT_SECRET (HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_REQUEST_RESPONSE | HQQ_FEATURE_STREAMING)

/* What a function that takes pieces has seen; what it is to do. */
struct record {
    struct hqq_advanced *advanced;
    unsigned events[4];
    uint64_t total, offset;
    int error;
    bool is_wrong; /* pieces out of order, or other bytes than were sent */
    enum hqq_stream_event stop_at;
    bool stops;
    int (*act)(struct record *record);
    int acted;
};

static struct duo duo;
static struct record record;
static unsigned char bytes[LARGE];

static int take(const struct hqq_stream_piece *piece, void *arg)
{
    struct record *seen = arg;
    seen->events[piece->event]++;
    if (piece->event == HQQ_STREAM_BEGIN)
        seen->offset = 0;
    if (piece->event == HQQ_STREAM_DATA && piece->offset + piece->length <= LARGE &&
        memcmp(piece->data, bytes + piece->offset, piece->length) != 0)
        seen->is_wrong = true;
    if (piece->offset != seen->offset || (piece->event == HQQ_STREAM_DATA) != (piece->length != 0))
        seen->is_wrong = true;
    seen->offset += piece->length;
    seen->total = piece->total;
    seen->error = piece->error;
    if (seen->act && piece->event == HQQ_STREAM_BEGIN)
        seen->acted = seen->act(seen);
    return seen->stops && piece->event == seen->stop_at;
}

static int open_with(uint64_t features)
{
    const struct hqq_advanced_config config = {
        .features = features, .key = advanced_key, .max_partial_bytes = 100, .max_message = LARGE, .window = 1024};
    pattern(bytes, sizeof(bytes), 1);
    duo = duo_agreed(COUNT, SIZE, &config);
    record = (struct record){.advanced = duo.end[1]};
    return hqq_advanced_set_stream(duo.end[1], 0, take, &record);
}

static int set_up(void **state)
{
    (void)state;
    return open_with(ALL_BUT_SECRET);
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

static void assert_seen(unsigned begun, unsigned ended, unsigned failed)
{
    assert_int_equal(record.events[HQQ_STREAM_BEGIN], begun);
    assert_int_equal(record.events[HQQ_STREAM_END], ended);
    assert_int_equal(record.events[HQQ_STREAM_FAILED], failed);
    assert_false(record.is_wrong);
    assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 0);
    assert_int_equal(advanced_stats(duo.end[1]).waiting_messages, 0);
}

static void assert_is_streamed(size_t length)
{
    struct record before = record;
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, length), 0);
    duo_settle(&duo);
    assert_seen(before.events[HQQ_STREAM_BEGIN] + 1, before.events[HQQ_STREAM_END] + 1,
                before.events[HQQ_STREAM_FAILED]);
    assert_int_equal(record.total, length);
    assert_int_equal(record.offset, length);
}

/* ---- Whole messages ------------------------------------------------------------------------------------------------ */

static void pieces_come_in_order_without_a_buffer_for_all(void **state)
{
    (void)state;
    assert_is_streamed(LARGE);
    assert_is_streamed(1);
    assert_is_streamed(0);
    assert_int_equal(record.events[HQQ_STREAM_DATA], (LARGE + SIZE - 1) / SIZE + 1);
    assert_int_equal(advanced_stats(duo.end[1]).messages_received, 3);
    assert_int_equal(advanced_stats(duo.end[1]).bytes_received, LARGE + 1);
}

static void assert_feature_streams(uint64_t feature)
{
    if ((hqq_advanced_supported_features() & feature) != feature)
        skip();
    duo_close(&duo);
    assert_int_equal(open_with(ALL_BUT_SECRET | feature), 0);
    assert_is_streamed(LARGE);
    assert_is_streamed(SIZE);
    assert_is_streamed(0);
}

static void compressed_messages_are_streamed_unpacked(void **state)
{
    (void)state;
    assert_feature_streams(HQQ_FEATURE_COMPRESSION);
    assert_int_equal(advanced_stats(duo.end[0]).compressed_messages, 1);
}

static void encrypted_messages_are_streamed(void **state)
{
    (void)state;
    assert_feature_streams(HQQ_FEATURE_ENCRYPTION);
}

static void with_all_features_messages_are_streamed(void **state)
{
    (void)state;
    assert_feature_streams(HQQ_FEATURE_ENCRYPTION | HQQ_FEATURE_COMPRESSION | HQQ_FEATURE_FLOW_CONTROL |
                           HQQ_FEATURE_QOS);
}

/* ---- Sizes --------------------------------------------------------------------------------------------------------- */

/* By what is written in pieces, as its sender cannot have it in one. */
static void write_beyond(size_t pieces)
{
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, pieces * (uint64_t)LARGE, &outgoing), 0);
    for (size_t i = 0; i < pieces; i++) {
        for (size_t at = 0; at < LARGE; at += 1000) {
            assert_int_equal(hqq_outgoing_write(outgoing, bytes + at, 1000, 0), 0);
            duo_settle(&duo);
        }
    }
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    duo_settle(&duo);
}

static void with_streaming_a_message_may_be_larger_than_the_largest(void **state)
{
    (void)state;
    write_beyond(3);
    assert_seen(1, 1, 0);
    assert_int_equal(record.total, 3 * LARGE);
    assert_int_equal(record.offset, 3 * LARGE);
}

static void what_is_not_taken_in_pieces_is_bounded_all_the_same(void **state)
{
    (void)state;
    struct hqq_received received;
    assert_int_equal(hqq_advanced_set_stream(duo.end[1], 0, NULL, NULL), 0);
    write_beyond(2);
    assert_int_equal(record.events[HQQ_STREAM_BEGIN], 0);
    assert_int_equal(advanced_stats(duo.end[1]).messages_refused, 1);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_BUFFER_OVERFLOW);
}

static void without_streaming_the_largest_message_is_the_largest(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.max_message = 1000};
    struct hqq_received received;
    struct by_hand hand = by_hand_agreed(COUNT, SIZE, &config, ORIGINAL_FEATURES);
    assert_int_equal(hqq_advanced_set_stream(hand.advanced, 0, take, &record), 0);
    const struct hqq_chunk too_large = {0, 1, 1001, 0, SIZE, HQQ_FRAME_BEGIN, 0};
    const struct hqq_chunk largest = {0, 2, 1000, 0, SIZE, HQQ_FRAME_BEGIN, 0};
    by_hand_chunk(&hand, &too_large, bytes);
    assert_int_equal(record.events[HQQ_STREAM_BEGIN], 0);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), HQQ_ERROR_BUFFER_OVERFLOW);
    by_hand_chunk(&hand, &largest, bytes);
    assert_int_equal(record.events[HQQ_STREAM_BEGIN], 1);
    by_hand_close(&hand);
}

/* ---- Messages that are not whole ----------------------------------------------------------------------------------- */

static void assert_stopping_drops_the_rest(enum hqq_stream_event event)
{
    record = (struct record){.advanced = duo.end[1], .stops = true, .stop_at = event};
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 5000), 0);
    duo_settle(&duo);
    assert_seen(1, 0, 0);
    assert_int_equal(record.events[HQQ_STREAM_DATA], event == HQQ_STREAM_DATA ? 1 : 0);
    assert_int_equal(advanced_stats(duo.end[1]).invalid_frames, 0);
    record.stops = false;
    assert_is_streamed(300);
}

static void a_function_that_has_enough_is_called_no_more_for_that_message(void **state)
{
    (void)state;
    assert_stopping_drops_the_rest(HQQ_STREAM_BEGIN);
    assert_stopping_drops_the_rest(HQQ_STREAM_DATA);
}

static void an_abort_is_a_failure_with_its_error(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 300, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 100, 0), 0);
    duo_settle(&duo);
    hqq_outgoing_abort(outgoing);
    duo_settle(&duo);
    assert_seen(1, 0, 1);
    assert_int_equal(record.error, HQQ_ERROR_ABORTED);
    assert_int_equal(record.offset, 100);
    assert_int_equal(advanced_stats(duo.end[1]).messages_refused, 1);
    assert_is_streamed(300);
}

static void begin_and_leave_off(void)
{
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 300, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 100, 0), 0);
    duo_settle(&duo);
    assert_int_equal(record.offset, 100);
}

static void a_link_that_its_peer_ends_midway_is_a_failure(void **state)
{
    (void)state;
    struct hqq_received received;
    begin_and_leave_off();
    assert_int_equal(hqq_advanced_shutdown(duo.end[0]), 0);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_CLOSED);
    assert_int_equal(record.events[HQQ_STREAM_FAILED], 1);
    assert_int_equal(record.error, HQQ_ERROR_CLOSED);
}

static void a_close_of_its_own_end_midway_is_a_failure(void **state)
{
    (void)state;
    begin_and_leave_off();
    hqq_advanced_close(duo.end[1]);
    duo.end[1] = NULL;
    assert_int_equal(record.events[HQQ_STREAM_FAILED], 1);
    assert_int_equal(record.error, HQQ_ERROR_CLOSED);
}

static void a_connection_that_is_closed_midway_is_a_failure(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct hqq_outgoing *outgoing;
    duo_connect(&duo, ends);
    assert_int_equal(hqq_advanced_set_stream(duo.end[1], hqq_connection_id(ends[1]), take, &record), 0);
    assert_int_equal(hqq_outgoing_begin(duo.end[0], hqq_connection_id(ends[0]), 300, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 100, 0), 0);
    duo_settle(&duo);
    hqq_connection_close(ends[0], 0);
    duo_settle(&duo);
    assert_seen(1, 0, 1);
    assert_int_equal(record.error, HQQ_ERROR_CLOSED);
}

/* ---- Whose messages ------------------------------------------------------------------------------------------------ */

static void a_connection_of_its_own_comes_before_any(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct record any = {0};
    duo_connect(&duo, ends);
    assert_int_equal(hqq_connection_send(ends[0], "whole", 5, 0), 0);
    advanced_assert_connection_receives(duo.end[1], ends[1], "whole", 5, 0);
    assert_int_equal(hqq_advanced_set_stream(duo.end[1], HQQ_ANY_CONNECTION, take, &any), 0);
    assert_int_equal(hqq_connection_post(ends[0], bytes, 100), 0);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 100), 0);
    duo_settle(&duo);
    assert_int_equal(any.events[HQQ_STREAM_END], 1);
    assert_int_equal(record.events[HQQ_STREAM_END], 1);
    assert_int_equal(hqq_advanced_set_stream(duo.end[1], HQQ_ANY_CONNECTION, NULL, NULL), 0);
    assert_int_equal(hqq_connection_post(ends[0], bytes, 100), 0);
    duo_settle(&duo);
    advanced_assert_connection_receives(duo.end[1], ends[1], bytes, 100, 0);
}

static void requests_and_answers_are_never_streamed(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_request *request;
    assert_int_equal(hqq_advanced_set_stream(duo.end[0], HQQ_ANY_CONNECTION, take, &record), 0);
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, bytes, 80, 0, &pending), 0);
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_int_equal(hqq_request_respond(request, 1, bytes, 80, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
    assert_seen(0, 0, 0);
}

/* ---- What the function may do -------------------------------------------------------------------------------------- */

static int wait_in_it(struct record *seen)
{
    struct hqq_received received;
    int waits = hqq_advanced_receive(seen->advanced, HQQ_FOREVER, &received);
    int calls = hqq_advanced_call(seen->advanced, 1, "q", 1, HQQ_FOREVER, NULL, NULL);
    int processes = hqq_advanced_process(seen->advanced, HQQ_FOREVER);
    return waits == HQQ_ERROR_INVALID_OP && calls == HQQ_ERROR_INVALID_OP && processes == HQQ_ERROR_INVALID_OP;
}

static void a_call_that_waits_is_not_allowed_in_it(void **state)
{
    (void)state;
    record.act = wait_in_it;
    assert_is_streamed(300);
    assert_int_equal(record.acted, 1);
}

static int post_in_it(struct record *seen)
{
    struct hqq_advanced_stats stats;
    return hqq_advanced_post(seen->advanced, 0, bytes, 80) == 0 && hqq_advanced_get_stats(seen->advanced, &stats) == 0;
}

static void posting_is_allowed_in_it(void **state)
{
    (void)state;
    record.act = post_in_it;
    assert_is_streamed(300);
    assert_int_equal(record.acted, 1);
    advanced_assert_receives(duo.end[0], bytes, 80, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pieces_come_in_order_without_a_buffer_for_all),
        TEST(compressed_messages_are_streamed_unpacked),
        TEST(encrypted_messages_are_streamed),
        TEST(with_all_features_messages_are_streamed),
        TEST(with_streaming_a_message_may_be_larger_than_the_largest),
        TEST(what_is_not_taken_in_pieces_is_bounded_all_the_same),
        TEST(without_streaming_the_largest_message_is_the_largest),
        TEST(a_function_that_has_enough_is_called_no_more_for_that_message),
        TEST(an_abort_is_a_failure_with_its_error),
        TEST(a_link_that_its_peer_ends_midway_is_a_failure),
        TEST(a_close_of_its_own_end_midway_is_a_failure),
        TEST(a_connection_that_is_closed_midway_is_a_failure),
        TEST(a_connection_of_its_own_comes_before_any),
        TEST(requests_and_answers_are_never_streamed),
        TEST(a_call_that_waits_is_not_allowed_in_it),
        TEST(posting_is_allowed_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
