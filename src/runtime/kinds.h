/* Where a datagram lies that a caller holds: hqq_reservation.kind, hqq_loan.kind. */
#ifndef HQQ_RUNTIME_KINDS_H
#define HQQ_RUNTIME_KINDS_H

enum hqq_held {
    HQQ_HELD_NOT = 0, /* given back */
    HQQ_HELD_IN_HEAP, /* the holder is a talloc block, or NULL for nothing */
    HQQ_HELD_IN_RING, /* the holder is a pair, with a reference */
    HQQ_HELD_IN_LINK, /* the holder is a socket of AF_HQQ, entered */
};

#endif
