/* A negotiation with a peer whose packets are made by hand: what it may say, and what a peer that speaks only the
 * original is spared; and the configurations that cannot be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>

#include "support/advanced.h"

#define COUNT 16
#define SIZE 64
#define ALL_CAPABILITIES UINT64_C(7)

static struct by_hand hand;

static int set_up(void **state)
{
    (void)state;
    hand = by_hand_open(COUNT, SIZE, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    by_hand_close(&hand);
    return 0;
}

static void ask(uint64_t version, uint64_t features, uint64_t capabilities)
{
    by_hand_say(&hand, HQQ_OPCODE_PROTO_NEGOTIATE, version, features, capabilities);
}

static void assert_said(uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    by_hand_assert_said(&hand, opcode, operand0, operand1, operand2);
}

static void assert_state(enum hqq_negotiation state)
{
    assert_int_equal(hqq_advanced_negotiation(hand.advanced), state);
}

static void assert_failed(void)
{
    assert_state(HQQ_NEGOTIATION_FAILED);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, HQQ_FOREVER), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_accept_negotiation(hand.advanced, HQQ_FOREVER), HQQ_ERROR_INVALID_OP);
    by_hand_assert_silent(&hand);
}

/* ---- Answers ------------------------------------------------------------------------------------------------------- */

static void a_higher_minor_version_is_answered_with_our_own(void **state)
{
    (void)state;
    ask(0x109, 3, 7);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_version(hand.advanced), 0x100);
}

static void another_major_version_is_refused_for_good(void **state)
{
    (void)state;
    ask(0x200, 3, 7);
    assert_said(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
    ask(0x100, 3, 7);
    assert_said(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
}

static void a_version_with_bits_beyond_major_and_minor_is_another_major(void **state)
{
    (void)state;
    ask(0x10100, 3, 7);
    assert_said(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
}

static void undefined_bits_are_never_echoed(void **state)
{
    (void)state;
    ask(0x100, UINT64_MAX & ~UINT64_C(0xff00), UINT64_MAX);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, ALL_CAPABILITIES);
    assert_int_equal(hqq_advanced_features(hand.advanced), 3);
    assert_int_equal(hqq_advanced_capabilities(hand.advanced), ALL_CAPABILITIES);
}

/* What an implementation asks for that knows nothing of ours, or all there is. */
static void features_of_ours_are_granted_to_our_own_question_only(void **state)
{
    (void)state;
    const uint64_t all[] = {0xff03, UINT64_MAX};
    uint64_t ours = hqq_advanced_supported_features() & ~(HQQ_FEATURE_ENCRYPTION | HQQ_FEATURE_COMPRESSION);
    for (size_t i = 0; i < 2; i++) {
        by_hand_close(&hand);
        hand = by_hand_open(COUNT, SIZE, NULL);
        ask(0x100, all[i], UINT64_MAX);
        assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, ALL_CAPABILITIES);
        assert_state(HQQ_NEGOTIATION_DONE);
        by_hand_assert_silent(&hand); /* no Setup */
    }
    by_hand_close(&hand);
    hand = by_hand_open(COUNT, SIZE, NULL);
    by_hand_ask(&hand, 0x100, 0xff03, UINT64_MAX, true);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, ours, ALL_CAPABILITIES);
}

static void a_required_feature_of_ours_refuses_who_does_not_bear_the_mark(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.required_features = HQQ_FEATURE_STATISTICS};
    by_hand_close(&hand);
    hand = by_hand_open(COUNT, SIZE, &config);
    ask(0x100, 0xff03, 7);
    assert_said(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
}

static void a_second_question_is_refused_and_counted(void **state)
{
    (void)state;
    ask(0x100, 3, 7);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7);
    ask(0x100, 1, 7);
    assert_said(HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_features(hand.advanced), 3);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 1);
}

/* ---- Questions ----------------------------------------------------------------------------------------------------- */

/* The end asks for the original's features; the peer answers this. */
static void be_answered(uint64_t version, uint64_t features, uint64_t capabilities)
{
    const struct hqq_advanced_config config = {.features = 3, .capabilities = 3};
    by_hand_close(&hand);
    hand = by_hand_open(COUNT, SIZE, &config);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_said(HQQ_OPCODE_PROTO_NEGOTIATE, 0x100, 3, 3);
    by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, version, features, capabilities);
}

static void an_answer_may_grant_less(void **state)
{
    (void)state;
    be_answered(0x100, 1, 2);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_features(hand.advanced), 1);
    assert_int_equal(hqq_advanced_capabilities(hand.advanced), 2);
    by_hand_assert_silent(&hand);
}

static void an_answer_that_grants_what_was_not_asked_is_refused(void **state)
{
    (void)state;
    static const uint64_t answers[][3] = {
        {0x100, 7, 3},
        {0x100, 3, 7},
        {0x101, 3, 3},
        {0x200, 3, 3},
        {0x100, 3 | 0x100, 3},
        {0, 3, 3},
        {0x100, UINT64_C(1) << 63, 0},
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        be_answered(answers[i][0], answers[i][1], answers[i][2]);
        assert_failed();
    }
}

static void our_own_question_bears_the_mark_if_it_offers_what_is_ours(void **state)
{
    (void)state;
    struct hqq_packet question = {0};
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_true(by_hand_take(&hand, &question, NULL, 0));
    assert_int_equal(question.operand[3], 0x4851515f4c494231);
    assert_int_equal(question.operand[4] | question.operand[5] | question.operand[6], 0);
    be_answered(0x100, 3, 3); /* which expects none of a question for the original's features */
}

static void the_version_to_speak_is_asked_for_and_answered(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = 3, .version = 0x103};
    for (int asks = 0; asks < 2; asks++) {
        by_hand_close(&hand);
        hand = by_hand_open(COUNT, SIZE, &config);
        if (asks) {
            assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
            assert_said(HQQ_OPCODE_PROTO_NEGOTIATE, 0x103, 3, 7);
            by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, 0x102, 3, 7);
        } else {
            ask(0x102, 3, 7);
            assert_said(HQQ_OPCODE_PROTO_ACK, 0x102, 3, 7);
        }
        assert_state(HQQ_NEGOTIATION_DONE);
        assert_int_equal(hqq_advanced_version(hand.advanced), 0x102);
    }
}

/* ---- Asked while asking -------------------------------------------------------------------------------------------- */

/* Puts the question of a peer into the ring, without letting the end take it. */
static void leave_a_question(uint64_t features)
{
    const struct hqq_packet question = hqq_control_packet(HQQ_OPCODE_PROTO_NEGOTIATE, 0x100, features, 7);
    pair_publish(&hand.pair, 0, &question);
}

static void a_question_that_lies_in_the_link_is_answered_and_none_is_asked(void **state)
{
    (void)state;
    leave_a_question(3);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, HQQ_FOREVER), 0);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, ALL_CAPABILITIES);
    by_hand_assert_silent(&hand);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_features(hand.advanced), 3);
}

/* A peer that waits for its answer drops what it is asked: the answer that it gets must be enough for both. */
static void a_question_that_crossed_ours_is_answered_and_that_is_all(void **state)
{
    (void)state;
    struct hqq_packet ours = {0};
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    assert_state(HQQ_NEGOTIATION_UNDER_WAY);
    leave_a_question(3);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, HQQ_FOREVER), 0); /* the later attempt */
    assert_true(by_hand_take(&hand, &ours, NULL, 0));
    assert_int_equal(ours.opcode, HQQ_OPCODE_PROTO_NEGOTIATE);
    assert_said(HQQ_OPCODE_PROTO_ACK, 0x100, 3, ALL_CAPABILITIES);
    by_hand_assert_silent(&hand);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_features(hand.advanced), 3);
    assert_int_equal(hqq_advanced_send(hand.advanced, 0, "x", 1, 0), 0);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 0);
}

static void cross(void)
{
    struct hqq_packet packet;
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    ask(0x100, 3, 7);
    assert_state(HQQ_NEGOTIATION_DONE);
    while (by_hand_take(&hand, &packet, NULL, 0))
        ;
}

static void a_peer_that_answers_all_the_same_must_have_the_same_in_mind(void **state)
{
    (void)state;
    cross();
    by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 0);
    by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7); /* once */
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 1);
    assert_state(HQQ_NEGOTIATION_DONE);
}

static void a_peer_that_refuses_our_question_after_its_answer_ends_it(void **state)
{
    (void)state;
    cross();
    by_hand_say(&hand, HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
    assert_int_equal(hqq_advanced_send(hand.advanced, 0, "x", 1, 0), HQQ_ERROR_INVALID_OP);
}

static void an_error_is_an_answer_too(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    struct hqq_packet question;
    assert_true(by_hand_take(&hand, &question, NULL, 0));
    by_hand_say(&hand, HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_failed();
}

static void answers_that_nobody_asked_for_are_dropped_and_counted(void **state)
{
    (void)state;
    by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7);
    by_hand_say(&hand, HQQ_OPCODE_ERROR, 0, HQQ_ERROR_INVALID_OP, 0);
    assert_state(HQQ_NEGOTIATION_NONE);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, 2);
    ask(0x100, 3, 7);
    assert_state(HQQ_NEGOTIATION_DONE);
}

static void packets_of_later_are_dropped_and_counted_before(void **state)
{
    (void)state;
    const uint64_t opcodes[] = {
        HQQ_OPCODE_CONN_CREATE, HQQ_OPCODE_CONN_ACCEPT,  HQQ_OPCODE_CONN_CLOSE,  HQQ_OPCODE_CONN_COPY,
        HQQ_OPCODE_SETUP,       HQQ_OPCODE_KEY_EXCHANGE, HQQ_OPCODE_KEY_CONFIRM, HQQ_OPCODE_CREDIT,
        HQQ_OPCODE_STATS_ASK,   HQQ_OPCODE_STATS,        HQQ_OPCODE_COPY,        0x77,
    };
    const size_t count = sizeof(opcodes) / sizeof(opcodes[0]);
    assert_int_equal(hqq_advanced_listen(hand.advanced, 1), 0);
    for (size_t i = 0; i < count; i++)
        by_hand_say(&hand, opcodes[i], 1, 1, 1);
    by_hand_assert_silent(&hand);
    assert_state(HQQ_NEGOTIATION_NONE);
    assert_int_equal(advanced_stats(hand.advanced).invalid_frames, count);
    ask(0x100, 3, 7);
    assert_state(HQQ_NEGOTIATION_DONE);
    assert_int_equal(advanced_stats(hand.advanced).connections, 0);
}

static void a_setup_that_no_peer_of_ours_makes_is_refused(void **state)
{
    (void)state;
    by_hand_ask(&hand, 0x100, HQQ_FEATURE_FLOW_CONTROL, 0, true);
    struct hqq_packet packet;
    while (by_hand_take(&hand, &packet, NULL, 0))
        ;
    by_hand_say(&hand, HQQ_OPCODE_SETUP, (UINT64_C(1) << 48) + 1, 1, 0);
    assert_state(HQQ_NEGOTIATION_FAILED);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_INVALID_SIZE);
}

/* ---- The original at the other end --------------------------------------------------------------------------------- */

/* All that was sent; it must be the original's alone. */
static void take_what_the_original_knows(void)
{
    struct hqq_packet packet;
    while (by_hand_take(&hand, &packet, NULL, 0)) {
        assert_true(packet.opcode <= HQQ_OPCODE_PROTO_ACK);
        if (packet.opcode == HQQ_OPCODE_CONN_COPY) {
            assert_int_equal(packet.operand[5] & ~UINT64_C(0x3f), 0);
            if ((packet.operand[5] & HQQ_FRAME_BEGIN) == 0)
                assert_int_equal(packet.operand[6], 0); /* the method is said once */
        } else {
            assert_int_equal(packet.operand[3] | packet.operand[4] | packet.operand[5] | packet.operand[6], 0);
        }
    }
    (void)advanced_drive(hand.advanced);
}

static void a_peer_that_speaks_the_original_sees_nothing_new(void **state)
{
    (void)state;
    static unsigned char zeroes[4096]; /* that would compress well */
    const struct hqq_advanced_config config = {.key = advanced_key, .compress_threshold = 1, .window = 1024};
    by_hand_close(&hand);
    hand = by_hand_open(COUNT, SIZE, &config);
    assert_int_equal(hqq_advanced_negotiate(hand.advanced, 0), HQQ_ERROR_WOULD_BLOCK);
    struct hqq_packet question;
    assert_true(by_hand_take(&hand, &question, NULL, 0));
    by_hand_say(&hand, HQQ_OPCODE_PROTO_ACK, 0x100, 3, 7);
    assert_state(HQQ_NEGOTIATION_DONE);

    assert_int_equal(hqq_advanced_post(hand.advanced, 0, zeroes, sizeof(zeroes)), 0);
    uint64_t sent = 0;
    while (advanced_stats(hand.advanced).messages_sent == 0 && sent++ < 100)
        take_what_the_original_knows();
    assert_int_equal(advanced_stats(hand.advanced).messages_sent, 1);
    assert_int_equal(advanced_stats(hand.advanced).chunks_sent, sizeof(zeroes) / SIZE);

    take_what_the_original_knows();

    struct hqq_pending *pending;
    assert_int_equal(hqq_pending_begin(hand.advanced, NULL, 5, zeroes, 3 * SIZE, 0, &pending), 0);
    take_what_the_original_knows();

    /* Much more than a window is received, on a connection and on none. */
    assert_int_equal(hqq_advanced_listen(hand.advanced, 1), 0);
    by_hand_say(&hand, HQQ_OPCODE_CONN_CREATE, 1, 0, 0);
    assert_said(HQQ_OPCODE_CONN_ACCEPT, 1, 0, 0);
    for (uint64_t i = 0; i < 100; i++) {
        const struct hqq_chunk chunk = {i % 2, 1 + i, SIZE, 0, SIZE, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0};
        by_hand_chunk(&hand, &chunk, NULL);
        by_hand_assert_silent(&hand);
    }
    assert_int_equal(advanced_stats(hand.advanced).messages_received, 100);
    assert_int_equal(hqq_advanced_set_priority(hand.advanced, HQQ_PRIORITY_BULK), 0);
    assert_int_equal(hqq_advanced_set_rate(hand.advanced, UINT64_C(1) << 40, 0), 0);
    assert_int_equal(hqq_advanced_post(hand.advanced, 0, "x", 1), 0);
    take_what_the_original_knows();
    by_hand_say(&hand, HQQ_OPCODE_CONN_CLOSE, 1, 0, 0);
    by_hand_assert_silent(&hand);
}

/* ---- Configurations ------------------------------------------------------------------------------------------------ */

static void assert_cannot_open(const struct hqq_advanced_config *config, int error)
{
    struct pair pair = pair_open(COUNT, SIZE);
    struct hqq_advanced *advanced = NULL;
    assert_int_equal(hqq_advanced_open(pair.primary, config, &advanced), error);
    assert_null(advanced);
    assert_int_equal(hqq_link_try_write(pair.primary, "mine", 4), 0); /* the link stays the caller's */
    pair_close(&pair);
}

static void what_is_unknown_or_impossible_is_an_invalid_operation(void **state)
{
    (void)state;
    const struct hqq_advanced_config unknown_feature = {.features = 4};
    const struct hqq_advanced_config unknown_required = {.required_features = UINT64_C(1) << 14};
    const struct hqq_advanced_config unknown_capability = {.capabilities = 8};
    const struct hqq_advanced_config no_key = {.required_features = HQQ_FEATURE_ENCRYPTION};
    const struct hqq_advanced_config reserved = {.reserved = 1};
    const struct hqq_advanced_config no_version = {.version = 0x10000};
    assert_cannot_open(&unknown_feature, HQQ_ERROR_INVALID_OP);
    assert_cannot_open(&unknown_required, HQQ_ERROR_INVALID_OP);
    assert_cannot_open(&unknown_capability, HQQ_ERROR_INVALID_OP);
    assert_cannot_open(&no_key, HQQ_ERROR_INVALID_OP);
    assert_cannot_open(&reserved, HQQ_ERROR_INVALID_OP);
    assert_cannot_open(&no_version, HQQ_ERROR_INVALID_OP);
}

static void a_limit_beyond_all_sense_is_an_invalid_size(void **state)
{
    (void)state;
    const size_t first = offsetof(struct hqq_advanced_config, max_message);
    const size_t last = offsetof(struct hqq_advanced_config, compress_threshold);
    for (size_t at = first; at <= last; at += sizeof(uint64_t)) {
        struct hqq_advanced_config config = HQQ_ADVANCED_CONFIG_INIT;
        *(uint64_t *)(void *)((char *)&config + at) = (UINT64_C(1) << 48) + 1;
        assert_cannot_open(&config, HQQ_ERROR_INVALID_SIZE);
    }
    const struct hqq_advanced_config narrow = {.window = 1023};
    assert_cannot_open(&narrow, HQQ_ERROR_INVALID_SIZE);
}

/* A slot of 24 bytes has no room for a record that is worth it. */
static void encryption_needs_slots_of_32_bytes(void **state)
{
    (void)state;
    const struct hqq_advanced_config optional = {.key = advanced_key};
    const struct hqq_advanced_config required = {.key = advanced_key, .required_features = HQQ_FEATURE_ENCRYPTION};
    struct pair pair = pair_open(COUNT, 24);
    struct hqq_advanced *advanced = NULL;
    assert_int_equal(hqq_advanced_open(pair.primary, &required, &advanced), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_open(pair.primary, &optional, &advanced), 0);
    assert_int_equal(advanced->config.features & HQQ_FEATURE_ENCRYPTION, 0);
    assert_ptr_equal(hqq_advanced_link(advanced), pair.primary);
    hqq_advanced_close(advanced);
    hqq_link_close(pair.secondary);
    region_delete(&pair.region);
}

static void a_link_that_reads_streams_or_is_shut_cannot_be_advanced(void **state)
{
    (void)state;
    const struct hqq_link_config stream = {.buffer_count = 4, .buffer_size = 64, .flags = HQQ_LINK_STREAM_READ};
    struct pair pair = pair_open_with(&stream);
    struct hqq_advanced *advanced = NULL;
    assert_int_equal(hqq_advanced_open(pair.primary, NULL, &advanced), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_link_shutdown(pair.primary), 0);
    assert_int_equal(hqq_advanced_open(pair.primary, NULL, &advanced), HQQ_ERROR_CLOSED);
    assert_null(advanced);
    pair_close(&pair);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_higher_minor_version_is_answered_with_our_own),
        TEST(another_major_version_is_refused_for_good),
        TEST(a_version_with_bits_beyond_major_and_minor_is_another_major),
        TEST(undefined_bits_are_never_echoed),
        TEST(features_of_ours_are_granted_to_our_own_question_only),
        TEST(a_required_feature_of_ours_refuses_who_does_not_bear_the_mark),
        TEST(our_own_question_bears_the_mark_if_it_offers_what_is_ours),
        TEST(the_version_to_speak_is_asked_for_and_answered),
        TEST(a_question_that_lies_in_the_link_is_answered_and_none_is_asked),
        TEST(a_question_that_crossed_ours_is_answered_and_that_is_all),
        TEST(a_peer_that_answers_all_the_same_must_have_the_same_in_mind),
        TEST(a_peer_that_refuses_our_question_after_its_answer_ends_it),
        TEST(a_second_question_is_refused_and_counted),
        TEST(an_answer_may_grant_less),
        TEST(an_answer_that_grants_what_was_not_asked_is_refused),
        TEST(an_error_is_an_answer_too),
        TEST(answers_that_nobody_asked_for_are_dropped_and_counted),
        TEST(packets_of_later_are_dropped_and_counted_before),
        TEST(a_setup_that_no_peer_of_ours_makes_is_refused),
        TEST(a_peer_that_speaks_the_original_sees_nothing_new),
        cmocka_unit_test(what_is_unknown_or_impossible_is_an_invalid_operation),
        cmocka_unit_test(a_limit_beyond_all_sense_is_an_invalid_size),
        cmocka_unit_test(encryption_needs_slots_of_32_bytes),
        cmocka_unit_test(a_link_that_reads_streams_or_is_shut_cannot_be_advanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
