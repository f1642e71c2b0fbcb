/*
 * Messages that are arriving: chunks are put together by connection, message and whether it is an answer, within bounds,
 * each at the place where the one before it ended. All calls are the taker's, without the lock.
 *
 * A message that is refused (too large, too many, nobody wants it) stays in the table without memory until its last
 * chunk, so that its chunks are known for what they are.
 */
#ifndef HQQ_ADVANCED_ASSEMBLY_H
#define HQQ_ADVANCED_ASSEMBLY_H

#include "advanced/state.h"

/* The next chunk; body is chunk->size bytes that a hostile peer may still be changing. */
void hqq_assembly_take(struct hqq_advanced *advanced, const struct hqq_chunk *chunk, const unsigned char *body);

/* A chunk that made no sense: ends the message that it seems to belong to. */
void hqq_assembly_take_malformed(struct hqq_advanced *advanced, uint64_t connection, uint64_t message, uint64_t flags);

/* A connection was closed by the peer: what has not arrived whole will not. */
void hqq_assembly_end_connection(struct hqq_advanced *advanced, uint64_t connection);

/* The link has ended, or is about to be freed: tells the functions of streams that have begun. */
void hqq_assembly_end_streams(struct hqq_advanced *advanced, int error);

/* Drops all that is arriving. With the lock, and the role. */
void hqq_assembly_drop_all(struct hqq_advanced *advanced);

#endif
