/*
 * The memory that channels of this process may take: bytes of address space that it may be the first to touch, so that
 * they are charged to it. Where no rule says otherwise it is a sixteenth of the memory that the process may have, of the
 * machine's or of its control group's; or 16 MiB if that is more, but never more than half. A sixteenth, because 8 GiB
 * then answer 960 clients by whole rings of 530 KiB while several such processes fit beside one another; 16 MiB, because
 * that is 15 whole channels, and small ones for 60 more; half, because a group of 24 MB must hold the program as well.
 * Lock-free; makes no system call under a filter.
 */
#ifndef HQQ_RUNTIME_BUDGET_H
#define HQQ_RUNTIME_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define HQQ_BUDGET_LEAST (UINT64_C(16) << 20)

/* What is left of a limit; 0: the usual one. */
uint64_t hqq_budget_left(uint64_t limit);

/* False, and nothing is taken, if it is not left. */
bool hqq_budget_take(uint64_t limit, uint64_t bytes);
void hqq_budget_give(uint64_t bytes);

/* The usual limit for a machine, and a control group, of so much memory. For tests too. */
uint64_t hqq_budget_usual(uint64_t machine, uint64_t group);

/* The least of the limits of a control group and of those above it, as /proc/self/cgroup and the files under root say;
 * UINT64_MAX: there is none, or it can't be told. Changes lines. For tests too. */
uint64_t hqq_budget_group_limit(const char *root, char *lines);

#endif
