/* The parts of a report that every program that measures has. */
#include "tools/perf/report_parts.h"

#include <math.h>

/* ---- Text -------------------------------------------------------------------------------------------------------- */

const char *perf_text_number(char text[PERF_TEXT], double value)
{
    if (isnan(value) || isinf(value))
        snprintf(text, PERF_TEXT, "-");
    else if (value < 10)
        snprintf(text, PERF_TEXT, "%.2f", value);
    else if (value < 100)
        snprintf(text, PERF_TEXT, "%.1f", value);
    else
        snprintf(text, PERF_TEXT, "%.0f", value);
    return text;
}

const char *perf_text_range(char text[PERF_TEXT], double low, double high)
{
    char first[PERF_TEXT];
    char second[PERF_TEXT];

    if (isnan(low))
        snprintf(text, PERF_TEXT, "-");
    else
        snprintf(text, PERF_TEXT, "%.16s-%.16s", perf_text_number(first, low), perf_text_number(second, high));
    return text;
}

void perf_report_runs(FILE *file, const struct perf_session *session)
{
    char text[PERF_TEXT];

    fprintf(file, "runs       %u in %.0f s: %u kept, %u set aside\n", session->runs_made, session->took_s,
            session->verdicts[PERF_KEPT], session->runs_made - session->verdicts[PERF_KEPT]);
    if (session->options->keep_best)
        fprintf(file, "ping-pong  runs count next to bare round trips of up to %s ns",
                perf_text_number(text, session->high_ns));
    else
        fprintf(file, "ping-pong  runs count next to bare round trips of %s ns",
                perf_text_range(text, session->low_ns, session->high_ns));
    fprintf(file, " (%s at best)\n", perf_text_number(text, session->best_ns));
    fprintf(file,
            "set aside  %u next to longer ones, %u next to shorter ones, %u as other processes ran on their CPUs\n",
            session->verdicts[PERF_SLOW], session->verdicts[PERF_FAST], session->verdicts[PERF_DISTURBED]);
    if (session->keeps_all)
        fprintf(file,
                "note       the machine was busy all the time, so ALL runs are shown: figures of a busy machine, with\n"
                "           little meaning but for \"vs %s\", as both were measured side by side\n",
                session->options->baseline->name);
    else if (2 * session->verdicts[PERF_KEPT] < session->runs_made)
        fprintf(file,
                "note       most runs were set aside: the figures are few; measure again when the machine is idle\n");
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

void perf_json_machine(struct perf_json *json, const struct perf_session *session)
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

void perf_json_method(struct perf_json *json, const struct perf_session *session)
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

void perf_json_spread(struct perf_json *json, const char *key, const struct perf_spread *spread)
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

void perf_json_runs(struct perf_json *json, const struct perf_cell *cell)
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
