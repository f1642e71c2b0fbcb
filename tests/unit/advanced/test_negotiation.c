/* Agreeing on version and features: who asks, how long it may take, what is refused, and what can be asked of the result.
 * A peer that speaks only the original sees nothing of what is new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>

#include "advanced/session.h"
#include "platform/clock.h"
#include "support/advanced.h"

#define COUNT 8
#define SIZE 64
#define ALL_CAPABILITIES UINT64_C(7)

static struct duo duo;

static const struct hqq_advanced_config original = {.features = ORIGINAL_FEATURES};

static int open_plain(void **state)
{
    (void)state;
    duo = duo_open(COUNT, SIZE, NULL, NULL);
    return 0;
}

static int open_original(void **state)
{
    (void)state;
    duo = duo_open(COUNT, SIZE, &original, &original);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

static int negotiate(struct caller *caller)
{
    return hqq_advanced_negotiate(caller->arg, advanced_soon());
}

static int accept_negotiation(struct caller *caller)
{
    return hqq_advanced_accept_negotiation(caller->arg, advanced_soon());
}

static void assert_states(enum hqq_negotiation state)
{
    assert_int_equal(hqq_advanced_negotiation(duo.end[0]), state);
    assert_int_equal(hqq_advanced_negotiation(duo.end[1]), state);
}

static void assert_nothing_invalid(void)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(advanced_stats(duo.end[i]).invalid_frames, 0);
        assert_int_equal(advanced_stats(duo.end[i]).late_frames, 0);
    }
}

/* ---- Who asks ------------------------------------------------------------------------------------------------------ */

static void one_end_asks_and_the_other_waits_for_it(void **state)
{
    (void)state;
    struct caller answerer = {.call = accept_negotiation, .arg = duo.end[1]};
    caller_start(&answerer);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], advanced_soon()), 0);
    assert_int_equal(caller_join(&answerer), 0);
    assert_states(HQQ_NEGOTIATION_DONE);
    assert_nothing_invalid();
}

static void both_ends_ask_at_once(void **state)
{
    (void)state;
    struct caller other = {.call = negotiate, .arg = duo.end[1]};
    caller_start(&other);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], advanced_soon()), 0);
    assert_int_equal(caller_join(&other), 0);
    assert_states(HQQ_NEGOTIATION_DONE);
}

/* Each asks before it could see that the other has. */
static void questions_that_cross_are_both_answered(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        hqq_advanced_lock(duo.end[i]);
        assert_int_equal(hqq_session_ask(duo.end[i], ORIGINAL_VERSION, ORIGINAL_FEATURES, ALL_CAPABILITIES), 0);
        hqq_advanced_unlock(duo.end[i]);
    }
    duo_settle(&duo);
    assert_states(HQQ_NEGOTIATION_DONE);
    assert_nothing_invalid();
}

static void both_ends_wait_and_nobody_asks(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_accept_negotiation(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_accept_negotiation(duo.end[1], hqq_clock_ns() + HQQ_NS_PER_MS), HQQ_ERROR_TIMEOUT);
    assert_states(HQQ_NEGOTIATION_NONE);
}

static void negotiating_again_does_nothing(void **state)
{
    (void)state;
    duo_agree(&duo);
    uint64_t chunks = hqq_ring_depth(&duo.pair.primary->tx);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 0), 0);
    assert_int_equal(hqq_advanced_accept_negotiation(duo.end[0], 0), 0);
    assert_int_equal(hqq_advanced_negotiate(duo.end[1], 0), 0);
    assert_int_equal(hqq_ring_depth(&duo.pair.primary->tx), chunks);
}

/* ---- Time ---------------------------------------------------------------------------------------------------------- */

static void a_deadline_that_passes_leaves_it_under_way(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], hqq_clock_ns() + HQQ_NS_PER_MS), HQQ_ERROR_TIMEOUT);
    assert_int_equal(hqq_advanced_negotiation(duo.end[0]), HQQ_NEGOTIATION_UNDER_WAY);
    assert_int_equal(hqq_ring_depth(&duo.pair.primary->tx), 1); /* it has asked once */

    struct caller answerer = {.call = accept_negotiation, .arg = duo.end[1]};
    caller_start(&answerer);
    assert_int_equal(hqq_advanced_accept_negotiation(duo.end[0], advanced_soon()), 0);
    assert_int_equal(caller_join(&answerer), 0);
}

/* What has come is seen, also by a call whose time is over. */
static void an_answer_that_lies_in_the_link_is_found_after_the_deadline(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    (void)advanced_drive(duo.end[1]);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 1), 0);
    assert_true(advanced_stats(duo.end[0]).negotiation_ns > 0);
}

static void the_end_of_the_link_is_the_end_of_the_negotiation(void **state)
{
    (void)state;
    struct caller asker = {.call = negotiate, .arg = duo.end[0]};
    caller_start(&asker);
    advanced_await_waiters(duo.end[0], 1);
    assert_int_equal(hqq_advanced_shutdown(duo.end[1]), 0);
    assert_int_equal(caller_join(&asker), HQQ_ERROR_CLOSED);
    assert_states(HQQ_NEGOTIATION_FAILED);
    assert_int_equal(hqq_advanced_negotiate(duo.end[1], 0), HQQ_ERROR_CLOSED);
}

/* ---- What can be asked of it --------------------------------------------------------------------------------------- */

static void nothing_is_agreed_on_before(void **state)
{
    (void)state;
    assert_states(HQQ_NEGOTIATION_NONE);
    assert_int_equal(hqq_advanced_version(duo.end[0]), 0);
    assert_int_equal(hqq_advanced_features(duo.end[0]), 0);
    assert_int_equal(hqq_advanced_capabilities(duo.end[0]), 0);
    assert_false(hqq_advanced_is_large_copy_enabled(duo.end[0]));
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(hqq_advanced_features(duo.end[0]), 0);
}

static void afterwards_all_that_both_have_is_agreed_on(void **state)
{
    (void)state;
    duo_agree(&duo);
    for (int i = 0; i < 2; i++) {
        /* There is no key, and compression must be asked for. */
        uint64_t features = hqq_advanced_supported_features() & ~(HQQ_FEATURE_ENCRYPTION | HQQ_FEATURE_COMPRESSION);
        assert_int_equal(hqq_advanced_version(duo.end[i]), ORIGINAL_VERSION);
        assert_int_equal(hqq_advanced_features(duo.end[i]), features);
        assert_int_equal(hqq_advanced_capabilities(duo.end[i]), ALL_CAPABILITIES);
        assert_true(advanced_stats(duo.end[i]).negotiation_ns > 0);
    }
}

static void each_feature_has_a_question_of_its_own(void **state)
{
    (void)state;
    static const struct {
        uint64_t feature;
        bool (*is_enabled)(const struct hqq_advanced *advanced);
    } questions[] = {
        {HQQ_FEATURE_LARGE_COPY, hqq_advanced_is_large_copy_enabled},
        {HQQ_FEATURE_REQUEST_RESPONSE, hqq_advanced_is_request_response_enabled},
        {HQQ_FEATURE_COMPRESSION, hqq_advanced_is_compression_enabled},
        {HQQ_FEATURE_ENCRYPTION, hqq_advanced_is_encryption_enabled},
        {HQQ_FEATURE_FLOW_CONTROL, hqq_advanced_is_flow_control_enabled},
        {HQQ_FEATURE_STATISTICS, hqq_advanced_is_statistics_enabled},
        {HQQ_FEATURE_QOS, hqq_advanced_is_qos_enabled},
        {HQQ_FEATURE_STREAMING, hqq_advanced_is_streaming_enabled},
    };
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        const struct hqq_advanced_config config = {.features = questions[i].feature, .key = advanced_key};
        if ((hqq_advanced_supported_features() & questions[i].feature) == 0)
            continue;
        struct duo one = duo_agreed(COUNT, SIZE, &config);
        for (size_t k = 0; k < sizeof(questions) / sizeof(questions[0]); k++)
            assert_int_equal(questions[k].is_enabled(one.end[0]), k == i);
        duo_close(&one);
    }
}

static void what_needs_the_peer_is_not_allowed_before(void **state)
{
    (void)state;
    struct hqq_advanced *end = duo.end[0];
    struct hqq_received received;
    struct hqq_connection *connection;
    struct hqq_outgoing *outgoing;
    struct hqq_pending *pending;
    struct hqq_request *request;
    struct hqq_advanced_peer_stats peer;
    assert_int_equal(hqq_advanced_send(end, 0, "x", 1, HQQ_FOREVER), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_post(end, 0, "x", 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_receive(end, HQQ_FOREVER, &received), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_outgoing_begin(end, 0, 1, &outgoing), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_dial(end, HQQ_FOREVER, &connection), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_accept(end, HQQ_FOREVER, &connection), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_call(end, 1, "x", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_pending_begin(end, NULL, 1, "x", 1, HQQ_FOREVER, &pending), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_serve(end, HQQ_FOREVER, &request), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_get_peer_stats(end, HQQ_FOREVER, &peer), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_flush(end, HQQ_FOREVER), 0); /* there is nothing */
    assert_int_equal(advanced_stats(end).errors, 10);
}

static void what_needs_a_feature_is_not_allowed_without_it(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = HQQ_FEATURE_LARGE_COPY};
    struct duo bare = duo_agreed(COUNT, SIZE, &config);
    struct hqq_request *request;
    struct hqq_advanced_peer_stats peer;
    assert_int_equal(hqq_advanced_call(bare.end[0], 1, "x", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_serve(bare.end[0], HQQ_FOREVER, &request), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_get_peer_stats(bare.end[0], HQQ_FOREVER, &peer), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_ring_depth(&bare.pair.primary->tx), 0);
    duo_close(&bare);
}

/* ---- What both have ------------------------------------------------------------------------------------------------ */

static void features_and_capabilities_are_those_of_both(void **state)
{
    (void)state;
    const struct hqq_advanced_config first = {.features = HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_QOS,
                                              .capabilities = HQQ_CAPABILITY_LARGE_BUFFERS};
    const struct hqq_advanced_config second = {.features = HQQ_FEATURE_LARGE_COPY | HQQ_FEATURE_STATISTICS,
                                               .capabilities =
                                                   HQQ_CAPABILITY_LARGE_BUFFERS | HQQ_CAPABILITY_LOW_LATENCY};
    struct duo mixed = duo_open(COUNT, SIZE, &first, &second);
    duo_agree(&mixed);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_advanced_features(mixed.end[i]), HQQ_FEATURE_LARGE_COPY);
        assert_int_equal(hqq_advanced_capabilities(mixed.end[i]), HQQ_CAPABILITY_LARGE_BUFFERS);
    }
    duo_close(&mixed);
}

static void assert_lacking_fails(const struct hqq_advanced_config *first, const struct hqq_advanced_config *second,
                                 bool do_both_ask)
{
    struct duo lacking = duo_open(COUNT, SIZE, first, second);
    for (int i = 0; i < 1 + do_both_ask; i++) {
        hqq_advanced_lock(lacking.end[i]);
        const struct hqq_advanced_config *config = &lacking.end[i]->config;
        assert_int_equal(hqq_session_ask(lacking.end[i], ORIGINAL_VERSION, config->features, ALL_CAPABILITIES), 0);
        hqq_advanced_unlock(lacking.end[i]);
    }
    duo_settle(&lacking);
    for (int i = 0; i < 2; i++) {
        /* Who has answered an end that requires more is not told. */
        if (i == 1 && !do_both_ask && first->required_features != 0)
            continue;
        assert_int_equal(hqq_advanced_negotiation(lacking.end[i]), HQQ_NEGOTIATION_FAILED);
        assert_int_equal(hqq_advanced_negotiate(lacking.end[i], 0), HQQ_ERROR_INVALID_OP);
        assert_int_equal(hqq_advanced_accept_negotiation(lacking.end[i], 0), HQQ_ERROR_INVALID_OP);
    }
    duo_close(&lacking);
}

static void a_required_feature_that_is_missing_fails_it_at_both_ends(void **state)
{
    (void)state;
    const struct hqq_advanced_config requires = {.features = ORIGINAL_FEATURES, .required_features = HQQ_FEATURE_QOS};
    const struct hqq_advanced_config lacks = {.features = ORIGINAL_FEATURES};
    assert_lacking_fails(&lacks, &requires, false);
    assert_lacking_fails(&requires, &lacks, false);
    assert_lacking_fails(&lacks, &requires, true);
    assert_lacking_fails(&requires, &lacks, true);
}

static void a_required_feature_is_offered_and_agreed_on(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES, .required_features = HQQ_FEATURE_QOS};
    struct duo required = duo_agreed(COUNT, SIZE, &config);
    assert_int_equal(hqq_advanced_features(required.end[1]), ORIGINAL_FEATURES | HQQ_FEATURE_QOS);
    duo_close(&required);
}

static void an_end_without_a_key_negotiates_encryption_away(void **state)
{
    (void)state;
    const struct hqq_advanced_config with = {.key = advanced_key};
    struct duo half = duo_open(COUNT, SIZE, &with, NULL);
    duo_agree(&half);
    for (int i = 0; i < 2; i++)
        assert_false(hqq_advanced_is_encryption_enabled(half.end[i]));
    duo_close(&half);
}

static void keys_that_differ_are_found_out_at_both_ends(void **state)
{
    (void)state;
    static const unsigned char other[HQQ_KEY_BYTES] = "nobody else knows this";
    const struct hqq_advanced_config first = {.key = advanced_key}, second = {.key = other};
    if ((hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) == 0)
        skip();
    struct duo differ = duo_open(COUNT, SIZE, &first, &second);
    struct caller answerer = {.call = accept_negotiation, .arg = differ.end[1]};
    caller_start(&answerer);
    assert_int_equal(hqq_advanced_negotiate(differ.end[0], advanced_soon()), HQQ_ERROR_AUTH);
    assert_int_equal(caller_join(&answerer), HQQ_ERROR_AUTH);
    for (int i = 0; i < 2; i++) {
        struct hqq_received received;
        assert_int_equal(hqq_advanced_negotiation(differ.end[i]), HQQ_NEGOTIATION_FAILED);
        assert_int_equal(hqq_advanced_features(differ.end[i]), 0);
        assert_int_equal(hqq_advanced_send(differ.end[i], 0, "x", 1, 0), HQQ_ERROR_AUTH);
        assert_int_equal(hqq_advanced_receive(differ.end[i], 0, &received), HQQ_ERROR_AUTH);
    }
    duo_close(&differ);
}

#define PLAIN(function) cmocka_unit_test_setup_teardown(function, open_plain, tear_down)
#define ORIGINAL(function) cmocka_unit_test_setup_teardown(function, open_original, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(one_end_asks_and_the_other_waits_for_it),
        PLAIN(both_ends_ask_at_once),
        ORIGINAL(questions_that_cross_are_both_answered),
        PLAIN(questions_that_cross_are_both_answered),
        PLAIN(both_ends_wait_and_nobody_asks),
        PLAIN(negotiating_again_does_nothing),
        PLAIN(a_deadline_that_passes_leaves_it_under_way),
        ORIGINAL(an_answer_that_lies_in_the_link_is_found_after_the_deadline),
        PLAIN(the_end_of_the_link_is_the_end_of_the_negotiation),
        PLAIN(nothing_is_agreed_on_before),
        PLAIN(afterwards_all_that_both_have_is_agreed_on),
        cmocka_unit_test(each_feature_has_a_question_of_its_own),
        PLAIN(what_needs_the_peer_is_not_allowed_before),
        cmocka_unit_test(what_needs_a_feature_is_not_allowed_without_it),
        cmocka_unit_test(features_and_capabilities_are_those_of_both),
        cmocka_unit_test(a_required_feature_that_is_missing_fails_it_at_both_ends),
        cmocka_unit_test(a_required_feature_is_offered_and_agreed_on),
        cmocka_unit_test(an_end_without_a_key_negotiates_encryption_away),
        cmocka_unit_test(keys_that_differ_are_found_out_at_both_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
