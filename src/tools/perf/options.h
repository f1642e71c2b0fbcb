/* What the command line asks for, checked. Reports its own mistakes: one line on stderr naming option and value. */
#ifndef HQQ_PERF_OPTIONS_H
#define HQQ_PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_MAX_SIZES 16
#define PERF_MAX_ROUNDS 1000
#define PERF_MIN_SIZE 64
#define PERF_MAX_SIZE 65536

enum perf_exit { PERF_EXIT_OK = 0, PERF_EXIT_FAILURE = 1, PERF_EXIT_USAGE = 2 };

struct perf_transport;

struct perf_options {
    int cpus[2];                           /* by enum perf_side */
    unsigned transports;                   /* PERF_BIT(index in perf_transports) */
    unsigned kinds;                        /* PERF_BIT(enum perf_kind) */
    unsigned modes;                        /* PERF_BIT(enum perf_mode) */
    const struct perf_transport *baseline; /* what the others are compared with */
    size_t sizes[PERF_MAX_SIZES];
    size_t size_count;
    uint64_t slots; /* 0: by size */
    unsigned batch;
    unsigned rounds;
    unsigned extra; /* rounds more for what lost too many */
    uint64_t duration_ns;
    uint64_t bracket_ns; /* of each calibration */
    uint64_t spin_ns;
    uint64_t timeout_ns;
    double tolerance;
    bool keep_best;   /* count the runs of the machine at its best; else those of its usual state */
    const char *json; /* file names; NULL for none, "-" for standard output */
    const char *csv;
    bool quick;
    bool verbose;
};

/* True to go on. Else *ret_exit is the status to exit with: all is said, help or version printed. */
bool perf_options_parse(int argc, char **argv, struct perf_options *ret_options, int *ret_exit);

void perf_options_print_help(void);

#endif
