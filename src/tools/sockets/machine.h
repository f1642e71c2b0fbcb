/*
 * What every measurement stands on: the clock, processors, memory, ends that are told in one line, and how fast this
 * machine moves a bare cache line just now.
 */
#ifndef HQQ_TOOLS_SOCKETS_MACHINE_H
#define HQQ_TOOLS_SOCKETS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* True if this process may run on two processors. Where it may not, nothing can be measured. */
bool machine_has_two_processors(void);

/* The calling thread runs on the first (0) or the second (1) of two processors from now on, or on either of them. */
void machine_pin(unsigned which);
void machine_pin_to_both(void);

/* The calling process, and what it forks, becomes SCHED_FIFO. 0 or -errno. */
int machine_become_fifo(void);

/* May this process have so many descriptors? Raises its limit where that is needed and allowed. */
bool machine_allows_descriptors(uint64_t count);

/* One line about errno, if that is not 0, and the end of the process; of a side of a run: of all its processes. */
_Noreturn void machine_fail(const char *what);

/* The same, where a value or an order is wrong and errno has nothing to say. */
_Noreturn void machine_fail_plainly(const char *what);

/* From now on a failure ends the process group of the caller, who leads it. */
void machine_fail_as_group(void);

/* A figure of /proc/self/smaps_rollup in bytes, by its name with the colon; 0 if the kernel does not say. */
double machine_memory(const char *name);

/* How much of the two processors has been used so far, by all and by this process and those that it has waited for. */
struct machine_use {
    double all_ns, own_ns, clock_ns;
};

struct machine_use machine_use_now(void);

/* The share of the two processors that others had in between: 0 to 1. The kernel counts in ticks. */
double machine_share_of_others(const struct machine_use *before, const struct machine_use *after);

/* A cache line going to another processor and back: ns. About a millisecond. */
double machine_ping_pong_ns(void);

#endif
