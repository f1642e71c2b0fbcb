/* The first lines and the last ones of the report for people. */
#include "tools/perf/report.h"

#include <hqq/version.h>

#include <math.h>

#include "tools/perf/targets.h"

/* One line for copied messages, one for those in place: these have other rings. */
static void print_rings(FILE *file, const struct perf_session *session, bool in_place)
{
    size_t printed = 0;

    for (size_t i = 0; i < session->cell_count; i++) {
        const struct perf_cell *cell = &session->cells[i];
        size_t size = perf_cell_size(cell);

        if (size <= printed || cell->task.transport->in_place != in_place)
            continue;
        fprintf(file, "%s%llu x %zu",
                printed != 0 ? ", "
                : in_place   ? "in place   "
                             : "rings      ",
                (unsigned long long)cell->task.shape.slots, size);
        printed = size;
    }
    if (printed != 0)
        fprintf(file, " bytes each way\n");
}

void perf_report_head(FILE *file, const struct perf_session *session)
{
    const struct perf_machine *machine = &session->machine;
    const struct perf_options *options = session->options;

    fprintf(file, "machine    %s; %d CPUs, %d of them allowed; L2 %zu KiB\n", machine->cpu, machine->cpus_online,
            machine->cpus_allowed, machine->l2_bytes / 1024);
    fprintf(file, "system     %s; page %zu bytes; reading the clock takes %.0f ns; libhqq %s\n", machine->kernel,
            machine->page_size, machine->clock_ns, hqq_version());
    fprintf(file, "command    %s\n", session->command);
    fprintf(file, "processes  driver on CPU %d, peer on CPU %d%s\n", options->cpus[0], options->cpus[1],
            session->shares_cpu ? " (the same: whoever waits yields it)" : "");
    print_rings(file, session, false);
    print_rings(file, session, true);
}

int perf_report_targets(FILE *file, const struct perf_session *session)
{
    struct perf_target targets[PERF_TARGETS];
    bool any = false;

    if (perf_targets_measure(session, targets) != 0)
        return -1;
    for (int i = 0; i < PERF_TARGETS; i++)
        any = any || !isnan(targets[i].measured);
    if (!any)
        return 0;
    fprintf(file, "\nTargets, for two CPUs and spinning links\n");
    for (int i = 0; i < PERF_TARGETS; i++) {
        const struct perf_target *target = &targets[i];
        char measured[24] = "-";

        if (!isnan(target->measured))
            snprintf(measured, sizeof(measured), "%.2f", target->measured);
        fprintf(file, "  %-40s %8s %-13s target %s %-6g %s\n", target->what, measured, target->unit,
                target->at_most ? "<=" : ">=", target->goal, perf_target_verdict(target));
    }
    return 0;
}
