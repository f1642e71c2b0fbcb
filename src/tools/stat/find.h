/*
 * Counters of live processes, found through /proc. Processes that end meanwhile, and those that may not be looked at,
 * are left out. Opens nothing but memfds: what a process calls its files is its own affair, and a file of its own
 * making could make whoever opens it wait for ever.
 */
#ifndef HQQ_TOOLS_STAT_FIND_H
#define HQQ_TOOLS_STAT_FIND_H

#include <sys/types.h>

#include "tools/counters/read.h"

struct stat_process {
    pid_t pid; /* as this tool sees it */
    struct counters_process *counters;
};

struct stat_snapshot {
    uint64_t taken_ns; /* CLOCK_MONOTONIC */
    struct stat_process *processes;
    size_t count;
};

/* All processes, or one; a child of parent. 0 or -errno. With one that has none: -ESRCH no such process, -EACCES not
 * to be looked at, -ENOENT no counters. */
int stat_find(TALLOC_CTX *parent, pid_t only, struct stat_snapshot **ret_snapshot);

/* Sets the log level of a process. Errors as above. */
int stat_set_level(pid_t pid, uint32_t level);

#endif
