/*
 * The receiving half of a channel: peek, take, copy, release, and the receiver's moves of the notify word. Under the receive
 * lock of its socket, one consumer at a time, which a signal handler of the same thread may interrupt at any instruction
 * and do the same; where several processes may read (is_shared), they do so without a common lock.
 *
 * Why nothing is lost: a datagram is taken by a compare-and-swap of r, and only below the bound (bound.h). A receiver that leaves
 * POLLING stores the w that it has seen as limit, and looks once more after a full fence: what it then finds makes it go back.
 * So whatever was published lies below a limit, or finds the word and is withdrawn by its sender. The word itself keeps the
 * one withdrawal that there can be: the ring is read up to it, then r jumps over it to w, which stands still; only then does the
 * word say POLLING again.
 */
#ifndef HQQ_CHANNEL_RX_H
#define HQQ_CHANNEL_RX_H

#include "channel/bound.h"
#include "channel/channel.h"

enum hqq_rx_look {
    HQQ_RX_EMPTY,
    HQQ_RX_DATA,
    HQQ_RX_BROKEN, /* nothing that an honest peer writes */
};

/* A datagram in the ring, checked; and the word that it was looked at by. */
struct hqq_datagram {
    uint64_t position, slots, length;
    uint64_t word;
};

/* What may be taken next. */
enum hqq_rx_look hqq_rx_peek(struct hqq_channel *channel, struct hqq_datagram *ret_datagram);

/* True if something may be taken. A broken ring says so too. */
bool hqq_rx_has_data(struct hqq_channel *channel);

/* True if nothing may be taken, and what was taken last has been copied: a receive that a handler has interrupted may be
 * at it still. */
bool hqq_rx_is_read(struct hqq_channel *channel);

/* How far the ring may be read now. */
uint64_t hqq_rx_bound(const struct hqq_channel *channel);

/*
 * Takes what was peeked. False: a handler, or another process, was quicker; or another process has suspended the ring in between, and the
 * sender has withdrawn it, so that it comes through the kernel. Where processes share the ring (is_shared) a take while POLLING also
 * moves the word's turn: so a process that suspends the ring by a w that it read before finds its swap fail, and no position is
 * both taken and beyond a limit.
 */
bool hqq_rx_take(struct hqq_channel *channel, const struct hqq_datagram *datagram);

/* Copies it, as far as the vectors go. Returns how many bytes; HQQ_CURSOR_FAULT (cursor.h): some can't be written. Before
 * hqq_rx_release(). */
size_t hqq_rx_copy(const struct hqq_channel *channel, const struct hqq_datagram *datagram, const struct iovec *parts,
                   size_t count);

/* Where it lies: one piece, or two where it comes round the end of the ring. Returns how many. */
size_t hqq_rx_parts(const struct hqq_channel *channel, const struct hqq_datagram *datagram,
                    struct iovec parts[static 2]);

/* Its slots are free. */
void hqq_rx_release(struct hqq_channel *channel, const struct hqq_datagram *datagram);

/* -> POLLING. False: something that was published before a withdrawal has to be read first, or the state is final. */
bool hqq_rx_poll(struct hqq_channel *channel);

/* -> ARMED. True: nothing was published since; nobody needs to look any more until the kernel wakes us. False: look again; what
 * has come meanwhile can be read then, whether the channel is polled or not. A channel that is not POLLING keeps its state. */
bool hqq_rx_arm(struct hqq_channel *channel);

/* -> SUSPENDED, CLOSED or HANDOFF. What is in the ring can be read still. */
void hqq_rx_stop(struct hqq_channel *channel, enum hqq_notify state);

/* A handler is about to receive inside a receive of its own thread: a move of the word that it has interrupted fails, and begins anew.
 * Else, where the handler takes what was published after that move had read w, the word would get a limit behind r, and the
 * sender withdraw what was taken. */
static inline void hqq_rx_interrupt(struct hqq_channel *channel)
{
    hqq_add_relaxed(&channel->own->notify, UINT64_C(1) << HQQ_NOTIFY_TURN_SHIFT);
}

/* Frees slots that a holder of the lock had taken and not released when it was jumped out of, or died. */
void hqq_rx_recover(struct hqq_channel *channel);

/* ---- The drain ------------------------------------------------------------------------------------------------- */

/* Before the kernel's queue is looked at: which request a look that finds it empty acknowledges. True if there is a new one. */
static inline bool hqq_rx_note_request(struct hqq_channel *channel)
{
    channel->requested = hqq_load_relaxed(&channel->peer->drain_requested);
    return channel->requested != hqq_load_relaxed(&channel->own->drain_acknowledged);
}

/* The queue was empty. */
static inline void hqq_rx_acknowledge(struct hqq_channel *channel)
{
    if (hqq_load_relaxed(&channel->own->drain_acknowledged) != channel->requested)
        hqq_store_release(&channel->own->drain_acknowledged, channel->requested); /* edge K1 */
}

/* The queue is not empty yet, but somebody is at work on it. */
static inline void hqq_rx_show_progress(struct hqq_channel *channel)
{
    hqq_add_relaxed(&channel->own->drain_progress, 1);
}

/* True if the sender has sent through the kernel since the last acknowledgement: it would rather use the ring. */
static inline bool hqq_rx_is_wanted(const struct hqq_channel *channel)
{
    return hqq_load_relaxed(&channel->peer->drain_requested) != hqq_load_relaxed(&channel->own->drain_acknowledged);
}

#endif
