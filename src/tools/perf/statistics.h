/* Order statistics of a few numbers. Pure functions. */
#ifndef HQQ_PERF_STATISTICS_H
#define HQQ_PERF_STATISTICS_H

#include <stddef.h>

/* Ascending. */
void perf_sort(double *values, size_t count);

/* The q-quantile (0 to 1) of sorted values, interpolated between neighbours; NaN for none. */
double perf_quantile(const double *sorted, size_t count, double q);

/* What a column of a report says of a set of numbers. All NaN if count is 0. */
struct perf_spread {
    size_t count;
    double median, p10, p90, min, max;
};

/* Sorts values. */
struct perf_spread perf_spread_of(double *values, size_t count);

#endif
