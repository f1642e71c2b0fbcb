/* What is measured: the cells of a session, group by group. */
#ifndef HQQ_PERF_ADVANCED_PLAN_H
#define HQQ_PERF_ADVANCED_PLAN_H

#include "tools/advanced/options.h"
#include "tools/perf/session.h"

/* A child of parent; NULL if there is no memory. Leaves out what this build of the library cannot do. */
struct perf_session *advanced_plan(const void *parent, const struct advanced_options *options, int argc, char **argv);

/* What a group is called, of which part it is, and which of its cells the others are measured against beside the baseline: the plain
 * advanced link, NULL where it has none. */
const char *advanced_group_title(size_t group);
enum advanced_part advanced_part_of(size_t group);
const struct perf_cell *advanced_plain_of(const struct perf_session *session, size_t group);

#endif
