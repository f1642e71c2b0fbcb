/*
 * Advanced links for tests: both ends in this process, or one end and a peer whose packets the test makes by hand. Where
 * something can't be had the test program aborts; functions that say so assert, and are for the test's own thread.
 */
#ifndef TESTS_SUPPORT_ADVANCED_H
#define TESTS_SUPPORT_ADVANCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hqq/advanced.h>

#include "advanced/state.h"
#include "support/caller.h"
#include "support/region.h"

#define ORIGINAL_FEATURES UINT64_C(3)
#define ORIGINAL_VERSION UINT64_C(0x100)

/* A key, the same at every call. */
extern const unsigned char advanced_key[HQQ_KEY_BYTES];

/* Until no other thread's wait is needed to go on, as long as the test may take: never reached where all is well. */
uint64_t advanced_soon(void);

/* Waits until count calls of other threads wait in the link. */
void advanced_await_waiters(struct hqq_advanced *advanced, uint64_t count);

struct hqq_advanced_stats advanced_stats(struct hqq_advanced *advanced);

/* Processes until there is nothing more to do at once. Returns why it stopped: WOULD_BLOCK, or why the link has ended. */
int advanced_drive(struct hqq_advanced *advanced);

/* Asserts that the next message on no connection is this one, and frees it. deadline 0: it has come, or is in the ring. */
void advanced_assert_receives(struct hqq_advanced *advanced, const void *data, size_t length, uint64_t deadline_ns);
void advanced_assert_connection_receives(struct hqq_advanced *advanced, struct hqq_connection *connection,
                                         const void *data, size_t length, uint64_t deadline_ns);

/* ---- Both ends ----------------------------------------------------------------------------------------------------- */

struct duo {
    struct pair pair;
    struct hqq_advanced *end[2]; /* primary, secondary; ring i is written by end i */
};

/* Not negotiated. Each configuration may be NULL. */
struct duo duo_open(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *primary,
                    const struct hqq_advanced_config *secondary);

/* Negotiated; asserts. With the same configuration at both ends, NULL for the default. */
struct duo duo_agreed(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config);

/* Lets the first ask, in this thread alone; asserts. */
void duo_agree(struct duo *duo);

/* Drives both ends, in this thread alone, until neither has anything to do. */
void duo_settle(struct duo *duo);

/* A connection that the primary has dialled, and both ends of it; asserts. */
void duo_connect(struct duo *duo, struct hqq_connection *ret_ends[2]);

/* Closes the ends that are not NULL, and all. */
void duo_close(struct duo *duo);

/* ---- One end, and packets by hand ---------------------------------------------------------------------------------- */

struct by_hand {
    struct pair pair;
    struct hqq_advanced *advanced; /* the secondary */
};

/* Not negotiated. */
struct by_hand by_hand_open(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config);

/* The peer has asked for these features, and what is sent with them; asserts that they were granted. */
struct by_hand by_hand_agreed(uint64_t buffer_count, uint64_t buffer_size, const struct hqq_advanced_config *config,
                              uint64_t features);

/* Puts a packet into the ring, with a payload, and lets the end take it. */
void by_hand_put(struct by_hand *hand, const struct hqq_packet *packet, const void *payload, size_t length);
void by_hand_say(struct by_hand *hand, uint64_t opcode, uint64_t operand0, uint64_t operand1, uint64_t operand2);

/* Asks, as an end of this library (with its mark), or as another implementation. */
void by_hand_ask(struct by_hand *hand, uint64_t version, uint64_t features, uint64_t capabilities, bool is_marked);

/* A ConnCopy; chunk->size bytes of data, which may be NULL for zeroes. */
void by_hand_chunk(struct by_hand *hand, const struct hqq_chunk *chunk, const void *data);

/* The next packet that the end has sent, and its payload's first bytes, if there is one. */
bool by_hand_take(struct by_hand *hand, struct hqq_packet *ret_packet, void *payload, size_t length);

/* Asserts that the next packet is this one; that there is none. */
void by_hand_assert_said(struct by_hand *hand, uint64_t opcode, uint64_t operand0, uint64_t operand1,
                         uint64_t operand2);
void by_hand_assert_silent(struct by_hand *hand);

void by_hand_close(struct by_hand *hand);

#endif
