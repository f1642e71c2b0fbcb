/* Writing out a session: a table for people, JSON for machines. */
#ifndef HQQ_PERF_ADVANCED_REPORT_H
#define HQQ_PERF_ADVANCED_REPORT_H

#include <stdio.h>

#include "tools/advanced/plan.h"

/* What is known before the first run. */
void advanced_report_head(FILE *file, const struct perf_session *session, const struct advanced_options *options);

/* These are 0, or -1 if there is no memory. That everything was written shows when the file is closed. */
int advanced_report_table(FILE *file, const struct perf_session *session, const struct advanced_options *options);
int advanced_report_json(FILE *file, const struct perf_session *session, const struct advanced_options *options);

#endif
