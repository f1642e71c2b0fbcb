/*
 * A wait for a slot of a plain ring, with the kernel's part replaced: the test says what the wait is told and what
 * happens in each of its sleeps, and sees until when it meant to sleep. For one test at a time; one thread, unless the
 * test puts the real calls back.
 */
#ifndef TESTS_SUPPORT_WAITING_H
#define TESTS_SUPPORT_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "ring/wait.h"
#include "support/plain_ring.h"

#define WAITING_COUNT 4 /* slots */
#define WAITING_LOG 32

struct waiting {
    struct hqq_wait
        wait; /* for data, in an hour at the latest, of a peer that rings and is never due to be looked at */
    bool slept;

    /* What it points to. */
    struct plain_ring plain, answers;
    struct hqq_bell bell;
    struct hqq_spin spin; /* never spins */
    hqq_atomic_u64 deadline, checked;
    hqq_atomic_u32 own_cpu, peer_cpu, is_light;

    /* What the wait asks, and is told; on_look(n) happens when it asks for the nth time, from 1, whether to go on. */
    int interruption;
    enum hqq_wait_peer peer;
    int looks, checks, due_checks;
    void (*on_look)(int look);

    /* The replaced futex_wait(): act(n) happens in the nth sleep, from 1. */
    int sleeps;
    uint64_t sleep_deadline[WAITING_LOG], sleep_began[WAITING_LOG];
    void (*act)(int sleep);
    int yields; /* the replaced sched_yield(): likewise */
    void (*on_yield)(int yield);

    struct hqq_sys real; /* hqq_sys as it was */
};

extern struct waiting waiting;

/* For cmocka: before and after each test. The one after fails if a sleeper is still counted. */
int waiting_set_up(void **state);
int waiting_tear_down(void **state);

/* The wait, once. */
int waiting_run(void);

/* Publishes one slot, without ringing, if one is free. */
void waiting_publish(void);

/* An hour from now. */
uint64_t waiting_later(void);

#endif
