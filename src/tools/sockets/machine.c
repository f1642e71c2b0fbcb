#include "tools/sockets/machine.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "tools/perf/clock.h"
#include "tools/perf/cpu.h"

#define EXCHANGES 4000
#define COUNTED 3000

static bool ends_group;

/* ---- Processors and limits ------------------------------------------------------------------------------------- */

/* Chosen once, as what is pinned may choose no more. Processes that exec inherit the choice by their arguments' order:
 * a side is started by one that is not pinned. */
static const int *processors(void)
{
    static int chosen[2];
    static bool is_chosen;
    if (!is_chosen) {
        perf_cpu_choose(chosen);
        is_chosen = true;
    }
    return chosen;
}

bool machine_has_two_processors(void)
{
    return processors()[0] != processors()[1];
}

void machine_pin(unsigned which)
{
    perf_cpu_bind(processors()[which], processors()[which]);
}

void machine_pin_to_both(void)
{
    perf_cpu_bind(processors()[0], processors()[1]);
}

int machine_become_fifo(void)
{
    const struct sched_param parameters = {.sched_priority = sched_get_priority_min(SCHED_FIFO)};
    return sched_setscheduler(0, SCHED_FIFO, &parameters) == 0 ? 0 : -errno;
}

bool machine_allows_descriptors(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    if (limit.rlim_cur >= count)
        return true;
    limit.rlim_cur = count;
    if (limit.rlim_max < count)
        limit.rlim_max = count; /* root may */
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

double machine_memory(const char *name)
{
    char line[128];
    double bytes = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, strlen(name)) == 0)
            bytes = strtod(line + strlen(name), NULL) * 1024;
    }
    if (file)
        fclose(file);
    return bytes;
}

/* ---- Who uses the processors ----------------------------------------------------------------------------------- */

/* Busy time of a line of /proc/stat, in ticks: user nice system (idle iowait) irq softirq steal. */
static double busy_ticks(char *fields)
{
    double busy = 0;
    for (unsigned i = 0; i < 8; i++) {
        double ticks = strtod(fields, &fields);
        busy += i == 3 || i == 4 ? 0 : ticks;
    }
    return busy;
}

static double own_ns(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

struct machine_use machine_use_now(void)
{
    struct machine_use use = {.own_ns = own_ns(RUSAGE_SELF) + own_ns(RUSAGE_CHILDREN),
                              .clock_ns = (double)perf_now_ns()};
    double tick_ns = 1e9 / (double)sysconf(_SC_CLK_TCK);
    char line[512], *fields;
    FILE *file = fopen("/proc/stat", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "cpu", 3) != 0 || line[3] == ' ')
            continue;
        long cpu = strtol(line + 3, &fields, 10);
        if (cpu == processors()[0] || cpu == processors()[1])
            use.all_ns += busy_ticks(fields) * tick_ns;
    }
    if (file)
        fclose(file);
    return use;
}

double machine_share_of_others(const struct machine_use *before, const struct machine_use *after)
{
    double others = (after->all_ns - before->all_ns) - (after->own_ns - before->own_ns);
    double share = others / (2 * (after->clock_ns - before->clock_ns));
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------ */

void machine_fail_as_group(void)
{
    ends_group = true;
}

_Noreturn void machine_fail(const char *what)
{
    if (errno != 0)
        fprintf(stderr, "hqq-perf-sockets: %s: %s\n", what, strerror(errno));
    else
        fprintf(stderr, "hqq-perf-sockets: %s\n", what);
    if (ends_group)
        kill(0, SIGKILL); /* the others would wait for this one until the run is given up */
    exit(1);
}

_Noreturn void machine_fail_plainly(const char *what)
{
    errno = 0;
    machine_fail(what);
}

/* ---- The bare cache line --------------------------------------------------------------------------------------- */

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
    uint64_t began = 0;
    for (uint64_t i = 1; i <= EXCHANGES; i++) {
        if (i == EXCHANGES - COUNTED)
            began = perf_now_ns();
        hqq_store_release(&lines.there, i);
        while (hqq_load_acquire(&lines.back) != i)
            hqq_cpu_pause();
    }
    double each = (double)(perf_now_ns() - began) / (double)COUNTED;
    pthread_join(thread, NULL);
    sched_setaffinity(0, sizeof(before), &before);
    return each;
}
