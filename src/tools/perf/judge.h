/*
 * Which runs count. Machines that are shared change their speed, and virtual ones even the distance between two
 * processors, for seconds at a time; figures are comparable only if they are of one state of the machine. The bare
 * ping-pong next to each run tells the state.
 */
#ifndef HQQ_PERF_JUDGE_H
#define HQQ_PERF_JUDGE_H

#include "tools/perf/session.h"

/* Sets the verdict of every run, and what the session says of them. 0, or -1 having said on stderr why. */
int perf_judge(struct perf_session *session);

/* At the end: where hardly any run counts, as the machine was never left alone, lets all of them count and notes it. */
void perf_judge_mildly(struct perf_session *session);

#endif
