/*
 * Every interleaving of a few actors in one thread: each runs on a stack of its own and gives way at each step, and all ways of going
 * on are tried, one after the other, by depth first search over the choices. Actors are deterministic but for what others do, and do
 * not assert: they note what is wrong. Sequential consistency only: what a store buffer does is not seen here.
 */
#ifndef TESTS_SUPPORT_SCHEDULE_H
#define TESTS_SUPPORT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_ACTORS 4

struct schedule {
    void (*reset)(void);                  /* before each run */
    void (*actor[SCHEDULE_ACTORS])(void); /* up to the first NULL */
    /* After a run, which ends when all actors have finished or wait in vain: NULL, or what is wrong. */
    const char *(*check)(bool have_finished);
    int preemptions; /* in a run at most; -1: any number */
};

/* Runs all of them. How many; 0: one went wrong, and was printed step by step. */
uint64_t schedule_explore(const struct schedule *schedule);

/* In an actor: others may go on here. Anywhere else: nothing. */
void schedule_step(const char *label);

/* In an actor: waits until it is ready. */
void schedule_wait(const char *label, bool (*is_ready)(void));

/* In an actor: both ways are tried. */
bool schedule_choose(const char *label);

/* In an actor: the run has gone wrong. */
void schedule_fail(const char *what);

/* The number of the actor that runs; -1: none. */
int schedule_actor(void);

#endif
