/* What this was measured on: read once from /proc, /sys and uname(). What can't be read is said to be unknown. */
#ifndef HQQ_PERF_MACHINE_H
#define HQQ_PERF_MACHINE_H

#include <stddef.h>

struct perf_machine {
    char cpu[128];
    char kernel[160]; /* name, release and architecture */
    int cpus_online;
    int cpus_allowed;
    size_t page_size;
    size_t l2_bytes; /* of one core; a guess of 1 MiB where it is unknown */
    double clock_ns; /* what one reading of the clock costs */
};

void perf_machine_read(struct perf_machine *ret_machine);

#endif
