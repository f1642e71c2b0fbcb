/* Sending and receiving over plain memory: datagrams of every shape, full rings, counters about to wrap around, every state of
 * the notify word; then values in the region that no peer writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/point.h"
#include "layout/packet.h"
#include "support/channels.h"

#define SLOTS 8
#define SIZE 64

static struct channel_ends ends;

/* Where counters begin: at the start, about the 20 bits of the word, about the 64 of the ring. */
static const uint64_t begins[] = {0, (UINT64_C(1) << 20) - 3, (UINT64_C(7) << 20) - 5, UINT64_MAX - 3, UINT64_MAX - 20};
#define BEGINS (sizeof(begins) / sizeof(begins[0]))

static const enum hqq_notify stopped[] = {HQQ_ARMED, HQQ_SUSPENDED, HQQ_CLOSED, HQQ_HANDOFF};
#define STOPPED (sizeof(stopped) / sizeof(stopped[0]))

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(SLOTS, SIZE, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_point_hook = NULL;
    channel_ends_close(&ends);
    return 0;
}

static void stop(enum hqq_notify state)
{
    if (state == HQQ_ARMED)
        hqq_rx_arm(ends.receiver);
    else
        hqq_rx_stop(ends.receiver, state);
    assert_int_equal(channel_ends_state(&ends), state);
}

static uint64_t r_of(void)
{
    return hqq_load_relaxed(hqq_ring_r(&ends.receiver->rx));
}

static uint64_t w_of(void)
{
    return hqq_load_relaxed(hqq_ring_w(&ends.receiver->rx));
}

/* Every slot that was taken is free again. */
static void assert_all_is_free(void)
{
    assert_true(r_of() == w_of());
    assert_true(hqq_tx_has_room(ends.sender, SLOTS));
    assert_int_equal(channel_ends_receive(&ends, 0), -1);
    assert_int_equal(hqq_tx_depth(ends.sender), 0);
}

/* ---- Datagrams --------------------------------------------------------------------------------------------------- */

static void every_length_comes_as_it_was_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        channel_ends_reset(&ends, begins[i], HQQ_POLLING);
        for (size_t length = 0; length <= SLOTS / 2 * SIZE; length++) {
            assert_int_equal(channel_ends_send(&ends, length, (unsigned char)length), HQQ_TX_SENT);
            assert_int_equal(channel_ends_receive(&ends, (unsigned char)length), length);
            assert_all_is_free();
        }
    }
}

static void a_full_ring_has_no_room_and_loses_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        channel_ends_reset(&ends, begins[i], HQQ_POLLING);
        for (unsigned char k = 0; k < SLOTS; k++) {
            assert_true(hqq_tx_has_room(ends.sender, (uint64_t)SLOTS - k));
            assert_false(hqq_tx_has_room(ends.sender, (uint64_t)SLOTS - k + 1));
            channel_ends_send(&ends, 10, k);
        }
        assert_false(hqq_tx_has_room(ends.sender, 1));
        assert_int_equal(hqq_tx_depth(ends.sender), SLOTS);
        for (unsigned char k = 0; k < SLOTS; k++)
            assert_int_equal(channel_ends_receive(&ends, k), 10);
        assert_all_is_free();
    }
}

static void lengths_that_mix_keep_their_order(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, SIZE, SIZE + 1, 3 * SIZE};
    channel_ends_reset(&ends, UINT64_MAX - 40, HQQ_POLLING);
    for (unsigned round = 0; round < 50; round++) {
        const size_t first = lengths[round % 5], second = lengths[(round / 5) % 5];
        channel_ends_send(&ends, first, 1);
        channel_ends_send(&ends, second, 2);
        assert_int_equal(channel_ends_receive(&ends, 1), first);
        assert_int_equal(channel_ends_receive(&ends, 2), second);
    }
    assert_all_is_free();
}

static void a_short_buffer_gets_the_beginning(void **state)
{
    (void)state;
    static unsigned char sent[3 * SIZE], got[3 * SIZE];
    struct hqq_datagram datagram;
    memset(sent, 'x', sizeof(sent));
    for (size_t capacity = 0; capacity < sizeof(got); capacity += 13) {
        const struct iovec from = {sent, sizeof(sent)};
        const struct iovec to[2] = {{got, capacity / 2}, {got + capacity / 2, capacity - capacity / 2}};
        channel_ends_reset(&ends, 3, HQQ_POLLING);
        memset(got, 0, sizeof(got));
        hqq_tx_fill(ends.sender, 3, &from, 1, sizeof(sent), false);
        hqq_tx_publish(ends.sender, 3, 6);
        assert_int_equal(hqq_rx_peek(ends.receiver, &datagram), HQQ_RX_DATA);
        assert_int_equal(hqq_rx_copy(ends.receiver, &datagram, to, 2), capacity);
        for (size_t i = 0; i < sizeof(got); i++)
            assert_int_equal(got[i], i < capacity ? 'x' : 0);
    }
}

static void a_batch_is_published_by_one_store(void **state)
{
    (void)state;
    unsigned char byte = 5;
    const struct iovec part = {&byte, 1};
    channel_ends_reset(&ends, UINT64_MAX - 1, HQQ_POLLING);
    for (uint64_t i = 0; i < 4; i++) {
        hqq_tx_fill(ends.sender, UINT64_MAX - 1 + i, &part, 1, 1, false);
        assert_int_equal(channel_ends_receive(&ends, 5), -1);
    }
    assert_int_equal(hqq_tx_publish(ends.sender, UINT64_MAX - 1, UINT64_MAX - 1 + 4), HQQ_TX_SENT);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(channel_ends_receive(&ends, 5), 1);
    assert_all_is_free();
}

/* ---- Withdrawal -------------------------------------------------------------------------------------------------- */

static void what_is_published_to_a_receiver_that_looks_no_more_is_withdrawn(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        for (size_t s = 0; s < STOPPED; s++) {
            channel_ends_reset(&ends, begins[i], HQQ_POLLING);
            channel_ends_send(&ends, 5, 1);
            stop(stopped[s]);
            assert_false(hqq_tx_is_open(ends.sender));
            assert_int_equal(channel_ends_send(&ends, 2 * SIZE, 2), HQQ_TX_WITHDRAWN);
            uint64_t word = hqq_load_relaxed(channel_ends_word(&ends));
            assert_int_equal(hqq_notify_state(word), stopped[s]);
            assert_true(hqq_notify_is_withdrawn(word));
            assert_true(hqq_notify_place(word, begins[i]) == begins[i] + 1);
            /* what was seen by the move is read, and nothing behind it */
            assert_int_equal(channel_ends_receive(&ends, 1), 5);
            assert_int_equal(channel_ends_receive(&ends, 2), -1);
            assert_true(w_of() == begins[i] + 3);
        }
    }
}

static void what_was_published_before_the_move_is_read_after_it(void **state)
{
    (void)state;
    for (size_t s = 0; s < STOPPED; s++) {
        channel_ends_reset(&ends, UINT64_MAX - 2, HQQ_POLLING);
        for (unsigned char k = 0; k < 5; k++)
            channel_ends_send(&ends, 9, k);
        stop(stopped[s]);
        /* its sender looks only now: it was seen */
        assert_int_equal(hqq_tx_look(ends.sender, UINT64_MAX - 2), HQQ_TX_SENT);
        for (unsigned char k = 0; k < 5; k++)
            assert_int_equal(channel_ends_receive(&ends, k), 9);
        assert_all_is_free();
    }
}

static void polling_begins_once_the_rest_is_read_and_jumps_over_what_was_withdrawn(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        for (int is_shared = 0; is_shared < 2; is_shared++) {
            for (size_t s = 0; s < 2; s++) { /* ARMED, SUSPENDED */
                channel_ends_reset(&ends, begins[i], HQQ_POLLING);
                ends.receiver->is_shared = is_shared != 0;
                channel_ends_send(&ends, 5, 1);
                channel_ends_send(&ends, SIZE + 1, 2);
                stop(stopped[s]);
                assert_int_equal(channel_ends_send(&ends, 3 * SIZE, 3), HQQ_TX_WITHDRAWN);
                assert_false(hqq_rx_poll(ends.receiver));
                assert_int_equal(channel_ends_receive(&ends, 1), 5);
                assert_false(hqq_rx_poll(ends.receiver));
                assert_int_equal(channel_ends_state(&ends), stopped[s]);
                assert_int_equal(channel_ends_receive(&ends, 2), SIZE + 1);
                assert_true(hqq_rx_poll(ends.receiver));
                assert_int_equal(channel_ends_state(&ends), HQQ_POLLING);
                assert_all_is_free();
                assert_int_equal(channel_ends_send(&ends, 4, 4), HQQ_TX_SENT);
                assert_int_equal(channel_ends_receive(&ends, 4), 4);
            }
        }
    }
}

static void final_states_are_left_by_nobody_that_polls_or_arms(void **state)
{
    (void)state;
    for (size_t s = 2; s < STOPPED; s++) {
        channel_ends_reset(&ends, 0, HQQ_POLLING);
        channel_ends_send(&ends, 5, 1);
        stop(stopped[s]);
        assert_false(hqq_rx_poll(ends.receiver));
        assert_true(hqq_rx_arm(ends.receiver));
        assert_int_equal(channel_ends_state(&ends), stopped[s]);
        assert_int_equal(channel_ends_receive(&ends, 1), 5);
    }
    channel_ends_reset(&ends, 0, HQQ_CLOSED);
    hqq_rx_stop(ends.receiver, HQQ_SUSPENDED);
    assert_int_equal(channel_ends_state(&ends), HQQ_CLOSED);
    channel_ends_reset(&ends, 0, HQQ_HANDOFF); /* adopted */
    hqq_rx_stop(ends.receiver, HQQ_SUSPENDED);
    assert_int_equal(channel_ends_state(&ends), HQQ_SUSPENDED);
}

static void a_withdrawal_survives_moves_between_states_that_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        channel_ends_reset(&ends, begins[i], HQQ_POLLING);
        channel_ends_send(&ends, 5, 1);
        stop(HQQ_ARMED);
        assert_int_equal(channel_ends_send(&ends, 6, 2), HQQ_TX_WITHDRAWN);
        for (size_t s = 1; s < STOPPED; s++) {
            hqq_rx_stop(ends.receiver, stopped[s]);
            uint64_t word = hqq_load_relaxed(channel_ends_word(&ends));
            assert_int_equal(hqq_notify_state(word), stopped[s]);
            assert_true(hqq_notify_is_withdrawn(word));
            assert_true(hqq_notify_limit(word, begins[i]) == begins[i] + 1);
        }
        assert_int_equal(channel_ends_receive(&ends, 1), 5);
        assert_int_equal(channel_ends_receive(&ends, 2), -1);
    }
}

static void the_look_of_who_was_jumped_out_of_withdraws_once(void **state)
{
    (void)state;
    channel_ends_reset(&ends, 0, HQQ_ARMED);
    assert_int_equal(channel_ends_send(&ends, 5, 1), HQQ_TX_WITHDRAWN);
    uint64_t word = hqq_load_relaxed(channel_ends_word(&ends));
    assert_int_equal(hqq_tx_look(ends.sender, 0), HQQ_TX_WITHDRAWN);
    assert_true(hqq_load_relaxed(channel_ends_word(&ends)) == word);
}

/* ---- News while the receiver arms -------------------------------------------------------------------------------- */

static const char *at_label;
static int published;

/* The sender publishes, and has read POLLING before: it is done. */
static void publish_at(const char *label)
{
    if (strcmp(label, at_label) != 0 || published != 0)
        return;
    published++;
    uint64_t w = w_of();
    unsigned char byte = 1;
    const struct iovec part = {&byte, 1};
    hqq_tx_fill(ends.sender, w, &part, 1, 1, false);
    hqq_store_release(hqq_ring_w(&ends.sender->tx), w + 1);
}

static void a_receiver_that_finds_news_as_it_arms_can_read_them_without_polling(void **state)
{
    (void)state;
    static const char *const labels[] = {"channel.arm", "channel.move", "channel.armed"};
    for (size_t i = 0; i < 3; i++) {
        channel_ends_reset(&ends, UINT64_MAX, HQQ_POLLING);
        at_label = labels[i];
        published = 0;
        hqq_point_hook = publish_at;
        assert_false(hqq_rx_arm(ends.receiver));
        hqq_point_hook = NULL;
        assert_int_equal(published, 1);
        assert_true(hqq_rx_has_data(ends.receiver));
        assert_int_equal(hqq_tx_look(ends.sender, UINT64_MAX), HQQ_TX_SENT);
        assert_int_equal(channel_ends_receive(&ends, 1), 1);
    }
}

static void a_stop_finds_what_is_published_at_any_of_its_steps(void **state)
{
    (void)state;
    for (size_t s = 1; s < STOPPED; s++) {
        channel_ends_reset(&ends, 0, HQQ_POLLING);
        at_label = "channel.move";
        published = 0;
        hqq_point_hook = publish_at;
        hqq_rx_stop(ends.receiver, stopped[s]);
        hqq_point_hook = NULL;
        assert_int_equal(hqq_tx_look(ends.sender, 0), HQQ_TX_SENT);
        assert_int_equal(channel_ends_receive(&ends, 1), 1);
    }
}

/* ---- What nobody reads ------------------------------------------------------------------------------------------- */

static void claim_and_check(size_t length)
{
    struct hqq_unread unread;
    struct iovec parts[2];
    assert_true(hqq_tx_claim(ends.sender, &unread));
    assert_int_equal(unread.length, length);
    size_t count = hqq_tx_parts(ends.sender, &unread, parts);
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += parts[i].iov_len;
    assert_int_equal(total, length);
    hqq_tx_release(ends.sender, &unread);
}

static void what_is_unread_is_claimed_in_order_up_to_what_was_withdrawn(void **state)
{
    (void)state;
    struct hqq_unread unread;
    for (size_t i = 0; i < BEGINS; i++) {
        channel_ends_reset(&ends, begins[i], HQQ_POLLING);
        channel_ends_send(&ends, 5, 1);
        channel_ends_send(&ends, 3 * SIZE, 2);
        channel_ends_send(&ends, 0, 3);
        assert_int_equal(channel_ends_receive(&ends, 1), 5);
        hqq_rx_stop(ends.receiver, HQQ_HANDOFF);
        assert_int_equal(channel_ends_send(&ends, 7, 4), HQQ_TX_WITHDRAWN);
        claim_and_check(3 * SIZE);
        claim_and_check(0);
        assert_false(hqq_tx_claim(ends.sender, &unread));
        assert_true(r_of() == begins[i] + 5);
    }
}

static void a_datagram_is_claimed_or_read_but_not_both(void **state)
{
    (void)state;
    struct hqq_unread unread;
    struct hqq_datagram datagram;
    channel_ends_reset(&ends, 0, HQQ_POLLING);
    ends.receiver->is_shared = true;
    channel_ends_send(&ends, 5, 1);
    channel_ends_send(&ends, 6, 2);
    hqq_rx_stop(ends.receiver, HQQ_HANDOFF);
    assert_int_equal(hqq_rx_peek(ends.receiver, &datagram), HQQ_RX_DATA);
    assert_true(hqq_tx_claim(ends.sender, &unread));
    assert_false(hqq_rx_take(ends.receiver, &datagram));
    assert_int_equal(channel_ends_receive(&ends, 2), 6);
    assert_false(hqq_tx_claim(ends.sender, &unread));
}

static void slots_of_who_was_jumped_out_of_are_recovered_but_not_those_on_loan(void **state)
{
    (void)state;
    struct hqq_datagram datagram;
    for (size_t i = 0; i < BEGINS; i++) {
        channel_ends_reset(&ends, begins[i], HQQ_POLLING);
        channel_ends_send(&ends, 3 * SIZE, 1);
        channel_ends_send(&ends, 1, 2);
        assert_int_equal(hqq_rx_peek(ends.receiver, &datagram), HQQ_RX_DATA);
        assert_true(hqq_rx_take(ends.receiver, &datagram));
        assert_false(hqq_tx_has_room(ends.sender, SLOTS - 3));
        hqq_add32_relaxed(&ends.receiver->loans, 1);
        hqq_rx_recover(ends.receiver);
        assert_false(hqq_tx_has_room(ends.sender, SLOTS - 3));
        hqq_sub32_relaxed(&ends.receiver->loans, 1);
        hqq_rx_recover(ends.receiver);
        assert_true(hqq_tx_has_room(ends.sender, SLOTS - 1));
        assert_int_equal(channel_ends_receive(&ends, 2), 1); /* what is published stays */
        assert_all_is_free();
    }
}

/* ---- The drain --------------------------------------------------------------------------------------------------- */

static void after_a_kernel_send_the_ring_waits_for_the_drain(void **state)
{
    (void)state;
    channel_ends_reset(&ends, 0, HQQ_POLLING);
    assert_true(hqq_tx_is_open(ends.sender));
    hqq_tx_request_drain(ends.sender, 1);
    assert_false(hqq_tx_is_open(ends.sender));
    assert_true(hqq_rx_is_wanted(ends.receiver));
    assert_true(hqq_rx_note_request(ends.receiver));
    hqq_tx_request_drain(ends.sender, 2); /* after the look at the queue began */
    hqq_rx_acknowledge(ends.receiver);
    assert_false(hqq_tx_is_open(ends.sender));
    assert_true(hqq_rx_note_request(ends.receiver));
    hqq_rx_acknowledge(ends.receiver);
    assert_true(hqq_tx_is_open(ends.sender));
    assert_false(hqq_rx_note_request(ends.receiver));
    assert_false(hqq_rx_is_wanted(ends.receiver));
}

/* ---- Hostile values ---------------------------------------------------------------------------------------------- */

static const uint64_t hostile[] = {0,
                                   1,
                                   SLOTS - 1,
                                   SLOTS + 1,
                                   SIZE + 1,
                                   UINT64_C(1) << 20,
                                   UINT64_C(1) << 32,
                                   UINT64_MAX / 2,
                                   UINT64_MAX / 2 + 1,
                                   UINT64_MAX - SLOTS,
                                   UINT64_MAX};
#define HOSTILE (sizeof(hostile) / sizeof(hostile[0]))

/* Everything that a receiver and a sender do, whatever they find; sanitizers and the guard pages judge. */
static void do_everything(void)
{
    static unsigned char bytes[SLOTS * SIZE];
    const struct iovec part = {bytes, sizeof(bytes)};
    struct hqq_datagram datagram;
    struct hqq_unread unread;
    struct iovec parts[2];
    for (int i = 0; i < 3; i++) {
        if (hqq_rx_peek(ends.receiver, &datagram) == HQQ_RX_DATA) {
            assert_true(datagram.slots >= 1 && datagram.slots <= SLOTS && datagram.length <= SLOTS / 2 * SIZE);
            assert_true(hqq_rx_copy(ends.receiver, &datagram, &part, 1) <= datagram.length);
            if (hqq_rx_take(ends.receiver, &datagram))
                hqq_rx_release(ends.receiver, &datagram);
        }
        if (hqq_tx_claim(ends.sender, &unread)) {
            size_t count = hqq_tx_parts(ends.sender, &unread, parts);
            assert_true(unread.length <= SLOTS / 2 * SIZE && unread.slots <= SLOTS);
            for (size_t k = 0; k < count; k++) {
                const unsigned char *from = parts[k].iov_base;
                assert_true(from >= ends.sender->tx.buffers);
                assert_true(from + parts[k].iov_len <= ends.sender->tx.buffers + SLOTS * SIZE);
            }
            hqq_tx_release(ends.sender, &unread);
        }
        hqq_tx_has_room(ends.sender, SLOTS);
        hqq_tx_depth(ends.sender);
        hqq_tx_look(ends.sender, hqq_tx_position(ends.sender));
        hqq_rx_recover(ends.receiver);
        hqq_rx_poll(ends.receiver);
        hqq_rx_arm(ends.receiver);
    }
    hqq_rx_stop(ends.receiver, HQQ_SUSPENDED);
    hqq_rx_stop(ends.receiver, HQQ_CLOSED);
}

static void no_counters_lead_out_of_bounds(void **state)
{
    (void)state;
    for (size_t a = 0; a < HOSTILE; a++) {
        for (size_t b = 0; b < HOSTILE; b++) {
            for (size_t s = 0; s < 8; s++) {
                channel_ends_reset(&ends, 5, HQQ_POLLING);
                channel_ends_send(&ends, 5, 1);
                hqq_store_relaxed(hqq_ring_r(&ends.receiver->rx), hostile[a]);
                hqq_store_relaxed(hqq_ring_w(&ends.receiver->rx), hostile[b]);
                hqq_store_relaxed(channel_ends_word(&ends), s | (hostile[a] ^ hostile[b]) << 3);
                do_everything();
            }
        }
    }
}

static void no_word_leads_out_of_bounds(void **state)
{
    (void)state;
    for (uint64_t s = 0; s < 16; s++) { /* every state, withdrawn and not */
        for (size_t a = 0; a < HOSTILE; a++) {
            for (size_t b = 0; b < HOSTILE; b++) {
                channel_ends_reset(&ends, 5, HQQ_POLLING);
                channel_ends_send(&ends, 5, 1);
                channel_ends_send(&ends, 2 * SIZE, 1);
                uint64_t limit = hostile[a] & HQQ_NOTIFY_POSITION_MASK, place = hostile[b] & HQQ_NOTIFY_POSITION_MASK;
                hqq_store_relaxed(channel_ends_word(&ends),
                                  s | limit << HQQ_NOTIFY_LIMIT_SHIFT | place << HQQ_NOTIFY_PLACE_SHIFT);
                do_everything();
            }
        }
    }
}

static void a_w_that_no_ring_has_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < BEGINS; i++) {
        static const uint64_t far[] = {SLOTS + 1, UINT64_C(1) << 20, UINT64_C(1) << 63, UINT64_MAX};
        for (size_t k = 0; k < 4; k++) {
            channel_ends_reset(&ends, begins[i], HQQ_POLLING);
            hqq_store_relaxed(hqq_ring_w(&ends.receiver->rx), begins[i] + far[k]);
            assert_int_equal(channel_ends_receive(&ends, 0), -2);
        }
        /* a place, or a limit, beyond w */
        channel_ends_reset(&ends, begins[i], HQQ_ARMED);
        uint64_t word = hqq_notify_moved(0, HQQ_ARMED, begins[i] + 2);
        hqq_store_relaxed(channel_ends_word(&ends), word);
        assert_int_equal(channel_ends_receive(&ends, 0), -2);
        hqq_store_relaxed(channel_ends_word(&ends), hqq_notify_withdrawn_at(word, begins[i] + 1));
        assert_int_equal(channel_ends_receive(&ends, 0), -2);
    }
}

static void packets_that_nobody_writes_are_broken(void **state)
{
    (void)state;
    static const struct {
        uint64_t opcode, length, published;
    } packets[] = {
        {HQQ_OPCODE_COPY, 0, 1},
        {HQQ_OPCODE_COPY, SIZE + 1, 2},
        {HQQ_OPCODE_COPY, UINT64_MAX, 1},
        {HQQ_OPCODE_CONN_COPY, SLOTS / 2 * SIZE + 1, SLOTS},
        {HQQ_OPCODE_CONN_COPY, UINT64_MAX, SLOTS},
        {HQQ_OPCODE_CONN_COPY, UINT64_MAX - SIZE + 2, SLOTS},
        {HQQ_OPCODE_CONN_COPY, 2 * SIZE, 1}, /* more chunks than are published */
        {HQQ_OPCODE_CONN_CREATE, 5, 1},
        {HQQ_OPCODE_TOMBSTONE, 5, 1},
        {HQQ_OPCODE_ERROR, 5, 1},
        {UINT64_MAX, 5, 1},
    };
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        channel_ends_reset(&ends, 6, HQQ_POLLING);
        hqq_atomic_u64 *packet = hqq_ring_packet(&ends.sender->tx, 6);
        hqq_store_relaxed(&packet[0], packets[i].opcode);
        hqq_store_relaxed(&packet[1 + HQQ_COPY_SIZE], packets[i].length);
        hqq_store_relaxed(hqq_ring_w(&ends.sender->tx), 6 + packets[i].published);
        assert_int_equal(channel_ends_receive(&ends, 0), -2);
        do_everything();
    }
}

/* A peer that moves the word each time that it is about to be swapped: whoever swaps it gives up some time. */
static void move_the_word(const char *label)
{
    if (strcmp(label, "channel.move") == 0 || strcmp(label, "channel.withdraw") == 0)
        hqq_add_relaxed(channel_ends_word(&ends), UINT64_C(1) << HQQ_NOTIFY_TURN_SHIFT);
}

static void a_peer_that_moves_the_word_all_the_time_holds_nobody_up(void **state)
{
    (void)state;
    channel_ends_reset(&ends, 0, HQQ_ARMED);
    hqq_point_hook = move_the_word;
    assert_false(hqq_rx_poll(ends.receiver));
    hqq_rx_stop(ends.receiver, HQQ_CLOSED);
    assert_int_equal(channel_ends_send(&ends, 5, 1), HQQ_TX_WITHDRAWN);
    hqq_point_hook = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_as_it_was_sent),
        cmocka_unit_test(a_full_ring_has_no_room_and_loses_nothing),
        cmocka_unit_test(lengths_that_mix_keep_their_order),
        cmocka_unit_test(a_short_buffer_gets_the_beginning),
        cmocka_unit_test(a_batch_is_published_by_one_store),
        cmocka_unit_test(what_is_published_to_a_receiver_that_looks_no_more_is_withdrawn),
        cmocka_unit_test(what_was_published_before_the_move_is_read_after_it),
        cmocka_unit_test(polling_begins_once_the_rest_is_read_and_jumps_over_what_was_withdrawn),
        cmocka_unit_test(final_states_are_left_by_nobody_that_polls_or_arms),
        cmocka_unit_test(a_withdrawal_survives_moves_between_states_that_stop),
        cmocka_unit_test(the_look_of_who_was_jumped_out_of_withdraws_once),
        cmocka_unit_test(a_receiver_that_finds_news_as_it_arms_can_read_them_without_polling),
        cmocka_unit_test(a_stop_finds_what_is_published_at_any_of_its_steps),
        cmocka_unit_test(what_is_unread_is_claimed_in_order_up_to_what_was_withdrawn),
        cmocka_unit_test(a_datagram_is_claimed_or_read_but_not_both),
        cmocka_unit_test(slots_of_who_was_jumped_out_of_are_recovered_but_not_those_on_loan),
        cmocka_unit_test(after_a_kernel_send_the_ring_waits_for_the_drain),
        cmocka_unit_test(no_counters_lead_out_of_bounds),
        cmocka_unit_test(no_word_leads_out_of_bounds),
        cmocka_unit_test(a_w_that_no_ring_has_is_broken),
        cmocka_unit_test(packets_that_nobody_writes_are_broken),
        cmocka_unit_test(a_peer_that_moves_the_word_all_the_time_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
