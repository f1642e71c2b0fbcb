/*
 * Hunts for wakeups that are lost because the thread that was woken goes away without what it came for: its time was
 * up, or what it took was no datagram. Patient readers wait without end for one datagram each, or patient writers for
 * one slot; impatient ones come and go beside them, with time-outs as short as the pauses, and a thief does not wait at
 * all. Nobody comes twice in a turn, so whoever was woken must see to it that the next is.
 */
#include "stress/wakeup.h"

#include <sched.h>

#include <hqq/error.h>

#include "standard/state.h"

#define PATIENT 3u
#define IMPATIENT 2u
#define THIEF (PATIENT + IMPATIENT) /* the last of */
#define ALL (THIEF + 1)
#define SLOTS 8u
#define SIZE 64u
#define PAUSE_NS 40000
#define STALL_NS (10 * HEAVY_S)
#define UNKNOWN_OPCODE 0x42

static _Atomic unsigned taken; /* of this turn, by anybody */

static int read_one(struct hqq_link *link, bool waits)
{
    unsigned char data[SIZE];
    size_t length;
    int result = waits ? hqq_link_read(link, data, SIZE, &length) : hqq_link_try_read(link, data, SIZE, &length);
    return result == HQQ_ERROR_INVALID_OP ? 0 : result; /* it took something, too */
}

static int write_one(struct hqq_link *link, bool waits)
{
    return waits ? hqq_link_write(link, "datagram", 8) : hqq_link_try_write(link, "datagram", 8);
}

/* True if it got something; false if its time was up. */
static bool come_once(const struct sleeper *self)
{
    bool waits = self->index != THIEF;
    int result = self->reads ? read_one(self->link, waits) : write_one(self->link, waits);
    if (result != 0 && (waits ? result != HQQ_ERROR_TIMEOUT : result != HQQ_ERROR_WOULD_BLOCK))
        heavy_fail("a call returned %d", result);
    return result == 0;
}

/* Once each time it is let go. */
static void *wait_for_one(void *arg)
{
    struct sleeper *self = arg;
    struct heavy_random random = heavy_random(self->index, 0);
    for (;;) {
        while (sem_wait(&self->wakeup->go[self->index]) != 0) {
        }
        if (atomic_load(&self->wakeup->is_over))
            return NULL;
        if (self->index == THIEF)
            wakeup_pause(&random, 2 * PAUSE_NS);
        if (come_once(self))
            atomic_fetch_add(&taken, 1);
        else if (self->index < PATIENT)
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

/* The same with slots that are made free. */
static void read_some(struct hqq_link *link, struct heavy_random *random, unsigned count)
{
    unsigned char data[SIZE];
    struct hqq_slot first, second;
    size_t length;
    while (count > 0) {
        if (count == 1 || heavy_one_in(random, 2)) {
            heavy_expect("read", hqq_link_read(link, data, SIZE, &length), 0);
            count--;
            continue;
        }
        heavy_expect("borrow", hqq_link_borrow(link, &first), 0);
        heavy_expect("borrow", hqq_link_borrow(link, &second), 0);
        heavy_expect("release", hqq_link_release(link, &second), 0);
        wakeup_pause(random, PAUSE_NS);
        heavy_expect("release", hqq_link_release(link, &first), 0);
        count -= 2;
    }
}

/* Which side is hunted: who waits at one end, and what the other end does for them. */
struct side {
    bool reads;
    int (*set_timeout)(struct hqq_link *link, uint64_t timeout_ns);
    void (*serve)(struct hqq_link *peer, struct heavy_random *random, unsigned count);
};

/* Lets the patient go while no time-out is set, and sees them inside. */
static void seat_the_patient(const struct side *side, struct wakeup *wakeup, struct hqq_link *link)
{
    heavy_expect("set_timeout", side->set_timeout(link, HQQ_FOREVER), 0);
    for (unsigned i = 0; i < PATIENT; i++)
        sem_post(&wakeup->go[i]);
    while (hqq_load32_relaxed(&link->inside) != PATIENT)
        sched_yield();
}

/* Makes the ring again what it was: empty for readers, full for writers. */
static void restore(const struct side *side, struct hqq_link *link)
{
    unsigned char data[SIZE];
    size_t length;
    int result;
    do
        result = side->reads ? hqq_link_try_read(link, data, SIZE, &length) : hqq_link_try_write(link, "full", 4);
    while (result == 0 || result == HQQ_ERROR_INVALID_OP);
    heavy_expect("a call that does not wait", result, HQQ_ERROR_WOULD_BLOCK);
}

/* Each of those who wait is let go once, and reports once. */
static void turn(const struct side *side, struct wakeup *wakeup, struct heavy_random *random, struct hqq_link *link,
                 struct hqq_link *peer)
{
    unsigned count = 1 + (unsigned)heavy_below(random, PATIENT);
    unsigned reported = 0;

    atomic_store(&taken, 0);
    seat_the_patient(side, wakeup, link);
    heavy_expect("set_timeout", side->set_timeout(link, 1 + heavy_below(random, PAUSE_NS)), 0);
    for (unsigned i = PATIENT; i < ALL; i++)
        sem_post(&wakeup->go[i]);
    wakeup_pause(random, PAUSE_NS);
    side->serve(peer, random, count);

    /* No more than the patient can take: so all of it gets taken, though the impatient leave. */
    for (; atomic_load(&taken) < count; reported++)
        wakeup_await(wakeup, 1);
    side->serve(peer, random, ALL);
    wakeup_await(wakeup, ALL - reported);
    restore(side, link);
}

static uint64_t hunt(const struct side *side, struct heavy_random *random, uint64_t end_ns)
{
    struct wakeup *wakeup = wakeup_new(SLOTS, SIZE);
    struct hqq_link *link = wakeup_attach(wakeup, HQQ_ROLE_PRIMARY);
    struct hqq_link *peer = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
    struct sleeper sleepers[ALL];
    uint64_t asked = 0;

    heavy_watch_begin(&wakeup->steps, STALL_NS);
    restore(side, link);
    sleepers_start(sleepers, 0, ALL, wait_for_one, side->reads, wakeup, link);
    while (hqq_clock_ns() < end_ns) {
        turn(side, wakeup, random, link, peer);
        asked += PATIENT;
    }
    atomic_store(&wakeup->is_over, true);
    for (unsigned i = 0; i < ALL; i++)
        sem_post(&wakeup->go[i]);
    sleepers_join(sleepers, 0, ALL);
    heavy_watch_end();
    hqq_link_close(link);
    hqq_link_close(peer);
    wakeup_delete(wakeup);
    return asked;
}

uint64_t hunt_impatient_readers(struct heavy_random *random, uint64_t end_ns)
{
    return hunt(&(const struct side){true, hqq_link_set_read_timeout, write_some}, random, end_ns);
}

uint64_t hunt_impatient_writers(struct heavy_random *random, uint64_t end_ns)
{
    return hunt(&(const struct side){false, hqq_link_set_write_timeout, read_some}, random, end_ns);
}
