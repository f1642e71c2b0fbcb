/* Deaths elsewhere than in traffic. Each returns true if the label was reached, and fails the test if what must hold
 * does not. nth: the passing of the label at which the process kills itself. */
#ifndef TESTS_CRASH_OTHERS_H
#define TESTS_CRASH_OTHERS_H

#include <stdbool.h>

/* Whoever initializes a region dies: who attaches is told in time, and a region that became ready works. variant: in
 * memory that the attacher waits for already, or in a named object. */
bool init_run(const char *label, unsigned nth, unsigned variant);
#define INIT_VARIANTS 2
#define INIT_NAMED 1

/* Whoever frees what a dead process held dies itself: another frees it. variant: the survivor at the other end, or a
 * successor at the same end; and which of the two ends is taken over first. */
bool recover_run(const char *label, unsigned nth, unsigned variant);
#define RECOVER_VARIANTS 4

/* A process that is stopped is not dead: nobody says so, and all goes on once it does. variant: role and call. */
bool stopped_run(const char *label, unsigned variant);
#define STOPPED_VARIANTS 4

#endif
