/*
 * How many signal handlers have begun on this thread. A call that spins before it sleeps compares: a handler that ran
 * in between must end the call, as it would end the kernel's. The preload counts (by a trampoline in sigaction() and its
 * like); without it, and for handlers that were installed where no hook sees it, the numbers stand still.
 *
 * Written by the thread's own handlers only, but these may interrupt one another: additions are atomic.
 */
#ifndef HQQ_RUNTIME_HANDLERS_H
#define HQQ_RUNTIME_HANDLERS_H

#include <stdbool.h>

#include "base/atomic.h"

extern __thread hqq_atomic_u32 hqq_handlers_run __attribute__((tls_model("initial-exec")));
/* Of these, those that were installed without SA_RESTART: they end every call that waits. */
extern __thread hqq_atomic_u32 hqq_handlers_interrupting __attribute__((tls_model("initial-exec")));

/* A handler begins. Async-signal-safe. */
static inline void hqq_handlers_count(bool is_interrupting)
{
    hqq_add32_relaxed(&hqq_handlers_run, 1);
    if (is_interrupting)
        hqq_add32_relaxed(&hqq_handlers_interrupting, 1);
}

#endif
