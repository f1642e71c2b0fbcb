/* All runs of a session, round by round. */
#ifndef HQQ_PERF_ROUNDS_H
#define HQQ_PERF_ROUNDS_H

#include "tools/perf/session.h"

/* Makes all runs, says on a terminal how far it is, and judges them. 0, or -1 having said why on stderr. */
int perf_rounds_run(struct perf_session *session);

#endif
