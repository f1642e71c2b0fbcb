/*
 * The bare ping-pong: two counters on two cache lines, each written by one process and watched by the other. Nothing
 * between two processors can be quicker, so it tells how fast the machine is at this moment, and what share of a
 * round trip is the machine's.
 */
#ifndef HQQ_PERF_PINGPONG_H
#define HQQ_PERF_PINGPONG_H

#include "tools/perf/end.h"

/* The driver's half of a calibration: the mean over duration_ns of nanoseconds a round trip. */
int perf_calibrate(struct perf_end *end, uint64_t duration_ns, double *ret_ns);

/* The peer's half: answers until the driver has finished. */
int perf_calibrate_answer(struct perf_end *end);

#endif
