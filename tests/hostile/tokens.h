/*
 * Datagrams that look like tokens. Each returns how many it sent.
 */
#ifndef TESTS_HOSTILE_TOKENS_H
#define TESTS_HOSTILE_TOKENS_H

#include "hostile/scene.h"

/* Of no pair, of every kind and value; and those that only begin like one, which are data, and must arrive. */
uint64_t token_junk(const struct scene *scene);

/* Of the sender's own pair, but not what an honest end sends: of wrong kinds, numbers, epochs; after its end, too. */
uint64_t token_replays(const struct scene *scene);

/* Of one pair, but from two sockets of different names; then the pair ends, and another one follows. */
uint64_t token_of_two_names(const struct scene *scene);

#endif
