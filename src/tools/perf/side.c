/*
 * One side of a run, in step with the other: take the processor, open, meet, calibrate, exchange messages, calibrate
 * again, meet, close.
 */
#include "tools/perf/side.h"

#include <hqq/error.h>

#include <stdio.h>
#include <string.h>

#include "tools/perf/cpu.h"
#include "tools/perf/pingpong.h"

/* The clock is read once in so long a chunk of messages. */
#define CHUNK_NS (50 * PERF_NS_PER_US)

typedef int exchange_fn(struct perf_end *end, uint64_t count, bool last);

static exchange_fn *exchange_of(const struct perf_task *task)
{
    return task->kind == PERF_ROUND_TRIP ? task->transport->ping : task->transport->send;
}

/* Rings are filled twice before a stream is timed. Both sides must agree. */
static uint64_t stream_warm_up(const struct perf_task *task)
{
    return 2 * task->shape.slots;
}

/* Exchanges messages until there were count or the time has passed; how many there were. */
static int exchange_for(struct perf_end *end, const struct perf_task *task, uint64_t count, uint64_t duration_ns,
                        uint64_t *ret_count)
{
    uint64_t start = perf_now_ns();
    uint64_t before = start;
    uint64_t chunk = task->kind == PERF_ROUND_TRIP ? 1 : task->shape.batch;
    uint64_t done = 0;

    while (done < count && before - start < duration_ns) {
        uint64_t now;
        int result = exchange_of(task)(end, chunk, false);

        if (result != 0)
            return result;
        done += chunk;
        now = perf_now_ns();
        if (now - before < CHUNK_NS)
            chunk *= 2;
        before = now;
    }
    *ret_count = done;
    return 0;
}

/* Times single round trips, from one reading of the clock to the next. */
static int sample(struct perf_end *end, const struct perf_task *task, uint64_t duration_ns, uint64_t *ret_count)
{
    uint64_t start = perf_now_ns();
    uint64_t before = start;
    uint64_t count = 0;

    while (count < PERF_MAX_SAMPLES && before - start < duration_ns) {
        uint64_t now;
        int result = exchange_of(task)(end, 1, false);

        if (result != 0)
            return result;
        now = perf_now_ns();
        end->control->samples[count++] = now - before < UINT32_MAX ? (uint32_t)(now - before) : UINT32_MAX;
        before = now;
    }
    *ret_count = count;
    return 0;
}

static int drive(struct perf_end *end, const struct perf_task *task)
{
    struct perf_side_result *mine = &end->control->result[PERF_DRIVER];
    uint64_t warm_up = stream_warm_up(task);
    uint64_t start;
    int result;

    if (task->kind == PERF_ROUND_TRIP)
        result = exchange_for(end, task, task->shape.slots, task->duration_ns / 4, &warm_up);
    else
        result = exchange_of(task)(end, warm_up, false);
    start = perf_now_ns();
    if (result == 0)
        result = exchange_for(end, task, UINT64_MAX, task->duration_ns, &mine->messages);
    mine->elapsed_ns = perf_now_ns() - start;
    if (result == 0 && task->kind == PERF_ROUND_TRIP)
        result = sample(end, task, task->duration_ns / 4, &mine->samples);
    if (result == 0)
        result = exchange_of(task)(end, 1, true);
    mine->all_messages = warm_up + mine->messages + mine->samples + 1;
    return result;
}

/* A stream is timed where it arrives. */
static int follow(struct perf_end *end, const struct perf_task *task)
{
    struct perf_side_result *mine = &end->control->result[PERF_PEER];
    uint64_t start;
    int result;

    if (task->kind == PERF_ROUND_TRIP)
        return task->transport->pong(end);
    if (task->transport->receive == NULL)
        return 0;
    result = task->transport->receive(end, stream_warm_up(task));
    if (result != 0)
        return result;
    start = perf_now_ns();
    mine->messages = end->next;
    result = task->transport->receive(end, UINT64_MAX);
    mine->elapsed_ns = perf_now_ns() - start;
    mine->messages = end->next - mine->messages;
    return result;
}

static int calibrate(struct perf_end *end, const struct perf_task *task, double *ret_ns)
{
    return end->side == PERF_DRIVER ? perf_calibrate(end, task->bracket_ns, ret_ns) : perf_calibrate_answer(end);
}

static int exchange(struct perf_end *end, const struct perf_task *task)
{
    struct perf_side_result *mine = &end->control->result[end->side];
    uint64_t delay = perf_cpu_delay_ns();
    uint64_t cpu = perf_cpu_time_ns();
    uint64_t start = perf_now_ns();
    int result = end->side == PERF_DRIVER ? drive(end, task) : follow(end, task);

    mine->wall_ns = perf_now_ns() - start;
    mine->cpu_ns = perf_cpu_time_ns() - cpu;
    mine->delay_ns = perf_cpu_delay_ns() - delay;
    return result;
}

/* Memory for one message each way, and what the transport needs. */
static int open_end(struct perf_end *end, const struct perf_task *task)
{
    size_t size = task->shape.size;
    struct perf_pages *pages = perf_pages_create(end, 2 * size, PERF_PAGES_PRIVATE);

    if (pages == NULL)
        return -ENOMEM;
    end->out = pages->base;
    end->in = end->out + size;
    return task->transport->open == NULL ? 0 : task->transport->open(end);
}

/* A library that is asked while only one processor is allowed may find that spinning is useless. So an end is opened
 * with both processors allowed, which is what a program would see, and bound to its own afterwards. */
static int prepare(struct perf_end *end, const struct perf_task *task, const char **ret_step)
{
    int result;

    *ret_step = "binding to the processors";
    result = perf_cpu_bind(task->cpus[0], task->cpus[1]);
    if (result != 0)
        return result;
    *ret_step = "opening the transport";
    result = open_end(end, task);
    if (result != 0)
        return result;
    *ret_step = "binding to a processor";
    return perf_cpu_bind(task->cpus[end->side], task->cpus[end->side]);
}

static int run_steps(struct perf_end *end, const struct perf_task *task, const char **ret_step)
{
    struct perf_side_result *mine = &end->control->result[end->side];
    int result = prepare(end, task, ret_step);

    if (result != 0)
        return result;
    *ret_step = "calibrating before";
    result = perf_meet(end);
    if (result == 0)
        result = calibrate(end, task, &mine->before_ns);
    if (result != 0)
        return result;
    *ret_step = "exchanging messages";
    result = exchange(end, task);
    if (result != 0)
        return result;
    *ret_step = "calibrating after";
    result = calibrate(end, task, &mine->after_ns);
    return result == 0 ? perf_meet(end) : result;
}

static void describe_failure(struct perf_end *end, const char *step, int result)
{
    char *failure = end->control->failure[end->side];
    size_t size = sizeof(end->control->failure[end->side]);
    const char *who = end->side == PERF_DRIVER ? "driver" : "peer";

    if (result == PERF_ERROR_MISMATCH && end->is_damaged)
        snprintf(failure, size, "%s, %s: message %llu was due, a damaged one came", who, step,
                 (unsigned long long)end->next);
    else if (result == PERF_ERROR_MISMATCH)
        snprintf(failure, size, "%s, %s: message %llu was due, %llu came", who, step, (unsigned long long)end->next,
                 (unsigned long long)end->found);
    else if (result == PERF_ERROR_STALLED || result == HQQ_ERROR_TIMEOUT)
        snprintf(failure, size, "%s, %s: stalled; the time-out is %g s", who, step,
                 (double)end->shape->timeout_ns / (double)PERF_NS_PER_S);
    else if (result == PERF_ERROR_PEER_GONE)
        snprintf(failure, size, "%s, %s: the other process is gone", who, step);
    else
        snprintf(failure, size, "%s, %s: %s", who, step, result > 0 ? hqq_strerror(result) : strerror(-result));
}

int perf_side_run(struct perf_end *end, const struct perf_task *task)
{
    const char *step = "";
    int result = run_steps(end, task, &step);

    if (result != 0) {
        describe_failure(end, step, result);
        hqq_store32_relaxed(&end->control->gone, 1);
    }
    if (task->transport->close != NULL)
        task->transport->close(end);
    return result == 0 ? 0 : -1;
}
