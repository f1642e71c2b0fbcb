/* What is known of a row: the pairs of runs that were made of it. Filled in by measure.h, judged by judge.h. */
#ifndef HQQ_TOOLS_SOCKETS_PAIRS_H
#define HQQ_TOOLS_SOCKETS_PAIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/sockets/rows.h"

#define MEASURE_RUNS 3

struct pair {
    struct scene_result plain, preloaded;
    double beside_ns;
    double pings[MEASURE_RUNS + 1]; /* before and after each run; 0: there was no third */
    double others;                  /* their share of the processors meanwhile */
    bool is_kept;
};

struct measured {
    const struct row *row;
    const char *left_out; /* why it was; NULL: it was not */
    bool has_beside;
    bool has_failed;
    bool keeps_all; /* the machine was hardly ever quiet */
    size_t made, kept;
    struct pair *pairs; /* made, in order */
};

#endif
