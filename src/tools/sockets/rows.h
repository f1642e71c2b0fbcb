/*
 * The rows of the table: what is measured, what is said of it, and the bounds that have been set. A line of a row
 * compares one figure of the preloaded runs, pair by pair, with that of the plain run beside it.
 */
#ifndef HQQ_TOOLS_SOCKETS_ROWS_H
#define HQQ_TOOLS_SOCKETS_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/sockets/scene.h"

#define ROW_LINES 8

enum row_comparison {
    ROW_COST,   /* preloaded / plain, of what should be low; the bound is the most */
    ROW_GAIN,   /* how many times as fast the preloaded is; the bound is the least */
    ROW_BESIDE, /* preloaded / the run that the row names in beside; the most */
    ROW_LIMIT,  /* the preloaded figure itself; the most */
    ROW_MORE,   /* preloaded - plain; the most */
};

struct row_line {
    const char *label; /* with the unit; NULL: no more lines */
    unsigned figure;   /* of struct scene_result */
    double unit;       /* figures are divided by it to be shown; the bounds of ROW_LIMIT and ROW_MORE are in it */
    enum row_comparison comparison;
    double bound; /* 0: none */
    bool is_rate; /* more is better */
};

/* What a row needs of the machine. */
enum row_need { ROW_NEEDS_NOTHING, ROW_NEEDS_FIFO, ROW_NEEDS_DESCRIPTORS };

struct row {
    const char *name, *group, *what;
    struct scene scene;
    const char *beside; /* name of a row that is run preloaded, too; "link-..." for hqq-perf; NULL: nothing */
    enum row_need need;
    bool has_curve; /* figures are found in the curves: see judge.h */
    struct row_line lines[ROW_LINES];
};

extern const struct row rows[];
extern const size_t row_count;

/* NULL if there is none of that name. */
const struct row *row_find(const char *name);

/* Is it one of a list, with commas, of names, groups, and patterns of names as of a shell's? */
bool row_is_chosen(const struct row *row, const char *list);

/* Why it can't be run here; NULL if it can. */
const char *row_obstacle(const struct row *row);

/* In the process that plays the row, before it does; false: it may not have them. */
bool row_takes_its_descriptors(const struct row *row);

#endif
