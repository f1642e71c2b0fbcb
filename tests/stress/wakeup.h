/*
 * The hunt for lost wakeups. Threads sleep at one end of a link, for nobody spins and the look whether the peer lives
 * comes too seldom to help; a controller at the other end makes work for them, or moves what they wait for, and waits
 * until all of it has been noticed. Random pauses at labelled points shift the steps of both against each other. What
 * is not noticed within ten seconds is a wakeup that was lost.
 */
#ifndef TESTS_STRESS_WAKEUP_H
#define TESTS_STRESS_WAKEUP_H

#include <pthread.h>
#include <semaphore.h>

#include "support/heavy.h"

#define WAKEUP_SLEEPERS_MAX 6

/* The memory of a link, and what its two ends tell each other beside it. Shared between processes. */
struct wakeup {
    _Atomic uint64_t steps; /* what the watchdog watches: what the sleepers noticed */
    sem_t noticed;          /* posted for each of them */
    sem_t go[WAKEUP_SLEEPERS_MAX];
    _Atomic bool is_over;
    uint64_t count, size;
    size_t bytes;
    void *base;
};

struct wakeup *wakeup_new(uint64_t count, uint64_t size);
void wakeup_delete(struct wakeup *wakeup);

struct hqq_link *wakeup_attach(const struct wakeup *wakeup, enum hqq_role role);

/* For a sleeper: it noticed something. For the controller: waits until that many were noticed. */
void wakeup_notice(struct wakeup *wakeup);
void wakeup_await(struct wakeup *wakeup, unsigned count);

/* A sleeper of an end. */
struct sleeper {
    struct wakeup *wakeup;
    struct hqq_link *link;
    unsigned index;
    bool reads;
    pthread_t thread;
};

/* Starts sleepers first to first + count - 1. */
void sleepers_start(struct sleeper *sleepers, unsigned first, unsigned count, void *(*run)(void *), bool reads,
                    struct wakeup *wakeup, struct hqq_link *link);
void sleepers_join(struct sleeper *sleepers, unsigned first, unsigned count);

/* A pause of up to that many nanoseconds, without the kernel: long enough to fall asleep, or not. */
void wakeup_pause(struct heavy_random *random, uint64_t longest_ns);

/* The hunts: each returns how many wakeups it asked for. */
uint64_t hunt_data(struct heavy_random *random, uint64_t end_ns, bool processes);
uint64_t hunt_space(struct heavy_random *random, uint64_t end_ns, bool processes);
uint64_t hunt_data_closely(struct heavy_random *random, uint64_t end_ns, bool processes);
uint64_t hunt_space_closely(struct heavy_random *random, uint64_t end_ns, bool processes);
uint64_t hunt_impatient_readers(struct heavy_random *random, uint64_t end_ns);
uint64_t hunt_impatient_writers(struct heavy_random *random, uint64_t end_ns);
uint64_t hunt_deadline(struct heavy_random *random, uint64_t end_ns);
uint64_t hunt_shutdown(struct heavy_random *random, uint64_t end_ns);

#endif
