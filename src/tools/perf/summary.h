/* The figures of one line of a report, out of the runs of its cell that were kept. Figures that are missing are NaN. */
#ifndef HQQ_PERF_SUMMARY_H
#define HQQ_PERF_SUMMARY_H

#include "tools/perf/session.h"
#include "tools/perf/statistics.h"

/* Counts of one side for each message, calibrations not included. */
struct perf_per_message {
    double cpu_ns;
    bool has_link;
    double read_waits, read_sleeps, write_waits, write_sleeps, wakeups; /* has_link */
    double high_water;                                                  /* has_link: slots, not for each message */
};

struct perf_summary {
    size_t made, kept;
    struct perf_spread ns;          /* of a round trip, or of a message of a stream */
    struct perf_spread vs_ping;     /* that, divided by the bare round trip around it */
    struct perf_spread vs_baseline; /* how many times faster than the baseline in the same round */
    double p50, p99, p999;          /* single round trips */
    double messages_per_s;          /* a round trip is two messages */
    double bytes_per_s;             /* of payload that was copied */
    struct perf_per_message sides[2];
};

/* 0, or -1 if there is no memory. */
int perf_summarize(const struct perf_session *session, const struct perf_cell *cell, struct perf_summary *ret_summary);

/* How many times faster a cell was than another, round by round, where both runs were kept. 0 or -1. */
int perf_compare(const struct perf_cell *cell, const struct perf_cell *other, struct perf_spread *ret_spread);

/* The cell of that transport, kind, mode and size; NULL if there is none. */
const struct perf_cell *perf_find_cell(const struct perf_session *session, const struct perf_transport *transport,
                                       enum perf_kind kind, enum perf_mode mode, size_t size);

#endif
