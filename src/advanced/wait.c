#include "advanced/wait.h"

#include "advanced/input.h"
#include "advanced/output.h"
#include "advanced/wake.h"
#include "base/thread.h"
#include "platform/clock.h"

/* With something to send and no slot for it, who waits for the peer's packets looks for a slot this often, and who
 * waits for a slot looks for packets: only so can two ends that both send more than the rings hold go on. */
#define LOOK_FIRST_NS (100 * HQQ_NS_PER_US)
#define LOOK_LAST_NS (4 * HQQ_NS_PER_MS)

/* ---- Ways to wait ------------------------------------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Takes what has come; waits for it until that time. True if there was something, or there will be no more. */
static bool take(struct hqq_advanced *advanced, struct hqq_waiter *waiter, uint64_t until_ns)
{
    waiter->how = HQQ_WAITING_TAKING;
    waiter->is_called = false;
    hqq_link_allow_taking(advanced->link);
    int result = hqq_input_take(advanced, until_ns);
    waiter->how = HQQ_WAITING_ASLEEP;
    return result != HQQ_ERROR_WOULD_BLOCK && result != HQQ_ERROR_TIMEOUT;
}

static void wait_for_room(struct hqq_advanced *advanced, struct hqq_waiter *waiter, uint64_t until_ns)
{
    uint64_t room = advanced->room_wanted;
    waiter->how = HQQ_WAITING_ROOM;
    waiter->is_called = false;
    hqq_link_allow_awaiting(advanced->link);
    hqq_advanced_unlock(advanced);
    (void)hqq_link_await_room(advanced->link, room, until_ns);
    hqq_advanced_lock(advanced);
    waiter->how = HQQ_WAITING_ASLEEP;
}

static void sleep_until(struct hqq_advanced *advanced, struct hqq_waiter *waiter, uint64_t until_ns)
{
    waiter->is_called = false;
    if (until_ns == HQQ_FOREVER) {
        (void)pthread_cond_wait(&waiter->cond, &advanced->lock);
    } else {
        struct timespec until = hqq_timespec(until_ns);
        (void)pthread_cond_timedwait(&waiter->cond, &advanced->lock, &until);
    }
}

/* Nobody is in the link while more has arrived than may wait for the program: so nobody there finds that the peer has
 * gone, and what is waited for will not come. Sleeps for a moment, and looks. 0, or how it has gone; which does not end
 * the link, as what lies in it can still be received. */
static int sleep_beside_a_full_inbox(struct hqq_advanced *advanced, struct hqq_waiter *waiter, uint64_t until_ns)
{
    enum hqq_peer peer;
    uint64_t look_ns = hqq_deadline_after(hqq_clock_ns(), advanced->link->peer_check_ns);
    sleep_until(advanced, waiter, earlier(until_ns, look_ns));
    if (hqq_advanced_may_take(advanced) || advanced->is_taking || advanced->ended != 0)
        return 0;
    (void)hqq_link_check_peer(advanced->link, &peer);
    return hqq_link_peer_gone(advanced->link);
}

static bool does_anybody_wait_for_room(const struct hqq_advanced *advanced)
{
    for (const struct hqq_waiter *waiter = advanced->waiters; waiter; waiter = waiter->next) {
        if (waiter->how == HQQ_WAITING_ROOM)
            return true;
    }
    return false;
}

/* One wait, in the most useful way that is free. It may end for no reason. 0, or why the wait cannot be fulfilled. */
static int wait_once(struct hqq_advanced *advanced, struct hqq_waiter *waiter, const struct hqq_await *wait,
                     uint64_t now, uint64_t *look_ns)
{
    uint64_t until = earlier(wait->deadline_ns, advanced->rate_until_ns);
    bool lacks_room = advanced->room_wanted != 0 && !advanced->is_sending;
    bool may_take = hqq_advanced_may_take(advanced);
    uint64_t look = earlier(until, now + *look_ns);
    int result = 0;
    waiter->is_called = false; /* what it was called for has been looked at */
    waiter->is_looking = lacks_room;

    if (lacks_room && wait->kind == HQQ_AWAIT_SLOT && !does_anybody_wait_for_room(advanced)) {
        if (may_take && take(advanced, waiter, 0)) {
            waiter->is_looking = false;
            *look_ns = LOOK_FIRST_NS;
            return 0;
        }
        if (advanced->room_wanted != 0 && !waiter->is_called) { /* or it was while it looked */
            waiter->is_looking = hqq_advanced_may_take(advanced);
            wait_for_room(advanced, waiter, waiter->is_looking ? look : until);
        }
    } else if (may_take) {
        (void)take(advanced, waiter, lacks_room ? look : until);
    } else if (advanced->is_taking) {
        sleep_until(advanced, waiter, lacks_room ? look : until);
    } else {
        result = sleep_beside_a_full_inbox(advanced, waiter, lacks_room ? look : until);
    }
    waiter->is_looking = false;
    *look_ns = *look_ns * 2 < LOOK_LAST_NS ? *look_ns * 2 : LOOK_LAST_NS;
    return result;
}

/* ---- The loop ---------------------------------------------------------------------------------------------------- */

static bool is_over(struct hqq_advanced *advanced, const struct hqq_await *wait, int *ret_result)
{
    *ret_result = 0;
    if (wait->is_ready(wait->arg))
        return true;
    *ret_result = advanced->ended;
    return *ret_result != 0;
}

static void enter(struct hqq_advanced *advanced, struct hqq_waiter *waiter)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&waiter->cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    waiter->next = advanced->waiters;
    advanced->waiters = waiter;
}

/* Somebody must go on driving, if anybody still waits. */
static void leave(struct hqq_advanced *advanced, struct hqq_waiter *waiter)
{
    struct hqq_waiter **at = &advanced->waiters;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    (void)pthread_cond_destroy(&waiter->cond);
    hqq_advanced_wake_one(advanced);
}

/* Everything that can be done at once. */
static void drive(struct hqq_advanced *advanced, const struct hqq_await *wait)
{
    int ignored;
    for (uint64_t i = 0; i < advanced->link->rx.count && hqq_advanced_may_take(advanced); i++) {
        if (is_over(advanced, wait, &ignored))
            break;
        int result = hqq_input_take(advanced, 0);
        if (result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_TIMEOUT)
            break;
    }
    hqq_output_push(advanced);
}

static int drive_only(struct hqq_advanced *advanced, const struct hqq_await *wait)
{
    int result;
    hqq_output_push(advanced);
    if (is_over(advanced, wait, &result))
        return result;
    drive(advanced, wait);
    return is_over(advanced, wait, &result) ? result : HQQ_ERROR_WOULD_BLOCK;
}

int hqq_advanced_wait(struct hqq_advanced *advanced, const struct hqq_await *wait)
{
    struct hqq_waiter waiter = {.object = wait->object};
    uint64_t look_ns = LOOK_FIRST_NS;
    int result;

    if (wait->deadline_ns == 0)
        return drive_only(advanced, wait);
    if (hqq_load32_relaxed(&advanced->callback_thread) == hqq_thread_self())
        return is_over(advanced, wait, &result) ? result : HQQ_ERROR_INVALID_OP;
    hqq_output_push(advanced);
    if (is_over(advanced, wait, &result))
        return result;

    enter(advanced, &waiter);
    for (;;) {
        uint64_t progress = advanced->progress;
        hqq_output_push(advanced);
        if (is_over(advanced, wait, &result))
            break;
        uint64_t now = hqq_clock_ns();
        if (now >= wait->deadline_ns) {
            result = drive_only(advanced, wait);
            if (result == HQQ_ERROR_WOULD_BLOCK)
                result = HQQ_ERROR_TIMEOUT;
            break;
        }
        if (advanced->progress != progress)
            look_ns = LOOK_FIRST_NS;
        result = wait_once(advanced, &waiter, wait, now, &look_ns);
        if (result != 0) {
            int last;
            if (is_over(advanced, wait, &last))
                result = last;
            break;
        }
    }
    leave(advanced, &waiter);
    return result;
}
