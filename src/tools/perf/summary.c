/* Medians, spreads and ratios of the runs of a cell. */
#include "tools/perf/summary.h"

#include <math.h>
#include <string.h>
#include <talloc.h>

typedef double figure_fn(const struct perf_run *run);

static double mean_ns(const struct perf_run *run)
{
    return run->ns;
}

static double ping_ratio(const struct perf_run *run)
{
    return run->ns / ((run->before_ns + run->after_ns) / 2);
}

static double p50(const struct perf_run *run)
{
    return run->p50;
}

static double p99(const struct perf_run *run)
{
    return run->p99;
}

static double p999(const struct perf_run *run)
{
    return run->p999;
}

/* scratch: as many numbers as the cell has runs. */
static struct perf_spread spread(const struct perf_cell *cell, figure_fn *figure, double *scratch)
{
    size_t count = 0;

    for (size_t i = 0; i < cell->run_count; i++) {
        if (cell->runs[i].verdict == PERF_KEPT)
            scratch[count++] = figure(&cell->runs[i]);
    }
    return perf_spread_of(scratch, count);
}

static const struct perf_run *kept_run_of_round(const struct perf_cell *cell, unsigned round)
{
    for (size_t i = 0; i < cell->run_count; i++) {
        if (cell->runs[i].round == round)
            return cell->runs[i].verdict == PERF_KEPT ? &cell->runs[i] : NULL;
    }
    return NULL;
}

int perf_compare(const struct perf_cell *cell, const struct perf_cell *other, struct perf_spread *ret_spread)
{
    double *ratios = talloc_array(NULL, double, cell->run_count + 1);
    size_t count = 0;

    if (ratios == NULL)
        return -1;
    for (size_t i = 0; i < cell->run_count; i++) {
        const struct perf_run *run = &cell->runs[i];
        const struct perf_run *base = kept_run_of_round(other, run->round);

        if (run->verdict == PERF_KEPT && base != NULL)
            ratios[count++] = base->ns / run->ns;
    }
    *ret_spread = perf_spread_of(ratios, count);
    talloc_free(ratios);
    return 0;
}

static const struct perf_cell *baseline_of(const struct perf_session *session, const struct perf_cell *cell)
{
    for (size_t i = 0; i < session->cell_count; i++) {
        if (session->cells[i].group == cell->group && session->cells[i].is_baseline)
            return &session->cells[i];
    }
    return NULL;
}

/* Totals of the kept runs, divided by their messages. */
static struct perf_per_message per_message(const struct perf_cell *cell, enum perf_side side)
{
    struct perf_per_message sum;
    double messages = 0;

    memset(&sum, 0, sizeof(sum));
    for (size_t i = 0; i < cell->run_count; i++) {
        const struct perf_side_result *result = &cell->runs[i].sides[side];

        if (cell->runs[i].verdict != PERF_KEPT)
            continue;
        messages += (double)cell->runs[i].sides[PERF_DRIVER].all_messages;
        sum.cpu_ns += (double)result->cpu_ns;
        sum.has_link = result->has_link;
        sum.read_waits += (double)result->link.read_waits;
        sum.read_sleeps += (double)result->link.read_sleeps;
        sum.write_waits += (double)result->link.write_waits;
        sum.write_sleeps += (double)result->link.write_sleeps;
        sum.wakeups += (double)result->link.wakeups_sent;
        sum.high_water = fmax(sum.high_water, (double)result->link.write_high_water);
    }
    sum.cpu_ns /= messages;
    sum.read_waits /= messages;
    sum.read_sleeps /= messages;
    sum.write_waits /= messages;
    sum.write_sleeps /= messages;
    sum.wakeups /= messages;
    return sum;
}

int perf_summarize(const struct perf_session *session, const struct perf_cell *cell, struct perf_summary *ret_summary)
{
    const struct perf_cell *baseline = baseline_of(session, cell);
    double messages = cell->task.kind == PERF_ROUND_TRIP ? 2 : 1;
    double *scratch = talloc_array(NULL, double, cell->run_count + 1);

    if (scratch == NULL)
        return -1;
    memset(ret_summary, 0, sizeof(*ret_summary));
    ret_summary->made = cell->run_count;
    ret_summary->ns = spread(cell, mean_ns, scratch);
    ret_summary->kept = ret_summary->ns.count;
    ret_summary->vs_ping = spread(cell, ping_ratio, scratch);
    ret_summary->p50 = spread(cell, p50, scratch).median;
    ret_summary->p99 = spread(cell, p99, scratch).median;
    ret_summary->p999 = spread(cell, p999, scratch).median;
    ret_summary->messages_per_s = messages * 1e9 / ret_summary->ns.median;
    ret_summary->bytes_per_s = (double)NAN;
    if (!cell->task.transport->any_size && !cell->task.transport->in_place)
        ret_summary->bytes_per_s = ret_summary->messages_per_s * (double)perf_cell_size(cell);
    for (unsigned side = 0; side < 2; side++)
        ret_summary->sides[side] = per_message(cell, side);
    ret_summary->vs_baseline = perf_spread_of(scratch, 0);
    talloc_free(scratch);
    return baseline == NULL ? 0 : perf_compare(cell, baseline, &ret_summary->vs_baseline);
}

const struct perf_cell *perf_find_cell(const struct perf_session *session, const struct perf_transport *transport,
                                       enum perf_kind kind, enum perf_mode mode, size_t size)
{
    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];

        if (cell->task.transport == transport && cell->task.kind == kind && cell->mode == mode &&
            perf_cell_size(cell) == size)
            return cell;
    }
    return NULL;
}
