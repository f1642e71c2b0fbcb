/* Encryption on a link: whatever somebody else does to what lies in it is never delivered, and ends the link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <hqq/error.h>

#include "standard/packets.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 16
#define SIZE 64
#define BODY (SIZE - 16)

static struct duo duo;
static unsigned char bytes[5000];

static void open_secret(void)
{
    const struct hqq_advanced_config config = {.key = advanced_key,
                                               .required_features = HQQ_FEATURE_ENCRYPTION,
                                               .features = ORIGINAL_FEATURES | HQQ_FEATURE_ENCRYPTION};
    duo = duo_agreed(COUNT, SIZE, &config);
}

static int set_up(void **state)
{
    (void)state;
    pattern(bytes, sizeof(bytes), 7);
    open_secret();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

/* The slot that the primary wrote last, or the one so many before it. */
static uint64_t position(uint64_t before)
{
    return hqq_load_relaxed(hqq_ring_w(&duo.pair.primary->tx)) - 1 - before;
}

static unsigned char *payload(uint64_t at)
{
    return hqq_ring_buffer(&duo.pair.primary->tx, at);
}

static unsigned char *words(uint64_t at)
{
    const struct hqq_ring *ring = &duo.pair.primary->tx;
    return ring->control + HQQ_RING_ELEMENT_OFFSET + (at & ring->mask) * HQQ_RING_ELEMENT_STRIDE;
}

/* Somebody else puts a packet into the link of that end. */
static void forge(int end, const struct hqq_packet *packet, const void *data)
{
    struct hqq_link *link = end == 0 ? duo.pair.primary : duo.pair.secondary;
    uint64_t at;
    assert_int_equal(hqq_link_claim_slot(link, 1, &at), 0);
    memcpy(hqq_link_payload(link, at), data, SIZE);
    hqq_link_put_packet(link, at, packet, 0);
}

static void assert_ends(int end)
{
    struct hqq_received received;
    uint64_t delivered = advanced_stats(duo.end[end]).messages_received;
    assert_int_equal(hqq_advanced_receive(duo.end[end], 0, &received), HQQ_ERROR_AUTH);
    assert_int_equal(advanced_stats(duo.end[end]).messages_received, delivered);
    assert_int_equal(hqq_advanced_send(duo.end[end], 0, "x", 1, HQQ_FOREVER), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_advanced_process(duo.end[end], HQQ_FOREVER), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_advanced_receive(duo.end[1 - end], HQQ_FOREVER, &received), HQQ_ERROR_CLOSED);
}

/* ---- In order ------------------------------------------------------------------------------------------------------ */

static void nothing_lies_in_the_link_as_it_is(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, 2 * BODY, 0), 0);
    for (uint64_t i = 0; i < 2; i++) {
        for (size_t at = 0; at + 8 <= SIZE; at++)
            assert_null(memmem(bytes, 2 * BODY, payload(position(i)) + at, 8));
    }
    advanced_assert_receives(duo.end[1], bytes, 2 * BODY, 0);
}

static void each_chunk_is_larger_by_its_tag_and_counted(void **state)
{
    (void)state;
    struct hqq_advanced_stats before[2] = {advanced_stats(duo.end[0]), advanced_stats(duo.end[1])};
    const uint64_t chunks = (sizeof(bytes) + BODY - 1) / BODY;
    assert_true(chunks > 64); /* one of them is timed */
    assert_int_equal(hqq_advanced_post(duo.end[0], 0, bytes, sizeof(bytes)), 0);
    duo_settle(&duo);
    advanced_assert_receives(duo.end[1], bytes, sizeof(bytes), 0);
    for (int i = 0; i < 2; i++) {
        struct hqq_advanced_stats after = advanced_stats(duo.end[i]);
        assert_int_equal(after.encrypted_chunks - before[i].encrypted_chunks, chunks);
        assert_int_equal(after.encryption_bytes - before[i].encryption_bytes, i == 0 ? 16 * chunks : 0);
        assert_true(after.encryption_ns > before[i].encryption_ns);
    }
}

static void connections_calls_and_aborts_work_sealed(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct hqq_pending *pending;
    struct hqq_request *request;
    struct hqq_received received;
    duo_connect(&duo, ends);
    assert_int_equal(hqq_pending_begin(duo.end[0], ends[0], 1, bytes, 100, 0, &pending), 0);
    assert_int_equal(hqq_advanced_serve(duo.end[1], 0, &request), 0);
    assert_int_equal(hqq_request_respond(request, 1, bytes, 100, 0), 0);
    assert_int_equal(hqq_pending_wait(pending, 0, NULL, NULL), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, sizeof(bytes), 0), HQQ_ERROR_WOULD_BLOCK);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_ABORTED);
    hqq_connection_close(ends[1], 0);
    duo_settle(&duo);
    assert_int_equal(hqq_connection_state(ends[0]), HQQ_CONNECTION_CLOSED);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, 0), 0);
    advanced_assert_receives(duo.end[1], "x", 1, 0);
}

/* ---- Tampering ----------------------------------------------------------------------------------------------------- */

static void a_bit_that_flips_anywhere_in_a_chunk_ends_the_link(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE + sizeof(struct hqq_packet); i++) {
        assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
        unsigned char *byte = i < SIZE ? payload(position(0)) + i : words(position(0)) + (i - SIZE);
        *byte ^= (unsigned char)(1 << i % 8);
        assert_ends(1);
        duo_close(&duo);
        open_secret();
    }
}

static void a_packet_that_is_replayed_ends_the_link(void **state)
{
    (void)state;
    unsigned char copy[SIZE];
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    const struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&duo.pair.primary->tx, position(0)));
    memcpy(copy, payload(position(0)), SIZE);
    advanced_assert_receives(duo.end[1], bytes, BODY, 0);
    forge(0, &packet, copy);
    assert_ends(1);
}

static void a_packet_that_is_sent_back_ends_the_link(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    const struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(&duo.pair.primary->tx, position(0)));
    forge(1, &packet, payload(position(0)));
    assert_int_equal(advanced_drive(duo.end[0]), HQQ_ERROR_AUTH);
}

static void swap(unsigned char *a, unsigned char *b, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char other = a[i];
        a[i] = b[i];
        b[i] = other;
    }
}

static void chunks_that_change_places_end_the_link(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    swap(payload(position(0)), payload(position(1)), SIZE);
    swap(words(position(0)), words(position(1)), sizeof(struct hqq_packet));
    assert_ends(1);
}

static void a_chunk_that_is_dropped_ends_the_link(void **state)
{
    (void)state;
    const struct hqq_packet tombstone = {.opcode = HQQ_OPCODE_TOMBSTONE};
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    hqq_packet_store(hqq_ring_packet(&duo.pair.primary->tx, position(1)), &tombstone);
    assert_ends(1);
}

static void a_control_packet_that_nobody_sealed_ends_the_link(void **state)
{
    (void)state;
    static const uint64_t opcodes[] = {
        HQQ_OPCODE_ERROR, HQQ_OPCODE_CONN_CREATE, HQQ_OPCODE_CONN_CLOSE, HQQ_OPCODE_PROTO_NEGOTIATE,
        HQQ_OPCODE_SETUP, HQQ_OPCODE_CREDIT,      HQQ_OPCODE_STATS_ASK,  0x77};
    for (size_t i = 0; i < sizeof(opcodes) / sizeof(opcodes[0]); i++) {
        struct hqq_connection *ends[2];
        const struct hqq_packet packet = hqq_control_packet(opcodes[i], 1, 0, 0);
        duo_connect(&duo, ends);
        forge(0, &packet, bytes);
        assert_ends(1);
        duo_close(&duo);
        open_secret();
    }
}

static void a_bit_that_flips_in_a_control_packet_ends_the_link(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(struct hqq_packet); i++) {
        struct hqq_connection *ends[2];
        duo_connect(&duo, ends);
        hqq_connection_close(ends[0], 9);
        words(position(0))[i] ^= (unsigned char)(1 << i % 8);
        assert_ends(1);
        assert_int_equal(hqq_connection_close_reason(ends[1]), 0);
        duo_close(&duo);
        open_secret();
    }
}

static void chunks_that_nobody_sealed_end_the_link(void **state)
{
    (void)state;
    const struct hqq_packet whole = {4, {0, 9, BODY, 0, SIZE, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0}};
    const struct hqq_packet without_tag = {4, {0, 9, 5, 0, 5, HQQ_FRAME_BEGIN | HQQ_FRAME_END, 0}};
    const struct hqq_packet malformed = {4, {0, 9, 5, 3, 99, 1024, 0}};
    const struct hqq_packet *const packets[] = {&whole, &without_tag, &malformed};
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        forge(0, packets[i], bytes);
        assert_ends(1);
        duo_close(&duo);
        open_secret();
    }
}

static void a_datagram_that_nobody_sealed_is_dropped(void **state)
{
    (void)state;
    const struct hqq_packet datagram = {.opcode = HQQ_OPCODE_COPY, .operand = {1, 0, 5}};
    struct hqq_received received;
    forge(0, &datagram, bytes);
    assert_int_equal(hqq_advanced_receive(duo.end[1], 0, &received), HQQ_ERROR_WOULD_BLOCK);
    assert_int_equal(advanced_stats(duo.end[1]).invalid_frames, 1);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "x", 1, 0), 0);
    advanced_assert_receives(duo.end[1], "x", 1, 0);
}

/* What came whole before the link ended is still there. */
static void what_was_received_before_can_be_taken_after(void **state)
{
    (void)state;
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, "before", 6, 0), 0);
    duo_settle(&duo);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    payload(position(0))[0] ^= 1;
    assert_int_equal(advanced_drive(duo.end[1]), HQQ_ERROR_AUTH);
    advanced_assert_receives(duo.end[1], "before", 6, 0);
    assert_ends(1);
}

static void connections_say_how_the_link_ended(void **state)
{
    (void)state;
    struct hqq_connection *ends[2];
    struct hqq_received received;
    duo_connect(&duo, ends);
    assert_int_equal(hqq_advanced_send(duo.end[0], 0, bytes, BODY, 0), 0);
    payload(position(0))[0] ^= 1;
    assert_int_equal(advanced_drive(duo.end[1]), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_connection_send(ends[1], "x", 1, HQQ_FOREVER), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_connection_post(ends[1], "x", 1), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_connection_receive(ends[1], HQQ_FOREVER, &received), HQQ_ERROR_AUTH);
    assert_int_equal(hqq_connection_call(ends[1], 1, "x", 1, HQQ_FOREVER, NULL, NULL), HQQ_ERROR_AUTH);
}

/* Whoever sits between the ends and weakens what they agree on gives them different keys. */
static void a_negotiation_that_was_tampered_with_gives_different_keys(void **state)
{
    (void)state;
    const struct hqq_advanced_config config = {.key = advanced_key};
    duo_close(&duo);
    duo = duo_open(COUNT, SIZE, &config, &config);
    assert_int_equal(hqq_advanced_negotiate(duo.end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    /* The question loses a feature before it is answered; the answer is given one back before it is read. */
    hqq_atomic_u64 *asked = hqq_ring_packet(&duo.pair.primary->tx, position(0));
    hqq_store_relaxed(&asked[2], hqq_load_relaxed(&asked[2]) & ~HQQ_FEATURE_QOS);
    assert_int_equal(hqq_advanced_accept_negotiation(duo.end[1], 0), HQQ_ERROR_WOULD_BLOCK);
    hqq_atomic_u64 *answered = hqq_ring_packet(&duo.pair.primary->rx, 0);
    assert_int_equal(hqq_load_relaxed(&answered[0]), HQQ_OPCODE_PROTO_ACK);
    hqq_store_relaxed(&answered[2], hqq_load_relaxed(&answered[2]) | HQQ_FEATURE_QOS);
    duo_settle(&duo);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_advanced_negotiate(duo.end[i], HQQ_FOREVER), HQQ_ERROR_AUTH);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_lies_in_the_link_as_it_is),
        TEST(each_chunk_is_larger_by_its_tag_and_counted),
        TEST(connections_calls_and_aborts_work_sealed),
        TEST(a_bit_that_flips_anywhere_in_a_chunk_ends_the_link),
        TEST(a_packet_that_is_replayed_ends_the_link),
        TEST(a_packet_that_is_sent_back_ends_the_link),
        TEST(chunks_that_change_places_end_the_link),
        TEST(a_chunk_that_is_dropped_ends_the_link),
        TEST(a_control_packet_that_nobody_sealed_ends_the_link),
        TEST(a_bit_that_flips_in_a_control_packet_ends_the_link),
        TEST(chunks_that_nobody_sealed_end_the_link),
        TEST(a_datagram_that_nobody_sealed_is_dropped),
        TEST(what_was_received_before_can_be_taken_after),
        TEST(connections_say_how_the_link_ended),
        TEST(a_negotiation_that_was_tampered_with_gives_different_keys),
    };
    if ((hqq_advanced_supported_features() & HQQ_FEATURE_ENCRYPTION) == 0) {
        puts("skipped: this build is without libsodium");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
