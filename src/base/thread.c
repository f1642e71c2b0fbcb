#include "base/thread.h"

#include "base/atomic.h"

__thread uint32_t hqq_thread_number __attribute__((tls_model("initial-exec")));

uint32_t hqq_thread_number_assign(void)
{
    static hqq_atomic_u32 given;
    uint32_t number = hqq_add32_relaxed(&given, 1) + 1;
    /* A signal handler may have been faster in this very thread; its number stands, this one is never used. */
    if (hqq_thread_number == 0)
        hqq_thread_number = number;
    return hqq_thread_number;
}
