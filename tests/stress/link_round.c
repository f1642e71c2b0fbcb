/* One round of the link's stress tests: makes the region, the ends, the threads and perhaps a process; checks the
 * result. */
#include "stress/link.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "layout/layout.h"
#include "ring/ring.h"

#define STALL_NS (8 * HEAVY_S)
#define CONSUMERS_MAX 8

unsigned stress_pick(struct heavy_random *random, unsigned set)
{
    unsigned bit;
    do
        bit = 1u << heavy_below(random, 16);
    while (!(set & bit));
    return bit;
}

/* Who holds a slot and waits for another without end may wait for one who does the same. */
bool stress_may_hold_two(const struct stress_mode *mode)
{
    return mode->count >= 4 && (mode->trouble & STRESS_TIMEOUTS);
}

void stress_move_deadlines(struct stress_thread *self, bool reads)
{
    if (!(self->round->mode.trouble & STRESS_TIMEOUTS))
        return;
    uint64_t timeout = heavy_one_in(&self->random, 4) ? 0 : heavy_below(&self->random, 200000);
    uint64_t deadline =
        heavy_one_in(&self->random, 4) ? HQQ_FOREVER : hqq_clock_ns() + heavy_below(&self->random, 500000);
    if (reads) {
        heavy_expect("set_read_timeout", hqq_link_set_read_timeout(self->link, timeout), 0);
        heavy_expect("set_read_deadline", hqq_link_set_read_deadline(self->link, deadline), 0);
    } else {
        heavy_expect("set_write_timeout", hqq_link_set_write_timeout(self->link, timeout), 0);
        heavy_expect("set_write_deadline", hqq_link_set_write_deadline(self->link, deadline), 0);
    }
}

/* ---- The region ---------------------------------------------------------------------------------------------------
 * */

static struct hqq_link *attach(void *base, size_t length, const struct stress_mode *mode, enum hqq_role role)
{
    const struct hqq_link_config config = {
        .buffer_count = mode->count,
        .buffer_size = mode->size,
        .spin_ns = mode->trouble & STRESS_SLEEP ? HQQ_SPIN_NEVER : 0,
        .peer_check_ns = 60 * HEAVY_S, /* a look at the peer must not hide a lost wakeup */
        .attach_timeout_ns = STALL_NS,
        .role = role,
    };
    struct hqq_link *link;
    heavy_expect("attach", hqq_link_attach(base, length, &config, &link), 0);
    return link;
}

/* Sets both rings of an idle region to that position. */
static void move_to(void *base, const struct stress_mode *mode, uint64_t position)
{
    struct hqq_layout layout;
    heavy_expect("layout", hqq_layout_compute(mode->count, mode->size, hqq_page_size(), &layout), 0);
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, base, &layout, i);
        hqq_store_relaxed(hqq_ring_r(&ring), position);
        hqq_store_relaxed(hqq_ring_w(&ring), position);
        for (uint64_t p = position; p != position + mode->count; p++)
            hqq_store_relaxed(hqq_ring_seq(&ring, p), p);
    }
}

/* ---- One end ------------------------------------------------------------------------------------------------------
 * */

struct end {
    struct stress_round *round;
    struct hqq_link *link;
    int index; /* 0 the primary, 1 the secondary */
};

static bool is_active(const struct stress_mode *mode, int direction)
{
    return direction == 0 || (mode->trouble & STRESS_DUPLEX);
}

static void *produce(void *arg)
{
    stress_produce(arg);
    return NULL;
}

static void *consume(void *arg)
{
    stress_consume(arg);
    return NULL;
}

static struct stress_thread *start(const struct end *end, bool reads, unsigned index, pthread_t *ret_thread)
{
    struct stress_thread *self = malloc(sizeof(*self));
    int direction = reads ? 1 - end->index : end->index;
    if (!self)
        heavy_fail("no memory");
    *self = (struct stress_thread){
        .round = end->round,
        .direction = &end->round->direction[direction],
        .link = end->link,
        .index = index,
        .random = heavy_random(end->round->seed, (uint64_t)direction << 16 | (reads ? 256u : 0u) | index),
        .buffers = malloc(STRESS_BATCH_MAX * end->round->mode.size),
    };
    if (!self->buffers || pthread_create(ret_thread, NULL, reads ? consume : produce, self) != 0)
        heavy_fail("no memory, or no thread");
    return self;
}

static void finish(struct stress_thread *self, pthread_t thread)
{
    pthread_join(thread, NULL);
    free(self->buffers);
    free(self);
}

static void check_statistics(struct end *end)
{
    const struct stress_mode *mode = &end->round->mode;
    const struct stress_direction *out = &end->round->direction[end->index],
                                  *in = &end->round->direction[1 - end->index];
    struct hqq_link_stats stats;
    hqq_link_get_stats(end->link, &stats);
    if (stats.messages_written != out->sent + out->fillers_sent || stats.bytes_written != out->bytes_sent)
        heavy_fail("statistics: %llu messages and %llu bytes written, but %llu and %llu were",
                   (unsigned long long)stats.messages_written, (unsigned long long)stats.bytes_written,
                   (unsigned long long)(out->sent + out->fillers_sent), (unsigned long long)out->bytes_sent);
    if (stats.messages_read != in->taken + in->fillers_taken || stats.bytes_read != in->bytes_taken)
        heavy_fail("statistics: %llu messages and %llu bytes read, but %llu and %llu were",
                   (unsigned long long)stats.messages_read, (unsigned long long)stats.bytes_read,
                   (unsigned long long)(in->taken + in->fillers_taken), (unsigned long long)in->bytes_taken);
    if (stats.invalid_packets != 0 || stats.peer_deaths != 0 || stats.slots_recovered != 0)
        heavy_fail("statistics: invalid packets, deaths or recovered slots where there were none");
    if (stats.write_high_water > mode->count)
        heavy_fail("statistics: high water %llu", (unsigned long long)stats.write_high_water);
    end->round->result[end->index] = (struct stress_result){
        .datagrams = stats.messages_read,
        .sleeps = stats.read_sleeps + stats.write_sleeps,
        .tombstones = stats.tombstones_skipped,
        .timeouts = stats.read_timeouts + stats.write_timeouts,
    };
}

/* Runs the threads of one end until all is sent and taken, then shuts it down, and its readers leave. */
static void run_end(struct end *end)
{
    const struct stress_mode *mode = &end->round->mode;
    pthread_t threads[STRESS_PRODUCERS_MAX + CONSUMERS_MAX];
    struct stress_thread *selves[STRESS_PRODUCERS_MAX + CONSUMERS_MAX];
    unsigned producers = is_active(mode, end->index) ? mode->producers : 0;
    unsigned consumers = is_active(mode, 1 - end->index) ? mode->consumers : 0;
    unsigned count = 0;

    for (unsigned i = 0; i < consumers; i++, count++)
        selves[count] = start(end, true, i, &threads[count]);
    for (unsigned i = 0; i < producers; i++, count++)
        selves[count] = start(end, false, i, &threads[count]);
    for (unsigned i = consumers; i < count; i++)
        finish(selves[i], threads[i]);
    /* Every other time the writers' end is shut while the readers have not got everything yet. */
    if (end->round->seed % 2 == 0 || consumers != 0) {
        for (int i = 0; i < 2; i++) {
            while (is_active(mode, i) && sem_wait(&end->round->direction[i].all_taken) != 0) {
            }
        }
    }
    heavy_expect("shutdown", hqq_link_shutdown(end->link), 0);
    for (unsigned i = 0; i < consumers; i++)
        finish(selves[i], threads[i]);
}

/* ---- A round ------------------------------------------------------------------------------------------------------
 * */

static struct end ends[2];

static void dump(void *arg)
{
    const struct stress_round *round = arg;
    for (int i = 0; i < 2; i++) {
        const struct stress_direction *direction = &round->direction[i];
        fprintf(stderr, "  direction %d: sent %llu and %llu fillers, taken %llu and %llu\n", i,
                (unsigned long long)direction->sent, (unsigned long long)direction->fillers_sent,
                (unsigned long long)direction->taken, (unsigned long long)direction->fillers_taken);
        heavy_dump_link(i == 0 ? "primary" : "secondary", ends[i].link);
    }
}

static void *run_end_thread(void *arg)
{
    run_end(arg);
    return NULL;
}

static struct stress_round *make_round(const struct stress_mode *mode, uint64_t seed, size_t *ret_length)
{
    size_t stamps = (size_t)mode->producers * mode->per_round;
    size_t length = sizeof(struct stress_round) + 2 * stamps;
    struct stress_round *round = heavy_shared(length);
    round->mode = *mode;
    round->seed = seed;
    for (int i = 0; i < 2; i++) {
        round->direction[i].stamps = (_Atomic uint8_t *)(round + 1) + (size_t)i * stamps;
        if (sem_init(&round->direction[i].all_taken, 1, 0) != 0 || sem_init(&round->attached[i], 1, 0) != 0)
            heavy_fail("sem_init");
    }
    *ret_length = length;
    return round;
}

static void check_tables(const struct stress_round *round)
{
    const struct stress_mode *mode = &round->mode;
    for (int i = 0; i < 2; i++) {
        const struct stress_direction *direction = &round->direction[i];
        uint64_t expected = is_active(mode, i) ? (uint64_t)mode->producers * mode->per_round : 0;
        if (direction->sent != expected || direction->taken != expected)
            heavy_fail("%llu sent and %llu taken of %llu", (unsigned long long)direction->sent,
                       (unsigned long long)direction->taken, (unsigned long long)expected);
        if (direction->fillers_sent != direction->fillers_taken || direction->bytes_sent != direction->bytes_taken)
            heavy_fail("%llu fillers sent, %llu taken; %llu bytes sent, %llu taken",
                       (unsigned long long)direction->fillers_sent, (unsigned long long)direction->fillers_taken,
                       (unsigned long long)direction->bytes_sent, (unsigned long long)direction->bytes_taken);
        for (uint64_t at = 0; at < expected; at++) {
            if (direction->stamps[at] == 0)
                heavy_fail("lost: producer %llu, number %llu", (unsigned long long)(at / mode->per_round),
                           (unsigned long long)(at % mode->per_round));
        }
    }
}

/* The child runs the secondary, the parent the primary. */
static void run_in_processes(struct stress_round *round, void *base, size_t bytes)
{
    pid_t child = heavy_fork();
    int index = child == 0 ? 1 : 0;
    ends[index].link = attach(base, bytes, &round->mode, index == 0 ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY);
    heavy_watch_begin(&round->progress, STALL_NS);
    /* The end of the other was closed before: who writes too early is told so. */
    sem_post(&round->attached[index]);
    while (sem_wait(&round->attached[1 - index]) != 0) {
    }
    run_end(&ends[index]);
    check_statistics(&ends[index]);
    hqq_link_close(ends[index].link);
    if (child == 0)
        _exit(0);
    heavy_reap_well("the secondary", child);
    heavy_watch_end();
}

static void run_in_threads(struct stress_round *round, void *base, size_t bytes)
{
    pthread_t thread;
    ends[0].link = attach(base, bytes, &round->mode, HQQ_ROLE_PRIMARY);
    ends[1].link = attach(base, bytes, &round->mode, HQQ_ROLE_SECONDARY);
    heavy_watch_begin(&round->progress, STALL_NS);
    if (pthread_create(&thread, NULL, run_end_thread, &ends[1]) != 0)
        heavy_fail("no thread");
    run_end(&ends[0]);
    pthread_join(thread, NULL);
    heavy_watch_end();
    for (int i = 0; i < 2; i++) {
        check_statistics(&ends[i]);
        hqq_link_close(ends[i].link);
    }
}

struct stress_result stress_run(const struct stress_mode *mode, uint64_t seed)
{
    uint64_t bytes;
    size_t round_length;
    heavy_expect("layout_size", hqq_layout_size(mode->count, mode->size, &bytes), 0);
    void *base = heavy_shared(bytes);
    struct stress_round *round = make_round(mode, seed, &round_length);
    for (int i = 0; i < 2; i++)
        ends[i] = (struct end){.round = round, .index = i};
    heavy_on_failure(dump, round);

    hqq_link_close(attach(base, bytes, mode, HQQ_ROLE_PRIMARY)); /* so that there is a region to move */
    if (mode->trouble & STRESS_WRAP)
        move_to(base, mode, UINT64_MAX - mode->per_round);
    if (mode->trouble & STRESS_DELAYS)
        heavy_points_delay(seed, 16);
    if (mode->trouble & STRESS_PROCESSES)
        run_in_processes(round, base, bytes);
    else
        run_in_threads(round, base, bytes);
    heavy_points_clear();
    heavy_on_failure(NULL, NULL);

    check_tables(round);
    struct stress_result result = round->result[0];
    result.datagrams += round->result[1].datagrams;
    result.sleeps += round->result[1].sleeps;
    result.tombstones += round->result[1].tombstones;
    result.timeouts += round->result[1].timeouts;
    heavy_shared_free(round, round_length);
    heavy_shared_free(base, bytes);
    return result;
}
