/*
 * Two processes with several threads each talk over one link; again and again one of them, or both, is killed from
 * outside at a random moment, and another takes its place. Traffic goes on, nothing is torn, doubled or out of order,
 * and nothing is lost but what a reader had taken when it was killed.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#include "crash/scene.h"

#define THREADS 2u     /* readers, and writers, of a process */
#define LIVES 100u     /* processes at an end, in one round */
#define NUMBERS 16384u /* of each writer */
#define KILLS 60u      /* in one round */
#define BATCH 3u
#define PRODUCERS (LIVES * THREADS)

/* One direction. A writer is known by its life and thread. */
struct direction {
    _Atomic uint32_t begun[PRODUCERS], done[PRODUCERS]; /* datagrams that were, perhaps and certainly, written */
    _Atomic uint8_t taken[PRODUCERS][NUMBERS];
};

struct storm {
    _Atomic uint64_t steps;
    _Atomic bool is_over;
    _Atomic unsigned done;         /* processes whose writers have stopped for good */
    struct direction direction[2]; /* from the primary, from the secondary */
};

/* A process at an end, or a thread of it. */
struct actor {
    struct storm *storm;
    struct hqq_link *link;
    int end; /* 0 the primary */
    unsigned life, thread;
    uint64_t seed;
};

/* ---- Threads ------------------------------------------------------------------------------------------------------
 * */

/* Nobody at the other end just now, or nothing to do in time. */
static bool is_passing(int result)
{
    return result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_PEER_DIED ||
           result == HQQ_ERROR_CLOSED;
}

static void *write_on(void *arg)
{
    const struct actor *self = arg;
    struct heavy_random random = heavy_random(self->seed, self->thread);
    unsigned producer = self->life * THREADS + self->thread;
    struct direction *direction = &self->storm->direction[self->end];
    unsigned char data[BATCH][SCENE_SIZE];
    uint32_t number = 0;
    while (!atomic_load(&self->storm->is_over) && number + BATCH <= NUMBERS) {
        struct hqq_message messages[BATCH];
        struct hqq_slot slot;
        size_t written = 1;
        unsigned count = 1;
        int result;
        if (heavy_one_in(&random, 3))
            count = BATCH;
        for (unsigned i = 0; i < count; i++) {
            size_t length = HEAVY_ELEMENT_MIN + heavy_below(&random, SCENE_SIZE - HEAVY_ELEMENT_MIN + 1);
            heavy_element_fill(data[i], length, producer, number + i);
            messages[i] = (struct hqq_message){.data = data[i], .length = length};
        }
        atomic_store(&direction->begun[producer], number + count);
        if (count > 1) {
            result = hqq_link_write_batch(self->link, messages, count, &written);
        } else if (heavy_one_in(&random, 2)) {
            result = hqq_link_write(self->link, data[0], messages[0].length);
        } else {
            result = hqq_link_reserve(self->link, &slot);
            if (result == 0) {
                memcpy(slot.data, data[0], messages[0].length);
                heavy_expect("commit", hqq_link_commit(self->link, &slot, messages[0].length), 0);
            }
        }
        if (result != 0 && !is_passing(result))
            heavy_fail("write: %d (%s)", result, hqq_strerror(result));
        number += result == 0 || count > 1 ? (uint32_t)written : 0;
        atomic_store(&direction->done[producer], number);
        if (result == HQQ_ERROR_PEER_DIED || result == HQQ_ERROR_CLOSED)
            usleep(100);
    }
    return NULL;
}

static void take(const struct actor *self, int64_t *last, const void *data, size_t length)
{
    struct direction *direction = &self->storm->direction[1 - self->end];
    unsigned producer;
    uint32_t number;
    if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE || producer >= PRODUCERS ||
        number >= atomic_load(&direction->begun[producer]))
        heavy_fail("a datagram that nobody wrote");
    if (atomic_exchange(&direction->taken[producer][number], 1) != 0)
        heavy_fail("number %u of writer %u was taken twice", number, producer);
    if (last[producer] >= (int64_t)number)
        heavy_fail("number %u of writer %u came after %lld", number, producer, (long long)last[producer]);
    last[producer] = number;
    atomic_fetch_add(&self->storm->steps, 1);
}

static void *read_on(void *arg)
{
    const struct actor *self = arg;
    struct heavy_random random = heavy_random(self->seed, THREADS + self->thread);
    unsigned char data[BATCH][SCENE_SIZE];
    int64_t last[PRODUCERS];
    for (size_t i = 0; i < PRODUCERS; i++)
        last[i] = -1;
    for (;;) {
        /* Looked at before the read: if that finds nothing then, nothing comes any more. */
        bool is_last = atomic_load(&self->storm->done) == 2;
        struct hqq_message messages[BATCH];
        struct hqq_slot slot;
        size_t count = 1;
        int result;
        switch (heavy_below(&random, 3)) {
        case 0:
            for (unsigned i = 0; i < BATCH; i++)
                messages[i] = (struct hqq_message){.data = data[i], .capacity = SCENE_SIZE};
            result = hqq_link_read_batch(self->link, messages, BATCH, &count);
            break;
        case 1:
            result = hqq_link_borrow(self->link, &slot);
            if (result == 0) {
                messages[0] = (struct hqq_message){.data = data[0], .length = slot.length};
                memcpy(data[0], slot.data, slot.length);
                heavy_expect("release", hqq_link_release(self->link, &slot), 0);
            }
            break;
        default:
            messages[0].data = data[0];
            result = hqq_link_read(self->link, data[0], SCENE_SIZE, &messages[0].length);
            break;
        }
        if (result != 0 && !is_passing(result))
            heavy_fail("read: %d (%s)", result, hqq_strerror(result));
        for (size_t i = 0; result == 0 && i < count; i++)
            take(self, last, messages[i].data, messages[i].length);
        if (result != 0 && is_last)
            return NULL;
        if (result == HQQ_ERROR_PEER_DIED || result == HQQ_ERROR_CLOSED)
            usleep(100);
    }
}

/* ---- Processes ----------------------------------------------------------------------------------------------------
 * */

static void dump(void *arg)
{
    heavy_dump_link("link", ((struct actor *)arg)->link);
}

static _Noreturn void live(const struct scene *scene, struct actor *self)
{
    pthread_t threads[2 * THREADS];
    struct actor parts[2 * THREADS];
    self->link = scene_attach(scene, self->end == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY);
    heavy_on_failure(dump, self);
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(self->link, SCENE_PEER_CHECK_NS), 0);
    heavy_expect("set_write_timeout", hqq_link_set_write_timeout(self->link, 3 * SCENE_PEER_CHECK_NS), 0);
    heavy_watch_begin(&self->storm->steps, SCENE_STALL_NS);
    for (unsigned i = 0; i < 2 * THREADS; i++) {
        parts[i] = *self;
        parts[i].thread = i % THREADS;
        if (pthread_create(&threads[i], NULL, i < THREADS ? write_on : read_on, &parts[i]) != 0)
            heavy_fail("no thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    /* A writer that used up its numbers goes on living. */
    while (!atomic_load(&self->storm->is_over))
        usleep(1000);
    atomic_fetch_add(&self->storm->done, 1);
    for (unsigned i = THREADS; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    heavy_watch_end();
    hqq_link_close(self->link);
    _exit(0);
}

static pid_t bear(const struct scene *scene, struct storm *storm, int end, unsigned life, uint64_t seed)
{
    pid_t child = heavy_fork();
    if (child != 0)
        return child;
    struct actor self = {.storm = storm, .end = end, .life = life, .seed = heavy_mix(seed + life) + (uint64_t)end};
    live(scene, &self);
}

static void kill_one(pid_t child)
{
    kill(child, SIGKILL);
    int status = heavy_reap(child);
    if (status != SCENE_KILLED)
        heavy_fail("a process ended with status %d", status);
}

/* ---- A round ------------------------------------------------------------------------------------------------------
 * */

/* Every reader thread that was killed may have had a batch. */
static uint64_t check_lost(const struct direction *direction, unsigned reader_deaths)
{
    uint64_t lost = 0, taken = 0;
    for (unsigned producer = 0; producer < PRODUCERS; producer++) {
        for (uint32_t number = 0; number < NUMBERS; number++) {
            bool was_taken = atomic_load(&direction->taken[producer][number]) != 0;
            taken += was_taken;
            lost += !was_taken && number < atomic_load(&direction->done[producer]);
        }
    }
    if (lost > (uint64_t)reader_deaths * THREADS * BATCH)
        heavy_fail("%llu datagrams are lost, for %u readers that were killed", (unsigned long long)lost, reader_deaths);
    return taken;
}

static uint64_t run_round(uint64_t seed)
{
    struct heavy_random random = heavy_random(seed, 99);
    struct scene scene = scene_new();
    struct storm *storm = heavy_shared(sizeof(*storm));
    pid_t child[2];
    unsigned life[2] = {0, 0};
    for (int end = 0; end < 2; end++)
        child[end] = bear(&scene, storm, end, 0, seed);
    for (unsigned kills = 0; kills < KILLS; kills++) {
        usleep((useconds_t)heavy_below(&random, 12000) * HEAVY_SLOWNESS);
        int end = (int)heavy_below(&random, 2);
        bool both = heavy_one_in(&random, 6);
        kill_one(child[end]);
        if (both)
            kill_one(child[1 - end]);
        for (int i = 0; i < 2; i++) {
            if (i == end || both)
                child[i] = bear(&scene, storm, i, ++life[i], seed);
        }
    }
    usleep(20000);
    atomic_store(&storm->is_over, true);
    heavy_reap_well("the last primary", child[0]);
    heavy_reap_well("the last secondary", child[1]);
    uint64_t taken = check_lost(&storm->direction[0], life[1]) + check_lost(&storm->direction[1], life[0]);
    heavy_shared_free(storm, sizeof(*storm));
    scene_delete(&scene);
    return taken;
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 3);
    uint64_t end = hqq_clock_ns() + options->seconds * HEAVY_S;
    uint64_t taken = 0, rounds = 0;
    do {
        heavy_name_mode("", options->seed + rounds);
        taken += run_round(options->seed + rounds);
        rounds++;
    } while (hqq_clock_ns() < end);
    heavy_say("ok    storm: %llu rounds of %u kills, %llu datagrams", (unsigned long long)rounds, KILLS,
              (unsigned long long)taken);
    return 0;
}
