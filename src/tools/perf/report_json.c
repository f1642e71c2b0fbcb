/* Everything: the machine, the method, each cell with its runs, the targets. Times in nanoseconds. */
#include "tools/perf/report.h"

#include <hqq/version.h>

#include "tools/perf/report_parts.h"
#include "tools/perf/summary.h"
#include "tools/perf/targets.h"

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
    perf_json_spread(json, "ns", &summary->ns);
    perf_json_spread(json, "vs_ping", &summary->vs_ping);
    perf_json_spread(json, "vs_baseline", &summary->vs_baseline);
    perf_json_number(json, "p50_ns", summary->p50);
    perf_json_number(json, "p99_ns", summary->p99);
    perf_json_number(json, "p999_ns", summary->p999);
    perf_json_number(json, "messages_per_s", summary->messages_per_s);
    perf_json_number(json, "bytes_per_s", summary->bytes_per_s);
    perf_json_open(json, "per_message", '{');
    write_side(json, "driver", &summary->sides[PERF_DRIVER]);
    write_side(json, "peer", &summary->sides[PERF_PEER]);
    perf_json_close(json, '}');
    perf_json_runs(json, cell);
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
    perf_json_machine(&json, session);
    perf_json_method(&json, session);
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
