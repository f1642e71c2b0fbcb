/* Compression on a link: where it gains something and only there, and frames that are not what they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <hqq/error.h>

#include "advanced/compress.h"
#include "support/advanced.h"

#define COUNT 16
#define SIZE 64
#define LENGTH 20000
#define THRESHOLD 1024
#define FEATURES (ORIGINAL_FEATURES | HQQ_FEATURE_COMPRESSION)

static unsigned char zeroes[LENGTH], noise[LENGTH], packed[2 * LENGTH];
static const struct hqq_advanced_config compressing = {
    .features = FEATURES, .compress_threshold = THRESHOLD, .max_message = LENGTH};

static int make_noise(void **state)
{
    (void)state;
    uint64_t word = 1;
    for (size_t i = 0; i < LENGTH; i++) {
        word = word * UINT64_C(6364136223846793005) + 1442695040888963407;
        noise[i] = (unsigned char)(word >> 56);
    }
    return 0;
}

static void send(struct duo *duo, const void *data, size_t length)
{
    assert_int_equal(hqq_advanced_post(duo->end[0], 0, data, length), 0);
    duo_settle(duo);
    advanced_assert_receives(duo->end[1], data, length, 0);
}

static void what_gains_is_compressed_and_the_ratio_is_counted(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &compressing);
    send(&duo, zeroes, LENGTH);
    send(&duo, zeroes, THRESHOLD);
    struct hqq_advanced_stats sent = advanced_stats(duo.end[0]), received = advanced_stats(duo.end[1]);
    assert_int_equal(sent.compressed_messages, 2);
    assert_int_equal(sent.compressed_before, LENGTH + THRESHOLD);
    assert_in_range(sent.compressed_after, 1, 1000);
    assert_int_equal(sent.bytes_sent, LENGTH + THRESHOLD); /* as the program sees them */
    assert_int_equal(received.bytes_received, LENGTH + THRESHOLD);
    assert_true(sent.chunks_sent < 20);
    duo_close(&duo);
}

static void what_gains_nothing_or_is_small_goes_as_it_is(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &compressing);
    send(&duo, noise, LENGTH);
    send(&duo, zeroes, THRESHOLD - 1);
    assert_int_equal(advanced_stats(duo.end[0]).compressed_messages, 0);
    assert_int_equal(advanced_stats(duo.end[0]).compressed_before, 0);
    assert_int_equal(advanced_stats(duo.end[0]).chunks_sent, (LENGTH + SIZE - 1) / SIZE + THRESHOLD / SIZE);
    duo_close(&duo);
}

static void what_is_written_in_pieces_is_never_compressed(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &compressing);
    struct hqq_outgoing *outgoing;
    assert_int_equal(hqq_outgoing_begin(duo.end[0], 0, 10 * SIZE, &outgoing), 0);
    assert_int_equal(hqq_outgoing_write(outgoing, zeroes, 10 * SIZE, 0), 0);
    assert_int_equal(hqq_outgoing_finish(outgoing, HQQ_FOREVER), 0);
    advanced_assert_receives(duo.end[1], zeroes, 10 * SIZE, 0);
    assert_int_equal(advanced_stats(duo.end[0]).chunks_sent, 10);
    duo_close(&duo);
}

static void calls_and_answers_are_compressed_too(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(COUNT, SIZE, &compressing);
    struct hqq_pending *pending;
    struct hqq_request *request;
    struct hqq_received answer;
    assert_int_equal(hqq_pending_begin(duo.end[0], NULL, 1, zeroes, LENGTH, 0, &pending), 0);
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_int_equal(hqq_request_length(request), LENGTH);
    assert_memory_equal(hqq_request_data(request), zeroes, LENGTH);
    assert_int_equal(hqq_request_respond(request, 1, zeroes, LENGTH, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, &answer), 0);
    assert_int_equal(answer.length, LENGTH);
    hqq_received_free(duo.end[0], &answer);
    assert_int_equal(advanced_stats(duo.end[1]).compressed_messages, 1);
    duo_close(&duo);
}

/* ---- Frames by hand ------------------------------------------------------------------------------------------------ */

static struct by_hand hand;
static uint64_t next_message;

static int set_up(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {
        .features = FEATURES, .max_message = LENGTH, .max_partial_bytes = LENGTH};
    hand = by_hand_agreed(COUNT, SIZE, &config, FEATURES);
    next_message = 1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void put_compressed(const unsigned char *frame, size_t length)
{
    uint64_t message = next_message++;
    for (size_t at = 0; at < length; at += SIZE) {
        size_t size = length - at < SIZE ? length - at : SIZE;
        const struct hqq_chunk chunk = {
            0,      message,
            length, at,
            size,   HQQ_FRAME_COMPRESSED | (at == 0 ? HQQ_FRAME_BEGIN : 0) | (at + size == length ? HQQ_FRAME_END : 0),
            0};
        by_hand_chunk(&hand, &chunk, frame + at);
    }
}

static void assert_refused(const unsigned char *frame, size_t length, int error)
{
    struct hqq_received received;
    put_compressed(frame, length);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), error);
    assert_int_equal(advanced_stats(hand.advanced).partial_messages, 0);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 0);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 0);
    size_t good = hqq_compress(zeroes, 5000, packed + LENGTH, LENGTH);
    put_compressed(packed + LENGTH, good);
    advanced_assert_receives(hand.advanced, zeroes, 5000, 0);
}

static void what_is_no_frame_is_refused(void **state)
{
    (void)state;
    assert_refused(noise, 1, HQQ_ERROR_INVALID_SIZE);
    assert_refused(noise, 300, HQQ_ERROR_INVALID_SIZE);
    assert_refused(zeroes, 300, HQQ_ERROR_INVALID_SIZE);
}

static void a_frame_that_is_cut_or_has_something_behind_it_is_refused(void **state)
{
    (void)state;
    size_t length = hqq_compress(zeroes, LENGTH, packed, sizeof(packed));
    assert_in_range(length, 10, LENGTH / 2);
    put_compressed(packed, length);
    advanced_assert_receives(hand.advanced, zeroes, LENGTH, 0);
    assert_refused(packed, length - 1, HQQ_ERROR_INVALID_SIZE);
    assert_refused(packed, length - 5, HQQ_ERROR_INVALID_SIZE);
    assert_refused(packed, 5, HQQ_ERROR_INVALID_SIZE);
    packed[length] = 0;
    assert_refused(packed, length + 1, HQQ_ERROR_INVALID_SIZE);
}

/* It is small on its way, and what it becomes is what counts. */
static void a_frame_of_more_than_the_largest_message_is_refused(void **state)
{
    (void)state;
    static unsigned char more[LENGTH + 1], frame[2 * LENGTH];
    size_t length = hqq_compress(more, sizeof(more), frame, sizeof(frame));
    assert_true(length != 0 && length < 1000);
    assert_refused(frame, length, HQQ_ERROR_BUFFER_OVERFLOW);
}

static void frames_share_the_bound_of_bytes_by_what_they_become(void **state)
{
    (void)state;
    const struct hqq_chunk other = {0, 1000, 200, 0, SIZE, HQQ_FRAME_BEGIN, 0};
    by_hand_chunk(&hand, &other, zeroes);
    size_t length = hqq_compress(zeroes, LENGTH, packed, sizeof(packed));
    struct hqq_received received;
    put_compressed(packed, length);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), HQQ_ERROR_TOO_MANY_BYTES);
    assert_int_equal(advanced_stats(hand.advanced).partial_bytes, 200);
    length = hqq_compress(zeroes, LENGTH - 200, packed, sizeof(packed));
    put_compressed(packed, length);
    advanced_assert_receives(hand.advanced, zeroes, LENGTH - 200, 0);
}

#define BY_HAND(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_gains_is_compressed_and_the_ratio_is_counted),
        cmocka_unit_test(what_gains_nothing_or_is_small_goes_as_it_is),
        cmocka_unit_test(what_is_written_in_pieces_is_never_compressed),
        cmocka_unit_test(calls_and_answers_are_compressed_too),
        BY_HAND(what_is_no_frame_is_refused),
        BY_HAND(a_frame_that_is_cut_or_has_something_behind_it_is_refused),
        BY_HAND(a_frame_of_more_than_the_largest_message_is_refused),
        BY_HAND(frames_share_the_bound_of_bytes_by_what_they_become),
    };
    if (!hqq_compress_is_available()) {
        puts("skipped: this build is without liblz4");
        return 77;
    }
    return cmocka_run_group_tests(tests, make_noise, NULL);
}
