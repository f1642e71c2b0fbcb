/* The tables for people: one for each kind and mode; with --verbose another one of what the processes did. */
#include "tools/perf/report.h"

#include <math.h>
#include <string.h>

#include "tools/perf/report_parts.h"
#include "tools/perf/summary.h"

/* A rate may be well below one. */
static const char *rate(char text[PERF_TEXT], double value)
{
    if (isnan(value) || isinf(value))
        snprintf(text, PERF_TEXT, "-");
    else
        snprintf(text, PERF_TEXT, value < 10 ? "%.3f" : "%.2f", value);
    return text;
}

static const char *size_text(char text[PERF_TEXT], const struct perf_cell *cell)
{
    if (cell->task.transport->any_size)
        snprintf(text, PERF_TEXT, "-");
    else
        snprintf(text, PERF_TEXT, "%zu", cell->task.shape.size);
    return text;
}

static void print_titles(FILE *file, const struct perf_session *session, enum perf_kind kind)
{
    char versus[PERF_TEXT];

    snprintf(versus, sizeof(versus), "vs %s", session->options->baseline->name);
    fprintf(file, " bytes  transport           ns        p10-p90");
    if (kind == PERF_ROUND_TRIP)
        fprintf(file, "     p50     p99   p99.9");
    fprintf(file, "  Mmsg/s   GB/s vs ping %12s     min-max   runs\n", versus);
}

static void print_line(FILE *file, const struct perf_cell *cell, const struct perf_summary *summary)
{
    char a[PERF_TEXT], b[PERF_TEXT], c[PERF_TEXT];

    fprintf(file, "%6s  %-12s %9s", size_text(a, cell), cell->task.transport->name,
            perf_text_number(b, summary->ns.median));
    fprintf(file, " %14s", perf_text_range(a, summary->ns.p10, summary->ns.p90));
    if (cell->task.kind == PERF_ROUND_TRIP)
        fprintf(file, " %7s %7s %7s", perf_text_number(a, summary->p50), perf_text_number(b, summary->p99),
                perf_text_number(c, summary->p999));
    fprintf(file, " %7s", rate(a, summary->messages_per_s / 1e6));
    fprintf(file, " %6s", perf_text_number(a, summary->bytes_per_s / 1e9));
    fprintf(file, " %7s %12s", perf_text_number(a, summary->vs_ping.median),
            perf_text_number(b, summary->vs_baseline.median));
    fprintf(file, " %11s", perf_text_range(a, summary->vs_baseline.min, summary->vs_baseline.max));
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
    char a[PERF_TEXT], b[PERF_TEXT], c[PERF_TEXT];

    fprintf(file, "%6s  %-12s %-7s %9s", size_text(a, cell), cell->task.transport->name, name,
            perf_text_number(b, side->cpu_ns));
    if (side->has_link) {
        fprintf(file, " %10s %6s", perf_text_number(a, 1000 * side->read_waits),
                perf_text_number(b, 1000 * side->read_sleeps));
        fprintf(file, " %11s %6s", perf_text_number(a, 1000 * side->write_waits),
                perf_text_number(b, 1000 * side->write_sleeps));
        fprintf(file, " %8s", perf_text_number(c, 1000 * side->wakeups));
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

int perf_report_tables(FILE *file, const struct perf_session *session)
{
    perf_report_runs(file, session);
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
