/*
 * A hunt for wakeups that are lost because the thread that was woken goes away without a datagram: its time was up, or
 * what it took was no datagram. Patient readers wait without end for one datagram each; impatient ones come and go
 * beside them, with time-outs as short as the pauses.
 */
#include "stress/wakeup.h"

#include <sched.h>

#include <hqq/error.h>

#include "standard/state.h"

#define PATIENT 3u
#define IMPATIENT 2u
#define SLOTS 16u
#define SIZE 64u
#define PAUSE_NS 40000
#define STALL_NS (2 * HEAVY_S)
#define UNKNOWN_OPCODE 0x42

static _Atomic unsigned taken; /* of this turn, by anybody */

/* True if it took something; false if its time was up. */
static bool take(struct sleeper *self)
{
    unsigned char data[SIZE];
    size_t length;
    int result = hqq_link_read(self->link, data, SIZE, &length);
    if (result != HQQ_ERROR_TIMEOUT && result != HQQ_ERROR_INVALID_OP)
        heavy_expect("read", result, 0);
    return result != HQQ_ERROR_TIMEOUT;
}

/* Once each time it is let go; reads is true for the patient. */
static void *wait_for_one(void *arg)
{
    struct sleeper *self = arg;
    for (;;) {
        while (sem_wait(&self->wakeup->go[self->index]) != 0) {
        }
        if (atomic_load(&self->wakeup->is_over))
            return NULL;
        bool took = take(self);
        if (took)
            atomic_fetch_add(&taken, 1);
        else if (self->reads)
            heavy_fail("a wait without end timed out");
        wakeup_notice(self->wakeup);
    }
}

/* A packet of a kind that does not exist: whoever takes it gets an error. */
static void write_unknown(struct hqq_link *link)
{
    struct hqq_slot slot;
    heavy_expect("reserve", hqq_link_reserve(link, &slot), 0);
    hqq_link_publish(link, slot.position, UNKNOWN_OPCODE, 0);
    hqq_link_ring_data(link, 1);
}

/* The second of two slots is published first: whoever is woken for it finds nothing it may take yet. */
static void write_some(struct hqq_link *link, struct heavy_random *random, unsigned count)
{
    struct hqq_slot first, second;
    while (count > 0) {
        if (count == 1 || heavy_one_in(random, 2)) {
            if (heavy_one_in(random, 8))
                write_unknown(link);
            else
                heavy_expect("write", hqq_link_write(link, "datagram", 8), 0);
            count--;
            continue;
        }
        heavy_expect("reserve", hqq_link_reserve(link, &first), 0);
        heavy_expect("reserve", hqq_link_reserve(link, &second), 0);
        heavy_expect("commit", hqq_link_commit(link, &second, 8), 0);
        wakeup_pause(random, PAUSE_NS);
        heavy_expect("commit", hqq_link_commit(link, &first, 8), 0);
        count -= 2;
    }
}

/* Lets the patient go while no time-out is set, and sees them inside. */
static void seat_the_patient(struct wakeup *wakeup, struct hqq_link *link)
{
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(link, HQQ_FOREVER), 0);
    for (unsigned i = 0; i < PATIENT; i++)
        sem_post(&wakeup->go[i]);
    while (hqq_load32_relaxed(&link->inside) != PATIENT)
        sched_yield();
}

static void drain(struct hqq_link *link)
{
    unsigned char data[SIZE];
    size_t length;
    int result;
    do
        result = hqq_link_try_read(link, data, SIZE, &length);
    while (result == 0 || result == HQQ_ERROR_INVALID_OP);
    heavy_expect("try_read", result, HQQ_ERROR_WOULD_BLOCK);
}

/* Each reader is let go once, and reports once. */
static void turn(struct wakeup *wakeup, struct heavy_random *random, struct hqq_link *link, struct hqq_link *peer)
{
    unsigned count = 1 + (unsigned)heavy_below(random, PATIENT);
    unsigned reported = 0;

    atomic_store(&taken, 0);
    seat_the_patient(wakeup, link);
    heavy_expect("set_read_timeout", hqq_link_set_read_timeout(link, 1 + heavy_below(random, PAUSE_NS)), 0);
    for (unsigned i = PATIENT; i < PATIENT + IMPATIENT; i++)
        sem_post(&wakeup->go[i]);
    wakeup_pause(random, PAUSE_NS);
    write_some(peer, random, count);

    /* No more than the patient can take: so all of it gets taken, though the impatient leave. */
    for (; atomic_load(&taken) < count; reported++)
        wakeup_await(wakeup, 1);
    write_some(peer, random, PATIENT + IMPATIENT);
    wakeup_await(wakeup, PATIENT + IMPATIENT - reported);
    drain(link);
}

uint64_t hunt_impatient(struct heavy_random *random, uint64_t end_ns)
{
    struct wakeup *wakeup = wakeup_new(SLOTS, SIZE);
    struct hqq_link *link = wakeup_attach(wakeup, HQQ_ROLE_PRIMARY);
    struct hqq_link *peer = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
    struct sleeper sleepers[PATIENT + IMPATIENT];
    uint64_t asked = 0;

    heavy_watch_begin(&wakeup->steps, STALL_NS);
    sleepers_start(sleepers, 0, PATIENT, wait_for_one, true, wakeup, link);
    sleepers_start(sleepers, PATIENT, IMPATIENT, wait_for_one, false, wakeup, link);
    while (hqq_clock_ns() < end_ns) {
        turn(wakeup, random, link, peer);
        asked += PATIENT;
    }
    atomic_store(&wakeup->is_over, true);
    for (unsigned i = 0; i < PATIENT + IMPATIENT; i++)
        sem_post(&wakeup->go[i]);
    sleepers_join(sleepers, 0, PATIENT + IMPATIENT);
    heavy_watch_end();
    hqq_link_close(link);
    hqq_link_close(peer);
    wakeup_delete(wakeup);
    return asked;
}
