/* The machine, as the head of every report describes it. */
#include "tools/perf/machine.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/perf/cpu.h"

#define DEFAULT_L2_BYTES ((size_t)1 << 20)

/* Copies the value of the first line of /proc/cpuinfo that begins with key; false if there is none. */
static bool read_cpuinfo(const char *key, char *value, size_t size)
{
    char line[256];
    bool found = false;
    FILE *file = fopen("/proc/cpuinfo", "re");

    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        const char *colon = strchr(line, ':');

        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL) {
            colon += strspn(colon, ": \t");
            snprintf(value, size, "%.*s", (int)strcspn(colon, "\n"), colon);
            found = true;
        }
    }
    fclose(file);
    return found;
}

/* x86 has a name; Arm has two numbers. */
static void read_cpu_name(char *name, size_t size)
{
    char implementer[32];
    char part[32];

    if (read_cpuinfo("model name", name, size))
        return;
    if (read_cpuinfo("CPU implementer", implementer, sizeof(implementer)) &&
        read_cpuinfo("CPU part", part, sizeof(part))) {
        snprintf(name, size, "implementer %s part %s", implementer, part);
        return;
    }
    snprintf(name, size, "unknown CPU");
}

/* sysconf() knows it on x86 only; /sys counts in KiB. */
static size_t read_l2_bytes(void)
{
    long known = sysconf(_SC_LEVEL2_CACHE_SIZE);
    unsigned long kib = 0;
    FILE *file;

    if (known > 0)
        return (size_t)known;
    file = fopen("/sys/devices/system/cpu/cpu0/cache/index2/size", "re");
    if (file == NULL)
        return DEFAULT_L2_BYTES;
    if (fscanf(file, "%luK", &kib) != 1)
        kib = 0;
    fclose(file);
    return kib > 0 ? (size_t)kib * 1024 : DEFAULT_L2_BYTES;
}

static double measure_clock(void)
{
    enum { READINGS = 20000 };
    uint64_t start = perf_now_ns();

    for (int i = 0; i < READINGS; i++)
        (void)perf_now_ns();
    return (double)(perf_now_ns() - start) / READINGS;
}

void perf_machine_read(struct perf_machine *ret_machine)
{
    struct utsname name;

    memset(ret_machine, 0, sizeof(*ret_machine));
    read_cpu_name(ret_machine->cpu, sizeof(ret_machine->cpu));
    snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "unknown kernel");
    if (uname(&name) == 0) {
        snprintf(ret_machine->kernel, sizeof(ret_machine->kernel), "%.32s %.64s %.32s", name.sysname, name.release,
                 name.machine);
    }
    ret_machine->cpus_online = (int)sysconf(_SC_NPROCESSORS_ONLN);
    ret_machine->cpus_allowed = perf_cpu_count_allowed();
    ret_machine->page_size = (size_t)sysconf(_SC_PAGESIZE);
    ret_machine->l2_bytes = read_l2_bytes();
    ret_machine->clock_ns = measure_clock();
}
