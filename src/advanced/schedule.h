/*
 * Whose turn it is to send. Each class has a ring of the connections that have something to send; between two chunks the
 * highest class goes first, and within it one connection after the other. Every 32nd chunk is the lowest class's that
 * waits, so that none starves. A connection without credit is in no ring until it gets some; one whose rate holds it
 * back stays and is passed over.
 *
 * A higher class finds free slots where a lower one does not: a chunk that is in the ring cannot be overtaken, so the
 * lower classes may fill a part of it only, but for a message that finds room for all of it. With the lock.
 */
#ifndef HQQ_ADVANCED_SCHEDULE_H
#define HQQ_ADVANCED_SCHEDULE_H

#include "advanced/state.h"

/* Puts the connection into the ring of its class if it has something to send that credit does not hold back. */
void hqq_schedule_ready(struct hqq_advanced *advanced, struct hqq_connection *on);
/* What it has to send has changed, or its credit: it may no longer be short of it. */
void hqq_schedule_look_again(struct hqq_connection *on);
void hqq_schedule_remove(struct hqq_advanced *advanced, struct hqq_connection *on);

/* The connection whose first item goes next, its next chunk cut to size; *ret_room is how many slots must be free for it.
 * NULL: none may go now; rate_until_ns says when the first one may that is held back by a rate. */
struct hqq_connection *hqq_schedule_next(struct hqq_advanced *advanced, uint64_t now_ns, uint64_t *ret_room);

/* How many chunks the rest of an item takes, where credit does not cut them shorter. */
uint64_t hqq_schedule_chunks(const struct hqq_advanced *advanced, const struct hqq_item *item);

/* Its chunk has been sent: moves on to the next connection. */
void hqq_schedule_sent(struct hqq_advanced *advanced, struct hqq_connection *on, uint64_t now_ns);

#endif
