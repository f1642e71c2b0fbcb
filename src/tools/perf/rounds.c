/* Rounds: every cell once in each, in turn; then which runs count; then more rounds for groups that lost too many. */
#include "tools/perf/rounds.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "tools/perf/judge.h"

struct progress {
    bool shown;
    size_t done, total;
};

static void show_progress(const struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%zu of %zu runs ", progress->done, progress->total);
}

static void hide_progress(const struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%30s\r", "");
}

static int run_cell(struct perf_session *session, struct perf_control *control, struct perf_cell *cell, unsigned round,
                    const struct progress *progress)
{
    const struct perf_task *task = &cell->task;
    struct perf_run *run = &cell->runs[cell->run_count];
    char *error = NULL;

    run->round = round;
    if (perf_run_once(session, control, task, run, &error) != 0) {
        hide_progress(progress);
        fprintf(stderr, "%s: %s, %s, %s, messages of %zu bytes: %s\n", program_invocation_short_name,
                task->transport->name, perf_kind_names[task->kind], perf_mode_names[cell->mode], task->shape.size,
                error == NULL ? "out of memory" : error);
        talloc_free(error);
        return -1;
    }
    cell->run_count++;
    session->runs_made++;
    return 0;
}

static bool has_lost_half(const struct perf_session *session, const struct perf_cell *cell)
{
    size_t kept = 0;

    for (size_t i = 0; i < cell->run_count; i++)
        kept += cell->runs[i].verdict == PERF_KEPT;
    return 2 * kept < session->options->rounds;
}

/* Marks the groups that have a cell with too few runs; how many cells these groups have. */
static size_t find_poor_groups(const struct perf_session *session, bool *ret_poor)
{
    size_t cells = 0;

    for (size_t i = 0; i < session->cell_count; i++)
        ret_poor[i] = false;
    for (size_t i = 0; i < session->cell_count; i++) {
        if (has_lost_half(session, &session->cells[i]))
            ret_poor[session->cells[i].group] = true;
    }
    for (size_t i = 0; i < session->cell_count; i++)
        cells += ret_poor[session->cells[i].group];
    return cells;
}

/* A round over the groups that are chosen, or over all if chosen is NULL. */
static int run_round(struct perf_session *session, struct perf_control *control, unsigned round, const bool *chosen,
                     struct progress *progress)
{
    for (size_t i = 0; i < session->cell_count; i++) {
        struct perf_cell *cell = &session->cells[i];

        if (chosen != NULL && !chosen[cell->group])
            continue;
        show_progress(progress);
        if (run_cell(session, control, cell, round, progress) != 0)
            return -1;
        progress->done++;
    }
    return 0;
}

static int run_rounds(struct perf_session *session, struct perf_control *control, struct progress *progress)
{
    const struct perf_options *options = session->options;
    bool *poor = talloc_zero_array(session, bool, session->cell_count + 1);
    int result = poor == NULL ? -1 : 0;

    for (unsigned round = 0; result == 0 && round < options->rounds; round++)
        result = run_round(session, control, round, NULL, progress);
    if (result == 0)
        result = perf_judge(session);
    for (unsigned extra = 0; result == 0 && extra < options->extra; extra++) {
        size_t cells = find_poor_groups(session, poor);

        if (cells == 0)
            break;
        progress->total += cells;
        result = run_round(session, control, options->rounds + extra, poor, progress);
        if (result == 0)
            result = perf_judge(session);
    }
    if (result == 0)
        perf_judge_mildly(session);
    talloc_free(poor);
    return result;
}

int perf_rounds_run(struct perf_session *session)
{
    struct progress progress = {
        .shown = isatty(STDERR_FILENO),
        .total = (size_t)session->cell_count * session->options->rounds,
    };
    struct perf_control *control = perf_run_prepare(session);
    uint64_t start = perf_now_ns();
    int result;

    if (control == NULL) {
        fprintf(stderr, "%s: shared memory: %s\n", program_invocation_short_name, strerror(errno));
        return -1;
    }
    result = run_rounds(session, control, &progress);
    hide_progress(&progress);
    session->took_s = (double)(perf_now_ns() - start) / (double)PERF_NS_PER_S;
    return result;
}
