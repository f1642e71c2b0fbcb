/*
 * All runs of one call of the program. A cell is one line of a report: one transport, kind, mode and size. The cells of
 * one kind, mode and size are a group: they run right after each other in every round, so that they can be compared.
 */
#ifndef HQQ_PERF_SESSION_H
#define HQQ_PERF_SESSION_H

#include "tools/perf/machine.h"
#include "tools/perf/options.h"
#include "tools/perf/run.h"

struct perf_cell {
    struct perf_task task;
    enum perf_mode mode;
    size_t group;
    bool is_baseline;
    struct perf_run *runs; /* a talloc array */
    unsigned run_count;
};

struct perf_session {
    const struct perf_options *options;
    struct perf_machine machine;
    char *command;   /* the command line */
    bool shares_cpu; /* both processes on one processor */
    struct perf_cell *cells;
    unsigned cell_count;
    double best_ns; /* the bare round trip of this machine at its best */
    double low_ns;  /* runs count next to bare round trips from this */
    double high_ns; /* to this */
    unsigned runs_made;
    unsigned verdicts[PERF_VERDICTS]; /* how many runs of each */
    bool keeps_all;                   /* all runs count all the same, as hardly any of them was kept */
    double took_s;
};

/* Plans the cells, none if nothing that was asked for exists; a child of parent. NULL if there is no memory. */
struct perf_session *perf_session_create(const void *parent, const struct perf_options *options, int argc, char **argv);

/* What plans begin and end with: a session without cells, and room for the runs of those it has been given. NULL, -1 if
 * there is no memory. */
struct perf_session *perf_session_new(const void *parent, const struct perf_options *options, int argc, char **argv);
int perf_session_make_room(struct perf_session *session);

/* Bytes of a message; 0 for a transport that knows no size. */
size_t perf_cell_size(const struct perf_cell *cell);

#endif
