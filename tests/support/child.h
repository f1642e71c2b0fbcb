/* Child processes. They report by their exit status alone; every one is reaped before these functions return. */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <stdbool.h>
#include <stdint.h>

/* Forks, and returns what run(arg) returned in the child (0 to 127), 128 plus the signal that killed it, or -1. */
int child_run(int (*run)(void *arg), void *arg);

/* Forks a child that runs until run(arg) reaches the labelled point, where it kills itself (SIGKILL). True if it
 * did. */
bool child_dies_at(const char *label, int (*run)(void *arg), void *arg);

/* The identity (platform/process.h) of a process that ran and is gone. */
uint64_t child_dead_identity(void);

#endif
