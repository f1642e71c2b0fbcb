/*
 * A thread that makes one call and says how it ended, and a way to know that it sleeps. Callers assert nothing; the
 * test does, once it has joined them.
 */
#ifndef TESTS_SUPPORT_CALLER_H
#define TESTS_SUPPORT_CALLER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include <hqq/link.h>

struct caller {
    /* Filled in by the test. */
    int (*call)(struct caller *caller);
    struct hqq_link *link;
    void *arg;

    /* The call's. */
    unsigned char data[64];
    size_t length;

    int result; /* after caller_join() */
    pthread_t thread;
};

void caller_start(struct caller *caller);

/* The result of the call, once it has returned. */
int caller_join(struct caller *caller);

/* Calls of the usual kinds: one datagram into data, or length bytes of data. */
int caller_read(struct caller *caller);
int caller_write(struct caller *caller);

/* From here until sleepers_forget(), sleeps in the kernel are counted, the first 256. Replaces an entry of
 * hqq_sys: to be called while no other thread uses it. */
void sleepers_watch(void);
void sleepers_forget(void);

/* Waits until count more sleeps than already waited for have begun, and the kernel says that their threads sleep. */
void sleepers_await(unsigned count);

#endif
