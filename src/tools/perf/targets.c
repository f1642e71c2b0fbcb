/* The targets, one function each for what they measure. */
#include "tools/perf/targets.h"

#include <math.h>

#include "tools/perf/summary.h"

enum { SMALL = 64, LARGE = 65536 };

static const struct perf_target targets[PERF_TARGETS] = {
    {"round trip of 64 bytes, hqq", "x ping-pong", true, 1.5, 0},
    {"stream of 64 bytes, hqq", "Mmsg/s", false, 25, 0},
    {"stream of 64 bytes, hqq-batch", "x hqq", false, 1.2, 0},
    {"stream of 64 bytes, hqq-batch", "ns", true, 17, 0},
    {"stream of 64 KiB, hqq", "x memcpy", false, 0.8, 0},
    {"stream of 64 KiB, hqq", "x memcpy-pair", false, 0.8, 0},
    {"round trip, hqq-zerocopy, slowest size", "x fastest", true, 1.25, 0},
    {"stream, hqq-zerocopy, slowest size", "x fastest", true, 1.25, 0},
};

static int small_round_trip(const struct perf_session *session, double *ret_ratio)
{
    const struct perf_cell *cell = perf_find_cell(session, &perf_hqq, PERF_ROUND_TRIP, PERF_SPIN, SMALL);
    struct perf_summary summary;

    if (cell == NULL)
        return 0;
    if (perf_summarize(session, cell, &summary) != 0)
        return -1;
    *ret_ratio = summary.vs_ping.median;
    return 0;
}

static int small_stream(const struct perf_session *session, double *ret_million)
{
    const struct perf_cell *cell = perf_find_cell(session, &perf_hqq, PERF_STREAM, PERF_SPIN, SMALL);
    struct perf_summary summary;

    if (cell == NULL)
        return 0;
    if (perf_summarize(session, cell, &summary) != 0)
        return -1;
    *ret_million = summary.messages_per_s / 1e6;
    return 0;
}

static int small_batches(const struct perf_session *session, double *ret_ns)
{
    const struct perf_cell *cell = perf_find_cell(session, &perf_hqq_batch, PERF_STREAM, PERF_SPIN, SMALL);
    struct perf_summary summary;

    if (cell == NULL)
        return 0;
    if (perf_summarize(session, cell, &summary) != 0)
        return -1;
    *ret_ns = summary.ns.median;
    return 0;
}

static int compare(const struct perf_session *session, const struct perf_transport *transport,
                   const struct perf_transport *other, size_t size, double *ret_ratio)
{
    const struct perf_cell *cell = perf_find_cell(session, transport, PERF_STREAM, PERF_SPIN, size);
    const struct perf_cell *base = perf_find_cell(session, other, PERF_STREAM, PERF_SPIN, size);
    struct perf_spread spread;

    if (cell == NULL || base == NULL)
        return 0;
    if (perf_compare(cell, base, &spread) != 0)
        return -1;
    *ret_ratio = spread.median;
    return 0;
}

static int flatness(const struct perf_session *session, enum perf_kind kind, double *ret_ratio)
{
    double fastest = (double)INFINITY;
    double slowest = 0;

    if (session->options->size_count < 2)
        return 0;
    for (size_t i = 0; i < session->options->size_count; i++) {
        const struct perf_cell *cell =
            perf_find_cell(session, &perf_hqq_zerocopy, kind, PERF_SPIN, session->options->sizes[i]);
        struct perf_summary summary;

        if (cell == NULL)
            return 0;
        if (perf_summarize(session, cell, &summary) != 0)
            return -1;
        if (summary.kept == 0)
            return 0;
        fastest = fmin(fastest, summary.ns.median);
        slowest = fmax(slowest, summary.ns.median);
    }
    *ret_ratio = slowest / fastest;
    return 0;
}

int perf_targets_measure(const struct perf_session *session, struct perf_target ret_targets[PERF_TARGETS])
{
    int result = 0;

    for (int i = 0; i < PERF_TARGETS; i++) {
        ret_targets[i] = targets[i];
        ret_targets[i].measured = (double)NAN;
    }
    if (session->shares_cpu)
        return 0;
    result |= small_round_trip(session, &ret_targets[0].measured);
    result |= small_stream(session, &ret_targets[1].measured);
    result |= compare(session, &perf_hqq_batch, &perf_hqq, SMALL, &ret_targets[2].measured);
    result |= small_batches(session, &ret_targets[3].measured);
    result |= compare(session, &perf_hqq, &perf_memcpy, LARGE, &ret_targets[4].measured);
    result |= compare(session, &perf_hqq, &perf_memcpy_pair, LARGE, &ret_targets[5].measured);
    result |= flatness(session, PERF_ROUND_TRIP, &ret_targets[6].measured);
    result |= flatness(session, PERF_STREAM, &ret_targets[7].measured);
    return result;
}

const char *perf_target_verdict(const struct perf_target *target)
{
    if (isnan(target->measured))
        return "not measured";
    if (target->at_most)
        return target->measured <= target->goal ? "met" : "not met";
    return target->measured >= target->goal ? "met" : "not met";
}
