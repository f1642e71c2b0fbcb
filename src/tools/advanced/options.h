/* What the command line asks for, checked. Reports its own mistakes: one line on stderr naming option and value. */
#ifndef HQQ_PERF_ADVANCED_OPTIONS_H
#define HQQ_PERF_ADVANCED_OPTIONS_H

#include "tools/perf/options.h"

/* What is measured side by side; the groups of a session are of these. */
enum advanced_part { ADVANCED_CALLS, ADVANCED_MESSAGES, ADVANCED_CLASSES, ADVANCED_SHARES, ADVANCED_PARTS };

struct advanced_options {
    struct perf_options perf;
    unsigned parts;      /* PERF_BIT(enum advanced_part) */
    uint64_t slot_bytes; /* of the links; perf.slots are their number */
};

/* True to go on. Else *ret_exit is the status to exit with: all is said, help or version printed. */
bool advanced_options_parse(int argc, char **argv, struct advanced_options *ret_options, int *ret_exit);

void advanced_options_print_help(void);

#endif
