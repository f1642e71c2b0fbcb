/* What the reports of several programs that measure have in common: figures as text, and parts of the JSON. */
#ifndef HQQ_PERF_REPORT_PARTS_H
#define HQQ_PERF_REPORT_PARTS_H

#include <stdio.h>

#include "tools/perf/json.h"
#include "tools/perf/session.h"
#include "tools/perf/statistics.h"

enum { PERF_TEXT = 40 };

/* Four digits or so; "-" for a figure that is missing. Returns text. */
const char *perf_text_number(char text[PERF_TEXT], double value);
const char *perf_text_range(char text[PERF_TEXT], double low, double high);

/* How many runs there were, and which of them count. */
void perf_report_runs(FILE *file, const struct perf_session *session);

/* Objects of a report, each with its key. */
void perf_json_machine(struct perf_json *json, const struct perf_session *session);
void perf_json_method(struct perf_json *json, const struct perf_session *session);
void perf_json_spread(struct perf_json *json, const char *key, const struct perf_spread *spread);
void perf_json_runs(struct perf_json *json, const struct perf_cell *cell);

#endif
