/*
 * The beginning: what is done once, before the first call that matters. What that is the layer on top says.
 */
#ifndef HQQ_RUNTIME_STARTED_H
#define HQQ_RUNTIME_STARTED_H

#include <stdbool.h>

#include "base/atomic.h"

enum hqq_started {
    HQQ_NOT_STARTED,
    HQQ_STARTED,
    HQQ_ENDED, /* the process is on its way out */
};

extern hqq_atomic_u32 hqq_started;

/* Without a preload: configuration is read and forks are watched, at the first hqq_ call. Not defined here but by the
 * layer on top (socket/init.c), as all layers begin; it sets hqq_started. */
void hqq_start_begin(void);

bool hqq_start_slow(void);

/* From now on hqq_start_begin() is not called any more: somebody else begins. */
void hqq_start_skip(void);

/* True if sockets may be served. */
static inline bool hqq_start(void)
{
    uint32_t started = hqq_load32_acquire(&hqq_started);
    return __builtin_expect(started == HQQ_STARTED, 1) || (started == HQQ_NOT_STARTED && hqq_start_slow());
}

#endif
