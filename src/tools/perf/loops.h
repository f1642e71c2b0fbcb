/*
 * The four loops of a run, for transports that move one message a call. put sends the message of a number, take
 * receives one and gives its number; both are constants where these are used, so that they are inlined and no call of
 * ours is measured. Results are 0, PERF_ERROR_*, -errno or enum hqq_error.
 */
#ifndef HQQ_PERF_LOOPS_H
#define HQQ_PERF_LOOPS_H

#include "tools/perf/message.h"

#define PERF_LOOP static inline __attribute__((always_inline)) int

typedef int perf_put_fn(struct perf_end *end, uint64_t head);
typedef int perf_take_fn(struct perf_end *end, uint64_t *ret_head);

/* The driver of round trips: count times there and back. last marks the final one. */
PERF_LOOP perf_loop_ping(struct perf_end *end, uint64_t count, bool last, perf_put_fn *put, perf_take_fn *take)
{
    for (uint64_t left = count; left > 0; left--) {
        uint64_t head = end->next | (last && left == 1 ? PERF_LAST : 0);
        uint64_t answer;
        int result = put(end, head);

        if (result == 0)
            result = take(end, &answer);
        if (result == 0)
            result = perf_accept(end, answer);
        if (result != 0)
            return result;
    }
    return 0;
}

/* The peer of round trips: sends each message back, up to and including the last. */
PERF_LOOP perf_loop_pong(struct perf_end *end, perf_put_fn *put, perf_take_fn *take)
{
    uint64_t head = 0;

    while ((head & PERF_LAST) == 0) {
        int result = take(end, &head);

        if (result == 0)
            result = perf_accept(end, head);
        if (result == 0)
            result = put(end, head);
        if (result != 0)
            return result;
    }
    return 0;
}

/* The driver of a stream. */
PERF_LOOP perf_loop_send(struct perf_end *end, uint64_t count, bool last, perf_put_fn *put)
{
    for (uint64_t left = count; left > 0; left--) {
        int result = put(end, end->next | (last && left == 1 ? PERF_LAST : 0));

        if (result != 0)
            return result;
        end->next++;
    }
    return 0;
}

/* The peer of a stream: count messages, or fewer if the last is among them. */
PERF_LOOP perf_loop_receive(struct perf_end *end, uint64_t count, perf_take_fn *take)
{
    uint64_t head = 0;

    for (uint64_t left = count; left > 0 && (head & PERF_LAST) == 0; left--) {
        int result = take(end, &head);

        if (result == 0)
            result = perf_accept(end, head);
        if (result != 0)
            return result;
    }
    return 0;
}

#endif
