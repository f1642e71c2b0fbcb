/*
 * The doorbell of the receiving side: which pairs are looked at, and what their peers are told to do when they publish.
 *
 * Active pairs are looked at by every receive; their doors are open (AWAKE). A thread that is about to sleep arms the
 * door of each, looks once more, and sleeps on the app's own socket; a peer that publishes and finds the door armed
 * sends a token. A pair that is not active is armed or parked, and was seen empty after that. All under the receive
 * lock, but where it says otherwise.
 */
#ifndef HQQ_SOCKET_DOORBELL_H
#define HQQ_SOCKET_DOORBELL_H

#include <stdbool.h>

#include "socket/endpoint.h"

/* A new pair, with nothing in it: the token that goes before its first datagram makes it active. */
void hqq_doorbell_add(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* The pair that a token speaks of, or NULL. */
struct hqq_pair *hqq_doorbell_find(const struct hqq_endpoint *endpoint, const struct hqq_token *token);

/* A token of it has come: who offered it may send, so its ring may be looked at. */
void hqq_doorbell_meet(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* Out of all lists; nobody is told. */
void hqq_doorbell_unlist(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* A bell of it has come: it is looked at from now on, and if that happens a lot all others are, too. */
void hqq_doorbell_rung(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* The pair is looked at from now on. */
void hqq_doorbell_activate(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* Arms every active pair, so that whatever is published from now on is either found by a look after this, or announced
 * by a token. The active ones stay so, as a look is to follow. False: a peer could not be made to pass a barrier; what it
 * publishes just now is seen a moment later. */
bool hqq_doorbell_arm(struct hqq_endpoint *endpoint);

/* The look after arming found something: nobody will sleep, so nobody need ring. */
void hqq_doorbell_disarm(struct hqq_endpoint *endpoint);

/* True if a token speaks of the arming that is in force: it is not to be thrown away. */
bool hqq_doorbell_is_news(const struct hqq_endpoint *endpoint, const struct hqq_token *token);

/* A receive begins. With another thread asleep all links are parked; when it has been calm for a while no longer. */
void hqq_doorbell_enter(struct hqq_endpoint *endpoint);

/* Around a sleep. enter: the pairs were armed and seen empty. leave: without the lock; takes the endpoint as void *,
 * for pthread_cleanup_push(). woke: with the lock again. */
void hqq_doorbell_enter_sleep(struct hqq_endpoint *endpoint);
void hqq_doorbell_leave_sleep(void *endpoint);
void hqq_doorbell_woke(struct hqq_endpoint *endpoint);

/* Peers are to use the kernel. */
void hqq_doorbell_park(struct hqq_endpoint *endpoint);

/* The same for good; what they hold can be received still. */
void hqq_doorbell_close(struct hqq_endpoint *endpoint);

/* The same, all of them, and their peers are to send what was not read to whoever has the socket next. */
void hqq_doorbell_hand_over(struct hqq_endpoint *endpoint);

/* Ends a pair that broke the rules, or whatever pairs are over: their peers have closed or died, and their rings are
 * empty. */
void hqq_doorbell_break(struct hqq_endpoint *endpoint, struct hqq_pair *pair);
void hqq_doorbell_sweep(struct hqq_endpoint *endpoint);

#endif
