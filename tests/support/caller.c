#include "support/caller.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/sys.h"

static void *run(void *arg)
{
    struct caller *caller = arg;
    caller->result = caller->call(caller);
    return NULL;
}

void caller_start(struct caller *caller)
{
    if (pthread_create(&caller->thread, NULL, run, caller) != 0) {
        fputs("no thread for a caller\n", stderr);
        abort();
    }
}

int caller_join(struct caller *caller)
{
    pthread_join(caller->thread, NULL);
    return caller->result;
}

int caller_read(struct caller *caller)
{
    return hqq_link_read(caller->link, caller->data, sizeof(caller->data), &caller->length);
}

int caller_write(struct caller *caller)
{
    return hqq_link_write(caller->link, caller->data, caller->length);
}

/* ---- Sleepers ---------------------------------------------------------------------------------------------------- */

static sem_t slept;
static int (*real_futex_wait)(const void *word, uint32_t expected, uint64_t deadline_ns);

static int count_and_wait(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    sem_post(&slept);
    return real_futex_wait(word, expected, deadline_ns);
}

void sleepers_watch(void)
{
    sem_init(&slept, 0, 0);
    real_futex_wait = hqq_sys.futex_wait;
    hqq_sys.futex_wait = count_and_wait;
}

void sleepers_forget(void)
{
    hqq_sys.futex_wait = real_futex_wait;
    sem_destroy(&slept);
}

void sleepers_await(unsigned count)
{
    while (count > 0) {
        if (sem_wait(&slept) == 0)
            count--;
        else if (errno != EINTR)
            abort();
    }
}
