/* Hunts for lost wakeups in traffic: readers that sleep for data, and writers that sleep for space. */
#include "stress/wakeup.h"

#include <unistd.h>

#include <hqq/error.h>

#define SLEEPERS 4
#define SLOTS 16u
#define SLOTS_TINY 2u
#define SIZE 64u
#define SIZE_LARGE 2048u /* its stores take a while to leave the processor */
#define BATCH 8u
#define PAUSE_NS 60000
#define COLD_BYTES ((size_t)32 << 20)
#define LOOPS_TO_SLEEP 4000 /* a few microseconds */
#define STALL_NS (10 * HEAVY_S)

/* ---- Data ---------------------------------------------------------------------------------------------------------
 * */

/* Takes datagrams by one call or another, and reports each. */
static void *read_all(void *arg)
{
    struct sleeper *self = arg;
    unsigned char data[BATCH][SIZE_LARGE];
    for (unsigned turn = self->index;; turn++) {
        struct hqq_message messages[BATCH];
        struct hqq_slot slot;
        size_t length, read = 1;
        int result;
        switch (turn % 3) {
        case 0:
            result = hqq_link_read(self->link, data[0], SIZE_LARGE, &length);
            break;
        case 1:
            for (unsigned i = 0; i < BATCH; i++)
                messages[i] = (struct hqq_message){.data = data[i], .capacity = SIZE_LARGE};
            result = hqq_link_read_batch(self->link, messages, 1 + turn % BATCH, &read);
            break;
        default:
            result = hqq_link_borrow(self->link, &slot);
            if (result == 0)
                heavy_expect("release", hqq_link_release(self->link, &slot), 0);
            break;
        }
        if (result == HQQ_ERROR_CLOSED)
            return NULL;
        heavy_expect("read", result, 0);
        for (size_t i = 0; i < read; i++)
            wakeup_notice(self->wakeup);
    }
}

/* Writes count datagrams, in a batch or singly, with a tombstone among them now and then. */
static void write_burst(struct hqq_link *link, struct heavy_random *random, unsigned count)
{
    unsigned char data[SIZE] = {1};
    struct hqq_message messages[2 * BATCH];
    struct hqq_slot slot;
    size_t written;
    if (heavy_one_in(random, 2)) {
        for (unsigned i = 0; i < count; i++)
            messages[i] = (struct hqq_message){.data = data, .length = 1 + i};
        heavy_expect("write_batch", hqq_link_write_batch(link, messages, count, &written), 0);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        if (heavy_one_in(random, 4)) {
            heavy_expect("reserve", hqq_link_reserve(link, &slot), 0);
            wakeup_pause(random, 2000);
            heavy_expect("abort", hqq_link_abort(link, &slot, 0), 0);
        }
        heavy_expect("write", hqq_link_write(link, data, SIZE), 0);
    }
}

/* Two slots claimed in one order and published in the other: the wakeup for the second finds nothing it may take yet.
 * */
static void write_crosswise(struct hqq_link *link, struct heavy_random *random)
{
    struct hqq_slot first, second;
    heavy_expect("reserve", hqq_link_reserve(link, &first), 0);
    heavy_expect("reserve", hqq_link_reserve(link, &second), 0);
    heavy_expect("commit", hqq_link_commit(link, &second, 1), 0);
    wakeup_pause(random, PAUSE_NS);
    heavy_expect("commit", hqq_link_commit(link, &first, 1), 0);
}

static uint64_t control_data(struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns, struct hqq_link *link)
{
    uint64_t asked = 0;
    while (hqq_clock_ns() < end_ns) {
        unsigned count = 2;
        wakeup_pause(random, PAUSE_NS);
        if (heavy_one_in(random, 8)) {
            write_crosswise(link, random);
        } else {
            count = 1 + (unsigned)heavy_below(random, 2 * BATCH);
            write_burst(link, random, count);
        }
        wakeup_await(wakeup, count);
        asked += count;
    }
    return asked;
}

/* ---- Space --------------------------------------------------------------------------------------------------------
 * */

/* Writes without end, and reports each datagram that went in. */
static void *write_all(void *arg)
{
    struct sleeper *self = arg;
    unsigned char data[SIZE_LARGE] = {1};
    size_t size = (size_t)self->wakeup->size;
    for (unsigned turn = self->index;; turn++) {
        const struct hqq_message message = {.data = data, .length = size};
        struct hqq_slot slot;
        size_t written;
        int result;
        switch (turn % 3) {
        case 0:
            result = hqq_link_write(self->link, data, size);
            break;
        case 1:
            result = hqq_link_write_batch(self->link, &message, 1, &written);
            break;
        default:
            result = hqq_link_reserve(self->link, &slot);
            if (result == 0)
                heavy_expect("commit", hqq_link_commit(self->link, &slot, size), 0);
            break;
        }
        if (result == HQQ_ERROR_CLOSED)
            return NULL;
        heavy_expect("write", result, 0);
        wakeup_notice(self->wakeup);
    }
}

/* Takes count datagrams out of a ring that is full. */
static void read_burst(struct hqq_link *link, struct heavy_random *random, unsigned count)
{
    unsigned char data[SLOTS_TINY][SIZE];
    struct hqq_message messages[SLOTS_TINY];
    size_t read, length;
    for (unsigned i = 0; i < SLOTS_TINY; i++)
        messages[i] = (struct hqq_message){.data = data[i], .capacity = SIZE};
    while (count > 0) {
        read = 1;
        if (count >= SLOTS_TINY && heavy_one_in(random, 2))
            heavy_expect("read_batch", hqq_link_read_batch(link, messages, SLOTS_TINY, &read), 0);
        else
            heavy_expect("read", hqq_link_read(link, data[0], SIZE, &length), 0);
        count -= (unsigned)read;
    }
}

/* As many as are taken out go in again, and then the ring is full. */
static uint64_t control_space(struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns,
                              struct hqq_link *link)
{
    uint64_t asked = 0;
    wakeup_await(wakeup, SLOTS_TINY);
    while (hqq_clock_ns() < end_ns) {
        unsigned count = 1 + (unsigned)heavy_below(random, 3 * SLOTS_TINY);
        wakeup_pause(random, PAUSE_NS);
        read_burst(link, random, count);
        wakeup_await(wakeup, count);
        asked += count;
    }
    return asked;
}

/* ---- Closely ------------------------------------------------------------------------------------------------------
 * */

/* The sleeper is met on its way to sleep: the controller sees by itself, without the kernel, that it has got the last
 * one, and makes the next within the time that falling asleep takes. Here the two may pass each other by a few loads
 * and stores that are still on their way. */
static void meet(const struct wakeup *wakeup, struct heavy_random *random, uint64_t noticed)
{
    while (atomic_load_explicit(&wakeup->steps, memory_order_relaxed) < noticed) {
    }
    for (uint64_t loops = heavy_below(random, LOOPS_TO_SLEEP); loops > 0; loops--)
        atomic_signal_fence(memory_order_seq_cst);
}

static uint64_t control_data_closely(struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns,
                                     struct hqq_link *link)
{
    static const unsigned char data[SIZE_LARGE];
    uint64_t asked = 0;
    while (asked % 64 != 0 || hqq_clock_ns() < end_ns) {
        heavy_expect("write", hqq_link_write(link, data, sizeof(data)), 0);
        meet(wakeup, random, ++asked);
    }
    return asked;
}

/* Each datagram goes where no cache has been for long, for the same reason. */
static uint64_t control_space_closely(struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns,
                                      struct hqq_link *link)
{
    unsigned char *cold = heavy_shared(COLD_BYTES);
    size_t length;
    uint64_t asked = 0;
    meet(wakeup, random, SLOTS_TINY);
    while (asked % 64 != 0 || hqq_clock_ns() < end_ns) {
        unsigned char *data = cold + asked * SIZE_LARGE % COLD_BYTES;
        heavy_expect("read", hqq_link_read(link, data, SIZE_LARGE, &length), 0);
        meet(wakeup, random, SLOTS_TINY + ++asked);
    }
    heavy_shared_free(cold, COLD_BYTES);
    return asked;
}

/* ---- Both ---------------------------------------------------------------------------------------------------------
 * */

struct hunt {
    void *(*sleep)(void *sleeper);
    bool reads;
    unsigned sleepers;
    uint64_t (*control)(struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns, struct hqq_link *link);
};

static void run_sleepers(const struct hunt *hunt, struct wakeup *wakeup, struct hqq_link *link)
{
    struct sleeper sleepers[SLEEPERS];
    sleepers_start(sleepers, 0, hunt->sleepers, hunt->sleep, hunt->reads, wakeup, link);
    sleepers_join(sleepers, 0, hunt->sleepers);
}

/* The sleepers' end in this process. */
struct other_end {
    const struct hunt *hunt;
    struct wakeup *wakeup;
    struct hqq_link *link;
    pthread_t thread;
};

static void *run_other_end(void *arg)
{
    const struct other_end *other = arg;
    run_sleepers(other->hunt, other->wakeup, other->link);
    return NULL;
}

static uint64_t run(const struct hunt *hunt, struct wakeup *wakeup, struct heavy_random *random, uint64_t end_ns,
                    bool processes)
{
    struct hqq_link *link = NULL;
    struct other_end other = {.hunt = hunt, .wakeup = wakeup};
    pid_t child = processes ? heavy_fork() : -1;
    if (child == 0) {
        link = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
        run_sleepers(hunt, wakeup, link);
        hqq_link_close(link);
        _exit(0);
    }
    link = wakeup_attach(wakeup, HQQ_ROLE_PRIMARY);
    heavy_watch_begin(&wakeup->steps, STALL_NS);
    if (!processes) {
        other.link = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
        if (pthread_create(&other.thread, NULL, run_other_end, &other) != 0)
            heavy_fail("no thread");
    }
    uint64_t asked = hunt->control(wakeup, random, end_ns, link);
    heavy_expect("shutdown", hqq_link_shutdown(link), 0);
    if (processes) {
        heavy_reap_well("the sleepers", child);
    } else {
        pthread_join(other.thread, NULL);
        hqq_link_close(other.link);
    }
    heavy_watch_end();
    hqq_link_close(link);
    wakeup_delete(wakeup);
    return asked;
}

uint64_t hunt_data(struct heavy_random *random, uint64_t end_ns, bool processes)
{
    const struct hunt hunt = {read_all, true, SLEEPERS, control_data};
    return run(&hunt, wakeup_new(SLOTS, SIZE), random, end_ns, processes);
}

uint64_t hunt_space(struct heavy_random *random, uint64_t end_ns, bool processes)
{
    const struct hunt hunt = {write_all, false, SLEEPERS, control_space};
    return run(&hunt, wakeup_new(SLOTS_TINY, SIZE), random, end_ns, processes);
}

uint64_t hunt_data_closely(struct heavy_random *random, uint64_t end_ns, bool processes)
{
    const struct hunt hunt = {read_all, true, 1, control_data_closely};
    return run(&hunt, wakeup_new(SLOTS_TINY, SIZE_LARGE), random, end_ns, processes);
}

uint64_t hunt_space_closely(struct heavy_random *random, uint64_t end_ns, bool processes)
{
    const struct hunt hunt = {write_all, false, 1, control_space_closely};
    return run(&hunt, wakeup_new(SLOTS_TINY, SIZE_LARGE), random, end_ns, processes);
}
