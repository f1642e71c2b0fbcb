/* The bare ping-pong, as the calibration around every run and as a transport of its own. */
#include "tools/perf/pingpong.h"

#include "tools/perf/transport.h"

/* A line holds twice the count, so that it grows also where a stop was the last thing on it; odd: answer and stop. */
#define BEAT 2u
#define STOP 1u

/* The clock is read once in so many. */
enum { SLICE_TRIPS = 128 };

/* Waits without pausing the processor: a pause would be measured. */
static inline __attribute__((always_inline)) int exchange(struct perf_end *end, uint64_t count, bool stop, bool yields)
{
    struct perf_control *control = end->control;

    for (uint64_t left = count; left > 0; left--) {
        uint64_t answer;
        int result;

        end->beats += BEAT;
        hqq_store_release(&control->ping, end->beats | (stop && left == 1 ? STOP : 0));
        result = perf_await(control, &control->pong, end->beats, yields, end->deadline_ns, &answer);
        if (result != 0)
            return result;
    }
    return 0;
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return end->shape->yields ? exchange(end, count, last, true) : exchange(end, count, last, false);
}

static inline __attribute__((always_inline)) int answer(struct perf_end *end, bool yields)
{
    struct perf_control *control = end->control;
    uint64_t beat = 0;

    while ((beat & STOP) == 0) {
        int result;

        end->beats += BEAT;
        result = perf_await(control, &control->ping, end->beats, yields, end->deadline_ns, &beat);
        if (result != 0)
            return result;
        hqq_store_release(&control->pong, end->beats);
    }
    return 0;
}

static int pong(struct perf_end *end)
{
    return end->shape->yields ? answer(end, true) : answer(end, false);
}

int perf_calibrate(struct perf_end *end, uint64_t duration_ns, double *ret_ns)
{
    uint64_t start = perf_now_ns();
    uint64_t elapsed;
    uint64_t trips = 0;
    int result;

    do {
        result = ping(end, SLICE_TRIPS, false);
        if (result != 0)
            return result;
        trips += SLICE_TRIPS;
        elapsed = perf_now_ns() - start;
    } while (elapsed < duration_ns);
    *ret_ns = (double)elapsed / (double)trips;
    return ping(end, 1, true);
}

int perf_calibrate_answer(struct perf_end *end)
{
    return pong(end);
}

const struct perf_transport perf_pingpong = {
    .name = "pingpong",
    .modes = PERF_BIT(PERF_SPIN),
    .any_size = true,
    .ping = ping,
    .pong = pong,
};
