/*
 * Links that others offer to a bound socket, and those that its own sending side made: how they come to be looked at.
 * All under the receive lock; never waits.
 */
#ifndef HQQ_SOCKET_OFFERS_H
#define HQQ_SOCKET_OFFERS_H

#include <stdbool.h>

#include "socket/endpoint.h"

/* Pairs that the sending side has made: what the peer sends back comes through them. */
void hqq_offers_take_over(struct hqq_endpoint *endpoint);

/* Looks at the rendezvous, less often the longer nobody came; is_due: in any case. */
void hqq_offers_look(struct hqq_endpoint *endpoint, bool is_due);

/* Opens the rendezvous of a bound socket. */
void hqq_offers_listen(struct hqq_endpoint *endpoint);

#endif
