/*
 * What the two processes of a run share beside the transport they measure: the lines of the bare ping-pong, the steps
 * at which they meet, and what each found. Mapped once before the first fork, so that the ping-pong uses the same two
 * lines of memory in every run.
 *
 * The driver is the process the user started; it counts the time and begins every exchange. The peer is its child.
 */
#ifndef HQQ_PERF_CONTROL_H
#define HQQ_PERF_CONTROL_H

#include <hqq/link.h>

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "tools/perf/clock.h"

enum perf_side { PERF_DRIVER = 0, PERF_PEER = 1 };

/* Results beside 0, -errno and enum hqq_error. */
#define PERF_ERROR_MISMATCH (-EBADMSG)    /* a message that is not the one that was due */
#define PERF_ERROR_STALLED (-ETIMEDOUT)   /* nothing happened until the deadline */
#define PERF_ERROR_PEER_GONE (-ECANCELED) /* the other process gave up */

/* Two lines: processors that fetch lines in pairs must not make one of two neighbours. */
#define PERF_APART (2 * HQQ_CACHE_LINE)

#define PERF_MAX_SAMPLES 65536

/* What one side did between the two calibrations of a run. Times in nanoseconds. */
struct perf_side_result {
    uint64_t messages;     /* timed: round trips, or messages of a stream */
    uint64_t elapsed_ns;   /* the time they took; 0 on the side that does not measure it */
    double before_ns;      /* driver: a bare round trip just before */
    double after_ns;       /* driver: the same just after */
    uint64_t all_messages; /* including those before and after the timed ones */
    uint64_t cpu_ns;       /* processor time for all of them */
    uint64_t wall_ns;      /* from the first of them to the last */
    uint64_t delay_ns;     /* of that, ready to run while another process had the processor */
    uint64_t samples;      /* driver: how many of control->samples were taken */
    double own;            /* a figure of the transport's own */
    bool has_link;
    struct hqq_link_stats link; /* has_link: of all_messages */
};

struct perf_control {
    _Alignas(PERF_APART) hqq_atomic_u64 ping; /* written by the driver */
    _Alignas(PERF_APART) hqq_atomic_u64 pong; /* written by the peer */
    struct {
        _Alignas(PERF_APART) hqq_atomic_u64 steps;
    } arrived[2];                             /* by enum perf_side: how many meetings it has come to */
    _Alignas(PERF_APART) hqq_atomic_u32 gone; /* a side has given up, or the peer's process ended */
    struct perf_side_result result[2];
    char failure[2][160];
    uint32_t samples[PERF_MAX_SAMPLES]; /* the driver's; here because shared pages are not copied after a fork */
};

/*
 * Waits until *word is at least value, and gives what it was. yields: both processes are on one processor, so let the
 * other one run. The release that the acquire pairs with is the store of the other side's count.
 * 0, PERF_ERROR_STALLED, PERF_ERROR_PEER_GONE.
 */
static inline __attribute__((always_inline)) int perf_await(struct perf_control *control, const hqq_atomic_u64 *word,
                                                            uint64_t value, bool yields, uint64_t deadline_ns,
                                                            uint64_t *ret_value)
{
    enum { LOOKS = 4096 };
    bool gone = false;

    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            uint64_t now = hqq_load_acquire(word);

            if (now >= value) {
                *ret_value = now;
                return 0;
            }
            if (yields)
                sched_yield();
        }
        /* Who goes stores its last count before: so look once more after having seen it gone. */
        if (gone)
            return PERF_ERROR_PEER_GONE;
        gone = hqq_load32_relaxed(&control->gone) != 0;
        if (perf_now_ns() > deadline_ns)
            return PERF_ERROR_STALLED;
    }
}

#endif
