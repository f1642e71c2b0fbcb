#include "channel/rx.h"

#include "base/point.h"
#include "layout/packet.h"
#include "ring/consume.h"
#include "runtime/cursor.h"

/* ---- Looking --------------------------------------------------------------------------------------------------- */

/* Slots that may be read now, from r on, by this word; more than the ring has if a peer wrote nonsense. */
static inline uint64_t readable(struct hqq_channel *channel, uint64_t r, uint64_t word)
{
    const struct hqq_ring *ring = &channel->rx;
    HQQ_POINT("channel.look");
    if (__builtin_expect(hqq_notify_state(word) == HQQ_POLLING, 1)) {
        uint64_t depth = channel->seen_w - r;
        if (depth - 1 < ring->count)
            return depth;
        channel->seen_w = hqq_load_acquire(hqq_ring_w(ring)); /* edge T1 */
        return channel->seen_w - r;
    }
    /* acquire, edge T1: w need not be known to read below the bound, but what was published must be seen. */
    uint64_t w = hqq_load_acquire(hqq_ring_w(ring));
    uint64_t bound = hqq_bound_of(word, r, w);
    if (hqq_ring_distance(bound, r) <= 0)
        return 0;
    return hqq_ring_distance(bound, w) > 0 ? UINT64_MAX : bound - r;
}

bool hqq_rx_has_data(struct hqq_channel *channel)
{
    uint64_t word = hqq_load_acquire(&channel->own->notify);
    return readable(channel, hqq_load_relaxed(hqq_ring_r(&channel->rx)), word) != 0;
}

bool hqq_rx_is_read(struct hqq_channel *channel)
{
    const struct hqq_ring *ring = &channel->rx;
    uint64_t last = hqq_load_relaxed(hqq_ring_r(ring)) - 1;
    return !hqq_rx_has_data(channel) &&
           hqq_ring_distance(hqq_load_relaxed(hqq_ring_seq(ring, last)), last + ring->count) >= 0;
}

uint64_t hqq_rx_bound(const struct hqq_channel *channel)
{
    uint64_t r = hqq_load_relaxed(hqq_ring_r(&channel->rx));
    uint64_t w = hqq_load_acquire(hqq_ring_w(&channel->rx)); /* edge T1 */
    return hqq_bound_of(hqq_load_acquire(&channel->own->notify), r, w);
}

enum hqq_rx_look hqq_rx_peek(struct hqq_channel *channel, struct hqq_datagram *ret_datagram)
{
    const struct hqq_ring *ring = &channel->rx;
    uint64_t word = hqq_load_acquire(&channel->own->notify);
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t slots = readable(channel, r, word);
    if (slots == 0)
        return HQQ_RX_EMPTY;
    if (__builtin_expect(slots > ring->count, 0))
        return HQQ_RX_BROKEN;
    const hqq_atomic_u64 *element = hqq_ring_packet(ring, r);
    uint64_t opcode = hqq_load_relaxed(&element[0]);
    struct hqq_datagram datagram = {r, 1, hqq_load_relaxed(&element[1 + HQQ_COPY_SIZE]), word};
    if (__builtin_expect(opcode == HQQ_OPCODE_COPY, 1)) {
        if (datagram.length - 1 >= ring->buffer_size)
            return HQQ_RX_BROKEN;
    } else {
        if (opcode != HQQ_OPCODE_CONN_COPY || datagram.length > hqq_channel_longest(ring))
            return HQQ_RX_BROKEN;
        datagram.slots = hqq_channel_slots(ring, datagram.length);
        if (datagram.slots > slots)
            return HQQ_RX_BROKEN;
    }
    *ret_datagram = datagram;
    return HQQ_RX_DATA;
}

/* ---- Taking ---------------------------------------------------------------------------------------------------- */

/* Moves r. Against handlers of this thread one instruction is enough; against other processes it has to be a locked one. */
static bool move_r(const struct hqq_channel *channel, uint64_t from, uint64_t to)
{
    if (__builtin_expect(!channel->is_shared, 1))
        return hqq_cas_own(hqq_ring_r(&channel->rx), from, to);
    return hqq_cas_acq_rel(hqq_ring_r(&channel->rx), &from, to);
}

/* r has moved: was the datagram, which was looked at while POLLING, this receiver's to take still? The word's turn moves with it; or
 * another process has suspended the ring, and the limit is raised beyond it; or the sender was quicker, and has withdrawn it. */
static bool settle_shared(struct hqq_channel *channel, const struct hqq_datagram *datagram)
{
    uint64_t word = datagram->word, end = datagram->position + datagram->slots;
    for (int attempt = 0; attempt < HQQ_NOTIFY_ATTEMPTS; attempt++) {
        bool is_polling = hqq_notify_state(word) == HQQ_POLLING;
        if (!is_polling && hqq_ring_distance(datagram->position, hqq_notify_limit(word, datagram->position)) < 0)
            return true;
        if (!is_polling && hqq_notify_is_withdrawn(word))
            return false;
        if (is_polling ? hqq_cas_acq_rel(&channel->own->notify, &word, hqq_notify_moved(word, HQQ_POLLING, 0))
                       : hqq_notify_move(&channel->own->notify, &word, hqq_notify_state(word), end))
            return true;
    }
    return false;
}

bool hqq_rx_take(struct hqq_channel *channel, const struct hqq_datagram *datagram)
{
    HQQ_POINT("channel.take");
    if (!move_r(channel, datagram->position, datagram->position + datagram->slots))
        return false;
    HQQ_POINT("channel.taken");
    if (__builtin_expect(!channel->is_shared, 1) || hqq_notify_state(datagram->word) != HQQ_POLLING ||
        settle_shared(channel, datagram))
        return true;
    hqq_rx_release(channel, datagram);
    return false;
}

size_t hqq_rx_copy(const struct hqq_channel *channel, const struct hqq_datagram *datagram, const struct iovec *parts,
                   size_t count)
{
    struct hqq_cursor cursor = {.part = parts, .parts = count};
    const struct hqq_ring *ring = &channel->rx;
    size_t copied = 0;
    uint64_t left = datagram->length;
    for (uint64_t i = 0; i < datagram->slots; i++) {
        uint64_t piece = left < ring->buffer_size ? left : ring->buffer_size;
        size_t done = hqq_cursor_copy_to(&cursor, hqq_ring_buffer(ring, datagram->position + i), piece);
        if (__builtin_expect(done == HQQ_CURSOR_FAULT, 0))
            return HQQ_CURSOR_FAULT;
        copied += done;
        left -= piece;
        if (done < piece)
            break;
    }
    return copied;
}

size_t hqq_rx_parts(const struct hqq_channel *channel, const struct hqq_datagram *datagram,
                    struct iovec parts[static 2])
{
    const struct hqq_ring *ring = &channel->rx;
    uint64_t until_end = (ring->count - (datagram->position & ring->mask)) * ring->buffer_size;
    uint64_t first = datagram->length < until_end ? datagram->length : until_end;
    parts[0] = (struct iovec){.iov_base = hqq_ring_buffer(ring, datagram->position), .iov_len = first};
    parts[1] = (struct iovec){.iov_base = ring->buffers, .iov_len = datagram->length - first};
    return parts[1].iov_len != 0 ? 2 : 1;
}

static void release_slots(struct hqq_channel *channel, uint64_t from, uint64_t to)
{
    for (uint64_t position = from; position != to; position++)
        hqq_ring_release(&channel->rx, position);
}

void hqq_rx_release(struct hqq_channel *channel, const struct hqq_datagram *datagram)
{
    release_slots(channel, datagram->position, datagram->position + datagram->slots);
}

void hqq_rx_recover(struct hqq_channel *channel)
{
    const struct hqq_ring *ring = &channel->rx;
    if (hqq_load32_relaxed(&channel->loans) != 0)
        return;
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    for (uint64_t position = r - ring->count; position != r; position++) {
        uint64_t taken = position + 1;
        if (hqq_load_relaxed(hqq_ring_seq(ring, position)) == taken)
            hqq_ring_release(&channel->rx, position);
    }
}

/* ---- The word -------------------------------------------------------------------------------------------------- */

/* Jumps over what was withdrawn. False: what was published before it has to be read first. A handler, or who held the lock
 * before, may have jumped already. */
static bool pass_withdrawn(struct hqq_channel *channel, uint64_t word)
{
    const struct hqq_ring *ring = &channel->rx;
    uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t place = hqq_notify_place(word, r);
    if (hqq_ring_distance(r, place) < 0)
        return false;
    if (r == place) {
        uint64_t w = hqq_load_acquire(hqq_ring_w(ring)); /* edge T1; and it stands still */
        HQQ_POINT("channel.pass");
        if (w - r <= ring->count && move_r(channel, r, w))
            release_slots(channel, r, w);
    }
    return true;
}

bool hqq_rx_poll(struct hqq_channel *channel)
{
    uint64_t word = hqq_load_acquire(&channel->own->notify);
    for (int attempt = 0; attempt < HQQ_NOTIFY_ATTEMPTS; attempt++) {
        enum hqq_notify state = hqq_notify_state(word);
        if (state == HQQ_POLLING)
            return true;
        if (!hqq_notify_may_move(state, HQQ_POLLING))
            return false;
        if (hqq_notify_is_withdrawn(word) && !pass_withdrawn(channel, word))
            return false;
        HQQ_POINT("channel.poll");
        if (hqq_notify_move(&channel->own->notify, &word, HQQ_POLLING, 0)) {
            channel->seen_w = hqq_load_relaxed(hqq_ring_r(&channel->rx));
            return true;
        }
    }
    return false;
}

bool hqq_rx_arm(struct hqq_channel *channel)
{
    uint64_t word = hqq_load_acquire(&channel->own->notify);
    uint64_t limit = hqq_notify_limit(word, hqq_load_relaxed(hqq_ring_r(&channel->rx)));
    HQQ_POINT("channel.arming");
    if (hqq_notify_state(word) == HQQ_POLLING) {
        limit = hqq_load_acquire(hqq_ring_w(&channel->rx));
        HQQ_POINT("channel.arm");
        if (!hqq_notify_move(&channel->own->notify, &word, HQQ_ARMED, limit))
            return false; /* a handler has been here */
    } else if (hqq_notify_state(word) != HQQ_ARMED || hqq_notify_is_withdrawn(word)) {
        return true;
    }
    /* Also where this is a handler that has interrupted this very function before its second look. */
    hqq_fence_full(); /* edge T2: with the fence after a publication */
    HQQ_POINT("channel.armed");
    if (hqq_load_relaxed(hqq_ring_w(&channel->rx)) == limit)
        return true;
    /* What is beyond the limit can be read only once the limit is raised, or the word says POLLING; and whoever called may not
     * be allowed to poll by now. */
    if (hqq_channel_own_state(channel) == HQQ_ARMED)
        hqq_rx_stop(channel, HQQ_ARMED);
    return false;
}

/* Two rounds are enough: a sender that had read POLLING before the first may publish up to the second look; what is published
 * after that finds the word. The limit is only ever raised, and not beyond what was withdrawn. */
void hqq_rx_stop(struct hqq_channel *channel, enum hqq_notify state)
{
    uint64_t word = hqq_load_acquire(&channel->own->notify);
    for (int round = 0, attempt = 0; round < 2 && attempt < HQQ_NOTIFY_ATTEMPTS; attempt++) {
        HQQ_POINT("channel.stop");
        uint64_t r = hqq_load_relaxed(hqq_ring_r(&channel->rx));
        uint64_t w = hqq_load_acquire(hqq_ring_w(&channel->rx));
        uint64_t limit = hqq_notify_is_withdrawn(word) ? hqq_notify_limit(word, r) : w;
        if (!hqq_notify_may_move(hqq_notify_state(word), state))
            return;
        if (!hqq_notify_move(&channel->own->notify, &word, state, limit))
            continue;
        hqq_fence_full(); /* edge T2 */
        HQQ_POINT("channel.stopped");
        word = hqq_load_acquire(&channel->own->notify);
        if (hqq_notify_is_withdrawn(word) || hqq_load_relaxed(hqq_ring_w(&channel->rx)) == limit)
            return;
        round++;
    }
}
