#include "advanced/rate.h"

#include <hqq/link.h>

#include "platform/clock.h"

static uint64_t span_ns(const struct hqq_rate *rate, uint64_t bytes)
{
    double ns = (double)bytes * (double)HQQ_NS_PER_S / (double)rate->bytes_per_second;
    return ns < (double)INT64_MAX ? (uint64_t)ns : HQQ_FOREVER;
}

void hqq_rate_set(struct hqq_rate *rate, uint64_t bytes_per_second, uint64_t burst)
{
    *rate = (struct hqq_rate){.bytes_per_second = bytes_per_second, .burst = burst};
}

/* It may be overdrawn when at least one byte of the burst is left: the bucket lacks less than the burst. */
uint64_t hqq_rate_ready_ns(const struct hqq_rate *rate)
{
    if (rate->bytes_per_second == 0)
        return 0;
    uint64_t burst_ns = span_ns(rate, rate->burst);
    return rate->even_ns > burst_ns ? rate->even_ns - burst_ns : 0;
}

void hqq_rate_take(struct hqq_rate *rate, uint64_t bytes, uint64_t now_ns)
{
    if (rate->bytes_per_second == 0)
        return;
    uint64_t from = rate->even_ns > now_ns ? rate->even_ns : now_ns;
    rate->even_ns = hqq_deadline_after(from, span_ns(rate, bytes));
}
