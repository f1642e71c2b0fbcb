/* Hunts for lost wakeups when nothing is read or written: deadlines that move, ends that are shut or closed. */
#include "stress/wakeup.h"

#include <sched.h>

#include <hqq/error.h>

#include "standard/state.h"

#define READERS 3
#define WRITERS 3
#define SLOTS 2u
#define SIZE 64u
#define PAUSE_NS 60000
#define STALL_NS (10 * HEAVY_S)

static int call(struct sleeper *self)
{
    unsigned char data[SIZE] = {0};
    size_t length;
    return self->reads ? hqq_link_read(self->link, data, SIZE, &length) : hqq_link_write(self->link, data, SIZE);
}

static void fill_up(struct hqq_link *link)
{
    while (hqq_link_try_write(link, "full", 4) == 0) {
    }
}

static void let_go(struct wakeup *wakeup, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sem_post(&wakeup->go[i]);
}

/* ---- Deadlines ----------------------------------------------------------------------------------------------------
 * */

/* Waits without end each time it is let go: only the deadline that somebody else sets can end it. */
static void *wait_for_deadline(void *arg)
{
    struct sleeper *self = arg;
    for (;;) {
        while (sem_wait(&self->wakeup->go[self->index]) != 0) {
        }
        if (atomic_load(&self->wakeup->is_over))
            return NULL;
        heavy_expect("a call whose deadline was moved", call(self), HQQ_ERROR_TIMEOUT);
        wakeup_notice(self->wakeup);
    }
}

static void set_deadlines(struct hqq_link *link, struct heavy_random *random, uint64_t when_ns)
{
    if (heavy_one_in(random, 2)) {
        heavy_expect("set_deadline", hqq_link_set_deadline(link, when_ns), 0);
        return;
    }
    heavy_expect("set_read_deadline", hqq_link_set_read_deadline(link, when_ns), 0);
    heavy_expect("set_write_deadline", hqq_link_set_write_deadline(link, when_ns), 0);
}

uint64_t hunt_deadline(struct heavy_random *random, uint64_t end_ns)
{
    struct wakeup *wakeup = wakeup_new(SLOTS, SIZE);
    struct hqq_link *link = wakeup_attach(wakeup, HQQ_ROLE_PRIMARY);
    struct hqq_link *peer = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
    struct sleeper sleepers[READERS + WRITERS];
    uint64_t asked = 0;

    heavy_watch_begin(&wakeup->steps, STALL_NS);
    fill_up(link);
    sleepers_start(sleepers, 0, READERS, wait_for_deadline, true, wakeup, link);
    sleepers_start(sleepers, READERS, WRITERS, wait_for_deadline, false, wakeup, link);
    while (hqq_clock_ns() < end_ns) {
        set_deadlines(link, random, HQQ_FOREVER);
        let_go(wakeup, READERS + WRITERS);
        wakeup_pause(random, PAUSE_NS);
        if (heavy_one_in(random, 3)) /* far off, then nearer */
            set_deadlines(link, random, hqq_clock_ns() + 3600 * HEAVY_S);
        set_deadlines(link, random, hqq_clock_ns() + heavy_below(random, 2) * heavy_below(random, PAUSE_NS));
        wakeup_await(wakeup, READERS + WRITERS);
        asked += READERS + WRITERS;
    }
    atomic_store(&wakeup->is_over, true);
    let_go(wakeup, READERS + WRITERS);
    sleepers_join(sleepers, 0, READERS + WRITERS);
    heavy_watch_end();
    hqq_link_close(link);
    hqq_link_close(peer);
    wakeup_delete(wakeup);
    return asked;
}

/* ---- Shutting and closing -----------------------------------------------------------------------------------------
 * */

static void *wait_for_the_end(void *arg)
{
    struct sleeper *self = arg;
    heavy_expect("a call on a link that was shut", call(self), HQQ_ERROR_CLOSED);
    wakeup_notice(self->wakeup);
    return NULL;
}

/* Closing a link is allowed once no thread can begin a call any more: all of them are inside, and stay there. */
static void await_inside(const struct hqq_link *link, uint32_t count)
{
    while (hqq_load32_relaxed(&link->inside) != count)
        sched_yield();
}

/* What the peer does meanwhile: tombstones wake readers, who find nothing, and go on waiting. */
static void *abort_slots(void *arg)
{
    struct sleeper *self = arg;
    struct hqq_slot slot;
    while (!atomic_load(&self->wakeup->is_over)) {
        int result = hqq_link_reserve(self->link, &slot);
        if (result == HQQ_ERROR_CLOSED)
            break;
        heavy_expect("reserve", result, 0);
        heavy_expect("abort", hqq_link_abort(self->link, &slot, 0), 0);
    }
    return NULL;
}

enum ending {
    SHUT_OWN,
    SHUT_PEER,
    CLOSE_OWN,
    CLOSE_PEER,
    CLOSE_OWN_AMID_TOMBSTONES,
    ENDINGS,
};

uint64_t hunt_shutdown(struct heavy_random *random, uint64_t end_ns)
{
    uint64_t asked = 0;
    heavy_watch_begin(&heavy_steps, STALL_NS);
    while (hqq_clock_ns() < end_ns) {
        struct wakeup *wakeup = wakeup_new(SLOTS, SIZE);
        struct hqq_link *link = wakeup_attach(wakeup, HQQ_ROLE_PRIMARY);
        struct hqq_link *peer = wakeup_attach(wakeup, HQQ_ROLE_SECONDARY);
        struct sleeper sleepers[READERS + WRITERS + 1];
        enum ending ending = (enum ending)heavy_below(random, ENDINGS);
        unsigned extra = ending == CLOSE_OWN_AMID_TOMBSTONES ? 1 : 0;

        fill_up(link);
        sleepers_start(sleepers, 0, READERS, wait_for_the_end, true, wakeup, link);
        sleepers_start(sleepers, READERS, WRITERS, wait_for_the_end, false, wakeup, link);
        if (ending == CLOSE_OWN || ending == CLOSE_OWN_AMID_TOMBSTONES)
            await_inside(link, READERS + WRITERS);
        sleepers_start(sleepers, READERS + WRITERS, extra, abort_slots, false, wakeup, peer);
        wakeup_pause(random, PAUSE_NS);
        if (ending == SHUT_OWN || ending == SHUT_PEER)
            heavy_expect("shutdown", hqq_link_shutdown(ending == SHUT_OWN ? link : peer), 0);
        else
            hqq_link_close(ending == CLOSE_PEER ? peer : link);
        wakeup_await(wakeup, READERS + WRITERS);
        atomic_store(&wakeup->is_over, true);
        sleepers_join(sleepers, 0, READERS + WRITERS + extra);
        if (ending == SHUT_OWN || ending == SHUT_PEER || ending == CLOSE_PEER)
            hqq_link_close(link);
        if (ending != CLOSE_PEER)
            hqq_link_close(peer);
        wakeup_delete(wakeup);
        asked += READERS + WRITERS;
        atomic_fetch_add(&heavy_steps, 1);
    }
    heavy_watch_end();
    return asked;
}
