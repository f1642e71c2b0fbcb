/* Writing out a session: tables for people, JSON and CSV for machines. */
#ifndef HQQ_PERF_REPORT_H
#define HQQ_PERF_REPORT_H

#include <stdio.h>

#include "tools/perf/session.h"

/* What is known before the first run: machine, command, placement, rings. */
void perf_report_head(FILE *file, const struct perf_session *session);

/* These are 0, or -1 if there is no memory. That everything was written shows when the file is closed. */
int perf_report_tables(FILE *file, const struct perf_session *session);
int perf_report_targets(FILE *file, const struct perf_session *session);
int perf_report_json(FILE *file, const struct perf_session *session);
int perf_report_csv(FILE *file, const struct perf_session *session);

#endif
