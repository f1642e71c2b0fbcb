/* The victim of the traffic scenes. */
#include "crash/traffic.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#define CALLS_MAX 20000
#define VICTIM 1

struct victim {
    const struct scene *scene;
    const struct traffic *traffic;
    struct hqq_link *link;
    struct heavy_random random;
    uint32_t number; /* of its next datagram */
};

const char *traffic_call_name(enum traffic_call call)
{
    static const char *const names[TRAFFIC_CALLS] = {"write",      "try_write", "write_batch", "commit",     "abort",
                                                     "write_with", "read",      "try_read",    "read_batch", "borrow",
                                                     "read_with",  "peek",      "reopen"};
    return names[call];
}

/* ---- Writing ------------------------------------------------------------------------------------------------------
 * */

static size_t draw(struct victim *victim, void *data)
{
    size_t length = HEAVY_ELEMENT_MIN + heavy_below(&victim->random, SCENE_SIZE - HEAVY_ELEMENT_MIN + 1);
    heavy_element_fill(data, length, VICTIM, victim->number);
    return length;
}

static int fill(void *data, size_t capacity, size_t *ret_length, void *arg)
{
    (void)capacity;
    *ret_length = draw(arg, data);
    return 0;
}

static void write_batch(struct victim *victim)
{
    unsigned char data[SCENE_BATCH][SCENE_SIZE];
    struct hqq_message messages[SCENE_BATCH];
    size_t written;
    for (unsigned i = 0; i < SCENE_BATCH; i++, victim->number++)
        messages[i] = (struct hqq_message){.data = data[i], .length = draw(victim, data[i])};
    heavy_expect("write_batch", hqq_link_write_batch(victim->link, messages, SCENE_BATCH, &written), 0);
}

static void write_slot(struct victim *victim, bool aborts)
{
    struct hqq_slot slot;
    heavy_expect("reserve", hqq_link_reserve(victim->link, &slot), 0);
    if (aborts) {
        atomic_store(&victim->scene->ledger->is_aborting, true);
        heavy_expect("abort", hqq_link_abort(victim->link, &slot, 1), 0);
        atomic_store(&victim->scene->ledger->is_aborting, false);
        return;
    }
    heavy_expect("commit", hqq_link_commit(victim->link, &slot, draw(victim, slot.data)), 0);
    victim->number++;
}

static void write_once(struct victim *victim)
{
    unsigned char data[SCENE_SIZE];
    switch (victim->traffic->call) {
    case TRAFFIC_WRITE_BATCH:
        write_batch(victim);
        break;
    case TRAFFIC_COMMIT:
        write_slot(victim, false);
        break;
    case TRAFFIC_ABORT:
        write_slot(victim, heavy_one_in(&victim->random, 2));
        break;
    case TRAFFIC_WRITE_WITH:
        heavy_expect("write_with", hqq_link_write_with(victim->link, fill, victim), 0);
        victim->number++;
        break;
    case TRAFFIC_TRY_WRITE:
        if (hqq_link_try_write(victim->link, data, draw(victim, data)) == 0)
            victim->number++;
        else
            sched_yield();
        break;
    default:
        heavy_expect("write", hqq_link_write(victim->link, data, draw(victim, data)), 0);
        victim->number++;
        break;
    }
}

/* ---- Reading ------------------------------------------------------------------------------------------------------
 * */

static int take(const void *data, size_t length, void *arg)
{
    struct victim *victim = arg;
    unsigned producer;
    uint32_t number;
    if (heavy_element_check(data, length, &producer, &number) != HEAVY_WHOLE || number >= SCENE_NUMBERS)
        heavy_fail("the victim got a torn datagram");
    if (atomic_exchange(&victim->scene->ledger->taken[number], TAKEN_BY_VICTIM) != 0)
        heavy_fail("the victim got number %u twice", number);
    return 0;
}

static void read_batch(struct victim *victim)
{
    unsigned char data[SCENE_BATCH][SCENE_SIZE];
    struct hqq_message messages[SCENE_BATCH];
    size_t read;
    for (unsigned i = 0; i < SCENE_BATCH; i++)
        messages[i] = (struct hqq_message){.data = data[i], .capacity = SCENE_SIZE};
    heavy_expect("read_batch", hqq_link_read_batch(victim->link, messages, SCENE_BATCH, &read), 0);
    for (size_t i = 0; i < read; i++)
        take(messages[i].data, messages[i].length, victim);
}

static void read_now(struct victim *victim)
{
    unsigned char data[SCENE_SIZE];
    size_t length;
    int result = hqq_link_try_read(victim->link, data, sizeof(data), &length);
    if (result == 0) {
        take(data, length, victim);
    } else {
        heavy_expect("try_read", result, HQQ_ERROR_WOULD_BLOCK);
        sched_yield();
    }
}

static void read_once(struct victim *victim)
{
    unsigned char data[SCENE_SIZE];
    struct hqq_slot slot;
    size_t length;
    switch (victim->traffic->call) {
    case TRAFFIC_READ_BATCH:
        read_batch(victim);
        break;
    case TRAFFIC_BORROW:
        heavy_expect("borrow", hqq_link_borrow(victim->link, &slot), 0);
        take(slot.data, slot.length, victim);
        heavy_expect("release", hqq_link_release(victim->link, &slot), 0);
        break;
    case TRAFFIC_READ_WITH:
        heavy_expect("read_with", hqq_link_read_with(victim->link, take, victim), 0);
        break;
    case TRAFFIC_PEEK: /* takes tombstones away by itself */
        if (hqq_link_peek(victim->link, &length) == 0)
            read_now(victim);
        else
            sched_yield();
        break;
    case TRAFFIC_TRY_READ:
        read_now(victim);
        break;
    default:
        heavy_expect("read", hqq_link_read(victim->link, data, sizeof(data), &length), 0);
        take(data, length, victim);
        break;
    }
}

/* ---- Living and dying ---------------------------------------------------------------------------------------------
 * */

static void reopen_once(struct victim *victim)
{
    unsigned char data[SCENE_SIZE];
    scene_doom(victim->scene, NULL, victim->traffic->label, victim->traffic->nth);
    for (unsigned turn = 0; turn < victim->traffic->nth + 1; turn++) {
        struct hqq_link *link = scene_attach(victim->scene, victim->traffic->role);
        heavy_expect("write", hqq_link_write(link, data, draw(victim, data)), 0);
        victim->number++;
        hqq_link_close(link);
    }
}

void traffic_victim(const struct scene *scene, const struct traffic *traffic)
{
    struct victim victim = {scene, traffic, NULL, heavy_random(traffic->seed, 1), 0};
    if (traffic->call == TRAFFIC_REOPEN) {
        reopen_once(&victim);
        _exit(SCENE_NOT_REACHED);
    }
    victim.link = scene_attach(scene, traffic->role);
    sem_post(&scene->ledger->attached);
    scene_doom(scene, victim.link, traffic->label, traffic->nth);
    for (unsigned i = 0; i < CALLS_MAX && !atomic_load(&scene->ledger->is_over); i++) {
        /* Pauses, so that each side finds the other asleep now and then. */
        if (heavy_one_in(&victim.random, 8))
            usleep((useconds_t)heavy_below(&victim.random, 300));
        if (traffic->call < TRAFFIC_FIRST_READ)
            write_once(&victim);
        else
            read_once(&victim);
        atomic_fetch_add(&scene->ledger->steps, 1);
    }
    _exit(SCENE_NOT_REACHED);
}
