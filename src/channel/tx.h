/*
 * The sending half of a channel: room, fill, publish, look; and claiming what nobody will read. One producer at a time, under
 * the send lock of its socket. Positions become visible to the receiver when w is past them: w is stored last, once for all
 * datagrams of a call, and never goes back.
 *
 * A publication, step by step: the word says POLLING and the last drain request is acknowledged; the slots are free (R2); fill
 * them; store w (T1); full fence (T2); load the word. POLLING, or a limit beyond the first position: the receiver takes
 * it. Else one compare-and-swap withdraws it, and the datagram takes the kernel. Nothing here waits.
 */
#ifndef HQQ_CHANNEL_TX_H
#define HQQ_CHANNEL_TX_H

#include "channel/bound.h"
#include "channel/channel.h"
#include "runtime/cursor.h"

/* True if the next datagram may be published: the receiver looks, and what went through the kernel before has been read. */
static inline bool hqq_tx_is_open(const struct hqq_channel *channel)
{
    /* acquire, edge K1: with the release of the acknowledgement. The receiver had seen its kernel queue empty. */
    return hqq_channel_peer_state(channel) == HQQ_POLLING &&
           hqq_load_acquire(&channel->peer->drain_acknowledged) == hqq_load_relaxed(&channel->own->drain_requested);
}

/* A kernel send of this process has returned, never before: nothing may be published until the receiver has drained its queue.
 * By any thread. */
static inline void hqq_tx_request_drain(const struct hqq_channel *channel, uint64_t sends)
{
    hqq_add_relaxed(&channel->own->drain_requested, sends);
}

/* True if so many slots that come next are free. */
bool hqq_tx_has_room(const struct hqq_channel *channel, uint64_t slots);

/* The position that the next datagram will have. */
static inline uint64_t hqq_tx_position(const struct hqq_channel *channel)
{
    return hqq_load_relaxed(hqq_ring_w(&channel->tx));
}

/* Puts a datagram into free slots from a position on; its payload is there already if is_in_place. Nothing of it shows. False:
 * the vectors can't be read, and the slots are as they were. */
bool hqq_tx_fill(struct hqq_channel *channel, uint64_t position, const struct iovec *parts, size_t count,
                 uint64_t length, bool is_in_place);

enum hqq_tx_outcome {
    HQQ_TX_SENT,
    HQQ_TX_WITHDRAWN, /* the receiver may be asleep: the kernel has to carry what was published */
};

/* Publishes the positions up to end, and looks. */
enum hqq_tx_outcome hqq_tx_publish(struct hqq_channel *channel, uint64_t position, uint64_t end);

/* The look that the holder of the lock left out, as it was jumped out of: withdraws what was published from position on, if
 * the receiver may be asleep. */
enum hqq_tx_outcome hqq_tx_look(struct hqq_channel *channel, uint64_t position);

/* What lies in the ring, in the order in which it was sent, and that a receiver that has gone will not read. */
struct hqq_unread {
    uint64_t position, slots, length;
};

/* Claims the first unread datagram, for sending it again: by a compare-and-swap of r, with whoever reads still. False: there is
 * none. */
bool hqq_tx_claim(struct hqq_channel *channel, struct hqq_unread *ret_unread);

/* Where it lies: one piece, or two where it comes round the end of the ring. Returns how many. */
size_t hqq_tx_parts(const struct hqq_channel *channel, const struct hqq_unread *unread, struct iovec parts[static 2]);

/* It was sent, or can't be: its slots are free. */
void hqq_tx_release(struct hqq_channel *channel, const struct hqq_unread *unread);

/* True if the peer has nothing left to read: what is in the ring still was withdrawn. Under the send lock it stays so. */
static inline bool hqq_tx_is_read(const struct hqq_channel *channel)
{
    uint64_t r = hqq_load_acquire(hqq_ring_r(&channel->tx));
    uint64_t w = hqq_load_relaxed(hqq_ring_w(&channel->tx));
    return hqq_ring_distance(hqq_bound_of(hqq_load_acquire(&channel->peer->notify), r, w), r) <= 0;
}

/* Slots published and not yet taken. */
static inline uint64_t hqq_tx_depth(const struct hqq_channel *channel)
{
    return hqq_ring_depth(&channel->tx);
}

#endif
