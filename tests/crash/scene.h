/*
 * What the crash tests have in common: a region in a memfd, a ledger in shared memory in which victim, survivor and
 * successor write down what they did, and talk between two ends that shows that a link is whole.
 */
#ifndef TESTS_CRASH_SCENE_H
#define TESTS_CRASH_SCENE_H

#include <semaphore.h>

#include "support/heavy.h"

#define SCENE_COUNT 4u
#define SCENE_SIZE 64u
#define SCENE_BATCH 3u
#define SCENE_NUMBERS 65536u /* more than any scene sends */
#define SCENE_PEER_CHECK_NS (5 * HEAVY_MS)
#define SCENE_BOUND_NS (8 * HEAVY_S * HEAVY_SLOWNESS) /* "in bounded time": the look at the peer, and a busy machine */
#define SCENE_STALL_NS (10 * HEAVY_S)

#define SCENE_KILLED 137 /* what heavy_reap() says of a process that killed itself */
#define SCENE_NOT_REACHED 3

struct ledger {
    _Atomic uint64_t steps;     /* for the watchdog */
    _Atomic uint64_t died_ns;   /* when the victim was about to die; 0: not yet */
    _Atomic uint64_t held;      /* slots that it held then */
    _Atomic uint64_t published; /* datagrams that the victim published */
    _Atomic bool is_aborting;   /* what it publishes now is none */
    _Atomic uint64_t written;   /* datagrams that the survivor wrote */
    _Atomic uint32_t deaths;    /* that a survivor in a process of its own has noticed */
    _Atomic bool is_over;
    sem_t attached;                       /* posted by whoever has attached */
    _Atomic uint8_t taken[SCENE_NUMBERS]; /* of the survivor's datagrams: by whom */
};

#define TAKEN_BY_VICTIM 1
#define TAKEN_BY_SUCCESSOR 2

struct scene {
    struct ledger *ledger;
    int fd;
    uint64_t bytes;
    struct heavy_holdings before;
};

struct scene scene_new(void);
/* Also checks that no descriptor and no mapping is left. */
void scene_delete(struct scene *scene);

/* Attaches to the region; waits for it to be ready. */
struct hqq_link *scene_attach(const struct scene *scene, enum hqq_role role);
enum hqq_role scene_other(enum hqq_role role);

/* Reads the counters of a region: how many slots the end of that role has claimed and neither published nor released.
 * */
uint64_t scene_slots_held(const struct hqq_link *link);

/* For a victim: from now on it kills itself at the nth passing of the label, having written down what it held. What it
 * publishes is counted. */
void scene_doom(const struct scene *scene, const struct hqq_link *link, const char *label, unsigned nth);
/* The same, but it only stops (SIGSTOP), once. */
void scene_freeze(const struct scene *scene, const struct hqq_link *link, const char *label, unsigned nth);

/* The two ends send each other more than a ring holds, and check it. */
void scene_converse(struct hqq_link *link);

/* In the parent, with one thread: another process takes that end of the link, and converses with ours. */
void scene_succeed(const struct scene *scene, struct hqq_link *survivor);

#endif
