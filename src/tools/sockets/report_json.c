#include "tools/sockets/report.h"

#include <math.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/perf/json.h"
#include "tools/sockets/judge.h"

static const char *const comparison_names[] = {
    [ROW_COST] = "cost", [ROW_GAIN] = "gain", [ROW_BESIDE] = "beside", [ROW_LIMIT] = "limit", [ROW_MORE] = "more",
};

static void write_spread(struct perf_json *json, const char *key, const struct perf_spread *spread)
{
    perf_json_open(json, key, '{');
    perf_json_number(json, "median", spread->median);
    perf_json_number(json, "p10", spread->p10);
    perf_json_number(json, "p90", spread->p90);
    perf_json_number(json, "min", spread->min);
    perf_json_number(json, "max", spread->max);
    perf_json_close(json, '}');
}

static void write_line(struct perf_json *json, const struct measured *measured, const struct row_line *line)
{
    struct judged judged = judge_line(measured, line);
    perf_json_open(json, NULL, '{');
    perf_json_string(json, "label", line->label);
    perf_json_string(json, "comparison", comparison_names[line->comparison]);
    perf_json_number(json, "bound", line->bound != 0 ? line->bound : (double)NAN);
    write_spread(json, "plain", &judged.plain);
    write_spread(json, "preloaded", &judged.preloaded);
    if (line->comparison == ROW_BESIDE)
        write_spread(json, "beside", &judged.beside);
    write_spread(json, "value", &judged.value);
    perf_json_string(json, "verdict", judged.verdict == VERDICT_NONE ? "none" : verdict_name(judged.verdict));
    perf_json_string(json, "doubtful", judged.is_doubtful ? "yes" : "no");
    perf_json_close(json, '}');
}

static void write_figures(struct perf_json *json, const char *key, const struct scene_result *result)
{
    perf_json_open(json, key, '[');
    for (size_t i = 0; i < SCENE_FIGURES; i++)
        perf_json_number(json, NULL, result->figures[i]);
    perf_json_close(json, ']');
}

static void write_pair(struct perf_json *json, const struct measured *measured, const struct pair *pair)
{
    perf_json_open(json, NULL, '{');
    perf_json_string(json, "kept", pair->is_kept ? "yes" : "no");
    write_figures(json, "plain", &pair->plain);
    write_figures(json, "preloaded", &pair->preloaded);
    if (measured->has_beside)
        perf_json_number(json, "beside", pair->beside_ns);
    perf_json_number(json, "others", pair->others);
    perf_json_open(json, "cache_line_ns", '[');
    for (size_t i = 0; i <= MEASURE_RUNS; i++) {
        if (pair->pings[i] > 0)
            perf_json_number(json, NULL, pair->pings[i]);
    }
    perf_json_close(json, ']');
    perf_json_close(json, '}');
}

static void write_curve(struct perf_json *json, const struct measured *measured)
{
    perf_json_open(json, "curve", '[');
    for (size_t i = 0; i < REPORT_PARTS; i++) {
        perf_json_open(json, NULL, '{');
        perf_json_integer(json, "from_ms", report_parts[i]);
        perf_json_integer(json, "to_ms", report_parts[i + 1]);
        perf_json_number(json, "plain_ns", judge_curve_part(measured, false, report_parts[i], report_parts[i + 1]));
        perf_json_number(json, "preloaded_ns", judge_curve_part(measured, true, report_parts[i], report_parts[i + 1]));
        perf_json_close(json, '}');
    }
    perf_json_close(json, ']');
}

static void write_row(struct perf_json *json, const struct measured *measured)
{
    const struct row *row = measured->row;
    perf_json_open(json, NULL, '{');
    perf_json_string(json, "name", row->name);
    perf_json_string(json, "group", row->group);
    perf_json_string(json, "what", row->what);
    perf_json_string(json, "state",
                     measured->left_out     ? "left out"
                     : measured->has_failed ? "failed"
                     : measured->keeps_all  ? "never quiet"
                                            : "measured");
    if (measured->left_out)
        perf_json_string(json, "why", measured->left_out);
    perf_json_integer(json, "made", measured->made);
    perf_json_integer(json, "kept", measured->kept);
    perf_json_open(json, "lines", '[');
    for (const struct row_line *line = row->lines; line < row->lines + ROW_LINES && line->label; line++)
        write_line(json, measured, line);
    perf_json_close(json, ']');
    if (row->has_curve)
        write_curve(json, measured);
    perf_json_open(json, "pairs", '[');
    for (size_t i = 0; i < measured->made; i++)
        write_pair(json, measured, &measured->pairs[i]);
    perf_json_close(json, ']');
    perf_json_close(json, '}');
}

void report_json(FILE *file, const struct options *options, const struct quiet *quiet, const struct measured *measured,
                 size_t count)
{
    struct perf_json json = {.file = file};
    struct utsname system = {0};
    uname(&system);
    perf_json_open(&json, NULL, '{');
    perf_json_string(&json, "system", system.release);
    perf_json_integer(&json, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
    perf_json_string(&json, "preload", options->preload);
    perf_json_integer(&json, "pairs", options->pairs);
    perf_json_integer(&json, "duration_ms", options->duration_ms);
    perf_json_integer(&json, "warm_up_ms", options->warm_ms);
    perf_json_number(&json, "tolerance", options->tolerance);
    perf_json_number(&json, "others", options->others);
    perf_json_number(&json, "cache_line_ns", quiet->best);
    perf_json_open(&json, "rows", '[');
    for (size_t i = 0; i < count; i++)
        write_row(&json, &measured[i]);
    perf_json_close(&json, ']');
    perf_json_close(&json, '}');
}
