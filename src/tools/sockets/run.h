/* One run of one side, by a process of its own, which execs, so that it is preloaded or not. */
#ifndef HQQ_TOOLS_SOCKETS_RUN_H
#define HQQ_TOOLS_SOCKETS_RUN_H

#include "tools/sockets/options.h"
#include "tools/sockets/rows.h"

/* False if it failed or took too long: it is said on stderr, and nothing of it is left. */
bool run_row(const struct options *options, const struct row *row, bool is_preloaded, struct scene_result *ret_result);

/* The same way of sending by a bare link, in hqq-perf: ns. kind is its name for it. */
bool run_link(const struct options *options, const char *kind, uint32_t bytes, double *ret_ns);

/* False if hqq-perf is not where this program is. */
bool run_has_link(void);

/* main() of the processes that are started: of a side, its sender and its programs. -1 if these arguments are none of
 * theirs. */
int run_started(int argc, char **argv);

#endif
