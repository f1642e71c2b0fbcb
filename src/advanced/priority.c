/* Priorities and rates, as the program sets them. */
#include "advanced/enter.h"
#include "advanced/output.h"
#include "advanced/schedule.h"
#include "advanced/wake.h"

/* Room for 10 ms is what a burst is unless told otherwise. */
#define BURSTS_PER_SECOND 100

static int set_priority(struct hqq_advanced *advanced, struct hqq_connection *on, enum hqq_priority priority)
{
    if ((unsigned)priority >= HQQ_PRIORITIES)
        return HQQ_ERROR_INVALID_OP;
    hqq_schedule_remove(advanced, on);
    on->priority = priority;
    hqq_schedule_ready(advanced, on);
    return 0;
}

int hqq_connection_set_priority(struct hqq_connection *connection, enum hqq_priority priority)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, set_priority(advanced, connection, priority));
}

int hqq_advanced_set_priority(struct hqq_advanced *advanced, enum hqq_priority priority)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, set_priority(advanced, advanced->ground, priority));
}

static int set_rate(struct hqq_advanced *advanced, struct hqq_rate *rate, uint64_t bytes_per_second, uint64_t burst)
{
    uint64_t slot = advanced->link->tx.buffer_size;
    if (bytes_per_second > HQQ_WIRE_MAX || burst > HQQ_WIRE_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    if (burst == 0)
        burst = bytes_per_second / BURSTS_PER_SECOND;
    hqq_rate_set(rate, bytes_per_second, burst > slot ? burst : slot);
    advanced->has_rates = true;
    hqq_output_push(advanced);
    hqq_advanced_wake_all(advanced); /* who waits for the old rate waits too long */
    return 0;
}

int hqq_connection_set_rate(struct hqq_connection *connection, uint64_t bytes_per_second, uint64_t burst)
{
    struct hqq_advanced *advanced = connection->advanced;
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, set_rate(advanced, &connection->rate, bytes_per_second, burst));
}

int hqq_advanced_set_rate(struct hqq_advanced *advanced, uint64_t bytes_per_second, uint64_t burst)
{
    int result = hqq_advanced_begin(advanced);
    if (result != 0)
        return result;
    return hqq_advanced_end(advanced, set_rate(advanced, &advanced->rate, bytes_per_second, burst));
}
