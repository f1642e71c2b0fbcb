#include "tools/sockets/judge.h"

#include <math.h>

#include "tools/sockets/options.h"

/* Fewer pairs than these say little. */
#define PAIRS_NEEDED 15

#define BEYOND 0.05 /* what the median may be, of the bound */

/* ---- Bounds ---------------------------------------------------------------------------------------------------- */

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"", "met", "not met"};
    return names[verdict];
}

enum verdict judge_bound(const struct perf_spread *value, double bound, bool is_least)
{
    bool is_met;
    if (bound == 0 || value->count == 0)
        return VERDICT_NONE;
    if (is_least)
        is_met = value->p90 >= bound && value->median >= bound * (1 - BEYOND);
    else
        is_met = value->p10 <= bound && value->median <= bound * (1 + BEYOND);
    return is_met ? VERDICT_MET : VERDICT_NOT_MET;
}

/* ---- Lines ----------------------------------------------------------------------------------------------------- */

/* What a line compares, of one pair; NaN if it has nothing. */
static double value_of(const struct row_line *line, double plain, double preloaded, double beside)
{
    switch (line->comparison) {
    case ROW_COST:
        return plain > 0 ? preloaded / plain : (double)NAN;
    case ROW_GAIN:
        if (!(plain > 0 && preloaded > 0))
            return (double)NAN;
        return line->is_rate ? preloaded / plain : plain / preloaded;
    case ROW_BESIDE:
        return beside > 0 ? preloaded / beside : (double)NAN;
    case ROW_MORE:
        return preloaded - plain;
    default:
        return preloaded;
    }
}

/* 0 pairs make spreads of NaN. */
struct judged judge_line(const struct measured *measured, const struct row_line *line)
{
    static double plain[2 * OPTIONS_MAX_PAIRS], preloaded[2 * OPTIONS_MAX_PAIRS], beside[2 * OPTIONS_MAX_PAIRS],
        value[2 * OPTIONS_MAX_PAIRS];
    struct judged judged;
    size_t count = 0;
    for (size_t i = 0; i < measured->made; i++) {
        const struct pair *pair = &measured->pairs[i];
        if (!pair->is_kept)
            continue;
        plain[count] = pair->plain.figures[line->figure] / line->unit;
        preloaded[count] = pair->preloaded.figures[line->figure] / line->unit;
        beside[count] = pair->beside_ns / line->unit;
        value[count] = value_of(line, plain[count], preloaded[count], beside[count]);
        if (!isnan(value[count]))
            count++;
    }
    judged.plain = perf_spread_of(plain, count);
    judged.preloaded = perf_spread_of(preloaded, count);
    judged.beside = perf_spread_of(beside, count);
    judged.value = perf_spread_of(value, count);
    judged.verdict = judge_bound(&judged.value, line->bound, line->comparison == ROW_GAIN);
    judged.is_doubtful = count < PAIRS_NEEDED || measured->keeps_all;
    return judged;
}

/* ---- Curves ---------------------------------------------------------------------------------------------------- */

static double usual(const struct scene_result *result)
{
    double values[SCENE_CURVE_MS];
    size_t count = 0;
    for (size_t i = 0; i < SCENE_CURVE_MS; i++) {
        if (result->curve[i] > 0)
            values[count++] = result->curve[i];
    }
    return perf_spread_of(values, count).median;
}

void judge_curve(struct pair *pair)
{
    double limit = usual(&pair->plain) / 2;
    size_t under = 0, found = SCENE_CURVE_MS;
    for (size_t i = SCENE_CURVE_MS; i-- > 0;) {
        bool is_under = pair->preloaded.curve[i] > 0 && pair->preloaded.curve[i] < limit;
        under += is_under;
        if (is_under && 4 * under >= 3 * (SCENE_CURVE_MS - i))
            found = i;
    }
    pair->plain.figures[SCENE_EACH] = 0;
    pair->preloaded.figures[SCENE_EACH] = (double)found;
}

double judge_curve_part(const struct measured *measured, bool is_preloaded, size_t from_ms, size_t to_ms)
{
    static double means[2 * OPTIONS_MAX_PAIRS];
    size_t count = 0;
    for (size_t i = 0; i < measured->made; i++) {
        const struct pair *pair = &measured->pairs[i];
        const struct scene_result *result = is_preloaded ? &pair->preloaded : &pair->plain;
        double sum = 0;
        size_t parts = 0;
        for (size_t j = from_ms; j < to_ms; j++) {
            sum += result->curve[j];
            parts += result->curve[j] > 0;
        }
        if (pair->is_kept && parts != 0)
            means[count++] = sum / (double)parts;
    }
    return perf_spread_of(means, count).median;
}

double judge_others(const struct measured *measured)
{
    static double others[2 * OPTIONS_MAX_PAIRS];
    for (size_t i = 0; i < measured->made; i++)
        others[i] = measured->pairs[i].others;
    return perf_spread_of(others, measured->made).median;
}
