/* One run: two processes, one transport, between two calibrations. */
#ifndef HQQ_PERF_RUN_H
#define HQQ_PERF_RUN_H

#include "tools/perf/side.h"

/* Whether a run counts; decided when all are made (judge.h). */
enum perf_verdict {
    PERF_KEPT,
    PERF_SLOW,      /* set aside: the machine was slower around it */
    PERF_FAST,      /* set aside: it was faster */
    PERF_DISTURBED, /* set aside: other processes had its processors for too long */
    PERF_VERDICTS,
};

/* What came of it. Times in nanoseconds. */
struct perf_run {
    unsigned round;
    enum perf_verdict verdict;
    uint64_t messages;     /* timed: round trips, or messages of a stream */
    double ns;             /* mean of one of them */
    double before_ns;      /* a bare round trip just before */
    double after_ns;       /* and just after */
    double lost;           /* share of the time in which other processes had a processor that it needed */
    double p50, p99, p999; /* of single round trips; NaN for streams */
    struct perf_side_result sides[2];
};

/* Maps the memory that the processes share, and watches for the end of a peer (SIGCHLD). Once a program. NULL, with
 * errno. */
struct perf_control *perf_run_prepare(const void *parent);

/* 0, or -1 with one line of text in *ret_error, which belongs to parent. No process is left behind. */
int perf_run_once(const void *parent, struct perf_control *control, const struct perf_task *task,
                  struct perf_run *ret_run, char **ret_error);

#endif
