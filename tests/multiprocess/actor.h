/*
 * The other process of a multiprocess test: this very program, executed anew, so that it shares nothing with the test
 * but what it is told in its arguments. It reports by its exit status alone; a result that it did not expect is said on
 * standard error.
 */
#ifndef TESTS_MULTIPROCESS_ACTOR_H
#define TESTS_MULTIPROCESS_ACTOR_H

#include <stddef.h>
#include <sys/types.h>

#include <hqq/link.h>

#define ACTOR_BUFFER_COUNT 8
#define ACTOR_BUFFER_SIZE 128
#define ACTOR_PEER_CHECK_NS UINT64_C(10000000)

/* To be called first in main(): runs the actor and exits if the arguments ask for one. */
void actor_run_if_asked(int argc, char **argv);

/* What an actor does once it holds its end. */
#define ACTOR_ECHO "echo"         /* sends back so many datagrams, closes, exits 0 */
#define ACTOR_DIE_READING "read"  /* sends back so many, borrows one more, and kills itself */
#define ACTOR_DIE_WRITING "write" /* sends back so many, reserves a slot, and kills itself */

/* How it gets at the link. */
#define ACTOR_CREATE "create"   /* creates the name, as the primary */
#define ACTOR_PRIMARY "primary" /* opens the name as the primary */
#define ACTOR_OPEN "open"       /* opens the name as the secondary */
#define ACTOR_RECEIVE "receive" /* receives a descriptor over the socket whose number is the name, as the secondary */

/* Executes an actor. Its exit status comes from heavy_reap(). */
pid_t actor_start(const char *how, const char *name, const char *act, unsigned count);

/* A configuration of the actors' shape, and of the role. */
struct hqq_link_config actor_config(enum hqq_role role);

/* A name for a link that no other process uses. */
void actor_name(char name[], size_t size);

/* Opens a name as soon as it is there and ready. */
struct hqq_link *actor_open_when_there(const char *name);

/* Sends count datagrams, numbered from first, and gets the same back; at most so many are on their way at a time. */
void actor_converse(struct hqq_link *link, unsigned first, unsigned count);

#endif
