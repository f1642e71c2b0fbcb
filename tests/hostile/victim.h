/*
 * The one who is attacked: makes every kind of call with short deadlines, and checks what comes back. Whatever the
 * region says, a call returns a result that its documentation names, within its deadline and some slack, with lengths
 * that fit and slots that lie in the region.
 */
#ifndef TESTS_HOSTILE_VICTIM_H
#define TESTS_HOSTILE_VICTIM_H

#include "support/heavy.h"

#define VICTIM_SIZE_MAX 256u
#define VICTIM_BATCH 4u
#define VICTIM_SLACK_NS (8 * HEAVY_S * HEAVY_SLOWNESS)

struct victim {
    struct hqq_link *link;
    unsigned char *base; /* of the region */
    size_t bytes;
    uint64_t count, size;
    struct heavy_random random;
    uint64_t calls, done; /* made, and those that returned 0 */
    uint64_t longest_ns;
};

/* Makes one call, of any kind. */
void victim_call(struct victim *victim);

/* Sets short time-outs, for a start. */
void victim_hurry(struct hqq_link *link);

/* Attaches, by whatever role comes up, and hurries the link. NULL if that fails as it may. */
struct hqq_link *victim_attach(struct victim *victim);

/* Shuts and closes the link, which must not take long either. */
void victim_close(struct victim *victim);

#endif
