/*
 * A token bucket: so many bytes a second, so many at once. Whoever sends may overdraw it by one chunk, and then waits
 * until it is even again. Not thread-safe; the caller says what time it is.
 */
#ifndef HQQ_ADVANCED_RATE_H
#define HQQ_ADVANCED_RATE_H

#include <stdint.h>

struct hqq_rate {
    uint64_t bytes_per_second; /* 0: no limit */
    uint64_t burst;
    uint64_t even_ns; /* when the bucket is full again; what is missing is the time until then */
};

/* From now on; the bucket is full. */
void hqq_rate_set(struct hqq_rate *rate, uint64_t bytes_per_second, uint64_t burst);

/* When something may be sent: now or earlier if it may at once. */
uint64_t hqq_rate_ready_ns(const struct hqq_rate *rate);

/* Something was sent. */
void hqq_rate_take(struct hqq_rate *rate, uint64_t bytes, uint64_t now_ns);

#endif
