/*
 * The notify word of one direction of a channel: all that a sender needs to know of its receiver, in one atomic word.
 *
 *      bits 0-2     state
 *      bit  3       withdrawn: the sender took back what it had published from position on
 *      bits 4-23    limit: the w that the receiver had seen when it left POLLING
 *      bits 24-43   position of the withdrawal
 *      bits 44-63   turn: counts the receiver's moves, so that an interrupted one notices
 *
 * Zeroed memory is ARMED with limit 0: nothing may be published before the receiver says so.
 *
 *      state       the receiver                              a sender that has published position p, fenced, and looks
 *      POLLING     looks at the ring before it sleeps        is done
 *      ARMED       may be asleep, or waits unseen            p < limit: is done; else withdraws p, and the kernel has it
 *      SUSPENDED   wants no more for now                     the same
 *      CLOSED      wants no more for good                    the same
 *      HANDOFF     has gone; its socket may live on          the same; and sends again what was not read
 *
 *      move                                  by          event
 *      ARMED, SUSPENDED -> POLLING           receiver    polling pays, and nothing withdrawn is left in the ring
 *      POLLING, ARMED   -> ARMED             receiver    about to sleep; or raises limit to read on
 *      POLLING, ARMED, SUSPENDED -> SUSPENDED receiver   a foreign waiter, several receivers
 *      any              -> CLOSED, HANDOFF   receiver    the end
 *      any but POLLING  -> itself, withdrawn sender      once, until the next POLLING
 *
 * Positions are counters of 64 bits in the ring and of 20 here; as rings have at most 2^16 slots, and w stands still
 * from a withdrawal to the next POLLING, the nearest counter with these low bits is the one that is meant. Relies on
 * base only; knows nothing of rings.
 */
#ifndef HQQ_CHANNEL_NOTIFY_H
#define HQQ_CHANNEL_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum hqq_notify {
    HQQ_ARMED = 0,
    HQQ_POLLING = 1,
    HQQ_SUSPENDED = 2,
    HQQ_CLOSED = 3,
    HQQ_HANDOFF = 4,
};

#define HQQ_NOTIFY_STATES 5

/* How often a swap that failed is tried again. Honest peers fail it once, and so does each handler that comes in between; a hostile
 * one that writes the word all the time must not hold us for ever. */
#define HQQ_NOTIFY_ATTEMPTS 4096

#define HQQ_NOTIFY_POSITION_BITS 20
#define HQQ_NOTIFY_WITHDRAWN (UINT64_C(1) << 3)
#define HQQ_NOTIFY_LIMIT_SHIFT 4
#define HQQ_NOTIFY_PLACE_SHIFT 24
#define HQQ_NOTIFY_TURN_SHIFT 44
#define HQQ_NOTIFY_POSITION_MASK ((UINT64_C(1) << HQQ_NOTIFY_POSITION_BITS) - 1)

/* What a hostile peer may have written is CLOSED. */
static inline enum hqq_notify hqq_notify_state(uint64_t word)
{
    uint64_t state = word & 7;
    return state < HQQ_NOTIFY_STATES ? (enum hqq_notify)state : HQQ_CLOSED;
}

static inline bool hqq_notify_is_withdrawn(uint64_t word)
{
    return (word & HQQ_NOTIFY_WITHDRAWN) != 0;
}

/* The counter with these low bits that is nearest to one that is known. */
static inline uint64_t hqq_notify_near(uint64_t bits, uint64_t known)
{
    uint64_t apart = (bits - known) & HQQ_NOTIFY_POSITION_MASK;
    if (apart > HQQ_NOTIFY_POSITION_MASK / 2)
        apart |= ~HQQ_NOTIFY_POSITION_MASK;
    return known + apart;
}

static inline uint64_t hqq_notify_limit(uint64_t word, uint64_t known)
{
    return hqq_notify_near(word >> HQQ_NOTIFY_LIMIT_SHIFT, known);
}

static inline uint64_t hqq_notify_place(uint64_t word, uint64_t known)
{
    return hqq_notify_near(word >> HQQ_NOTIFY_PLACE_SHIFT, known);
}

/* The word after a move of the receiver's: its turn is the next one. */
static inline uint64_t hqq_notify_moved(uint64_t word, enum hqq_notify state, uint64_t limit)
{
    uint64_t turn = (word >> HQQ_NOTIFY_TURN_SHIFT) + 1;
    uint64_t kept =
        state != HQQ_POLLING ? word & (HQQ_NOTIFY_WITHDRAWN | HQQ_NOTIFY_POSITION_MASK << HQQ_NOTIFY_PLACE_SHIFT) : 0;
    uint64_t bound = state != HQQ_POLLING ? (limit & HQQ_NOTIFY_POSITION_MASK) << HQQ_NOTIFY_LIMIT_SHIFT : 0;
    return (uint64_t)state | kept | bound | turn << HQQ_NOTIFY_TURN_SHIFT;
}

/* The word after the sender's only move. */
static inline uint64_t hqq_notify_withdrawn_at(uint64_t word, uint64_t position)
{
    uint64_t place = HQQ_NOTIFY_POSITION_MASK << HQQ_NOTIFY_PLACE_SHIFT;
    return (word & ~place) | HQQ_NOTIFY_WITHDRAWN | (position << HQQ_NOTIFY_PLACE_SHIFT & place);
}

/* True if the receiver may move from one state to the other. */
bool hqq_notify_may_move(enum hqq_notify from, enum hqq_notify to);

/*
 * The receiver's one setter: from the word that was read to the given state, with this limit (ignored for POLLING). False:
 * the word has changed since, and *word is what it is now. Asserts that the move is legal, traces and counts it.
 * acq_rel, edge N1: what the receiver stored before (r) is seen by who sees the move, and what the sender published
 * before it withdrew is seen here.
 */
bool hqq_notify_move(hqq_atomic_u64 *notify, uint64_t *word, enum hqq_notify state, uint64_t limit);

/* Moves of this process into each state, for tests and the report. */
extern hqq_atomic_u64 hqq_notify_moves[HQQ_NOTIFY_STATES];

const char *hqq_notify_text(enum hqq_notify state);

#endif
