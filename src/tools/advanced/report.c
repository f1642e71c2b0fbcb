/* The report: a table for each group, and the same with every run as JSON. */
#include "tools/advanced/report.h"

#include <hqq/version.h>

#include <math.h>

#include "tools/advanced/link.h"
#include "tools/perf/report_parts.h"
#include "tools/perf/summary.h"

#define NS_PER_US 1e3

/* What a line says beside the summary of its cell. */
struct line {
    struct perf_summary summary;
    struct perf_spread vs_plain;
    double shares;
};

static double median_share(const struct perf_cell *cell)
{
    double shares[2 * PERF_MAX_ROUNDS];
    size_t count = 0;

    if (cell->task.transport != &advanced_shares)
        return (double)NAN;
    for (size_t i = 0; i < cell->run_count; i++) {
        if (cell->runs[i].verdict == PERF_KEPT)
            shares[count++] = cell->runs[i].sides[PERF_PEER].own;
    }
    return perf_spread_of(shares, count).median;
}

static int make_line(const struct perf_session *session, const struct perf_cell *cell, struct line *ret_line)
{
    const struct perf_cell *plain = advanced_plain_of(session, cell->group);
    double none = (double)NAN;

    ret_line->vs_plain = perf_spread_of(&none, 0);
    ret_line->shares = median_share(cell);
    if (plain != NULL && perf_compare(cell, plain, &ret_line->vs_plain) != 0)
        return -1;
    return perf_summarize(session, cell, &ret_line->summary);
}

/* ---- For people -------------------------------------------------------------------------------------------------- */

void advanced_report_head(FILE *file, const struct perf_session *session, const struct advanced_options *options)
{
    const struct perf_machine *machine = &session->machine;
    const int *cpus = options->perf.cpus;

    fprintf(file, "machine    %s; %d CPUs, %d of them allowed; L2 %zu KiB\n", machine->cpu, machine->cpus_online,
            machine->cpus_allowed, machine->l2_bytes / 1024);
    fprintf(file, "system     %s; page %zu bytes; reading the clock takes %.0f ns; libhqq %s\n", machine->kernel,
            machine->page_size, machine->clock_ns, hqq_version());
    fprintf(file, "command    %s\n", session->command);
    fprintf(file, "processes  driver on CPU %d, peer on CPU %d%s\n", cpus[0], cpus[1],
            session->shares_cpu ? " (the same: whoever waits yields it)" : "");
    fprintf(file, "links      %llu x %llu bytes each way\n", (unsigned long long)options->perf.slots,
            (unsigned long long)options->slot_bytes);
}

/* Which columns the table of a group has. */
struct columns {
    bool has_samples, has_bytes, has_baseline, has_plain, has_shares;
    const char *baseline;
};

static struct columns columns_of(const struct perf_session *session, const struct perf_cell *cell)
{
    bool is_classes = advanced_part_of(cell->group) == ADVANCED_CLASSES;
    bool is_shares = advanced_part_of(cell->group) == ADVANCED_SHARES;

    return (struct columns){
        .has_samples = cell->task.kind == PERF_ROUND_TRIP,
        .has_bytes = !is_classes,
        .has_baseline = !is_shares,
        .has_plain = advanced_plain_of(session, cell->group) != NULL,
        .has_shares = is_shares,
        .baseline = is_classes ? "vs none" : "vs unix",
    };
}

static void print_titles(FILE *file, const struct perf_cell *cell, const struct columns *columns)
{
    fprintf(file, "\n%s\n%-16s %9s %14s", advanced_group_title(cell->group), "", "us", "p10-p90");
    if (columns->has_samples)
        fprintf(file, " %8s %8s", "p50", "p99");
    if (columns->has_bytes)
        fprintf(file, " %6s", "GB/s");
    fprintf(file, " %8s", "vs ping");
    if (columns->has_baseline)
        fprintf(file, " %8s %11s", columns->baseline, "min-max");
    if (columns->has_plain)
        fprintf(file, " %9s %11s", "vs plain", "min-max");
    if (columns->has_shares)
        fprintf(file, " %7s", "shares");
    fprintf(file, "   runs\n");
}

static void print_line(FILE *file, const struct perf_cell *cell, const struct columns *columns, const struct line *line)
{
    const struct perf_summary *summary = &line->summary;
    char a[PERF_TEXT], b[PERF_TEXT];

    fprintf(file, "%-16s %9s", cell->task.transport->name, perf_text_number(a, summary->ns.median / NS_PER_US));
    fprintf(file, " %14s", perf_text_range(a, summary->ns.p10 / NS_PER_US, summary->ns.p90 / NS_PER_US));
    if (columns->has_samples)
        fprintf(file, " %8s %8s", perf_text_number(a, summary->p50 / NS_PER_US),
                perf_text_number(b, summary->p99 / NS_PER_US));
    if (columns->has_bytes)
        fprintf(file, " %6s", perf_text_number(a, summary->bytes_per_s / 1e9));
    fprintf(file, " %8s", perf_text_number(a, summary->vs_ping.median));
    if (columns->has_baseline)
        fprintf(file, " %8s %11s", perf_text_number(a, summary->vs_baseline.median),
                perf_text_range(b, summary->vs_baseline.min, summary->vs_baseline.max));
    if (columns->has_plain)
        fprintf(file, " %9s %11s", perf_text_number(a, line->vs_plain.median),
                perf_text_range(b, line->vs_plain.min, line->vs_plain.max));
    if (columns->has_shares)
        fprintf(file, " %7s", perf_text_number(a, line->shares));
    fprintf(file, " %4zu/%zu\n", summary->kept, summary->made);
}

int advanced_report_table(FILE *file, const struct perf_session *session, const struct advanced_options *options)
{
    const struct perf_cell *before = NULL;

    (void)options;
    perf_report_runs(file, session);
    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];
        struct columns columns = columns_of(session, cell);
        struct line line;

        if (make_line(session, cell, &line) != 0)
            return -1;
        if (before == NULL || before->group != cell->group)
            print_titles(file, cell, &columns);
        print_line(file, cell, &columns, &line);
        before = cell;
    }
    return 0;
}

/* ---- For machines ------------------------------------------------------------------------------------------------ */

static void write_cell(struct perf_json *json, const struct perf_cell *cell, const struct line *line)
{
    const struct perf_summary *summary = &line->summary;

    perf_json_open(json, NULL, '{');
    perf_json_string(json, "group", advanced_group_title(cell->group));
    perf_json_string(json, "kind", perf_kind_names[cell->task.kind]);
    perf_json_string(json, "transport", cell->task.transport->name);
    perf_json_integer(json, "bytes", perf_cell_size(cell));
    perf_json_spread(json, "ns", &summary->ns);
    perf_json_spread(json, "vs_ping", &summary->vs_ping);
    perf_json_spread(json, "vs_baseline", &summary->vs_baseline);
    perf_json_spread(json, "vs_plain", &line->vs_plain);
    perf_json_number(json, "p50_ns", summary->p50);
    perf_json_number(json, "p99_ns", summary->p99);
    perf_json_number(json, "messages_per_s", summary->messages_per_s);
    perf_json_number(json, "bytes_per_s", summary->bytes_per_s);
    perf_json_number(json, "shares", line->shares);
    perf_json_runs(json, cell);
    perf_json_close(json, '}');
}

int advanced_report_json(FILE *file, const struct perf_session *session, const struct advanced_options *options)
{
    struct perf_json json = {.file = file};

    perf_json_open(&json, NULL, '{');
    perf_json_string(&json, "program", "hqq-perf-advanced " HQQ_VERSION);
    perf_json_string(&json, "library", hqq_version());
    perf_json_string(&json, "command", session->command);
    perf_json_integer(&json, "link_slots", options->perf.slots);
    perf_json_integer(&json, "link_slot_bytes", options->slot_bytes);
    perf_json_machine(&json, session);
    perf_json_method(&json, session);
    perf_json_open(&json, "cells", '[');
    for (size_t i = 0; i < session->cell_count; i++) {
        struct line line;

        if (make_line(session, &session->cells[i], &line) != 0)
            return -1;
        write_cell(&json, &session->cells[i], &line);
    }
    perf_json_close(&json, ']');
    perf_json_close(&json, '}');
    return 0;
}
