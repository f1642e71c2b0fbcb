#include "runtime/started.h"

#include <errno.h>
#include <pthread.h>

hqq_atomic_u32 hqq_started;

static pthread_once_t once = PTHREAD_ONCE_INIT;

bool hqq_start_slow(void)
{
    int saved = errno;
    pthread_once(&once, hqq_start_begin);
    errno = saved;
    return hqq_load32_acquire(&hqq_started) == HQQ_STARTED;
}

static void nothing(void)
{
}

void hqq_start_skip(void)
{
    pthread_once(&once, nothing);
}
