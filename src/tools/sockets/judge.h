/* What the pairs of a row say: medians and spreads, and whether the bounds are met. Pure functions. */
#ifndef HQQ_TOOLS_SOCKETS_JUDGE_H
#define HQQ_TOOLS_SOCKETS_JUDGE_H

#include "tools/perf/statistics.h"
#include "tools/sockets/pairs.h"

enum verdict { VERDICT_NONE, VERDICT_MET, VERDICT_NOT_MET };

struct judged {
    struct perf_spread plain, preloaded, beside; /* in the line's unit */
    struct perf_spread value;                    /* what the line compares */
    enum verdict verdict;
    bool is_doubtful; /* of too few pairs, or of such as were made in slow spells */
};

struct judged judge_line(const struct measured *measured, const struct row_line *line);

/* Met: the interval includes the bound or better, and the median is not beyond it by more than 5 %. */
enum verdict judge_bound(const struct perf_spread *value, double bound, bool is_least);

/* Sets the figure of a pair of scene_sleepers: the time in ms from which on three in four of the milliseconds that
 * follow have round trips of under half of the usual one without the preload. Where there is none, all of the time. */
void judge_curve(struct pair *pair);

/* The median over the pairs kept of the mean round trip between those two times since the start: ns; NaN if none. */
double judge_curve_part(const struct measured *measured, bool is_preloaded, size_t from_ms, size_t to_ms);

/* The median over all pairs of the share that others had of the processors. */
double judge_others(const struct measured *measured);

const char *verdict_name(enum verdict verdict);

#endif
