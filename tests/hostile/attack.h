/*
 * What a hostile peer can do: write anything anywhere in the region, at any time. Words are chosen among those that
 * mean something, values among those that are nearly right; or both at random.
 */
#ifndef TESTS_HOSTILE_ATTACK_H
#define TESTS_HOSTILE_ATTACK_H

#include "layout/layout.h"
#include "support/heavy.h"

/* Where and with what. */
struct attack {
    unsigned char *base;
    struct hqq_layout layout;
    struct heavy_random random;
};

struct attack attack_new(void *base, uint64_t count, uint64_t size, uint64_t seed, uint64_t stream);

/* Changes one word, or the bytes of one buffer. */
void attack_once(struct attack *attack);

/* The ways to be a nuisance that go on for a while. */
enum attack_tactic {
    ATTACK_ANYWHERE,   /* any word, any value */
    ATTACK_RINGS,      /* positions and sequences */
    ATTACK_PACKETS,    /* what is in the slots */
    ATTACK_EXTENSION,  /* owners and bells */
    ATTACK_SUPERBLOCK, /* what whoever attaches looks at */
    ATTACK_TOMBSTONES, /* publishes nothing but tombstones, as fast as it can */
    ATTACK_INVALID,    /* the same with packets of no kind */
    ATTACK_REWIND,     /* all slots look published, and the read position is put back */
    ATTACK_AHEAD,      /* the sequence at each position is one that it will have a lap later */
    ATTACK_ALMOST,     /* a good peer, but for the sizes that it says */
    ATTACK_TACTICS,
};

/* Some steps of that tactic. */
void attack_by(struct attack *attack, enum attack_tactic tactic);

#endif
