/* What the command line asks for, checked. Reports its own mistakes: one line on stderr naming option and value. */
#ifndef HQQ_TOOLS_SOCKETS_OPTIONS_H
#define HQQ_TOOLS_SOCKETS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_MAX_PAIRS 1000

struct options {
    const char *preload; /* absolute */
    const char *rows;    /* a list for row_is_chosen() */
    uint64_t pairs;      /* of runs, of each row */
    uint64_t duration_ms, warm_ms;
    uint64_t timeout_s; /* of a run */
    double tolerance;
    double others;    /* the share of the processors that others may have during a pair that counts */
    const char *json; /* file name; "-": standard output; NULL: none */
    bool quick;
};

enum options_exit { OPTIONS_EXIT_OK = 0, OPTIONS_EXIT_FAILURE = 1, OPTIONS_EXIT_USAGE = 2 };

/* True to go on. Else *ret_exit is the status to exit with: all is said, or help, list or version printed. */
bool options_parse(int argc, char **argv, struct options *ret_options, int *ret_exit);

void options_print_help(void);

#endif
