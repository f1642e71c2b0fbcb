/*
 * How many datagrams a sender leaves unread in a ring: if their receiver ends, they are lost. The kernel leaves
 * max_dgram_qlen + 1 unread in a queue. A sender leaves as many in a ring, or, if that is more, as many as the receiver
 * takes in a millisecond, up to the whole ring. So the ring is all there for a stream whose receiver keeps up, and one
 * that has stopped reading is owed little.
 *
 *      grows        twice as large, where the receiver has taken a sixteenth of it since it last grew: when it is used
 *                   up; but below 64 when it may be, as that is not known without a look at r
 *      settles      to what was taken in a millisecond, if that is less: with the sender's look at its receiver, once a
 *                   millisecond of sending
 *
 * The sender's alone, under its send lock; r is looked at only when the window seems used up. It counts slots, of which a
 * datagram has at least one: the last datagram may have more. Relies on ring and runtime.
 */
#ifndef HQQ_CHANNEL_WINDOW_H
#define HQQ_CHANNEL_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/ring.h"

/* For a new channel. The kernel's setting is read once in a process. */
void hqq_window_open(struct hqq_ring *ring);

/* The window seems used up: looks at r, grows if it may. True if there is room. */
bool hqq_window_look(struct hqq_ring *ring, uint64_t position);

/* True if a datagram may be published from this position on, as far as the window goes. */
static inline bool hqq_window_has_room(struct hqq_ring *ring, uint64_t position)
{
    return __builtin_expect(hqq_ring_distance(position, hqq_load_relaxed(&ring->seen_r)) < (int64_t)ring->window, 1) ||
           hqq_window_look(ring, position);
}

/* Once a millisecond of sending. ticks: now. */
void hqq_window_settle(struct hqq_ring *ring, uint64_t ticks);

/* For a while the receiver has been seen to be behind. True if no more than half of the window is unread. */
static inline bool hqq_window_is_half_free(const struct hqq_ring *ring, uint64_t position, uint64_t r)
{
    return hqq_ring_distance(position, r) <= (int64_t)(ring->window / 2);
}

#endif
