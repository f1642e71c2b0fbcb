/* Sorting and quantiles. */
#include "tools/perf/statistics.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

void perf_sort(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
}

double perf_quantile(const double *sorted, size_t count, double q)
{
    double position;
    size_t below;

    if (count == 0)
        return (double)NAN;
    position = q * (double)(count - 1);
    below = (size_t)position;
    if (below + 1 >= count)
        return sorted[count - 1];
    return sorted[below] + (position - (double)below) * (sorted[below + 1] - sorted[below]);
}

struct perf_spread perf_spread_of(double *values, size_t count)
{
    perf_sort(values, count);
    return (struct perf_spread){
        .count = count,
        .median = perf_quantile(values, count, 0.5),
        .p10 = perf_quantile(values, count, 0.1),
        .p90 = perf_quantile(values, count, 0.9),
        .min = perf_quantile(values, count, 0),
        .max = perf_quantile(values, count, 1),
    };
}
