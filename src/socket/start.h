/*
 * The beginning: configuration is read and forks are watched, once, before the first call that matters.
 */
#ifndef HQQ_SOCKET_START_H
#define HQQ_SOCKET_START_H

#include <stdbool.h>

#include "base/atomic.h"

enum hqq_started {
    HQQ_NOT_STARTED,
    HQQ_STARTED,
    HQQ_ENDED, /* the process is on its way out */
};

extern hqq_atomic_u32 hqq_started;

bool hqq_start_slow(void);

/* True if sockets may be served. */
static inline bool hqq_start(void)
{
    uint32_t started = hqq_load32_acquire(&hqq_started);
    return __builtin_expect(started == HQQ_STARTED, 1) || (started == HQQ_NOT_STARTED && hqq_start_slow());
}

#endif
