/* Counters as JSON, the same in hqq-run's report and in hqqstat. */
#ifndef HQQ_TOOLS_COUNTERS_SHOW_H
#define HQQ_TOOLS_COUNTERS_SHOW_H

#include "tools/counters/read.h"
#include "tools/perf/json.h"

/* An object in an array: a process with all its sockets. pid is what is shown, whatever the process says. */
void counters_show_json(struct perf_json *json, const struct counters_process *process, uint64_t pid);

#endif
