/* Messages of all sizes in both directions, with each combination of features, also in the smallest rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <hqq/error.h>

#include "support/advanced.h"

#define MIB ((size_t)1 << 20)
#define USER_NUMBER (UINT64_C(1) << 32)

static unsigned char *large; /* 10 MiB that do not compress much, then do */

static int make_large(void **state)
{
    (void)state;
    large = malloc(10 * MIB);
    if (!large)
        return -1;
    uint64_t word = 1;
    for (size_t i = 0; i < 10 * MIB; i++) {
        word = word * UINT64_C(6364136223846793005) + 1;
        large[i] = i / 4096 % 2 == 0 ? (unsigned char)(word >> 56) : 7;
    }
    return 0;
}

static int free_large(void **state)
{
    (void)state;
    free(large);
    return 0;
}

/* ---- Sizes and features -------------------------------------------------------------------------------------------- */

/* One end sends, the other is driven by its dispatcher. */
static void assert_arrives(struct duo *duo, int from, size_t length)
{
    assert_int_equal(hqq_advanced_send(duo->end[from], 0, large, length, advanced_soon()), 0);
    advanced_assert_receives(duo->end[1 - from], large, length, advanced_soon());
}

static void assert_all_sizes_arrive(uint64_t count, uint64_t slot, const struct hqq_advanced_config *config,
                                    size_t largest)
{
    const size_t sizes[] = {0, 1, slot - 1, slot, slot + 1, 2 * slot, slot * 3, slot * 3 + 5, largest};
    struct duo duo = duo_agreed(count, slot, config);
    for (int from = 0; from < 2; from++)
        assert_int_equal(hqq_advanced_start(duo.end[from], NULL), 0);
    for (int from = 0; from < 2; from++) {
        uint64_t bytes = 0;
        const size_t cases = sizeof(sizes) / sizeof(sizes[0]);
        for (size_t i = 0; i < cases; i++) {
            assert_arrives(&duo, from, sizes[i]);
            bytes += sizes[i];
        }
        struct hqq_advanced_stats sent = advanced_stats(duo.end[from]), received = advanced_stats(duo.end[1 - from]);
        assert_int_equal(sent.messages_sent, cases);
        assert_int_equal(sent.bytes_sent, bytes);
        assert_int_equal(received.messages_received, cases);
        assert_int_equal(received.bytes_received, bytes);
        assert_int_equal(received.invalid_frames, 0);
        assert_int_equal(received.partial_messages, 0);
        assert_int_equal(received.partial_bytes, 0);
        assert_int_equal(received.waiting_messages, 0);
        assert_int_equal(received.waiting_bytes, 0);
    }
    duo_close(&duo);
}

static void messages_of_every_size_arrive_in_a_plain_link(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES};
    assert_all_sizes_arrive(8, 64, &config, 20000);
    assert_all_sizes_arrive(16, 65536, &config, MIB);
    assert_all_sizes_arrive(2, 64, &config, 5000);
    assert_all_sizes_arrive(2, 8, &config, 600);
}

static void messages_of_every_size_arrive_with_each_combination_of_features(void **state)
{
    (void)state;
    const uint64_t features[] = {HQQ_FEATURE_COMPRESSION, HQQ_FEATURE_ENCRYPTION, HQQ_FEATURE_FLOW_CONTROL,
                                 HQQ_FEATURE_QOS};
    const size_t count = sizeof(features) / sizeof(features[0]);
    for (uint64_t choice = 1; choice < UINT64_C(1) << count; choice++) {
        struct hqq_advanced_config config = {.key = advanced_key, .window = 4096, .compress_threshold = 64};
        config.features = ORIGINAL_FEATURES;
        for (size_t i = 0; i < count; i++)
            config.features |= (choice >> i & 1) != 0 ? features[i] : 0;
        assert_all_sizes_arrive(32, 256, &config, 20000);
    }
}

static void all_features_together_carry_a_mebibyte(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.key = advanced_key};
    assert_all_sizes_arrive(16, 65536, &config, MIB);
    assert_all_sizes_arrive(2, 64, &config, 5000);
}

/* ---- Both at once -------------------------------------------------------------------------------------------------- */

/* Sends ten mebibytes, then receives as many: the rings hold next to nothing of it. */
static int send_and_receive(struct caller *caller)
{
    struct hqq_advanced *advanced = caller->arg;
    struct hqq_received received;
    int result = hqq_advanced_send(advanced, 0, large, 10 * MIB, advanced_soon());
    if (result == 0)
        result = hqq_advanced_receive(advanced, advanced_soon(), &received);
    if (result != 0)
        return result;
    bool is_same = received.length == 10 * MIB && memcmp(received.data, large, received.length) == 0;
    hqq_received_free(advanced, &received);
    return is_same ? 0 : 1000;
}

static void assert_no_deadlock(const struct hqq_advanced_config *config)
{
    struct duo duo = duo_agreed(4, 65536, config);
    struct caller other = {.call = send_and_receive, .arg = duo.end[1]};
    struct caller own = {.arg = duo.end[0]};
    caller_start(&other);
    assert_int_equal(send_and_receive(&own), 0);
    assert_int_equal(caller_join(&other), 0);
    duo_close(&duo);
}

static void two_threads_that_send_much_to_each_other_both_get_on(void **state)
{
    (void)state;
    const struct hqq_advanced_config plain = {.features = ORIGINAL_FEATURES}, all = {.key = advanced_key};
    assert_no_deadlock(&plain);
    assert_no_deadlock(&all);
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------- */

static void a_number_that_means_something_to_the_peer_arrives_with_the_message(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(8, 64, NULL);
    const uint64_t numbers[] = {0, 9, USER_NUMBER, UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct hqq_received received;
        assert_int_equal(hqq_advanced_send(duo.end[0], numbers[i], "x", 1, 0), 0);
        assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), 0);
        assert_int_equal(received.connection, numbers[i]);
        assert_int_equal(received.message, i + 1);
        hqq_received_free(duo.end[1], &received);
    }
    duo_close(&duo);
}

static void the_number_of_a_connection_that_was_closed_is_not_found(void **state)
{
    (void)state;
    struct duo duo = duo_agreed(8, 64, NULL);
    struct hqq_connection *ends[2];
    duo_connect(&duo, ends);
    uint64_t id = hqq_connection_id(ends[0]);
    for (int i = 0; i < 2; i++) /* while it is open that is the connection */
        assert_int_equal(hqq_advanced_send(duo.end[i], id, "x", 1, 0), 0);
    advanced_assert_connection_receives(duo.end[1], ends[1], "x", 1, 0);
    hqq_connection_close(ends[0], 0);
    duo_settle(&duo);
    struct hqq_outgoing *outgoing;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_advanced_send(duo.end[i], id, "x", 1, 0), HQQ_ERROR_CONN_NOT_FOUND);
        assert_int_equal(hqq_advanced_post(duo.end[i], id, "x", 1), HQQ_ERROR_CONN_NOT_FOUND);
        assert_int_equal(hqq_outgoing_begin(duo.end[i], id, 1, &outgoing), HQQ_ERROR_CONN_NOT_FOUND);
    }
    hqq_connection_close(ends[1], 0);
    duo_close(&duo);
}

/* ---- A datagram of a standard writer ------------------------------------------------------------------------------- */

static void a_standard_datagram_is_a_message(void **state)
{
    (void)state;
    struct by_hand hand = by_hand_agreed(8, 64, NULL, ORIGINAL_FEATURES);
    struct hqq_received received;
    assert_int_equal(hqq_link_try_write(hand.pair.primary, "a datagram", 10), 0);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), 0);
    assert_int_equal(received.length, 10);
    assert_memory_equal(received.data, "a datagram", 10);
    assert_int_equal(received.connection, 0);
    assert_int_equal(received.message, 0);
    hqq_received_free(hand.advanced, &received);

    const struct hqq_packet too_long = {.opcode = HQQ_OPCODE_COPY, .operand = {1, 0, 65}};
    const struct hqq_packet empty = {.opcode = HQQ_OPCODE_COPY, .operand = {1, 0, 0}};
    by_hand_put(&hand, &too_long, NULL, 0);
    by_hand_put(&hand, &empty, NULL, 0);
    assert_int_equal(hqq_advanced_receive(hand.advanced, 0, &received), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 2);
    by_hand_close(&hand);
}

/* ---- Sizes that are refused ---------------------------------------------------------------------------------------- */

static void a_message_beyond_what_the_peer_takes_is_refused_here(void **state)
{
    (void)state;
    const struct hqq_advanced_config small = {.max_message = 1000}, large_one = {.max_message = 5000};
    struct duo duo = duo_open(16, 64, &large_one, &small);
    duo_agree(&duo);
    struct hqq_received received;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, large, 1001, HQQ_FOREVER), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, large, 1001), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_call(duo.end[0], 1, large, 1001, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, large, 1000), 0);
    assert_int_equal(hqq_advanced_post(duo.end[1], 0, large, 1001), HQQ_ERROR_TOO_MANY_BYTES); /* its own bound */
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], large, 1000, 0);
    duo_close(&duo);
}

static void without_large_copy_a_message_is_a_slot_at_most(void **state)
{
    (void)state;
    const struct hqq_advanced_config plain = {.features = HQQ_FEATURE_REQUEST_RESPONSE};
    const struct hqq_advanced_config secret = {.features = HQQ_FEATURE_ENCRYPTION, .key = advanced_key};
    struct duo duo = duo_agreed(8, 64, &plain);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, large, 65, 0), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, large, 64, 0), 0);
    advanced_assert_receives(duo.end[1], large, 64, 0);
    duo_close(&duo);
    if ((hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) == 0)
        return;
    duo = duo_agreed(8, 64, &secret);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, large, 49, 0), HQQ_ERROR_BUFFER_OVERFLOW);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, large, 48, 0), 0);
    advanced_assert_receives(duo.end[1], large, 48, 0);
    duo_close(&duo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_every_size_arrive_in_a_plain_link),
        cmocka_unit_test(messages_of_every_size_arrive_with_each_combination_of_features),
        cmocka_unit_test(all_features_together_carry_a_mebibyte),
        cmocka_unit_test(two_threads_that_send_much_to_each_other_both_get_on),
        cmocka_unit_test(a_number_that_means_something_to_the_peer_arrives_with_the_message),
        cmocka_unit_test(the_number_of_a_connection_that_was_closed_is_not_found),
        cmocka_unit_test(a_standard_datagram_is_a_message),
        cmocka_unit_test(a_message_beyond_what_the_peer_takes_is_refused_here),
        cmocka_unit_test(without_large_copy_a_message_is_a_slot_at_most),
    };
    return cmocka_run_group_tests(tests, make_large, free_large);
}
