#include "tools/sockets/measure.h"

#include <stdlib.h>
#include <string.h>

#include "tools/perf/statistics.h"
#include "tools/sockets/judge.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/run.h"

#define FIRST_PINGS 51
#define FIRST_PINGS_QUICK 5
#define LINK_PREFIX "link-"

/* So many times as many pairs are made, at most, to have those that were asked for; and if fewer than one in so many
 * of these is kept, all are. */
#define TRIES 2
#define FEWEST_KEPT 4

/* Of many a good one, but not the very best: that may have been made while the two processors were one core's. */
#define BEST_QUANTILE 0.1

/* ---- The state of the machine ---------------------------------------------------------------------------------- */

static double note_ping(struct quiet *quiet)
{
    return quiet->pings[quiet->count++] = machine_ping_pong_ns();
}

static void find_best(struct quiet *quiet)
{
    perf_sort(quiet->pings, quiet->count);
    quiet->best = perf_quantile(quiet->pings, quiet->count, BEST_QUANTILE);
}

void measure_quiet(struct quiet *quiet, const struct options *options, size_t row_count_to_come)
{
    size_t most = FIRST_PINGS + row_count_to_come * TRIES * (size_t)options->pairs * (MEASURE_RUNS + 1);
    *quiet = (struct quiet){.pings = calloc(most, sizeof(double))};
    if (!quiet->pings)
        machine_fail("calloc");
    for (size_t i = 0; i < (options->quick ? FIRST_PINGS_QUICK : FIRST_PINGS); i++)
        note_ping(quiet);
    find_best(quiet);
}

/* Sets which pairs are kept, and how many. */
static void set_verdicts(struct measured *measured, const struct quiet *quiet, const struct options *options)
{
    measured->kept = 0;
    for (size_t i = 0; i < measured->made; i++) {
        struct pair *pair = &measured->pairs[i];
        pair->is_kept = pair->others <= options->others;
        for (size_t j = 0; j <= MEASURE_RUNS; j++)
            pair->is_kept &= pair->pings[j] <= options->tolerance * quiet->best;
        measured->kept += pair->is_kept;
    }
}

static void keep_all_if_few(struct measured *measured)
{
    if (FEWEST_KEPT * measured->kept >= measured->made)
        return;
    measured->keeps_all = true;
    measured->kept = measured->made;
    for (size_t i = 0; i < measured->made; i++)
        measured->pairs[i].is_kept = true;
}

/* ---- Runs ------------------------------------------------------------------------------------------------------ */

bool measure_is_beside_link(const struct row *row)
{
    return row->beside && strncmp(row->beside, LINK_PREFIX, strlen(LINK_PREFIX)) == 0;
}

static bool run_beside(const struct options *options, const struct row *row, double *ret_ns)
{
    struct scene_result result;
    if (measure_is_beside_link(row))
        return run_link(options, row->beside + strlen(LINK_PREFIX), row->scene.bytes, ret_ns);
    if (!run_row(options, row_find(row->beside), true, &result))
        return false;
    *ret_ns = result.figures[SCENE_EACH];
    return true;
}

static bool run_which(const struct options *options, const struct row *row, size_t which, struct pair *pair)
{
    if (which == 0)
        return run_row(options, row, false, &pair->plain);
    if (which == 1)
        return run_row(options, row, true, &pair->preloaded);
    return run_beside(options, row, &pair->beside_ns);
}

/* number: the first to run is another one in each. */
static bool make_pair(const struct options *options, const struct measured *measured, size_t number,
                      struct quiet *quiet, struct pair *ret_pair)
{
    size_t runs = measured->has_beside ? 3 : 2;
    struct machine_use before = machine_use_now(), after;
    *ret_pair = (struct pair){.pings[0] = note_ping(quiet)};
    for (size_t i = 0; i < runs; i++) {
        if (!run_which(options, measured->row, (number + i) % runs, ret_pair))
            return false;
        ret_pair->pings[i + 1] = note_ping(quiet);
    }
    after = machine_use_now();
    ret_pair->others = machine_share_of_others(&before, &after);
    if (measured->row->has_curve)
        judge_curve(ret_pair);
    return true;
}

struct measured measure_row(const struct options *options, const struct row *row, struct quiet *quiet)
{
    struct measured measured = {.row = row, .left_out = row_obstacle(row)};
    size_t pairs = (size_t)options->pairs, most = options->quick ? pairs : TRIES * pairs;
    measured.has_beside = row->beside && (!measure_is_beside_link(row) || run_has_link());
    if (measured.left_out)
        return measured;
    measured.pairs = calloc(most, sizeof(struct pair));
    if (!measured.pairs)
        machine_fail("calloc");
    while (measured.kept < pairs && measured.made < most) {
        if (!make_pair(options, &measured, measured.made, quiet, &measured.pairs[measured.made])) {
            measured.has_failed = true;
            break;
        }
        measured.made++;
        set_verdicts(&measured, quiet, options);
    }
    find_best(quiet);
    set_verdicts(&measured, quiet, options);
    keep_all_if_few(&measured);
    return measured;
}
