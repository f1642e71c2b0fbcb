#include "tools/sockets/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/sockets/judge.h"

#define LINE "  %-18s %8s %9s %7s %13s"

const size_t report_parts[REPORT_PARTS + 1] = {0, 1, 2, 5, 10, 20, 50, 100, 200, SCENE_CURVE_MS};

struct text {
    char at[40];
};

/* Three digits, or as many as stand before the point. */
static struct text number(double value)
{
    struct text text;
    double size = fabs(value);
    if (isnan(value))
        snprintf(text.at, sizeof(text.at), "-");
    else if (size >= 999999.5)
        snprintf(text.at, sizeof(text.at), "%.1fM", value / 1e6);
    else
        snprintf(text.at, sizeof(text.at), "%.*f", size < 9.995 ? 2 : size < 99.95 ? 1 : 0, value);
    return text;
}

/* ---- Rows ------------------------------------------------------------------------------------------------------ */

static struct text ratio(const struct row_line *line, double value)
{
    struct text text = number(value), all;
    if (line->comparison == ROW_LIMIT || isnan(value))
        snprintf(all.at, sizeof(all.at), "-");
    else
        snprintf(all.at, sizeof(all.at), "%s%.30s%s", line->comparison == ROW_MORE && value >= 0 ? "+" : "", text.at,
                 line->comparison == ROW_GAIN ? "x" : "");
    return all;
}

static struct text interval(const struct perf_spread *spread)
{
    struct text text;
    if (spread->count == 0)
        snprintf(text.at, sizeof(text.at), "-");
    else
        snprintf(text.at, sizeof(text.at), "%.13s-%.13s", number(spread->p10).at, number(spread->p90).at);
    return text;
}

static struct text bound(const struct row_line *line)
{
    struct text text;
    const char *sign = line->comparison == ROW_GAIN ? ">=" : line->comparison == ROW_MORE ? "<=+" : "<=";
    snprintf(text.at, sizeof(text.at), "%s%g", sign, line->bound);
    return text;
}

static void print_line(FILE *file, const struct measured *measured, const struct row_line *line)
{
    struct judged judged = judge_line(measured, line);
    bool is_beside = line->comparison == ROW_BESIDE, is_alone = line->comparison == ROW_LIMIT;
    struct text label, other = number(is_beside ? judged.beside.median : judged.plain.median);
    snprintf(label.at, sizeof(label.at), "%s%s", is_beside ? "beside " : "",
             !is_beside                              ? line->label
             : measure_is_beside_link(measured->row) ? "a link"
                                                     : measured->row->beside);
    fprintf(file, LINE, label.at, is_alone ? "-" : other.at, number(judged.preloaded.median).at,
            ratio(line, judged.value.median).at, interval(&judged.value).at);
    if (line->bound != 0)
        fprintf(file, " %7s", bound(line).at);
    if (judged.verdict != VERDICT_NONE)
        fprintf(file, "  %s%s", verdict_name(judged.verdict), judged.is_doubtful ? "?" : "");
    fputc('\n', file);
}

static void print_curve_line(FILE *file, const struct measured *measured, bool is_preloaded)
{
    fprintf(file, "    %-12s", is_preloaded ? "preloaded" : "plain");
    for (size_t i = 0; i < REPORT_PARTS; i++)
        fprintf(file, " %6s",
                number(judge_curve_part(measured, is_preloaded, report_parts[i], report_parts[i + 1]) / 1e3).at);
    fputc('\n', file);
}

static void print_curve(FILE *file, const struct measured *measured)
{
    fprintf(file, "  a round trip in us, by the time since the start in ms\n    %-12s", "up to");
    for (size_t i = 0; i < REPORT_PARTS; i++)
        fprintf(file, " %6zu", report_parts[i + 1]);
    fputc('\n', file);
    print_curve_line(file, measured, false);
    print_curve_line(file, measured, true);
}

void report_row(FILE *file, const struct measured *measured)
{
    const struct row *row = measured->row;
    fprintf(file, "%s: %s\n", row->name, row->what);
    if (measured->left_out) {
        fprintf(file, "  left out: %s\n", measured->left_out);
        return;
    }
    if (measured->has_failed)
        fprintf(file, "  a run failed: measured no further\n");
    if (row->beside && !measured->has_beside)
        fprintf(file, "  not beside a link: there is no hqq-perf in the folder of this program\n");
    for (const struct row_line *line = row->lines; line < row->lines + ROW_LINES && line->label; line++)
        print_line(file, measured, line);
    if (row->has_curve && measured->kept != 0)
        print_curve(file, measured);
    fprintf(file, "  %zu/%zu pairs", measured->kept, measured->made);
    if (measured->keeps_all)
        fprintf(file, ", hardly one of them quiet: others had %.0f %% of the processors", 100 * judge_others(measured));
    fputc('\n', file);
}

/* ---- Around them ----------------------------------------------------------------------------------------------- */

void report_head(FILE *file, const struct quiet *quiet)
{
    struct utsname system = {0};
    uname(&system);
    fprintf(file, "%s %s, %ld processors\nbare round trip of a cache line: %.0f ns at best\n\n", system.sysname,
            system.release, sysconf(_SC_NPROCESSORS_ONLN), quiet->best);
    fprintf(file, LINE " %7s\n", "", "plain", "preloaded", "ratio", "p10-p90", "bound");
}

void report_foot(FILE *file, const struct measured *measured, size_t count)
{
    size_t told[VERDICT_NOT_MET + 1] = {0}, left_out = 0, failed = 0;
    bool is_doubtful = false;
    for (size_t i = 0; i < count; i++) {
        const struct row *row = measured[i].row;
        left_out += measured[i].left_out != NULL;
        failed += measured[i].has_failed;
        for (const struct row_line *line = row->lines; line < row->lines + ROW_LINES && line->label; line++) {
            struct judged judged = judge_line(&measured[i], line);
            told[judged.verdict]++;
            is_doubtful |= judged.verdict != VERDICT_NONE && judged.is_doubtful;
        }
    }
    fprintf(file, "\n%zu bounds met, %zu not met; %zu rows left out, %zu failed\n", told[VERDICT_MET],
            told[VERDICT_NOT_MET], left_out, failed);
    if (is_doubtful)
        fprintf(file, "?: of fewer than 15 pairs, or of pairs made in slow spells\n");
}
