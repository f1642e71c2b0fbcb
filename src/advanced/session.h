/*
 * What both ends have agreed on. With the lock; what changes it is the taker's, or comes before there is one.
 *
 *      asker:     ProtoNegotiate -->             answerer:  --> ProtoNegotiate
 *                 <-- ProtoAck, or Error                    ProtoAck, or Error -->
 *
 * With a feature of this library agreed on, each end then says Setup: the window it gives a new connection, and the
 * largest message it takes. With encryption, KeyExchange; having the other's, it confirms by KeyConfirm, the first packet
 * that is sealed, as are all after it. Negotiation is done when the peer's part of that has come.
 *
 * It fails, for good, by another major version, a required feature that is missing, an answer that was not asked for, or
 * a KeyConfirm that does not open. Both ends may ask at once: each answers, and both answers must be the same. An
 * end without the mark of this library, which may be the reference implementation, does not answer what it is asked while
 * it waits: there the answer that it was given counts.
 */
#ifndef HQQ_ADVANCED_SESSION_H
#define HQQ_ADVANCED_SESSION_H

#include "advanced/state.h"

/* Whether it is not decided yet. */
bool hqq_session_is_under_way(const struct hqq_session *session);

/* Asks, whatever for. A question that offers features of this library bears its mark. */
int hqq_session_ask(struct hqq_advanced *advanced, uint64_t version, uint64_t features, uint64_t capabilities);

/* Does what a packet of the negotiation asks for. False if it is none, or none now. */
bool hqq_session_handle(struct hqq_advanced *advanced, const struct hqq_packet *packet);

/* The link has ended. */
void hqq_session_end(struct hqq_advanced *advanced, int result);

#endif
