#include "support/channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "platform/sys.h"
#include "runtime/config.h"

struct channel_ends channel_ends_open(uint32_t slots, uint32_t slot_size, uint64_t begin)
{
    const struct hqq_rule rule = {.slots = slots, .slot_size = slot_size};
    struct channel_ends ends;
    int fd;
    assert_int_equal(hqq_channel_create(&rule, &fd, &ends.sender), 0);
    assert_int_equal(hqq_channel_attach(fd, &ends.receiver), 0);
    hqq_sys.close(fd);
    channel_ends_reset(&ends, begin, HQQ_ARMED);
    return ends;
}

void channel_ends_close(struct channel_ends *ends)
{
    hqq_channel_drop(ends->sender);
    hqq_channel_drop(ends->receiver);
}

static void reset_ring(const struct hqq_ring *ring, uint64_t begin)
{
    hqq_store_relaxed(hqq_ring_r(ring), begin);
    hqq_store_relaxed(hqq_ring_w(ring), begin);
    for (uint64_t i = 0; i < ring->count; i++)
        hqq_store_relaxed(hqq_ring_seq(ring, begin + i), begin + i);
}

void channel_ends_reset(struct channel_ends *ends, uint64_t begin, enum hqq_notify state)
{
    reset_ring(&ends->sender->tx, begin);
    reset_ring(&ends->sender->rx, begin);
    ends->receiver->seen_w = ends->receiver->noted_position = ends->receiver->arrived_up_to = begin;
    ends->receiver->is_shared = false;
    hqq_store32_relaxed(&ends->receiver->loans, 0);
    hqq_store_relaxed(&ends->receiver->own->notify, hqq_notify_moved(0, state, begin));
    hqq_store_relaxed(&ends->receiver->own->drain_acknowledged, 0);
    hqq_store_relaxed(&ends->sender->own->drain_requested, 0);
}

static void fill_bytes(unsigned char *bytes, size_t length, unsigned char seed)
{
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)(seed + i * 7 + (i >> 8));
}

enum hqq_tx_outcome channel_ends_send(struct channel_ends *ends, size_t length, unsigned char seed)
{
    struct hqq_channel *channel = ends->sender;
    unsigned char *bytes = malloc(length + 1);
    assert_non_null(bytes);
    fill_bytes(bytes, length, seed);
    const struct iovec part = {.iov_base = bytes, .iov_len = length};
    uint64_t slots = hqq_channel_slots(&channel->tx, length);
    assert_true(hqq_tx_has_room(channel, slots));
    uint64_t position = hqq_tx_position(channel);
    hqq_tx_fill(channel, position, &part, 1, length, false);
    free(bytes);
    return hqq_tx_publish(channel, position, position + slots);
}

long channel_ends_receive(struct channel_ends *ends, unsigned char seed)
{
    struct hqq_channel *channel = ends->receiver;
    struct hqq_datagram datagram;
    switch (hqq_rx_peek(channel, &datagram)) {
    case HQQ_RX_EMPTY:
        assert_false(hqq_rx_has_data(channel));
        return -1;
    case HQQ_RX_BROKEN:
        return -2;
    case HQQ_RX_DATA:
        break;
    }
    assert_true(hqq_rx_has_data(channel));
    unsigned char *expected = malloc(2 * (datagram.length + 1));
    assert_non_null(expected);
    unsigned char *bytes = expected + datagram.length + 1;
    fill_bytes(expected, datagram.length, seed);
    const struct iovec part = {.iov_base = bytes, .iov_len = datagram.length};
    assert_true(hqq_rx_take(channel, &datagram));
    assert_int_equal(hqq_rx_copy(channel, &datagram, &part, 1), datagram.length);
    hqq_rx_release(channel, &datagram);
    assert_memory_equal(bytes, expected, datagram.length);
    free(expected);
    return (long)datagram.length;
}

enum hqq_notify channel_ends_state(const struct channel_ends *ends)
{
    return hqq_notify_state(hqq_load_relaxed(channel_ends_word(ends)));
}

hqq_atomic_u64 *channel_ends_word(const struct channel_ends *ends)
{
    return &ends->receiver->own->notify;
}
