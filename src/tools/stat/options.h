/* The command line of hqqstat. */
#ifndef HQQ_TOOLS_STAT_OPTIONS_H
#define HQQ_TOOLS_STAT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    STAT_EXIT_OK = 0,
    STAT_EXIT_FAILURE = 1,
    STAT_EXIT_USAGE = 2,
};

struct stat_options {
    pid_t pid;            /* 0: all */
    uint64_t interval_ns; /* 0: totals, once */
    uint64_t count;       /* of intervals; 0: until it is ended */
    bool all;             /* closed sockets too */
    bool json;
    bool sets_level;
    uint32_t level;
};

/* False: end with *ret_exit, all is said. */
bool stat_options_parse(int argc, char **argv, struct stat_options *ret_options, int *ret_exit);

#endif
