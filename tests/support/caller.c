#include "support/caller.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
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

/* ---- Sleepers -------------------------------------------------------------------------------------------------- */

#define SLEEPS_MAX 256

/* Of each sleep: whose it is (0: not begun), and whether it is over. */
static struct {
    hqq_atomic_u32 thread, is_over;
} sleeps[SLEEPS_MAX];

static sem_t slept;
static hqq_atomic_u32 begun;
static uint32_t awaited;
static int (*real_futex_wait)(const void *word, uint32_t expected, uint64_t deadline_ns);

static int count_and_wait(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    uint32_t number = hqq_add32_relaxed(&begun, 1);
    if (number >= SLEEPS_MAX)
        return real_futex_wait(word, expected, deadline_ns);
    hqq_store32_relaxed(&sleeps[number].thread, (uint32_t)gettid());
    sem_post(&slept);
    int result = real_futex_wait(word, expected, deadline_ns);
    hqq_store32_relaxed(&sleeps[number].is_over, 1);
    return result;
}

void sleepers_watch(void)
{
    sem_init(&slept, 0, 0);
    hqq_store32_relaxed(&begun, 0);
    for (int i = 0; i < SLEEPS_MAX; i++) {
        hqq_store32_relaxed(&sleeps[i].thread, 0);
        hqq_store32_relaxed(&sleeps[i].is_over, 0);
    }
    awaited = 0;
    real_futex_wait = hqq_sys.futex_wait;
    hqq_sys.futex_wait = count_and_wait;
}

void sleepers_forget(void)
{
    hqq_sys.futex_wait = real_futex_wait;
    sem_destroy(&slept);
}

/* Whether the kernel says that a thread of this process sleeps. */
static bool is_asleep(uint32_t thread)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/self/task/%u/stat", (unsigned)thread);
    FILE *file = fopen(path, "r");
    if (!file)
        return true; /* nothing more can be known */
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *name_ends = strrchr(text, ')');
    return name_ends && strncmp(name_ends, ") S", 3) == 0;
}

static void await_one(void)
{
    while (sem_wait(&slept) != 0) {
        if (errno != EINTR)
            abort();
    }
    uint32_t thread;
    while ((thread = hqq_load32_relaxed(&sleeps[awaited].thread)) == 0)
        sched_yield();
    while (!hqq_load32_relaxed(&sleeps[awaited].is_over) && !is_asleep(thread))
        sched_yield();
    awaited++;
}

void sleepers_await(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        await_one();
}
