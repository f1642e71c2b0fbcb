/* Processors: choosing two, and staying on one. */
#include "tools/perf/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

/* A set that could not be read is empty: then nothing is allowed, and the caller says so. */
static cpu_set_t allowed_set(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        CPU_ZERO(&set);
    return set;
}

bool perf_cpu_is_allowed(int cpu)
{
    cpu_set_t set = allowed_set();

    return cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((size_t)cpu, &set);
}

int perf_cpu_count_allowed(void)
{
    cpu_set_t set = allowed_set();

    return CPU_COUNT(&set);
}

static int read_topology(int cpu, const char *name)
{
    char path[96];
    int value = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
    file = fopen(path, "re");
    if (file == NULL)
        return -1;
    if (fscanf(file, "%d", &value) != 1)
        value = -1;
    fclose(file);
    return value;
}

static bool same_core(int first, int second)
{
    int core = read_topology(first, "core_id");

    return core >= 0 && core == read_topology(second, "core_id") &&
           read_topology(first, "physical_package_id") == read_topology(second, "physical_package_id");
}

void perf_cpu_choose(int ret_cpus[2])
{
    cpu_set_t set = allowed_set();
    int first = -1;
    int sibling = -1;

    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set))
            continue;
        if (first < 0) {
            first = cpu;
        } else if (!same_core(first, cpu)) {
            ret_cpus[0] = first;
            ret_cpus[1] = cpu;
            return;
        } else if (sibling < 0) {
            sibling = cpu;
        }
    }
    ret_cpus[0] = first < 0 ? 0 : first;
    ret_cpus[1] = sibling < 0 ? ret_cpus[0] : sibling;
}

uint64_t perf_cpu_delay_ns(void)
{
    unsigned long long delay = 0;
    FILE *file = fopen("/proc/self/schedstat", "re");

    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %llu", &delay) != 1)
        delay = 0;
    fclose(file);
    return delay;
}

int perf_cpu_bind(int first, int second)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)first, &set);
    CPU_SET((size_t)second, &set);
    return sched_setaffinity(0, sizeof(set), &set) == 0 ? 0 : -errno;
}
