/*
 * Images of advanced links that the original implementation wrote: the same steps taken here leave the same bytes, and
 * what is pending in them means here what it meant there. Skipped on a system whose pages are not those of the images;
 * test_advanced_format.c says the same of the bytes without them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "advanced/session.h"
#include "golden/advanced_scene.h"
#include "golden/image.h"
#include "support/pattern.h"

static void the_same_steps_leave_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < advanced_scene_count; i++) {
        struct region image = image_load(advanced_scenes[i].name);
        struct duo duo = advanced_scene_open();
        advanced_scenes[i].perform(&duo);
        const unsigned char *ours = duo.pair.region.base, *theirs = image.base;
        assert_int_equal(duo.pair.region.length, IMAGE_LENGTH);
        assert_memory_equal(ours, theirs, 64);
        assert_memory_equal(ours + IMAGE_PAGE, theirs + IMAGE_PAGE, IMAGE_LENGTH - IMAGE_PAGE);
        duo_close(&duo);
        region_delete(&image);
    }
}

/* ---- Reading ------------------------------------------------------------------------------------------------------- */

/* The end of an image whose peer wrote it, and which has negotiated, if the image says that it has. */
static struct hqq_advanced *open_image(const struct region *region, enum hqq_role role)
{
    const struct hqq_link_config link_config = {.role = role};
    const struct hqq_advanced_config config = {.features = ORIGINAL_FEATURES};
    struct hqq_link *link = NULL;
    struct hqq_advanced *advanced = NULL;
    assert_int_equal(hqq_link_attach(region->base, region->length, &link_config, &link), 0);
    assert_int_equal(hqq_advanced_open(link, &config, &advanced), 0);
    return advanced;
}

/* Nothing of the negotiation is left in the image: it is taken as done. */
static struct hqq_advanced *open_negotiated_image(const struct region *region, enum hqq_role role)
{
    struct hqq_advanced *advanced = open_image(region, role);
    const struct hqq_packet ack = {HQQ_OPCODE_PROTO_ACK, {ORIGINAL_VERSION, ORIGINAL_FEATURES, 7, 0, 0, 0, 0}};
    hqq_advanced_lock(advanced);
    advanced->session.has_asked = true;
    advanced->session.asked_version = ORIGINAL_VERSION;
    advanced->session.asked_features = ORIGINAL_FEATURES;
    advanced->session.asked_capabilities = 7;
    assert_true(hqq_session_handle(advanced, &ack));
    hqq_advanced_unlock(advanced);
    assert_int_equal(hqq_advanced_negotiation(advanced), HQQ_NEGOTIATION_DONE);
    return advanced;
}

static void a_question_of_the_original_is_answered(void **state)
{
    (void)state;
    struct region region = image_load("adv-negotiate-pending");
    struct region answered = image_load("adv-ack-pending");
    struct hqq_advanced *secondary = open_image(&region, HQQ_ROLE_SECONDARY);
    assert_int_equal(hqq_advanced_accept_negotiation(secondary, 0), 0);
    assert_int_equal(hqq_advanced_version(secondary), ORIGINAL_VERSION);
    assert_int_equal(hqq_advanced_features(secondary), ORIGINAL_FEATURES);
    assert_memory_equal((unsigned char *)region.base + IMAGE_PAGE, (unsigned char *)answered.base + IMAGE_PAGE,
                        IMAGE_LENGTH - IMAGE_PAGE);
    hqq_advanced_close(secondary);
    region_delete(&region);
    region_delete(&answered);
}

static void an_error_of_the_original_fails_the_negotiation(void **state)
{
    (void)state;
    struct region region = image_load("adv-negotiate-refused");
    struct hqq_advanced *primary = open_image(&region, HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_advanced_negotiate(primary, HQQ_FOREVER), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_negotiation(primary), HQQ_NEGOTIATION_FAILED);
    hqq_advanced_close(primary);
    region_delete(&region);
}

static void messages_of_the_original_are_received(void **state)
{
    (void)state;
    unsigned char expected[150];
    struct hqq_received received;
    struct region region = image_load("adv-large-and-empty");
    struct hqq_advanced *secondary = open_negotiated_image(&region, HQQ_ROLE_SECONDARY);
    pattern(expected, sizeof(expected), 3);
    advanced_assert_receives(secondary, expected, sizeof(expected), 0);
    assert_int_equal(hqq_advanced_receive(secondary, 0, &received), 0);
    assert_int_equal(received.length, 0);
    assert_int_equal(received.connection, 9);
    assert_int_equal(received.message, 2);
    hqq_received_free(secondary, &received);
    assert_int_equal(hqq_advanced_receive(secondary, 0, &received), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(secondary).invalid_frames, 0);
    hqq_advanced_close(secondary);
    region_delete(&region);
}

static void a_call_of_the_original_is_served(void **state)
{
    (void)state;
    struct hqq_request *request;
    struct region region = image_load("adv-request-pending");
    struct hqq_advanced *secondary = open_negotiated_image(&region, HQQ_ROLE_SECONDARY);
    assert_int_equal(hqq_advanced_serve(secondary, 0, &request), 0);
    assert_int_equal(hqq_request_method(request), 7);
    assert_int_equal(hqq_request_connection(request), 0);
    assert_int_equal(hqq_request_length(request), 4);
    assert_memory_equal(hqq_request_data(request), "ping", 4);
    hqq_request_drop(request);
    hqq_advanced_close(secondary);
    region_delete(&region);
}

/* The image was made while the call was under way, as one is here; the second answer finds nobody. */
static void answers_of_the_original_end_the_call(void **state)
{
    (void)state;
    struct hqq_pending *pending;
    struct hqq_received answer;
    uint64_t status;
    struct region region = image_load("adv-responses-pending");
    struct hqq_advanced *primary = open_negotiated_image(&region, HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_pending_begin(primary, NULL, 7, "ping", 4, 0, &pending), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, &status, &answer), 0);
    assert_int_equal(status, 42);
    assert_int_equal(answer.length, 2);
    assert_memory_equal(answer.data, "ok", 2);
    hqq_received_free(primary, &answer);
    (void)advanced_drive(primary);
    assert_int_equal(advanced_stats(primary).late_responses, 1);
    assert_int_equal(advanced_stats(primary).invalid_frames, 0);
    hqq_advanced_close(primary);
    region_delete(&region);
}

static void a_dial_of_the_original_is_accepted_or_refused(void **state)
{
    (void)state;
    for (int listens = 0; listens < 2; listens++) {
        struct hqq_connection *accepted;
        struct region region = image_load("adv-create-pending");
        struct hqq_advanced *secondary = open_negotiated_image(&region, HQQ_ROLE_SECONDARY);
        assert_int_equal(hqq_advanced_listen(secondary, (uint64_t)listens), 0);
        assert_int_equal(hqq_advanced_accept(secondary, 0, &accepted), listens ? 0 : HQQ_ERROR_WOULD_BLOCK);
        struct hqq_packet answer = hqq_packet_load(hqq_ring_packet(&hqq_advanced_link(secondary)->tx, 1));
        assert_int_equal(answer.opcode, listens ? HQQ_OPCODE_CONN_ACCEPT : HQQ_OPCODE_ERROR);
        assert_int_equal(answer.operand[0], 1);
        assert_int_equal(answer.operand[1], listens ? 0 : HQQ_ERROR_CONN_NOT_FOUND);
        hqq_advanced_close(secondary);
        region_delete(&region);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_steps_leave_the_same_bytes),
        cmocka_unit_test(a_question_of_the_original_is_answered),
        cmocka_unit_test(an_error_of_the_original_fails_the_negotiation),
        cmocka_unit_test(messages_of_the_original_are_received),
        cmocka_unit_test(a_call_of_the_original_is_served),
        cmocka_unit_test(answers_of_the_original_end_the_call),
        cmocka_unit_test(a_dial_of_the_original_is_accepted_or_refused),
    };
    if (!image_fits_page())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
