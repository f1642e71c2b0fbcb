/* Everything: the machine, the method, each cell with its runs, the targets. Times in nanoseconds. */
#include "tools/perf/report.h"

#include <hqq/version.h>

#include "tools/perf/json.h"
#include "tools/perf/summary.h"
#include "tools/perf/targets.h"

static void write_machine(struct perf_json *json, const struct perf_session *session)
{
    const struct perf_machine *machine = &session->machine;

    perf_json_open(json, "machine", '{');
    perf_json_string(json, "cpu", machine->cpu);
    perf_json_integer(json, "cpus_online", (uint64_t)machine->cpus_online);
    perf_json_integer(json, "cpus_allowed", (uint64_t)machine->cpus_allowed);
    perf_json_string(json, "kernel", machine->kernel);
    perf_json_integer(json, "page_size", machine->page_size);
    perf_json_integer(json, "l2_bytes", machine->l2_bytes);
    perf_json_number(json, "clock_ns", machine->clock_ns);
    perf_json_close(json, '}');
}

static void write_method(struct perf_json *json, const struct perf_session *session)
{
    const struct perf_options *options = session->options;

    perf_json_open(json, "method", '{');
    perf_json_integer(json, "driver_cpu", (uint64_t)options->cpus[PERF_DRIVER]);
    perf_json_integer(json, "peer_cpu", (uint64_t)options->cpus[PERF_PEER]);
    perf_json_integer(json, "rounds", options->rounds);
    perf_json_integer(json, "extra_rounds", options->extra);
    perf_json_integer(json, "duration_ns", options->duration_ns);
    perf_json_integer(json, "bracket_ns", options->bracket_ns);
    perf_json_integer(json, "spin_ns", options->spin_ns);
    perf_json_number(json, "tolerance", options->tolerance);
    perf_json_string(json, "baseline", options->baseline->name);
    perf_json_number(json, "best_ping_ns", session->best_ns);
    perf_json_string(json, "keep", options->keep_best ? "best" : "usual");
    perf_json_number(json, "low_ping_ns", session->low_ns);
    perf_json_number(json, "high_ping_ns", session->high_ns);
    perf_json_integer(json, "runs_made", session->runs_made);
    perf_json_integer(json, "runs_kept", session->verdicts[PERF_KEPT]);
    perf_json_integer(json, "keeps_all", session->keeps_all);
    perf_json_integer(json, "runs_slow", session->verdicts[PERF_SLOW]);
    perf_json_integer(json, "runs_fast", session->verdicts[PERF_FAST]);
    perf_json_integer(json, "runs_disturbed", session->verdicts[PERF_DISTURBED]);
    perf_json_number(json, "took_s", session->took_s);
    perf_json_close(json, '}');
}

static void write_spread(struct perf_json *json, const char *key, const struct perf_spread *spread)
{
    perf_json_open(json, key, '{');
    perf_json_number(json, "median", spread->median);
    perf_json_number(json, "p10", spread->p10);
    perf_json_number(json, "p90", spread->p90);
    perf_json_number(json, "min", spread->min);
    perf_json_number(json, "max", spread->max);
    perf_json_integer(json, "count", spread->count);
    perf_json_close(json, '}');
}

static void write_side(struct perf_json *json, const char *key, const struct perf_per_message *side)
{
    perf_json_open(json, key, '{');
    perf_json_number(json, "cpu_ns", side->cpu_ns);
    if (side->has_link) {
        perf_json_number(json, "read_waits", side->read_waits);
        perf_json_number(json, "read_sleeps", side->read_sleeps);
        perf_json_number(json, "write_waits", side->write_waits);
        perf_json_number(json, "write_sleeps", side->write_sleeps);
        perf_json_number(json, "wakeups", side->wakeups);
        perf_json_number(json, "write_high_water", side->high_water);
    }
    perf_json_close(json, '}');
}

static void write_runs(struct perf_json *json, const struct perf_cell *cell)
{
    static const char *const verdicts[PERF_VERDICTS] = {"kept", "slow", "fast", "disturbed"};

    perf_json_open(json, "runs", '[');
    for (size_t i = 0; i < cell->run_count; i++) {
        const struct perf_run *run = &cell->runs[i];

        perf_json_open(json, NULL, '{');
        perf_json_integer(json, "round", run->round);
        perf_json_string(json, "verdict", verdicts[run->verdict]);
        perf_json_integer(json, "count", run->messages);
        perf_json_number(json, "ns", run->ns);
        perf_json_number(json, "lost", run->lost);
        perf_json_number(json, "ping_before_ns", run->before_ns);
        perf_json_number(json, "ping_after_ns", run->after_ns);
        perf_json_close(json, '}');
    }
    perf_json_close(json, ']');
}

static void write_cell(struct perf_json *json, const struct perf_cell *cell, const struct perf_summary *summary)
{
    const struct perf_shape *shape = &cell->task.shape;

    perf_json_open(json, NULL, '{');
    perf_json_string(json, "kind", perf_kind_names[cell->task.kind]);
    perf_json_string(json, "mode", perf_mode_names[cell->mode]);
    perf_json_string(json, "transport", cell->task.transport->name);
    perf_json_integer(json, "bytes", perf_cell_size(cell));
    perf_json_integer(json, "slots", shape->slots);
    perf_json_integer(json, "batch", shape->batch);
    write_spread(json, "ns", &summary->ns);
    write_spread(json, "vs_ping", &summary->vs_ping);
    write_spread(json, "vs_baseline", &summary->vs_baseline);
    perf_json_number(json, "p50_ns", summary->p50);
    perf_json_number(json, "p99_ns", summary->p99);
    perf_json_number(json, "p999_ns", summary->p999);
    perf_json_number(json, "messages_per_s", summary->messages_per_s);
    perf_json_number(json, "bytes_per_s", summary->bytes_per_s);
    perf_json_open(json, "per_message", '{');
    write_side(json, "driver", &summary->sides[PERF_DRIVER]);
    write_side(json, "peer", &summary->sides[PERF_PEER]);
    perf_json_close(json, '}');
    write_runs(json, cell);
    perf_json_close(json, '}');
}

static int write_targets(struct perf_json *json, const struct perf_session *session)
{
    struct perf_target targets[PERF_TARGETS];

    if (perf_targets_measure(session, targets) != 0)
        return -1;
    perf_json_open(json, "targets", '[');
    for (int i = 0; i < PERF_TARGETS; i++) {
        perf_json_open(json, NULL, '{');
        perf_json_string(json, "what", targets[i].what);
        perf_json_string(json, "unit", targets[i].unit);
        perf_json_string(json, "bound", targets[i].at_most ? "at most" : "at least");
        perf_json_number(json, "goal", targets[i].goal);
        perf_json_number(json, "measured", targets[i].measured);
        perf_json_string(json, "verdict", perf_target_verdict(&targets[i]));
        perf_json_close(json, '}');
    }
    perf_json_close(json, ']');
    return 0;
}

int perf_report_json(FILE *file, const struct perf_session *session)
{
    struct perf_json json = {.file = file};

    perf_json_open(&json, NULL, '{');
    perf_json_string(&json, "program", "hqq-perf " HQQ_VERSION);
    perf_json_string(&json, "library", hqq_version());
    perf_json_string(&json, "command", session->command);
    write_machine(&json, session);
    write_method(&json, session);
    perf_json_open(&json, "cells", '[');
    for (size_t i = 0; i < session->cell_count; i++) {
        struct perf_summary summary;

        if (perf_summarize(session, &session->cells[i], &summary) != 0)
            return -1;
        write_cell(&json, &session->cells[i], &summary);
    }
    perf_json_close(&json, ']');
    if (write_targets(&json, session) != 0)
        return -1;
    perf_json_close(&json, '}');
    return 0;
}
