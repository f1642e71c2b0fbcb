/*
 * Whole packets of a link, of any kind, for the layer that gives them a meaning of its own. Taken and put as datagrams
 * are: by any number of threads, each packet by one. Results are those of link.h.
 */
#ifndef HQQ_STANDARD_PACKETS_H
#define HQQ_STANDARD_PACKETS_H

#include "standard/state.h"

/* A packet that was taken; its slot is held until it is given back. */
struct hqq_taken {
    struct hqq_packet packet;     /* a copy */
    const unsigned char *payload; /* the slot's buffer: in shared memory, so it may change at any time */
    uint64_t position;
};

/* The opcode of the packet that is next, tombstones taken out of its way. False if there is none; another thread may take
 * it meanwhile. Never waits. */
bool hqq_link_peek_opcode(struct hqq_link *link, uint64_t *ret_opcode);

/* Takes the next packet that is no tombstone. Waits for one until that time, 0: not at all. TIMEOUT, WOULD_BLOCK, CLOSED,
 * PEER_DIED, FORKED. */
int hqq_link_take_packet(struct hqq_link *link, uint64_t until_ns, struct hqq_taken *ret_taken);
void hqq_link_give_back(struct hqq_link *link, const struct hqq_taken *taken);

/* Claims a slot to write if room slots (at least 1, at most C) are free. Never waits. WOULD_BLOCK, CLOSED, PEER_DIED,
 * FORKED. */
int hqq_link_claim_slot(struct hqq_link *link, uint64_t room, uint64_t *ret_position);
/* Publishes what was claimed; bytes is how much of its payload counts in the statistics. */
void hqq_link_put_packet(struct hqq_link *link, uint64_t position, const struct hqq_packet *packet, uint64_t bytes);

/* What the packet of a datagram of that size says in that slot. */
struct hqq_packet hqq_link_datagram_packet(const struct hqq_link *link, uint64_t position, uint64_t size);

static inline unsigned char *hqq_link_payload(struct hqq_link *link, uint64_t position)
{
    return hqq_ring_buffer(&link->tx, position);
}

/* Waits until room slots were free at some moment. TIMEOUT, CLOSED, PEER_DIED, FORKED. */
int hqq_link_await_room(struct hqq_link *link, uint64_t room, uint64_t until_ns);

/* Ends the wait that is under way for a packet, or for room, by TIMEOUT, and those to come, until they are allowed
 * again. */
void hqq_link_stop_taking(struct hqq_link *link);
void hqq_link_allow_taking(struct hqq_link *link);
void hqq_link_stop_awaiting(struct hqq_link *link);
void hqq_link_allow_awaiting(struct hqq_link *link);

#endif
