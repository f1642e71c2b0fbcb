#include "support/advanced.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advanced/connect.h"
#include "platform/clock.h"
#include "standard/packets.h"

const unsigned char advanced_key[HQQ_KEY_BYTES] = "both ends of a test know this";

static void give_up(const char *what, int result)
{
    fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
    abort();
}

uint64_t advanced_soon(void)
{
    return hqq_clock_ns() + 100 * HQQ_NS_PER_S;
}

void advanced_await_waiters(struct hqq_advanced *advanced, uint64_t count)
{
    for (;;) {
        hqq_advanced_lock(advanced);
        uint64_t waiting = 0;
        for (const struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next)
            waiting++;
        hqq_advanced_unlock(advanced);
        if (waiting >= count)
            return;
        sched_yield();
    }
}

struct hqq_advanced_stats advanced_stats(struct hqq_advanced *advanced)
{
    struct hqq_advanced_stats stats;
    int result = hqq_advanced_get_stats(advanced, &stats);
    if (result != 0)
        give_up("statistics", result);
    return stats;
}

int advanced_drive(struct hqq_advanced *advanced)
{
    int result;
    do {
        result = hqq_advanced_process(advanced, 0);
    } while (result == 0);
    return result;
}

static void assert_is(struct hqq_advanced *advanced, struct hqq_received *received, const void *data, size_t length)
{
    assert_int_equal(received->length, length);
    assert_memory_equal(received->data, data, length);
    hqq_received_free(advanced, received);
    assert_null(received->data);
}

void advanced_assert_receives(struct hqq_advanced *advanced, const void *data, size_t length, uint64_t deadline_ns)
{
    struct hqq_received received;
    assert_int_equal(hqq_advanced_receive(advanced, deadline_ns, &received), 0);
    assert_is(advanced, &received, data, length);
}

void advanced_assert_connection_receives(struct hqq_advanced *advanced, struct hqq_connection *connection,
                                         const void *data, size_t length, uint64_t deadline_ns)
{
    struct hqq_received received;
    assert_int_equal(hqq_connection_receive(connection, deadline_ns, &received), 0);
    assert_int_equal(received.connection, hqq_connection_id(connection));
    assert_is(advanced, &received, data, length);
}

/* ---- Both ends ----------------------------------------------------------------------------------------------------- */

static struct hqq_advanced *open_end(struct hqq_link *link, const struct hqq_advanced_config *config)
{
    struct hqq_advanced *advanced = NULL;
    int result = hqq_advanced_open(link, config, &advanced);
    if (result != 0)
        give_up("an advanced end", result);
    return advanced;
}

struct duo duo_open(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *primary,
                    const struct hqq_advanced_config *secondary)
{
    struct duo duo = {.pair = pair_open(buffer_count, buffer_size)};
    duo.end[0] = open_end(duo.pair.primary, primary);
    duo.end[1] = open_end(duo.pair.secondary, secondary);
    return duo;
}

void duo_agree(struct duo *duo)
{
    assert_int_equal(hqq_advanced_negotiate(duo->end[0], 0), HQQ_ERROR_WOULD_BLOCK);
    duo_settle(duo);
    assert_int_equal(hqq_advanced_negotiation(duo->end[0]), HQQ_NEGOTIATION_DONE);
    assert_int_equal(hqq_advanced_negotiation(duo->end[1]), HQQ_NEGOTIATION_DONE);
}

struct duo duo_agreed(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config)
{
    struct duo duo = duo_open(buffer_count, buffer_size, config, config);
    duo_agree(&duo);
    return duo;
}

void duo_settle(struct duo *duo)
{
    int first, second;
    do {
        first = hqq_advanced_process(duo->end[0], 0);
        second = hqq_advanced_process(duo->end[1], 0);
    } while (first == 0 || second == 0);
}

void duo_connect(struct duo *duo, struct hqq_connection *ret_ends[2])
{
    assert_int_equal(hqq_advanced_listen(duo->end[1], 1), 0);
    hqq_advanced_lock(duo->end[0]);
    int result = hqq_connect_begin(duo->end[0], &ret_ends[0]);
    hqq_advanced_unlock(duo->end[0]);
    assert_int_equal(result, 0);
    duo_settle(duo);
    assert_int_equal(hqq_advanced_accept(duo->end[1], 0, &ret_ends[1]), 0);
    assert_int_equal(hqq_connection_state(ret_ends[0]), HQQ_CONNECTION_OPEN);
}

void duo_close(struct duo *duo)
{
    hqq_advanced_close(duo->end[0]);
    hqq_advanced_close(duo->end[1]);
    region_delete(&duo->pair.region);
}

/* ---- One end, and packets by hand ---------------------------------------------------------------------------------- */

struct by_hand by_hand_open(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config)
{
    struct by_hand hand = {.pair = pair_open(buffer_count, buffer_size)};
    hand.advanced = open_end(hand.pair.secondary, config);
    return hand;
}

struct by_hand by_hand_agreed(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config,
                              uint64_t features)
{
    struct by_hand hand = by_hand_open(buffer_count, buffer_size, config);
    by_hand_ask(&hand, ORIGINAL_VERSION, features, 0, (features & ~ORIGINAL_FEATURES) != 0);
    by_hand_assert_said(&hand, HQQ_OPCODE_PROTO_ACK, ORIGINAL_VERSION, features, 0);
    if ((features & ~ORIGINAL_FEATURES) != 0) {
        struct hqq_packet setup = {0};
        assert_true(by_hand_take(&hand, &setup, NULL, 0));
        assert_int_equal(setup.opcode, HQQ_OPCODE_SETUP);
        by_hand_say(&hand, HQQ_OPCODE_SETUP, setup.operand[0], setup.operand[1], 0);
    }
    assert_int_equal(hqq_advanced_negotiation(hand.advanced), HQQ_NEGOTIATION_DONE);
    return hand;
}

void by_hand_put(struct by_hand *hand, const struct hqq_packet *packet, const void *payload, size_t length)
{
    uint64_t position;
    int result = hqq_link_claim_slot(hand->pair.primary, 1, &position);
    if (result != 0)
        give_up("a slot for a packet", result);
    if (length != 0)
        memcpy(hqq_link_payload(hand->pair.primary, position), payload, length);
    hqq_link_put_packet(hand->pair.primary, position, packet, 0);
    (void)advanced_drive(hand->advanced);
}

void by_hand_say(struct by_hand *hand, uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    struct hqq_packet packet = hqq_control_packet(opcode, operand0, operand1, operand2);
    by_hand_put(hand, &packet, NULL, 0);
}

void by_hand_ask(struct by_hand *hand, uint64_t version, uint64_t features, uint64_t capabilities, bool is_marked)
{
    struct hqq_packet packet = hqq_control_packet(HQQ_OPCODE_PROTO_NEGOTIATE, version, features, capabilities);
    packet.operand[3] = is_marked ? UINT64_C(0x4851515f4c494231) : 0;
    by_hand_put(hand, &packet, NULL, 0);
}

void by_hand_chunk(struct by_hand *hand, const struct hqq_chunk *chunk, const void *data)
{
    struct hqq_packet packet = hqq_chunk_packet(chunk, 0);
    by_hand_put(hand, &packet, data, data ? chunk->size : 0);
}

bool by_hand_take(struct by_hand *hand, struct hqq_packet *ret_packet, void *payload, size_t length)
{
    struct hqq_taken taken;
    if (hqq_link_take_packet(hand->pair.primary, 0, &taken) != 0)
        return false;
    *ret_packet = taken.packet;
    if (length != 0)
        memcpy(payload, taken.payload, length);
    hqq_link_give_back(hand->pair.primary, &taken);
    return true;
}

void by_hand_assert_said(struct by_hand *hand, uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2)
{
    const struct hqq_packet expected = hqq_control_packet(opcode, operand0, operand1, operand2);
    struct hqq_packet packet;
    assert_true(by_hand_take(hand, &packet, NULL, 0));
    assert_memory_equal(&packet, &expected, sizeof(packet));
}

void by_hand_assert_silent(struct by_hand *hand)
{
    struct hqq_packet packet;
    assert_false(by_hand_take(hand, &packet, NULL, 0));
}

void by_hand_close(struct by_hand *hand)
{
    hqq_advanced_close(hand->advanced);
    hqq_link_close(hand->pair.primary);
    region_delete(&hand->pair.region);
}
