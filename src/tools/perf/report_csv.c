/* One line for each cell, under a line of names. A figure that is missing is an empty field. Nothing needs quoting. */
#include "tools/perf/report.h"

#include <math.h>

#include "tools/perf/summary.h"

static void print_number(FILE *file, double value)
{
    if (isnan(value) || isinf(value))
        fputc(',', file);
    else
        fprintf(file, ",%.6g", value);
}

static void print_spread(FILE *file, const struct perf_spread *spread)
{
    print_number(file, spread->median);
    print_number(file, spread->p10);
    print_number(file, spread->p90);
    print_number(file, spread->min);
    print_number(file, spread->max);
}

static void print_side(FILE *file, const struct perf_per_message *side)
{
    print_number(file, side->cpu_ns);
    print_number(file, side->has_link ? side->read_waits : (double)NAN);
    print_number(file, side->has_link ? side->read_sleeps : (double)NAN);
    print_number(file, side->has_link ? side->write_waits : (double)NAN);
    print_number(file, side->has_link ? side->write_sleeps : (double)NAN);
    print_number(file, side->has_link ? side->wakeups : (double)NAN);
}

static void print_titles(FILE *file)
{
    static const char *const spreads[] = {"ns", "vs_ping", "vs_baseline"};
    static const char *const sides[] = {"driver", "peer"};

    fprintf(file, "kind,mode,transport,bytes,slots,batch,runs,kept");
    for (size_t i = 0; i < 3; i++)
        fprintf(file, ",%s,%s_p10,%s_p90,%s_min,%s_max", spreads[i], spreads[i], spreads[i], spreads[i], spreads[i]);
    fprintf(file, ",p50_ns,p99_ns,p999_ns,messages_per_s,bytes_per_s");
    for (size_t i = 0; i < 2; i++)
        fprintf(file, ",%s_cpu_ns,%s_read_waits,%s_read_sleeps,%s_write_waits,%s_write_sleeps,%s_wakeups", sides[i],
                sides[i], sides[i], sides[i], sides[i], sides[i]);
    fputc('\n', file);
}

int perf_report_csv(FILE *file, const struct perf_session *session)
{
    print_titles(file);
    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];
        const struct perf_shape *shape = &cell->task.shape;
        struct perf_summary summary;

        if (perf_summarize(session, cell, &summary) != 0)
            return -1;
        fprintf(file, "%s,%s,%s,%zu,%llu,%u,%zu,%zu", perf_kind_names[cell->task.kind], perf_mode_names[cell->mode],
                cell->task.transport->name, perf_cell_size(cell), (unsigned long long)shape->slots, shape->batch,
                summary.made, summary.kept);
        print_spread(file, &summary.ns);
        print_spread(file, &summary.vs_ping);
        print_spread(file, &summary.vs_baseline);
        print_number(file, summary.p50);
        print_number(file, summary.p99);
        print_number(file, summary.p999);
        print_number(file, summary.messages_per_s);
        print_number(file, summary.bytes_per_s);
        print_side(file, &summary.sides[PERF_DRIVER]);
        print_side(file, &summary.sides[PERF_PEER]);
        fputc('\n', file);
    }
    return 0;
}
