/*
 * Pairs of runs of each row, made side by side: plain, preloaded, and, where the row names one, a run beside them; in
 * another order each time, and between measurements of a bare cache line.
 */
#ifndef HQQ_TOOLS_SOCKETS_MEASURE_H
#define HQQ_TOOLS_SOCKETS_MEASURE_H

#include "tools/sockets/options.h"
#include "tools/sockets/pairs.h"
#include "tools/sockets/rows.h"

/* What is known of the machine's bare cache line: how long it takes when nothing is in the way. */
struct quiet {
    double *pings;
    size_t count;
    double best;
};

/* Is what is run beside the row a bare link? */
bool measure_is_beside_link(const struct row *row);

/* Before the first row. count: of all rows that are to come. */
void measure_quiet(struct quiet *quiet, const struct options *options, size_t row_count);

/* One row; quiet learns from it. */
struct measured measure_row(const struct options *options, const struct row *row, struct quiet *quiet);

#endif
