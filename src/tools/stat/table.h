/* Snapshots as tables: totals, or what has changed since an earlier one, a second. */
#ifndef HQQ_TOOLS_STAT_TABLE_H
#define HQQ_TOOLS_STAT_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "tools/stat/find.h"

/* before: NULL for totals. all: closed sockets too. Returns how many sockets were shown. */
size_t stat_table_print(FILE *file, const struct stat_snapshot *now, const struct stat_snapshot *before, bool all);

/* One object. The figures are totals; with before there are also rates. */
void stat_json_print(FILE *file, const struct stat_snapshot *now, const struct stat_snapshot *before);

/* A line for each column. */
void stat_table_explain(FILE *file);

#endif
