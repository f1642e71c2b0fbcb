/*
 * Two sockets that talk to each other, as the test's variant wants them: fresh, or after a conversation; both here, or
 * one in another process.
 */
#ifndef TESTS_CONTRACT_SUPPORT_PAIR_H
#define TESTS_CONTRACT_SUPPORT_PAIR_H

#include "support/end.h"

struct pair {
    struct end near, far; /* near is in this process, always */
};

enum pair_option {
    PAIR_PLAIN = 0,
    NEAR_CONNECTS = 1 << 0,
    FAR_CONNECTS = 1 << 1,
    NEAR_NAMELESS = 1 << 2, /* not bound; FAR_CONNECTS excluded */
    FAR_NAMELESS = 1 << 3,
    PAIR_ABSTRACT = 1 << 4, /* abstract names */
};

/* Blocking sockets, bound to paths but where options say something else. */
struct pair pair_new(unsigned options);

/* The same, plain, but that near has no name yet; and its bind(), after which they are as the variant wants them. */
struct pair pair_unbound(void);
void pair_bind(struct pair *pair);

/* One more socket in this process, which far tells things as it does near. */
struct end pair_another(const struct pair *pair);

/* Sixteen numbered datagrams each way, one by one; one way where the sender has no name. */
void warm_up(const struct end *one, const struct end *other);

#endif
