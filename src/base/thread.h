/*
 * A small number for each thread of the process, given out at its first call and never again: an index into shards
 * that one thread writes alone. Async-signal-safe; no allocation.
 */
#ifndef HQQ_BASE_THREAD_H
#define HQQ_BASE_THREAD_H

#include <stdint.h>

extern __thread uint32_t hqq_thread_number __attribute__((tls_model("initial-exec"))); /* 0: none yet */

uint32_t hqq_thread_number_assign(void);

/* From 1 up. */
static inline uint32_t hqq_thread_self(void)
{
    uint32_t number = hqq_thread_number;
    return __builtin_expect(number != 0, 1) ? number : hqq_thread_number_assign();
}

#endif
