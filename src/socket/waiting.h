/*
 * The wait engine: waiting for several descriptors at once, under poll, select and epoll, which are its adapters. While
 * no endpoint of the wait is busy it is the kernel's own call. Else:
 *
 *      look at the rings. Something: the kernel's call with no time-out, and the two answers as one
 *      the kernel's call with no time-out. Something: that is the answer. Nothing: so the queues are drained, which is acknowledged
 *      spin, if that has paid
 *      arm every busy endpoint, and look once more
 *      the kernel's call, as the program made it. What it says is all that there is: whoever sends while we are armed does so
 *      through the kernel
 *
 * A thread that sleeps is counted with the endpoints that it waits for, so that no other thread begins to poll them;
 * the count is lowered by whatever ends the sleep: return, cancellation, a jump.
 */
#ifndef HQQ_SOCKET_WAITING_H
#define HQQ_SOCKET_WAITING_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "endpoint/endpoint.h"
#include "runtime/frame.h"

/* Endpoints that one wait spins for, and counts itself with one by one: with more the wait is blind
 * (hqq_scheduler_count_blind_wait). */
#define HQQ_WAITING_FEW 32

struct hqq_waiting;

/* What an adapter supplies. */
struct hqq_waiting_adapter {
    /* The endpoint at or behind a place, which is moved on; NULL: there are no more. *ret_edge: only news counts,
     * for this member of a set; else NULL. */
    struct hqq_endpoint *(*next)(struct hqq_waiting *wait, size_t *place, const struct hqq_membership **ret_edge);
    /* The endpoint that next() has just returned has something. */
    void (*mark)(struct hqq_waiting *wait, size_t place);
    /* The kernel's own call; span NULL: for ever. As libc: -1 and errno; a cancellation point. */
    int (*call)(struct hqq_waiting *wait, const struct timespec *span);
    /* Adds what was marked to what the kernel found. Returns how many there are. */
    int (*merge)(struct hqq_waiting *wait, int found);
    /* Asleep, or awake again, as a whole: for waits whose members are not counted one by one. NULL: they are. */
    void (*count)(struct hqq_waiting *wait, bool is_asleep);
    /* False: what next() went through since it began has changed meanwhile, so that it may have left some out. NULL:
     * true. */
    bool (*is_stable)(struct hqq_waiting *wait);
};

struct hqq_waiting {
    struct hqq_frame frame; /* first */
    const struct hqq_waiting_adapter *adapter;
    const sigset_t *mask;
    uint64_t until_ns; /* HQQ_FOREVER: for ever */
    bool is_now;       /* it only looks */
    bool is_quiet;     /* the caller has seen none of them busy: its first look is left out */
    bool asks_once;    /* the kernel's call can be made only once, as it puts its answer where the question is */
    bool is_counted;   /* by adapter->count() */
    bool is_blind;     /* counted as one whose sockets are not all known */
    bool has_unknown;  /* the caller's: sockets among them may become endpoints while this thread sleeps */
    uint64_t note_from, note_to; /* of drain requests, before the kernel's queues were looked at */
    uint32_t asleep;             /* endpoints that this thread is counted with */
    struct hqq_endpoint *counted[HQQ_WAITING_FEW];
};

/* Runs a wait whose fields from adapter to is_quiet are set. As libc's call: -1 and errno. A cancellation point. */
int hqq_waiting_run(struct hqq_waiting *wait);

/* What is left until a deadline; NULL for ever. */
const struct timespec *hqq_waiting_span(uint64_t until_ns, struct timespec *left);

/* The same for calls that take milliseconds: rounded up; -1 for ever. */
int hqq_waiting_ms(uint64_t span_ns);

/* True if the kernel would take this time-out. NULL is one. */
bool hqq_waiting_is_valid(const struct timespec *timeout);

#endif
