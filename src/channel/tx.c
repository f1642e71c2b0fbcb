#include "channel/tx.h"

#include "base/point.h"
#include "channel/bound.h"
#include "layout/packet.h"

/* ConnCopy's frame flags. */
#define FRAME_BEGIN 1u
#define FRAME_END 2u

/* One producer at a time, but loans come back to the ring in any order: each slot is looked at. */
bool hqq_tx_has_room(const struct hqq_channel *channel, uint64_t slots)
{
    const struct hqq_ring *ring = &channel->tx;
    uint64_t position = hqq_tx_position(channel);
    for (uint64_t i = slots; i-- > 0;) {
        /* acquire, edge R2: with the release of the slot. The receiver's reads are over before we write. */
        if (hqq_load_acquire(hqq_ring_seq(ring, position + i)) != position + i)
            return false;
    }
    return true;
}

static void store_slot(const struct hqq_ring *ring, uint64_t position, const struct hqq_packet *packet)
{
    hqq_packet_store(hqq_ring_packet(ring, position), packet);
    hqq_store_relaxed(hqq_ring_seq(ring, position), position + 1); /* visible by w */
}

/* What was not published is as if it had not been begun. */
static bool undo(const struct hqq_ring *ring, uint64_t from, uint64_t to)
{
    for (uint64_t position = from; position != to; position++)
        hqq_store_relaxed(hqq_ring_seq(ring, position), position);
    return false;
}

static bool fill_chunks(struct hqq_channel *channel, uint64_t position, struct hqq_cursor *cursor, uint64_t length,
                        bool is_in_place)
{
    const struct hqq_ring *ring = &channel->tx;
    uint64_t slots = hqq_channel_slots(ring, length);
    uint64_t message = ++channel->message;
    for (uint64_t i = 0; i < slots; i++) {
        uint64_t piece = i + 1 < slots ? ring->buffer_size : length - i * ring->buffer_size;
        uint64_t flags = (i == 0 ? FRAME_BEGIN : 0) | (i + 1 == slots ? FRAME_END : 0);
        const struct hqq_packet packet = {
            .opcode = HQQ_OPCODE_CONN_COPY,
            .operand = {0, message, length, i * ring->buffer_size, piece, flags, 0},
        };
        if (!is_in_place && !hqq_cursor_copy_from(cursor, hqq_ring_buffer(ring, position + i), piece))
            return undo(ring, position, position + i);
        store_slot(ring, position + i, &packet);
    }
    return true;
}

bool hqq_tx_fill(struct hqq_channel *channel, uint64_t position, const struct iovec *parts, size_t count,
                 uint64_t length, bool is_in_place)
{
    const struct hqq_ring *ring = &channel->tx;
    struct hqq_cursor cursor = {.part = parts, .parts = count};
    if (__builtin_expect(length - 1 >= ring->buffer_size, 0)) /* longer, or empty */
        return fill_chunks(channel, position, &cursor, length, is_in_place);
    if (__builtin_expect(!is_in_place && !hqq_cursor_copy_from(&cursor, hqq_ring_buffer(ring, position), length), 0))
        return false;
    const struct hqq_packet packet = {
        .opcode = HQQ_OPCODE_COPY,
        .operand = {position + 1, position & ring->mask, length},
    };
    store_slot(ring, position, &packet);
    return true;
}

enum hqq_tx_outcome hqq_tx_publish(struct hqq_channel *channel, uint64_t position, uint64_t end)
{
    HQQ_POINT("channel.filled");
    /* release, edge T1: with the acquire of w in rx.c. What we wrote is there before w says so. */
    hqq_store_release(hqq_ring_w(&channel->tx), end);
    HQQ_POINT("channel.published");
    return hqq_tx_look(channel, position);
}

enum hqq_tx_outcome hqq_tx_look(struct hqq_channel *channel, uint64_t position)
{
    /* edge T2: with the fence after the receiver's move. Either it sees our w, or we see its word. */
    hqq_fence_full();
    uint64_t word = hqq_load_relaxed(&channel->peer->notify);
    for (int attempt = 0; __builtin_expect(hqq_notify_state(word) != HQQ_POLLING, 0); attempt++) {
        if (hqq_ring_distance(position, hqq_notify_limit(word, position)) < 0)
            return HQQ_TX_SENT;
        HQQ_POINT("channel.withdraw");
        if (attempt == HQQ_NOTIFY_ATTEMPTS || /* a peer that wants to be told twice */
            hqq_notify_is_withdrawn(word) ||  /* by who was jumped out of before he could say so */
            hqq_cas_acq_rel(&channel->peer->notify, &word, hqq_notify_withdrawn_at(word, position)))
            return HQQ_TX_WITHDRAWN;
    }
    return HQQ_TX_SENT;
}

/* ---- What nobody will read ------------------------------------------------------------------------------------- */

bool hqq_tx_claim(struct hqq_channel *channel, struct hqq_unread *ret_unread)
{
    struct hqq_ring *ring = &channel->tx;
    uint64_t r = hqq_load_acquire(hqq_ring_r(ring));
    uint64_t w = hqq_load_relaxed(hqq_ring_w(ring));
    uint64_t bound = hqq_bound_of(hqq_load_acquire(&channel->peer->notify), r, w);
    int64_t depth = hqq_ring_distance(bound, r);
    if (depth <= 0 || (uint64_t)depth > ring->count)
        return false;
    uint64_t length = hqq_load_relaxed(&hqq_ring_packet(ring, r)[1 + HQQ_COPY_SIZE]);
    uint64_t slots = hqq_channel_slots(ring, length);
    uint64_t expected = r;
    if (length > hqq_channel_longest(ring) || slots > (uint64_t)depth ||
        !hqq_cas_acq_rel(hqq_ring_r(ring), &expected, r + slots))
        return false;
    *ret_unread = (struct hqq_unread){r, slots, length};
    return true;
}

size_t hqq_tx_parts(const struct hqq_channel *channel, const struct hqq_unread *unread, struct iovec parts[static 2])
{
    const struct hqq_ring *ring = &channel->tx;
    uint64_t until_end = (ring->count - (unread->position & ring->mask)) * ring->buffer_size;
    uint64_t first = unread->length < until_end ? unread->length : until_end;
    parts[0] = (struct iovec){.iov_base = hqq_ring_buffer(ring, unread->position), .iov_len = first};
    parts[1] = (struct iovec){.iov_base = ring->buffers, .iov_len = unread->length - first};
    return parts[1].iov_len != 0 ? 2 : 1;
}

void hqq_tx_release(struct hqq_channel *channel, const struct hqq_unread *unread)
{
    for (uint64_t i = 0; i < unread->slots; i++)
        hqq_store_release(hqq_ring_seq(&channel->tx, unread->position + i), unread->position + i + channel->tx.count);
}
