/* Messages that do not go out at once: deadlines midway, what is posted, and messages that are written piece by piece. */
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

#define COUNT 8
#define SIZE 64
#define LARGE 20000

static const struct hqq_advanced_config original = {.features = ORIGINAL_FEATURES};

static struct duo duo;
static unsigned char bytes[LARGE];

static int set_up(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 5);
    duo = duo_agreed(COUNT, SIZE, &original);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

static int receive_none(void)
{
    struct hqq_received received;
    return hqq_advanced_receive(duo.end[1], 0, &received);
}

static void assert_the_next_arrives(void)
{
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, LARGE, advanced_soon()), 0);
    advanced_assert_receives(duo.end[1], bytes, LARGE, advanced_soon());
    assert_int_equal(advanced_stats(duo.end[1]).partial_messages, 0);
    assert_int_equal(advanced_stats(duo.end[1]).partial_bytes, 0);
}

/* ---- Deadlines ----------------------------------------------------------------------------------------------------- */

static void a_deadline_that_passes_midway_aborts_the_message(void **state)
{
    (void)state;
    uint64_t deadline = hqq_clock_ns() + 2 * HQQ_NS_PER_MS;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, LARGE, deadline), HQQ_ERROR_TIMEOUT);
    assert_int_equal(advanced_stats(duo.end[0]).messages_aborted, 1);
    assert_int_equal(advanced_stats(duo.end[0]).messages_sent, 0);
    duo_settle(&duo);
    assert_int_equal(receive_none(), HQQ_ERROR_ABORTED);
    assert_int_equal(receive_none(), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[1]).messages_refused, 1);
    assert_int_equal(advanced_stats(duo.end[1]).invalid_frames, 0);
    assert_the_next_arrives();
}

static void what_does_not_fit_at_once_and_may_not_wait_is_aborted(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, SIZE * COUNT, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, 0), HQQ_ERROR_WOULD_BLOCK); /* nothing of it was sent */
    assert_int_equal(advanced_stats(duo.end[0]).messages_aborted, 0);
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], bytes, SIZE * COUNT, 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, SIZE * COUNT + 1, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[0]).messages_aborted, 1);
    duo_settle(&duo);
    assert_int_equal(receive_none(), HQQ_ERROR_ABORTED);
    assert_the_next_arrives();
}

/* News of an abort stands in its place among the messages. */
static void an_abort_is_told_between_what_came_before_and_after(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "before", 6, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, LARGE, 0), HQQ_ERROR_WOULD_BLOCK);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "after", 5, 0), 0);
    advanced_assert_receives(duo.end[1], "before", 6, 0);
    assert_int_equal(receive_none(), HQQ_ERROR_ABORTED);
    advanced_assert_receives(duo.end[1], "after", 5, 0);
}

static void nobody_who_waits_is_kept_by_the_end_of_the_link(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, SIZE * COUNT, 0), 0);
    assert_int_equal(hqq_advanced_shutdown(duo.end[1]), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, HQQ_FOREVER), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, "x", 1), HQQ_ERROR_CLOSED);
    assert_int_equal(hqq_advanced_flush(duo.end[0], HQQ_FOREVER), 0);
}

/* ---- Posting ------------------------------------------------------------------------------------------------------- */

static int flush(struct caller *caller)
{
    return hqq_advanced_flush(caller->arg, advanced_soon());
}

static void what_is_posted_is_copied_and_goes_when_there_is_room(void **state)
{
    (void)state;
    unsigned char copy[1000];
    memcpy(copy, bytes, sizeof(copy));
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, copy, sizeof(copy)), 0);
    memset(copy, 0, sizeof(copy));
    assert_int_equal(hqq_advanced_flush(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    struct caller flusher = {.call = flush, .arg = duo.end[0]};
    caller_start(&flusher);
    advanced_assert_receives(duo.end[1], bytes, sizeof(copy), advanced_soon());
    assert_int_equal(caller_join(&flusher), 0);
    assert_int_equal(duo.end[0]->posted_bytes, 0);
}

static void messages_arrive_in_the_order_they_were_posted_and_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 100 * i), 0);
    duo_settle(&duo);
    for (size_t i = 0; i < 20; i++)
        advanced_assert_receives(duo.end[1], bytes, 100 * i, 0);
}

static void no_more_is_posted_than_the_limit(void **state)
{
    (void)state;
    const struct hqq_advanced_config bounded = {.features = ORIGINAL_FEATURES, .max_posted_bytes = 2000};
    duo_close(&duo);
    duo = duo_agreed(COUNT, SIZE, &bounded);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 2001), HQQ_ERROR_TOO_MANY_BYTES);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 1000), 0);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 1001), HQQ_ERROR_TOO_MANY_BYTES);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 1000), 0);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 1), HQQ_ERROR_TOO_MANY_BYTES);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 0), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, 2000), 0);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[1]).messages_received, 4);
}

/* ---- In pieces ----------------------------------------------------------------------------------------------------- */

struct writing {
    struct hqq_outgoing *outgoing;
    size_t piece, total;
};

static int write_pieces(struct caller *caller)
{
    const struct writing *writing = caller->arg;
    for (size_t at = 0; at < writing->total; at += writing->piece) {
        size_t left = writing->total - at;
        size_t length = left < writing->piece ? left : writing->piece;
        int result = hqq_outgoing_write(writing->outgoing, bytes + at, length, advanced_soon());
        if (result != 0)
            return result;
    }
    return hqq_outgoing_finish(writing->outgoing, HQQ_FOREVER);
}

static void a_message_is_written_in_pieces_of_any_size(void **state)
{
    (void)state;
    const size_t pieces[] = {1, 7, SIZE - 1, SIZE, SIZE + 1, 1000, 5000};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        struct writing writing = {.piece = pieces[i], .total = pieces[i] < SIZE - 1 ? 300 : 5000};
        struct caller writer = {.call = write_pieces, .arg = &writing};
        assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, writing.total, &writing.outgoing), 0);
        caller_start(&writer);
        advanced_assert_receives(duo.end[1], bytes, writing.total, advanced_soon());
        assert_int_equal(caller_join(&writer), 0);
    }
    assert_int_equal(advanced_stats(duo.end[0]).messages_sent, sizeof(pieces) / sizeof(pieces[0]));
}

static void an_empty_message_is_finished_without_a_piece(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 0, &outgoing), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    advanced_assert_receives(duo.end[1], "", 0, 0);
}

static void a_piece_of_nothing_sends_nothing(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 2, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, "", 0, 0), 0);
    assert_int_equal(hqq_ring_depth(&duo.pair.primary->tx), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, "xy", 2, 0), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, "", 0, 0), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    advanced_assert_receives(duo.end[1], "xy", 2, 0);
}

static void more_than_the_total_is_refused_and_less_is_not_finished(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 4, &outgoing), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_outgoing_write(outgoing, "abc", 3, 0), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_outgoing_write(outgoing, "de", 2, 0), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_outgoing_write(outgoing, "d", 1, 0), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    advanced_assert_receives(duo.end[1], "abcd", 4, 0);
}

static void a_message_that_is_given_up_midway_is_aborted(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 4, &outgoing), 0);
    hqq_outgoing_abort(outgoing); /* nothing was sent: the peer never hears of it */
    assert_int_equal(hqq_ring_depth(&duo.pair.primary->tx), 0);
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 4, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, "abc", 3, 0), 0);
    hqq_outgoing_abort(outgoing);
    hqq_outgoing_abort(NULL);
    assert_int_equal(receive_none(), HQQ_ERROR_ABORTED);
    assert_int_equal(advanced_stats(duo.end[0]).messages_aborted, 1);
    assert_the_next_arrives();
}

static void a_piece_that_fails_ends_the_message(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, LARGE, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, LARGE, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_outgoing_write(outgoing, bytes, 1, HQQ_FOREVER), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), HQQ_ERROR_WOULD_BLOCK);
    hqq_outgoing_abort(outgoing);
    duo_settle(&duo);
    assert_int_equal(receive_none(), HQQ_ERROR_ABORTED);
    assert_the_next_arrives();
}

static void a_message_in_pieces_is_bounded_by_what_the_peer_takes(void **state)
{
    (void)state;
    struct hqq_outgoing *outgoing;
    const struct hqq_advanced_config small = {.features = ORIGINAL_FEATURES | HQQ_FEATURE_QOS, .max_message = 1000};
    struct duo bounded = duo_agreed(COUNT, SIZE, &small);
    assert_int_equal(hqq_outgoing_begin(bounded.end[0], 0, 1001, &outgoing), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_outgoing_begin(bounded.end[0], 0, 1000, &outgoing), 0); /* freed with the link */
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, UINT64_MAX, &outgoing), HQQ_ERROR_BUFFER_OVERFLOW);
    duo_close(&bounded);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_deadline_that_passes_midway_aborts_the_message),
        TEST(what_does_not_fit_at_once_and_may_not_wait_is_aborted),
        TEST(an_abort_is_told_between_what_came_before_and_after),
        TEST(nobody_who_waits_is_kept_by_the_end_of_the_link),
        TEST(what_is_posted_is_copied_and_goes_when_there_is_room),
        TEST(messages_arrive_in_the_order_they_were_posted_and_sent),
        TEST(no_more_is_posted_than_the_limit),
        TEST(a_message_is_written_in_pieces_of_any_size),
        TEST(an_empty_message_is_finished_without_a_piece),
        TEST(a_piece_of_nothing_sends_nothing),
        TEST(more_than_the_total_is_refused_and_less_is_not_finished),
        TEST(a_message_that_is_given_up_midway_is_aborted),
        TEST(a_piece_that_fails_ends_the_message),
        TEST(a_message_in_pieces_is_bounded_by_what_the_peer_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
