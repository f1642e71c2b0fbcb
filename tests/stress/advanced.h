/*
 * Stress of advanced links: two ends, in one process or two, whose threads send and post messages of any size, whole and
 * in pieces, dial and accept connections that either side closes, call and answer out of order, and give all of that up
 * now and then. What a message is follows from seed, lane and number, so whoever receives one knows every byte of it.
 *
 * Checked: each message comes once, in the order of its lane, as it was; each call has the answer that belongs to it;
 * nobody gets stuck; at the end nothing is under way any more, and nothing is left behind.
 */
#ifndef TESTS_STRESS_ADVANCED_H
#define TESTS_STRESS_ADVANCED_H

#include <pthread.h>
#include <semaphore.h>

#include <hqq/advanced.h>

#include "support/heavy.h"

enum advanced_trouble {
    ADVANCED_PROCESSES = 1,  /* each end in a process of its own */
    ADVANCED_DELAYS = 2,     /* random pauses at labelled points */
    ADVANCED_IMPATIENT = 4,  /* deadlines that pass, messages that are aborted */
    ADVANCED_POLLS = 8,      /* one more thread that drives without waiting */
    ADVANCED_DISPATCHER = 16 /* and the library's own */
};
#define ADVANCED_TROUBLES 32u

/* One round, in shared memory. */
struct advanced_round {
    uint64_t seed, features;
    unsigned trouble;
    uint64_t count, size; /* of the rings */
    uint32_t messages;    /* of each lane */
    uint32_t talks;       /* connections of each dialling thread */
    uint32_t calls;       /* batches of each calling thread */
    void *region;
    size_t bytes;
    _Atomic uint64_t progress;
    _Atomic unsigned is_done[2];
    sem_t opened[2];
    _Atomic uint64_t got;    /* messages, of all lanes */
    _Atomic uint64_t called; /* answers */
    _Atomic uint64_t given_up;
};

/* One end, in its process. */
struct advanced_end {
    struct advanced_round *round;
    struct hqq_advanced *advanced;
    unsigned side; /* 0: primary */
    _Atomic bool is_over;
    uint64_t received; /* messages of the stream */
    struct advanced_stream *stream;
};

/* What one thread does. */
struct advanced_thread {
    struct advanced_end *end;
    unsigned index;
    struct heavy_random random;
    pthread_t thread;
    void (*run)(struct advanced_thread *self);
};

/* Lanes of each direction: two of messages that are received whole, one that is streamed. Their messages carry a number
 * that is no connection's. */
#define ADVANCED_LANES 3u
#define ADVANCED_STREAM_LANE 2u
#define ADVANCED_NUMBER(lane) ((UINT64_C(1) << 32) + (lane))
#define ADVANCED_DIALLERS 2u
#define ADVANCED_CALLERS 2u
#define ADVANCED_LONGEST ((size_t)1 << 20)

/* Streams of one kind are unlike all others of the round. */
#define ADVANCED_LANE(end_side, lane) ((uint64_t)(end_side) << 32 | (lane))
#define ADVANCED_TALK_LANE(end_side, dialler, talk) ((uint64_t)(end_side) << 32 | (dialler) << 20 | (talk) << 4 | 8)
#define ADVANCED_CALL_LANE(end_side, caller) ((uint64_t)(end_side) << 32 | UINT64_C(1) << 31 | (caller))

/* ---- Messages that are known ------------------------------------------------------------------------------------- */

size_t advanced_length(const struct advanced_round *round, uint64_t lane, uint64_t number);
/* Writes the message; data has room for ADVANCED_LONGEST. */
size_t advanced_fill(const struct advanced_round *round, uint64_t lane, uint64_t number, unsigned char *data);
/* heavy_fail() unless those are the bytes from offset on. */
void advanced_check(const struct advanced_round *round, uint64_t lane, uint64_t number, size_t offset,
                    const unsigned char *data, size_t length);

/* A deadline: mostly none; with IMPATIENT now and then one that passes. */
uint64_t advanced_deadline(struct advanced_thread *self);
/* True, and counted, if a call may be made again: its deadline has passed. */
bool advanced_gave_up(struct advanced_thread *self, int result);

/* Sends one message of a lane by any of the ways, until it has been sent. connection NULL: with that number. */
void advanced_send_one(struct advanced_thread *self, struct hqq_connection *connection, uint64_t number_of_connection,
                       uint64_t lane, uint64_t number, unsigned char *buffer);

/* ---- Threads ------------------------------------------------------------------------------------------------------ */

void advanced_send_lane(struct advanced_thread *self);
void advanced_receive_lanes(struct advanced_thread *self);
/* Before the threads: takes the stream lane of the other end. */
void advanced_stream_begin(struct advanced_end *end);
void advanced_stream_end(struct advanced_end *end);

void advanced_dial(struct advanced_thread *self);
void advanced_accept(struct advanced_thread *self);

void advanced_call(struct advanced_thread *self);
void advanced_serve(struct advanced_thread *self);
/* Before the dispatcher. */
void advanced_handle_begin(struct advanced_end *end);

#endif
