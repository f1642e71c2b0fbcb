/* Finding the state of the machine that counts, and the runs that were made in it. */
#include "tools/perf/judge.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "tools/perf/statistics.h"

/* The share of a run that other processes may have had: more than the kernel's own threads take. */
#define MOST_LOST 0.02

/* The median of the fastest quarter is the eighth part from below: quick, and no lucky outlier. */
#define BEST_QUANTILE 0.125

/* Fewer than one in so many runs kept are too few to show. */
#define FEWEST_KEPT 4

typedef void run_fn(struct perf_run *run, void *arg);

static void for_each_run(struct perf_session *session, run_fn *visit, void *arg)
{
    for (unsigned i = 0; i < session->cell_count; i++) {
        for (unsigned j = 0; j < session->cells[i].run_count; j++)
            visit(&session->cells[i].runs[j], arg);
    }
}

struct pings {
    double *ns;
    size_t count;
};

static void collect(struct perf_run *run, void *arg)
{
    struct pings *pings = arg;

    if (run->lost <= MOST_LOST)
        pings->ns[pings->count++] = (run->before_ns + run->after_ns) / 2;
}

/* The middle of the range that is so many times as high as it is low and holds the most; of the lowest such range. */
static double densest(const struct pings *sorted, double tolerance)
{
    double middle = (double)NAN;
    size_t most = 0;
    size_t end = 0;

    for (size_t i = 0; i < sorted->count; i++) {
        while (end < sorted->count && sorted->ns[end] <= sorted->ns[i] * tolerance)
            end++;
        if (end - i > most) {
            most = end - i;
            middle = sqrt(sorted->ns[i] * sorted->ns[end - 1]);
        }
    }
    return middle;
}

static void set_verdict(struct perf_run *run, void *arg)
{
    struct perf_session *session = arg;

    run->verdict = PERF_KEPT;
    if (run->lost > MOST_LOST)
        run->verdict = PERF_DISTURBED;
    else if (fmax(run->before_ns, run->after_ns) > session->high_ns)
        run->verdict = PERF_SLOW;
    else if (fmin(run->before_ns, run->after_ns) < session->low_ns)
        run->verdict = PERF_FAST;
    session->verdicts[run->verdict]++;
}

int perf_judge(struct perf_session *session)
{
    const struct perf_options *options = session->options;
    struct pings pings = {.ns = talloc_array(session, double, session->runs_made)};
    double middle;

    if (pings.ns == NULL) {
        fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
        return -1;
    }
    for_each_run(session, collect, &pings);
    perf_sort(pings.ns, pings.count);
    session->best_ns = perf_quantile(pings.ns, pings.count, BEST_QUANTILE);
    middle = densest(&pings, options->tolerance);
    session->low_ns = options->keep_best ? 0 : middle / sqrt(options->tolerance);
    session->high_ns = options->keep_best ? session->best_ns * options->tolerance : middle * sqrt(options->tolerance);
    talloc_free(pings.ns);

    memset(session->verdicts, 0, sizeof(session->verdicts));
    for_each_run(session, set_verdict, session);
    return 0;
}

static void keep(struct perf_run *run, void *arg)
{
    (void)arg;
    run->verdict = PERF_KEPT;
}

void perf_judge_mildly(struct perf_session *session)
{
    if (FEWEST_KEPT * session->verdicts[PERF_KEPT] >= session->runs_made)
        return;
    session->keeps_all = true;
    for_each_run(session, keep, NULL);
}
