/* The tables for people: one for each kind and mode; with --verbose another one of what the processes did. */
#include "tools/perf/report.h"

#include <math.h>
#include <string.h>

#include "tools/perf/summary.h"

enum { TEXT = 40 };

/* Four digits or so; "-" for a figure that is missing. */
static const char *number(char text[TEXT], double value)
{
    if (isnan(value) || isinf(value))
        snprintf(text, TEXT, "-");
    else if (value < 10)
        snprintf(text, TEXT, "%.2f", value);
    else if (value < 100)
        snprintf(text, TEXT, "%.1f", value);
    else
        snprintf(text, TEXT, "%.0f", value);
    return text;
}

/* A rate may be well below one. */
static const char *rate(char text[TEXT], double value)
{
    if (isnan(value) || isinf(value))
        snprintf(text, TEXT, "-");
    else
        snprintf(text, TEXT, value < 10 ? "%.3f" : "%.2f", value);
    return text;
}

static const char *range(char text[TEXT], double low, double high)
{
    char first[TEXT];
    char second[TEXT];

    if (isnan(low))
        snprintf(text, TEXT, "-");
    else
        snprintf(text, TEXT, "%.16s-%.16s", number(first, low), number(second, high));
    return text;
}

static const char *size_text(char text[TEXT], const struct perf_cell *cell)
{
    if (cell->task.transport->any_size)
        snprintf(text, TEXT, "-");
    else
        snprintf(text, TEXT, "%zu", cell->task.shape.size);
    return text;
}

static void print_titles(FILE *file, const struct perf_session *session, enum perf_kind kind)
{
    char versus[TEXT];

    snprintf(versus, sizeof(versus), "vs %s", session->options->baseline->name);
    fprintf(file, " bytes  transport           ns        p10-p90");
    if (kind == PERF_ROUND_TRIP)
        fprintf(file, "     p50     p99   p99.9");
    fprintf(file, "  Mmsg/s   GB/s vs ping %12s     min-max   runs\n", versus);
}

static void print_line(FILE *file, const struct perf_cell *cell, const struct perf_summary *summary)
{
    char a[TEXT], b[TEXT], c[TEXT];

    fprintf(file, "%6s  %-12s %9s", size_text(a, cell), cell->task.transport->name, number(b, summary->ns.median));
    fprintf(file, " %14s", range(a, summary->ns.p10, summary->ns.p90));
    if (cell->task.kind == PERF_ROUND_TRIP)
        fprintf(file, " %7s %7s %7s", number(a, summary->p50), number(b, summary->p99), number(c, summary->p999));
    fprintf(file, " %7s", rate(a, summary->messages_per_s / 1e6));
    fprintf(file, " %6s", number(a, summary->bytes_per_s / 1e9));
    fprintf(file, " %7s %12s", number(a, summary->vs_ping.median), number(b, summary->vs_baseline.median));
    fprintf(file, " %11s", range(a, summary->vs_baseline.min, summary->vs_baseline.max));
    fprintf(file, " %3zu/%zu\n", summary->kept, summary->made);
}

static bool is_in_table(const struct perf_cell *cell, enum perf_kind kind, enum perf_mode mode)
{
    return cell->task.kind == kind && cell->mode == mode;
}

static int print_table(FILE *file, const struct perf_session *session, enum perf_kind kind, enum perf_mode mode)
{
    const struct perf_cell *before = NULL;

    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];
        struct perf_summary summary;

        if (!is_in_table(cell, kind, mode))
            continue;
        if (before == NULL) {
            fprintf(file, "\n%s, %s\n", kind == PERF_ROUND_TRIP ? "Round trip" : "One-way stream",
                    mode == PERF_SPIN ? "waiting on the processor" : "sleeping in the kernel");
            print_titles(file, session, kind);
        } else if (before->group != cell->group) {
            fputc('\n', file);
        }
        before = cell;
        if (perf_summarize(session, cell, &summary) != 0)
            return -1;
        print_line(file, cell, &summary);
    }
    return 0;
}

static void print_side(FILE *file, const struct perf_cell *cell, const struct perf_per_message *side, const char *name)
{
    char a[TEXT], b[TEXT], c[TEXT];

    fprintf(file, "%6s  %-12s %-7s %9s", size_text(a, cell), cell->task.transport->name, name, number(b, side->cpu_ns));
    if (side->has_link) {
        fprintf(file, " %10s %6s", number(a, 1000 * side->read_waits), number(b, 1000 * side->read_sleeps));
        fprintf(file, " %11s %6s", number(a, 1000 * side->write_waits), number(b, 1000 * side->write_sleeps));
        fprintf(file, " %8s", number(c, 1000 * side->wakeups));
        fprintf(file, " %6.0f/%llu", side->high_water, (unsigned long long)cell->task.shape.slots);
    }
    fputc('\n', file);
}

static int print_details(FILE *file, const struct perf_session *session, enum perf_kind kind, enum perf_mode mode)
{
    bool titled = false;

    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];
        struct perf_summary summary;

        if (!is_in_table(cell, kind, mode))
            continue;
        if (perf_summarize(session, cell, &summary) != 0)
            return -1;
        if (!titled)
            fprintf(file,
                    "\n%s, %s: processor time of one, the rest of 1000\n"
                    " bytes  transport    side       cpu ns read waits sleeps write waits sleeps wake-ups most slots\n",
                    kind == PERF_ROUND_TRIP ? "Round trips" : "Messages of a stream",
                    mode == PERF_SPIN ? "waiting on the processor" : "sleeping in the kernel");
        titled = true;
        print_side(file, cell, &summary.sides[PERF_DRIVER], "driver");
        if (cell->task.kind == PERF_ROUND_TRIP || cell->task.transport->receive != NULL)
            print_side(file, cell, &summary.sides[PERF_PEER], "peer");
    }
    return 0;
}

static void print_runs(FILE *file, const struct perf_session *session)
{
    char text[TEXT];

    fprintf(file, "runs       %u in %.0f s: %u kept, %u set aside\n", session->runs_made, session->took_s,
            session->verdicts[PERF_KEPT], session->runs_made - session->verdicts[PERF_KEPT]);
    if (session->options->keep_best)
        fprintf(file, "ping-pong  runs count next to bare round trips of up to %s ns", number(text, session->high_ns));
    else
        fprintf(file, "ping-pong  runs count next to bare round trips of %s ns",
                range(text, session->low_ns, session->high_ns));
    fprintf(file, " (%s at best)\n", number(text, session->best_ns));
    fprintf(file,
            "set aside  %u next to longer ones, %u next to shorter ones, %u as other processes ran on their CPUs\n",
            session->verdicts[PERF_SLOW], session->verdicts[PERF_FAST], session->verdicts[PERF_DISTURBED]);
    if (session->keeps_all)
        fprintf(file,
                "note       the machine was busy all the time, so ALL runs are shown: figures of a busy machine, with\n"
                "           little meaning but for \"vs unix\", as both were measured side by side\n");
    else if (2 * session->verdicts[PERF_KEPT] < session->runs_made)
        fprintf(file,
                "note       most runs were set aside: the figures are few; measure again when the machine is idle\n");
}

int perf_report_tables(FILE *file, const struct perf_session *session)
{
    print_runs(file, session);
    for (unsigned kind = 0; kind < PERF_KINDS; kind++) {
        for (unsigned mode = 0; mode < PERF_MODES; mode++) {
            if (print_table(file, session, kind, mode) != 0)
                return -1;
        }
    }
    for (unsigned kind = 0; session->options->verbose && kind < PERF_KINDS; kind++) {
        for (unsigned mode = 0; mode < PERF_MODES; mode++) {
            if (print_details(file, session, kind, mode) != 0)
                return -1;
        }
    }
    return 0;
}
