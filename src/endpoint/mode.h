/*
 * How an endpoint may be served. Only what the modes are; moves between them are made in modes.h.
 *
 *      mode          rings                              the kernel's queue
 *      ACCELERATED   may be polled while it pays        looked at and popped by us too
 *      FOREIGN       armed: what they hold is read      the same
 *      SHUT          suspended: what they hold is read  ends; read once the rings are empty
 *      KERNEL        closed                             touched by the app's own calls alone
 *
 *      move                       event
 *      ACCELERATED <-> FOREIGN    a waiter that is not seen, another receiving process, an option that only the kernel
 *                                 serves; and the end of that
 *      any -> SHUT                shut down for reading
 *      any -> KERNEL              an option after which a look of ours at the queue would show (SO_PEEK_OFF, a filter)
 */
#ifndef HQQ_ENDPOINT_MODE_H
#define HQQ_ENDPOINT_MODE_H

#include <stdbool.h>

enum hqq_mode {
    HQQ_MODE_ACCELERATED = 0,
    HQQ_MODE_FOREIGN = 1,
    HQQ_MODE_SHUT = 2,
    HQQ_MODE_KERNEL = 3,
};

/* Why an endpoint is FOREIGN. Several may hold at once. */
enum hqq_foreign {
    HQQ_FOREIGN_OPTION = 1u << 0, /* what only the kernel can add to a datagram: credentials, time stamps */
    HQQ_FOREIGN_SHARED = 1u << 1, /* other processes receive too, or may */
    HQQ_FOREIGN_SIGNAL = 1u << 2, /* O_ASYNC: the kernel's signal is what tells */
    HQQ_FOREIGN_WAITER = 1u << 3, /* a wait that is not seen: an unknown or polled epoll set, splice, aio */
    HQQ_FOREIGN_MEMORY = 1u << 4, /* the process locks its memory */
};

static inline bool hqq_mode_may_move(enum hqq_mode from, enum hqq_mode to)
{
    return from == to ||
           (from != HQQ_MODE_KERNEL && (to > from || (from == HQQ_MODE_FOREIGN && to == HQQ_MODE_ACCELERATED)));
}

#endif
