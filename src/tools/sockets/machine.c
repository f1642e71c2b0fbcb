#include "tools/sockets/machine.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic.h"

#define EXCHANGES 4000
#define COUNTED 3000

double machine_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void machine_pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

_Noreturn void machine_fail(const char *what)
{
    fprintf(stderr, "hqq-perf-sockets: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct {
    _Alignas(HQQ_CACHE_LINE) hqq_atomic_u64 there;
    _Alignas(HQQ_CACHE_LINE) hqq_atomic_u64 back;
} lines;

static void *answer(void *none)
{
    machine_pin(1);
    for (uint64_t i = 1; i <= EXCHANGES; i++) {
        while (hqq_load_acquire(&lines.there) != i)
            hqq_cpu_pause();
        hqq_store_release(&lines.back, i);
    }
    return none;
}

double machine_ping_pong_ns(void)
{
    pthread_t thread;
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    hqq_store_relaxed(&lines.there, 0);
    hqq_store_relaxed(&lines.back, 0);
    machine_pin(0);
    if (pthread_create(&thread, NULL, answer, NULL) != 0)
        machine_fail("pthread_create");
    double began = 0;
    for (uint64_t i = 1; i <= EXCHANGES; i++) {
        if (i == EXCHANGES - COUNTED)
            began = machine_now_ns();
        hqq_store_release(&lines.there, i);
        while (hqq_load_acquire(&lines.back) != i)
            hqq_cpu_pause();
    }
    double each = (machine_now_ns() - began) / (double)COUNTED;
    pthread_join(thread, NULL);
    sched_setaffinity(0, sizeof(before), &before);
    return each;
}
