/* Judging ConnCopy packets: every rule, its boundaries, and sizes that would overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "advanced/wire.h"

#define SIZE 64
#define ONLY (HQQ_FRAME_BEGIN | HQQ_FRAME_END)

static const struct hqq_chunk_rules plain = {.buffer_size = SIZE};
static const struct hqq_chunk_rules sealed = {.buffer_size = SIZE, .overhead = 16};
static const struct hqq_chunk_rules packed = {.buffer_size = SIZE, .may_be_compressed = true};

/* What a packet with these sizes and flags is judged to be. */
static int judge(const struct hqq_chunk_rules *rules, uint64_t total, uint64_t offset, uint64_t size, uint64_t flags)
{
    uint64_t method = (flags & (HQQ_FRAME_BEGIN | HQQ_FRAME_ABORT)) != 0 ? 3 : 0;
    const struct hqq_packet packet = {HQQ_OPCODE_CONN_COPY, {1, 2, total, offset, size, flags, method}};
    struct hqq_chunk chunk = {.connection = 99};
    int result = hqq_chunk_parse(&packet, rules, &chunk);
    assert_int_equal(chunk.connection, result == 0 ? 1 : 99); /* untouched on failure */
    return result;
}

static void assert_valid(uint64_t total, uint64_t offset, uint64_t size, uint64_t flags)
{
    assert_int_equal(judge(&plain, total, offset, size, flags), 0);
}

static void assert_size_refused(uint64_t total, uint64_t offset, uint64_t size, uint64_t flags)
{
    assert_int_equal(judge(&plain, total, offset, size, flags), HQQ_ERROR_INVALID_SIZE);
}

static void a_chunk_survives_the_way_into_a_packet_and_back(void **state)
{
    (void)state;
    const struct hqq_chunk chunk = {
        UINT64_MAX, UINT64_MAX - 1, 1000, 0, 48, HQQ_FRAME_BEGIN | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR, 7};
    struct hqq_chunk found;
    struct hqq_packet packet = hqq_chunk_packet(&chunk, 0);
    const struct hqq_packet expected = {4, {UINT64_MAX, UINT64_MAX - 1, 1000, 0, 48, 49, 7}};
    assert_memory_equal(&packet, &expected, sizeof(packet));
    assert_int_equal(hqq_chunk_parse(&packet, &plain, &found), 0);
    assert_memory_equal(&found, &chunk, sizeof(chunk));

    packet = hqq_chunk_packet(&chunk, 16);
    assert_int_equal(packet.operand[4], 64);
    assert_int_equal(hqq_chunk_parse(&packet, &sealed, &found), 0);
    assert_memory_equal(&found, &chunk, sizeof(chunk));
}

static void whole_messages_of_zero_to_the_slot_are_valid(void **state)
{
    (void)state;
    assert_valid(0, 0, 0, ONLY);
    assert_valid(1, 0, 1, ONLY);
    assert_valid(SIZE, 0, SIZE, ONLY);
    assert_size_refused(SIZE + 1, 0, SIZE + 1, ONLY);
}

static void chunks_of_a_longer_message_are_valid(void **state)
{
    (void)state;
    assert_valid(150, 0, 64, HQQ_FRAME_BEGIN);
    assert_valid(150, 64, 64, 0);
    assert_valid(150, 128, 22, HQQ_FRAME_END);
    assert_valid(UINT64_C(1) << 48, (UINT64_C(1) << 48) - 1, 1, HQQ_FRAME_END);
}

static void begin_is_at_offset_zero_and_nowhere_else(void **state)
{
    (void)state;
    assert_size_refused(150, 0, 64, 0);
    assert_size_refused(150, 64, 64, HQQ_FRAME_BEGIN);
    assert_size_refused(64, 0, 64, HQQ_FRAME_END);
}

static void end_is_at_the_total_and_nowhere_else(void **state)
{
    (void)state;
    assert_size_refused(150, 64, 64, HQQ_FRAME_END);
    assert_size_refused(150, 128, 22, 0);
    assert_size_refused(64, 0, 64, HQQ_FRAME_BEGIN);
    assert_size_refused(64, 0, 63, ONLY);
}

static void only_an_empty_message_has_an_empty_chunk(void **state)
{
    (void)state;
    assert_size_refused(150, 0, 0, HQQ_FRAME_BEGIN);
    assert_size_refused(150, 64, 0, 0);
    assert_size_refused(150, 150, 0, HQQ_FRAME_END);
    assert_size_refused(0, 0, 0, HQQ_FRAME_BEGIN);
    assert_size_refused(0, 0, 0, HQQ_FRAME_END);
}

static void sizes_that_overflow_or_do_not_fit_the_total_are_refused(void **state)
{
    (void)state;
    assert_size_refused(150, 100, 64, HQQ_FRAME_END);
    assert_size_refused(150, 151, 1, 0);
    assert_size_refused(150, UINT64_MAX, 1, 0);
    assert_size_refused(150, UINT64_MAX - 63, 64, 0);
    assert_size_refused(UINT64_MAX, 0, 64, HQQ_FRAME_BEGIN);
    assert_size_refused((UINT64_C(1) << 48) + 1, 0, 64, HQQ_FRAME_BEGIN);
    assert_size_refused(UINT64_MAX, UINT64_MAX - 1, 1, HQQ_FRAME_END);
    assert_size_refused(150, 0, UINT64_MAX, HQQ_FRAME_BEGIN);
}

static void every_unknown_flag_is_refused(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        uint64_t flag = UINT64_C(1) << bit;
        bool is_known = flag < HQQ_FRAME_COMPRESSED && flag != HQQ_FRAME_ERROR; /* which needs Response */
        if (!is_known)
            assert_int_equal(judge(&plain, 1, 0, 1, ONLY | flag), HQQ_ERROR_INVALID_OP);
        else
            assert_int_equal(judge(&plain, 1, 0, 1, ONLY | flag), 0);
    }
}

static void compressed_is_a_flag_where_it_was_agreed_on(void **state)
{
    (void)state;
    assert_int_equal(judge(&packed, 1, 0, 1, ONLY | HQQ_FRAME_COMPRESSED), 0);
    assert_int_equal(judge(&packed, 1, 0, 1, ONLY | HQQ_FRAME_COMPRESSED << 1), HQQ_ERROR_INVALID_OP);
}

static void a_request_is_no_answer(void **state)
{
    (void)state;
    assert_valid(1, 0, 1, ONLY | HQQ_FRAME_REQUEST);
    assert_valid(1, 0, 1, ONLY | HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR);
    assert_int_equal(judge(&plain, 1, 0, 1, ONLY | HQQ_FRAME_REQUEST | HQQ_FRAME_RESPONSE), HQQ_ERROR_INVALID_OP);
    assert_int_equal(judge(&plain, 1, 0, 1, ONLY | HQQ_FRAME_REQUEST | HQQ_FRAME_ERROR), HQQ_ERROR_INVALID_OP);
}

static void an_error_is_an_answer(void **state)
{
    (void)state;
    assert_int_equal(judge(&plain, 1, 0, 1, ONLY | HQQ_FRAME_ERROR), HQQ_ERROR_INVALID_OP);
    assert_int_equal(judge(&plain, 150, 64, 64, HQQ_FRAME_ERROR), HQQ_ERROR_INVALID_OP);
    assert_valid(150, 64, 64, HQQ_FRAME_RESPONSE | HQQ_FRAME_ERROR);
}

static void the_method_is_said_once(void **state)
{
    (void)state;
    const struct hqq_packet first = {4, {1, 2, 150, 0, 64, HQQ_FRAME_BEGIN | HQQ_FRAME_REQUEST, 5}};
    const struct hqq_packet second = {4, {1, 2, 150, 64, 64, HQQ_FRAME_REQUEST, 5}};
    struct hqq_chunk chunk;
    assert_int_equal(hqq_chunk_parse(&first, &plain, &chunk), 0);
    assert_int_equal(chunk.method, 5);
    assert_int_equal(hqq_chunk_parse(&second, &plain, &chunk), HQQ_ERROR_INVALID_OP);
}

static void what_an_abort_says_of_sizes_does_not_matter_if_it_fits_the_slot(void **state)
{
    (void)state;
    assert_valid(0, 0, 0, HQQ_FRAME_ABORT);
    assert_valid(UINT64_MAX, UINT64_MAX, SIZE, HQQ_FRAME_ABORT);
    assert_size_refused(0, 0, SIZE + 1, HQQ_FRAME_ABORT);
}

static void a_sealed_chunk_has_room_for_its_tag(void **state)
{
    (void)state;
    assert_int_equal(judge(&sealed, 0, 0, 16, ONLY), 0);
    assert_int_equal(judge(&sealed, 48, 0, 64, ONLY), 0);
    assert_int_equal(judge(&sealed, 0, 0, 15, ONLY), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(judge(&sealed, 0, 0, 0, HQQ_FRAME_ABORT), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(judge(&sealed, 49, 0, 65, ONLY), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(judge(&sealed, 64, 0, 64, ONLY), HQQ_ERROR_INVALID_SIZE);
}

static void control_packets_have_their_operands_and_zeroes(void **state)
{
    (void)state;
    const struct hqq_packet expected = {5, {1, 2, 3, 0, 0, 0, 0}};
    struct hqq_packet packet = hqq_control_packet(5, 1, 2, 3);
    assert_memory_equal(&packet, &expected, sizeof(packet));
}

static void codes_that_are_not_the_protocols_are_an_invalid_operation(void **state)
{
    (void)state;
    for (uint64_t code = 1; code <= 7; code++)
        assert_int_equal(hqq_wire_error(code), code);
    assert_int_equal(hqq_wire_error(0), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_wire_error(8), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_wire_error(HQQ_ERROR_TIMEOUT), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_wire_error((UINT64_C(1) << 32) + 1), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_wire_error(UINT64_MAX), HQQ_ERROR_INVALID_OP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_survives_the_way_into_a_packet_and_back),
        cmocka_unit_test(whole_messages_of_zero_to_the_slot_are_valid),
        cmocka_unit_test(chunks_of_a_longer_message_are_valid),
        cmocka_unit_test(begin_is_at_offset_zero_and_nowhere_else),
        cmocka_unit_test(end_is_at_the_total_and_nowhere_else),
        cmocka_unit_test(only_an_empty_message_has_an_empty_chunk),
        cmocka_unit_test(sizes_that_overflow_or_do_not_fit_the_total_are_refused),
        cmocka_unit_test(every_unknown_flag_is_refused),
        cmocka_unit_test(compressed_is_a_flag_where_it_was_agreed_on),
        cmocka_unit_test(a_request_is_no_answer),
        cmocka_unit_test(an_error_is_an_answer),
        cmocka_unit_test(the_method_is_said_once),
        cmocka_unit_test(what_an_abort_says_of_sizes_does_not_matter_if_it_fits_the_slot),
        cmocka_unit_test(a_sealed_chunk_has_room_for_its_tag),
        cmocka_unit_test(control_packets_have_their_operands_and_zeroes),
        cmocka_unit_test(codes_that_are_not_the_protocols_are_an_invalid_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
