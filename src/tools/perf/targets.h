/* Speeds that the library is meant to reach between two processors, and what was measured. Nothing fails by them. */
#ifndef HQQ_PERF_TARGETS_H
#define HQQ_PERF_TARGETS_H

#include "tools/perf/session.h"

struct perf_target {
    const char *what;
    const char *unit;
    bool at_most; /* goal is an upper bound; else a lower one */
    double goal;
    double measured; /* NaN if it was not */
};

enum { PERF_TARGETS = 8 };

/* 0, or -1 if there is no memory. */
int perf_targets_measure(const struct perf_session *session, struct perf_target ret_targets[PERF_TARGETS]);

/* "met", "not met" or "not measured". */
const char *perf_target_verdict(const struct perf_target *target);

#endif
