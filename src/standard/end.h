/*
 * Who holds an end of a link: one word in the extension block, and how it changes hands.
 *
 *      NONE, CLOSED, DEAD ---claim---> ALIVE(id) ---shut---> SHUT(id) ---leave---> CLOSED
 *
 *      ALIVE(id), SHUT(id) ---id is gone---> RECOVERING(id of who frees its slots) ---all free---> DEAD, or CLOSED
 *                                                                                                  if it was SHUT
 *      RECOVERING(id) ---id is gone too---> RECOVERING(id of who goes on)
 *
 * One process holds an end, so that the slots claimed on its side are known to be its own. SHUT is held: its threads
 * may still be in the middle of a call. Nobody may claim an end before its slots have been freed.
 *
 * A holder whose identity cannot be told (no /proc, another pid namespace) is ALIVE with identity UNKNOWN and is
 * never declared dead.
 */
#ifndef HQQ_STANDARD_END_H
#define HQQ_STANDARD_END_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/extension.h"
#include "ring/ring.h"

enum hqq_end_state {
    HQQ_END_NONE = 0,
    HQQ_END_ALIVE = 1,
    HQQ_END_SHUT = 2,
    HQQ_END_CLOSED = 3,
    HQQ_END_RECOVERING = 4,
    HQQ_END_DEAD = 5,
};

/* An end together with what its holder may have claimed. */
struct hqq_end_view {
    struct hqq_end *end;
    struct hqq_ring *produces; /* the ring that this end writes */
    struct hqq_ring *consumes; /* the ring that this end reads */
    struct hqq_bell *bells[2]; /* where threads of this end sleep */
};

/* The state that an owner word says; a value that no honest peer writes is NONE. */
enum hqq_end_state hqq_end_state(uint64_t owner);

/* True if a process held the end and it has let it go, or has died, if identities can be checked here. */
bool hqq_end_is_gone(const struct hqq_end *end, bool can_check);

/* Takes an end of a region that nobody else can see yet. */
void hqq_end_hold(struct hqq_end *end, uint64_t self, bool is_light);

/* Takes the end for this process, which will ring lightly or not: ring/bell.h. If its holder has died, its slots are
 * freed first. 0, HQQ_ERROR_BUSY, or -EAGAIN: it is changing hands just now, try again. */
int hqq_end_claim(const struct hqq_end_view *view, uint64_t self, bool is_light, uint64_t *ret_recovered);

/* Marks the end as shut, if it is this process's and not yet so. Async-signal-safe. */
void hqq_end_shut(struct hqq_end *end);

/* Lets the end go. holds_slots: some are still claimed by this process, and are freed first. */
void hqq_end_leave(const struct hqq_end_view *view, bool holds_slots);

/*
 * If the holder of the end is gone for certain, frees its slots and marks the end dead. True if this call did it; then
 * *ret_recovered is the number of slots, and whoever may sleep on either side must be woken. self is who will be
 * the recoverer; UNKNOWN may not recover, as nobody could tell if it died in turn.
 */
bool hqq_end_recover(const struct hqq_end_view *view, uint64_t self, uint64_t *ret_recovered);

#endif
