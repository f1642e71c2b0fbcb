/*
 * The template of the link's stress tests: in rounds, some threads at one end write datagrams that prove themselves,
 * some at the other end read them, and whoever takes one stamps it in a table that both ends share. A mode says how
 * many threads, in one process or two, which of the calls they use, and what makes it hard for them.
 *
 * Checked: every datagram is taken once; none is torn; what one reader takes of one writer comes in the order in
 * which it was written; nobody gets stuck; the statistics say the same.
 */
#ifndef TESTS_STRESS_LINK_H
#define TESTS_STRESS_LINK_H

#include <semaphore.h>

#include "support/heavy.h"

#define STRESS_PRODUCERS_MAX 8
#define STRESS_BATCH_MAX 16

/* The calls that a thread takes turns at. */
enum stress_writes {
    STRESS_WRITE = 1,
    STRESS_WRITE_TRY = 2,
    STRESS_WRITE_BATCH = 4,
    STRESS_WRITE_SLOTS = 8, /* reserve, then commit or abort */
    STRESS_WRITE_WITH = 16,
    STRESS_WRITE_TO = 32,
    STRESS_WRITES_ALL = 63,
};

enum stress_reads {
    STRESS_READ = 1,
    STRESS_READ_TRY = 2,
    STRESS_READ_BATCH = 4,
    STRESS_READ_SLOTS = 8, /* borrow, then release */
    STRESS_READ_WITH = 16,
    STRESS_READ_FROM = 32,
    STRESS_READ_PEEK = 64,
    STRESS_READ_SHORT = 128, /* into a buffer that may be too short */
    STRESS_READS_ALL = 255,
};

enum stress_trouble {
    STRESS_SLEEP = 1,      /* no spinning: every wait sleeps */
    STRESS_DELAYS = 2,     /* random pauses at labelled points */
    STRESS_TIMEOUTS = 4,   /* time-outs and deadlines move all the time */
    STRESS_WRAP = 8,       /* positions go through 2^64 during the round */
    STRESS_PROCESSES = 16, /* each end in a process of its own */
    STRESS_DUPLEX = 32,    /* both directions at once */
    STRESS_TROUBLE_ALL = 63,
};

struct stress_mode {
    const char *name;
    unsigned producers, consumers;   /* of each direction */
    unsigned writes, reads, trouble; /* sets of the above */
    uint64_t count, size;
    uint32_t per_round; /* datagrams of each producer */
};

/* One direction, in shared memory. */
struct stress_direction {
    _Atomic uint64_t sent, taken;                 /* datagrams that say who wrote them */
    _Atomic uint64_t fillers_sent, fillers_taken; /* those that do not */
    _Atomic uint64_t bytes_sent, bytes_taken;
    _Atomic uint8_t *stamps; /* of each producer, of each number */
    sem_t all_taken;         /* posted once for each end */
};

/* What a round came to at one end, or at both. */
struct stress_result {
    uint64_t datagrams, sleeps, tombstones, timeouts;
};

/* One round, in shared memory. */
struct stress_round {
    struct stress_mode mode;
    uint64_t seed;
    _Atomic uint64_t progress;
    sem_t attached[2];                    /* posted by the primary, by the secondary */
    struct stress_direction direction[2]; /* from the primary, from the secondary */
    struct stress_result result[2];       /* of the primary, of the secondary */
};

/* What a thread works with. */
struct stress_thread {
    struct stress_round *round;
    struct stress_direction *direction;
    struct hqq_link *link;
    unsigned index; /* among the producers, or the consumers, of the direction */
    struct heavy_random random;
    unsigned char *buffers; /* STRESS_BATCH_MAX of the buffer size */
};

void stress_produce(struct stress_thread *self);
void stress_consume(struct stress_thread *self);

/* One of the bits of set. */
unsigned stress_pick(struct heavy_random *random, unsigned set);

/* With STRESS_TIMEOUTS: sets time-out and deadline of that kind, for all threads of the end, so that no wait is long.
 * */
void stress_move_deadlines(struct stress_thread *self, bool reads);

/* True if a thread may wait for a slot while it holds one. */
bool stress_may_hold_two(const struct stress_mode *mode);

struct stress_result stress_run(const struct stress_mode *mode, uint64_t seed);

#endif
