/* What was measured: a table of 80 columns for people, row by row as they come; JSON for machines, at the end. */
#ifndef HQQ_TOOLS_SOCKETS_REPORT_H
#define HQQ_TOOLS_SOCKETS_REPORT_H

#include <stdio.h>

#include "tools/sockets/measure.h"

void report_head(FILE *file, const struct quiet *quiet);
void report_row(FILE *file, const struct measured *measured);

/* What the marks of the rows mean, where there are any. */
void report_foot(FILE *file, const struct measured *measured, size_t count);

void report_json(FILE *file, const struct options *options, const struct quiet *quiet, const struct measured *measured,
                 size_t count);

/* Parts of a round trip's curve since the start, in ms: part i is from [i] to [i + 1]. */
#define REPORT_PARTS 9
extern const size_t report_parts[REPORT_PARTS + 1];

#endif
