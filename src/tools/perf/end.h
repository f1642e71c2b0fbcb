/* One side of one run: what the transports work on. Made by run.c before the fork, so that each process has a copy. */
#ifndef HQQ_PERF_END_H
#define HQQ_PERF_END_H

#include <hqq/link.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/perf/control.h"
#include "tools/perf/pages.h"

/* How messages travel in a run. */
struct perf_shape {
    size_t size;         /* bytes of a message */
    uint64_t slots;      /* of the ring in each direction: a power of two */
    uint64_t link_slots; /* those of a link whose slots are not of a message's size; 0: they are */
    size_t link_bytes;   /* and the bytes of one */
    unsigned batch;      /* messages a call, for the transport that takes many */
    bool sleeps;         /* wait in the kernel at once */
    bool yields;         /* both processes on one processor */
    uint64_t spin_ns;    /* how long a link spins where it does not sleep */
    uint64_t timeout_ns; /* a side that hears nothing for so long gives up */
};

/* What a transport makes before the fork, for both sides. */
struct perf_channel {
    const struct perf_shape *shape;
    struct perf_pages *region; /* links */
    int fds[2];                /* sockets, by enum perf_side; -1 for none */
};

struct perf_counters;

struct perf_end {
    const struct perf_channel *channel;
    const struct perf_shape *shape;
    struct perf_control *control;
    enum perf_side side;
    uint64_t deadline_ns;           /* of the whole run */
    uint64_t next;                  /* number of the next message, from 1 */
    uint64_t found;                 /* after PERF_ERROR_MISMATCH: the number that came in place of it, */
    bool is_damaged;                /* or that what came was no whole message */
    uint64_t beats;                 /* where the bare ping-pong stands */
    uint64_t steps;                 /* meetings done */
    unsigned char *out;             /* the message to send */
    unsigned char *in;              /* where a message is received */
    int fd;                         /* sockets */
    struct hqq_link *link;          /* links, else NULL */
    struct hqq_message *messages;   /* a batch, to send or to receive */
    unsigned char *ring;            /* memcpy: what is copied; memcpy-pair: the slots of the bare ring */
    struct perf_counters *counters; /* memcpy-pair */
    uint64_t seen;                  /* the other side's counter, as it was last seen */
    void *own;                      /* what else a transport has; a child of end */
};

/* Waits until the other side has come to the same step. Results as perf_await(). */
static inline int perf_meet(struct perf_end *end)
{
    struct perf_control *control = end->control;
    uint64_t other;

    end->steps++;
    hqq_store_release(&control->arrived[end->side].steps, end->steps);
    return perf_await(control, &control->arrived[1 - end->side].steps, end->steps, end->shape->yields, end->deadline_ns,
                      &other);
}

#endif
