/*
 * Which processors there are, and tying a process to one. Relies on sched_setaffinity() and on the topology in /sys;
 * where that is missing every processor counts as a core of its own.
 */
#ifndef HQQ_PERF_CPU_H
#define HQQ_PERF_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* True if this process may run on that processor. */
bool perf_cpu_is_allowed(int cpu);

/* How many processors this process may run on. */
int perf_cpu_count_allowed(void);

/* The first processor allowed, and the next one that is not a hardware thread of the same core; if there is none, any
 * other; if there is none of that either, the first one twice. */
void perf_cpu_choose(int ret_cpus[2]);

/* How long this process has been ready to run while another one had the processor, so far, in nanoseconds; 0 where the
 * kernel does not say (/proc/self/schedstat). */
uint64_t perf_cpu_delay_ns(void);

/* Lets this process run on these two processors only (which may be one and the same). 0 or -errno. */
int perf_cpu_bind(int first, int second);

#endif
