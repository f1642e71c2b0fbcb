/*
 * Stress of a bare ring in plain memory: claims of random runs, published and released one by one, with nobody
 * waiting in the kernel. Positions go through 2^64 in every round. Whoever takes an element stamps it: each is taken
 * once, whole, and in each taker's eyes in the order of its maker.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/packet.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "support/heavy.h"

#define THREADS_MAX 8
#define SIZE 64
#define STALL_NS (8 * HEAVY_S)

struct mode {
    const char *name;
    unsigned producers, consumers;
    uint64_t count;
    uint64_t run;       /* longest claim */
    uint64_t per_round; /* elements of each producer */
    bool delays;
};

static const struct mode modes[] = {
    {"1x1", 1, 1, 64, 8, 100000, false},  {"2x2-tiny", 2, 2, 2, 2, 20000, false}, {"2x2", 2, 2, 16, 16, 50000, false},
    {"4x3-tiny", 4, 3, 4, 4, 5000, true}, {"4x4", 4, 4, 256, 32, 20000, true},
};

struct round {
    const struct mode *mode;
    struct hqq_ring ring;
    _Atomic uint64_t taken;
    _Atomic uint8_t *stamps;
    uint64_t seed;
};

struct thread {
    struct round *round;
    unsigned index;
    struct heavy_random random;
    pthread_t thread;
};

static struct thread *thread_new(struct round *round, unsigned index, bool reads)
{
    struct thread *self = malloc(sizeof(*self));
    if (!self)
        heavy_fail("no memory");
    *self = (struct thread){round, index, heavy_random(round->seed, reads ? 256 + index : index), 0};
    return self;
}

/* The number travels in the packet too: packet and buffer must be of one element. */
static void put(struct hqq_ring *ring, uint64_t position, unsigned producer, uint32_t number)
{
    struct hqq_packet packet = {.opcode = number, .operand = {producer, ~(uint64_t)number, position}};
    heavy_element_fill(hqq_ring_buffer(ring, position), SIZE, producer, number);
    hqq_packet_store(hqq_ring_packet(ring, position), &packet);
}

static void *produce(void *arg)
{
    struct thread *self = arg;
    struct hqq_ring *ring = &self->round->ring;
    uint64_t end = self->round->mode->per_round;
    for (uint64_t number = 0; number < end;) {
        uint64_t want = 1 + heavy_below(&self->random, self->round->mode->run);
        uint64_t position;
        uint64_t claimed = hqq_ring_claim_write(ring, want < end - number ? want : end - number, &position);
        if (claimed > want)
            heavy_fail("%llu claimed of %llu", (unsigned long long)claimed, (unsigned long long)want);
        if (claimed == 0) {
            sched_yield();
            continue;
        }
        for (uint64_t i = 0; i < claimed; i++, number++) {
            if (!hqq_ring_is_claimed_write(ring, position + i))
                heavy_fail("position %llu was claimed, and is not", (unsigned long long)(position + i));
            put(ring, position + i, self->index, (uint32_t)number);
            hqq_ring_publish(ring, position + i);
        }
        hqq_ring_note_depth(ring, position + claimed);
    }
    return NULL;
}

static uint32_t take(const struct hqq_ring *ring, uint64_t position, unsigned *ret_producer)
{
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(ring, position));
    uint32_t number;
    if (!hqq_ring_is_claimed_read(ring, position))
        heavy_fail("position %llu was taken, and is not", (unsigned long long)position);
    if (heavy_element_check(hqq_ring_buffer(ring, position), SIZE, ret_producer, &number) != HEAVY_WHOLE)
        heavy_fail("a torn buffer at %llu", (unsigned long long)position);
    if (packet.opcode != number || packet.operand[0] != *ret_producer || packet.operand[1] != ~(uint64_t)number ||
        packet.operand[2] != position)
        heavy_fail("a torn packet at %llu", (unsigned long long)position);
    return number;
}

/* Looks at the head as a peek does: what was loaded is that packet if the slot is unchanged. */
static void peek(const struct hqq_ring *ring)
{
    uint64_t position;
    if (!hqq_ring_peek(ring, &position))
        return;
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(ring, position));
    if (hqq_ring_is_unchanged(ring, position) && (packet.operand[2] != position || packet.operand[1] != ~packet.opcode))
        heavy_fail("a torn peek at %llu", (unsigned long long)position);
}

static void *consume(void *arg)
{
    struct thread *self = arg;
    struct round *round = self->round;
    struct hqq_ring *ring = &round->ring;
    const struct mode *mode = round->mode;
    int64_t last[THREADS_MAX];
    for (size_t i = 0; i < THREADS_MAX; i++)
        last[i] = -1;

    while (atomic_load(&round->taken) < mode->producers * mode->per_round) {
        uint64_t position;
        if (heavy_one_in(&self->random, 8))
            peek(ring);
        uint64_t claimed = hqq_ring_claim_read(ring, 1 + heavy_below(&self->random, mode->run), &position);
        if (claimed == 0)
            sched_yield();
        for (uint64_t i = 0; i < claimed; i++) {
            unsigned producer;
            uint32_t number = take(ring, position + i, &producer);
            hqq_ring_release(ring, position + i);
            uint8_t before = atomic_exchange(&round->stamps[producer * mode->per_round + number], 1);
            if (before != 0)
                heavy_fail("producer %u, number %u taken twice", producer, number);
            if (last[producer] >= (int64_t)number)
                heavy_fail("producer %u, number %u after %lld", producer, number, (long long)last[producer]);
            last[producer] = number;
            atomic_fetch_add(&round->taken, 1);
        }
    }
    return NULL;
}

static void dump(void *arg)
{
    const struct round *round = arg;
    fprintf(stderr, "  taken %llu, r %llu, w %llu\n", (unsigned long long)round->taken,
            (unsigned long long)hqq_load_relaxed(hqq_ring_r(&round->ring)),
            (unsigned long long)hqq_load_relaxed(hqq_ring_w(&round->ring)));
}

static void run_threads(struct round *round)
{
    struct thread *threads[2 * THREADS_MAX];
    unsigned count = 0;
    heavy_watch_begin(&round->taken, STALL_NS);
    for (unsigned i = 0; i < round->mode->producers; i++)
        threads[count++] = thread_new(round, i, false);
    for (unsigned i = 0; i < round->mode->consumers; i++)
        threads[count++] = thread_new(round, i, true);
    for (unsigned i = 0; i < count; i++) {
        if (pthread_create(&threads[i]->thread, NULL, i < round->mode->producers ? produce : consume, threads[i]) != 0)
            heavy_fail("no thread");
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i]->thread, NULL);
        free(threads[i]);
    }
    heavy_watch_end();
}

static void run_round(const struct mode *mode, uint64_t seed)
{
    struct hqq_layout layout;
    heavy_expect("layout", hqq_layout_compute(mode->count, SIZE, hqq_page_size(), &layout), 0);
    void *base = heavy_shared(layout.bytes);
    struct round round = {.mode = mode, .stamps = calloc(mode->producers * mode->per_round, 1), .seed = seed};
    if (!round.stamps)
        heavy_fail("no memory");
    hqq_ring_view(&round.ring, base, &layout, 0);
    hqq_ring_format(&round.ring, true);
    uint64_t begin = UINT64_MAX - mode->per_round / 2;
    hqq_store_relaxed(hqq_ring_r(&round.ring), begin);
    hqq_store_relaxed(hqq_ring_w(&round.ring), begin);
    for (uint64_t p = begin; p != begin + mode->count; p++)
        hqq_store_relaxed(hqq_ring_seq(&round.ring, p), p);
    hqq_ring_view(&round.ring, base, &layout, 0);

    heavy_on_failure(dump, &round);
    if (mode->delays)
        heavy_points_delay(seed, 64);
    run_threads(&round);
    heavy_points_clear();
    if (round.taken != mode->producers * mode->per_round || hqq_ring_depth(&round.ring) != 0 ||
        hqq_load_relaxed(&round.ring.high_water) > mode->count)
        heavy_fail("taken %llu, depth %llu, high water %llu", (unsigned long long)round.taken,
                   (unsigned long long)hqq_ring_depth(&round.ring),
                   (unsigned long long)hqq_load_relaxed(&round.ring.high_water));
    heavy_on_failure(NULL, NULL);
    free((void *)(uintptr_t)round.stamps);
    heavy_shared_free(base, layout.bytes);
}

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 1);
    const char *wanted = options->mode;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const struct mode *mode = &modes[i];
        if (wanted && strcmp(wanted, mode->name) != 0)
            continue;
        uint64_t end = hqq_clock_ns() + options->seconds * HEAVY_S;
        uint64_t rounds = 0;
        do {
            heavy_name_mode(mode->name, options->seed + rounds);
            run_round(mode, options->seed + rounds);
            rounds++;
        } while (hqq_clock_ns() < end);
        heavy_say("ok    %s: %llu rounds, %llu elements", mode->name, (unsigned long long)rounds,
                  (unsigned long long)(rounds * mode->producers * mode->per_round));
    }
    return 0;
}
