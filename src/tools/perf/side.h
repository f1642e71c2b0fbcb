/* What each of the two processes does in a run. */
#ifndef HQQ_PERF_SIDE_H
#define HQQ_PERF_SIDE_H

#include "tools/perf/transport.h"

/* One run to be made. */
struct perf_task {
    const struct perf_transport *transport;
    enum perf_kind kind;
    struct perf_shape shape;
    int cpus[2]; /* by enum perf_side */
    uint64_t duration_ns;
    uint64_t bracket_ns;
};

/* Does everything between fork and end on one side; end belongs to the caller. 0 with control->result[side] set, or -1
 * with control->failure[side] set. Ends by end->deadline_ns. */
int perf_side_run(struct perf_end *end, const struct perf_task *task);

#endif
