#include "socket/waiting.h"

#include <errno.h>
#include <pthread.h>

#include <hqq/link.h>

#include "endpoint/ready.h"
#include "endpoint/scheduler.h"
#include "endpoint/spin.h"
#include "platform/clock.h"
#include "runtime/cursor.h"
#include "runtime/handlers.h"
#include "runtime/ticks.h"

#define LOOKS_PER_CLOCK 8

const struct timespec *hqq_waiting_span(uint64_t until_ns, struct timespec *left)
{
    if (until_ns == HQQ_FOREVER)
        return NULL;
    *left = hqq_timespec(hqq_clock_left(until_ns));
    return left;
}

int hqq_waiting_ms(uint64_t span_ns)
{
    uint64_t ms = span_ns / HQQ_NS_PER_MS + (span_ns % HQQ_NS_PER_MS != 0);
    return span_ns == HQQ_FOREVER ? -1 : ms < INT32_MAX ? (int)ms : INT32_MAX;
}

bool hqq_waiting_is_valid(const struct timespec *timeout)
{
    return !timeout || (!hqq_is_unreadable(timeout, sizeof(*timeout)) && timeout->tv_sec >= 0 &&
                        timeout->tv_nsec >= 0 && timeout->tv_nsec < (long)HQQ_NS_PER_S);
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

static size_t look(struct hqq_waiting *wait)
{
    size_t ready = 0, place = 0;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    while ((endpoint = wait->adapter->next(wait, &place, &edge))) {
        if (hqq_ready_has_data(endpoint, edge)) {
            wait->adapter->mark(wait, place);
            ready++;
        }
    }
    return ready;
}

/* ---- Sleeping ---------------------------------------------------------------------------------------------------- */

static void wake(struct hqq_waiting *wait)
{
    while (wait->asleep > 0)
        hqq_ready_wake(wait->counted[--wait->asleep]);
    if (wait->is_counted)
        wait->adapter->count(wait, false);
    if (wait->is_blind)
        hqq_scheduler_count_blind_wait(false);
    wait->is_counted = wait->is_blind = false;
}

static void count_blindly(struct hqq_waiting *wait)
{
    if (!wait->is_blind)
        hqq_scheduler_count_blind_wait(true);
    wait->is_blind = true;
}

/* Counts the thread with one of them, and arms it. */
static bool arm_one(struct hqq_waiting *wait, struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    if (!wait->is_counted && wait->asleep < HQQ_WAITING_FEW) {
        bool may_sleep = hqq_ready_sleep(endpoint);
        if (may_sleep)
            wait->counted[wait->asleep++] = endpoint;
        return may_sleep;
    }
    if (!wait->is_counted)
        count_blindly(wait);
    return hqq_load32_relaxed(&endpoint->is_busy) == 0 || hqq_ready_arm(endpoint, edge);
}

static void wake_abandoned(struct hqq_frame *frame)
{
    wake((struct hqq_waiting *)(void *)frame);
}

static void wake_cancelled(void *argument)
{
    struct hqq_waiting *wait = argument;
    hqq_frame_pop(&wait->frame);
    wake(wait);
}

/* Arms all, and counts this thread with them. False: something is there; nobody is counted. */
static bool arm(struct hqq_waiting *wait)
{
    size_t place = 0;
    bool may_sleep = true;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    if (wait->adapter->count) {
        wait->adapter->count(wait, true);
        wait->is_counted = true;
    }
    if (wait->has_unknown)
        count_blindly(wait);
    while (may_sleep && (endpoint = wait->adapter->next(wait, &place, &edge)))
        may_sleep = arm_one(wait, endpoint, edge);
    if (may_sleep && wait->adapter->is_stable)
        may_sleep = wait->adapter->is_stable(wait);
    if (!may_sleep)
        wake(wait);
    return may_sleep;
}

/* The kernel's call. */
static int call(struct hqq_waiting *wait, const struct timespec *span)
{
    int result;
    wait->frame.leave = wake_abandoned;
    hqq_frame_push(&wait->frame);
    pthread_cleanup_push(wake_cancelled, wait);
    uint64_t began = hqq_ticks();
    result = wait->adapter->call(wait, span);
    if (hqq_ticks_are_due(hqq_ticks(), began, HQQ_BET_AWAKE_US))
        hqq_ready_has_slept = true;
    pthread_cleanup_pop(0);
    hqq_frame_pop(&wait->frame);
    wake(wait);
    return result;
}

/* Something is ready, which goes before a signal, whether it is blocked until then or not. */
static int call_unmasked(struct hqq_waiting *wait)
{
    const struct timespec none = {0};
    const sigset_t *mask = wait->mask;
    int found;
    wait->mask = NULL;
    do
        found = call(wait, &none);
    while (found < 0 && errno == EINTR);
    wait->mask = mask;
    return found;
}

/* ---- Spinning ---------------------------------------------------------------------------------------------------- */

/* The endpoint that a spin pays for most likely: any that may. */
static struct hqq_endpoint *find_stake(struct hqq_waiting *wait, uint64_t *ret_stake, bool *ret_shares_cpu)
{
    size_t place = 0, looked = 0;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    while ((endpoint = wait->adapter->next(wait, &place, &edge)) && looked++ < HQQ_WAITING_FEW) {
        if (edge || hqq_load32_relaxed(&endpoint->is_busy) == 0)
            continue;
        *ret_stake = hqq_ready_begin_spin(endpoint, ret_shares_cpu);
        if (*ret_stake != 0)
            return endpoint;
    }
    return NULL;
}

static bool has_data(void *waiting)
{
    struct hqq_waiting *wait = waiting;
    size_t place = 0, looked = 0;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    while ((endpoint = wait->adapter->next(wait, &place, &edge)) && looked++ < HQQ_WAITING_FEW) {
        if (!edge && hqq_ready_has_data(endpoint, NULL))
            return true;
    }
    return false;
}

/* True: look. False: it did not pay, or a handler ran, which ends a wait of this kind. */
static bool spin(struct hqq_waiting *wait)
{
    uint64_t stake = 0;
    bool shares_cpu = false, is_won = false;
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    struct hqq_endpoint *endpoint = wait->mask ? NULL : find_stake(wait, &stake, &shares_cpu);
    if (!endpoint)
        return false;
    struct hqq_spin spin = hqq_spin_begin(stake, shares_cpu, handlers);
    while (!is_won && hqq_spin_goes_on(&spin))
        is_won = hqq_spin_look(&spin, LOOKS_PER_CLOCK, has_data, wait);
    hqq_ready_end_spin(endpoint, is_won, hqq_spin_cost(&spin));
    return is_won;
}

/* ---- The wait ---------------------------------------------------------------------------------------------------- */

/* Busy endpoints whose readiness the kernel tells as long as it lasts: before and after it is asked. */
static bool note_requests(struct hqq_waiting *wait)
{
    size_t place = 0;
    bool has_busy = false;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    wait->note_from = wait->note_to = 0;
    while ((endpoint = wait->adapter->next(wait, &place, &edge))) {
        if (hqq_load32_relaxed(&endpoint->is_busy) == 0)
            continue;
        has_busy = true;
        uint64_t note = edge ? 0 : hqq_ready_note_requests(endpoint);
        if (note == 0)
            continue;
        if (wait->note_from == 0)
            wait->note_from = note;
        wait->note_to = note;
    }
    return has_busy;
}

static void acknowledge(struct hqq_waiting *wait)
{
    size_t place = 0;
    const struct hqq_membership *edge;
    struct hqq_endpoint *endpoint;
    while ((endpoint = wait->adapter->next(wait, &place, &edge))) {
        if (!edge && hqq_load32_relaxed(&endpoint->is_busy) != 0)
            hqq_ready_acknowledge(endpoint, wait->note_from, wait->note_to);
    }
}

int hqq_waiting_run(struct hqq_waiting *wait)
{
    const struct timespec none = {0};
    struct timespec left;
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    if (wait->mask && hqq_is_unreadable(wait->mask, sizeof(uint64_t))) { /* as much as the kernel reads */
        errno = EFAULT;
        return -1;
    }
    wait->asleep = 0;
    wait->is_counted = wait->is_blind = false;
    for (bool is_quiet = wait->is_quiet;; is_quiet = false) {
        size_t ready = is_quiet ? 0 : look(wait);
        bool has_busy = !is_quiet && ready == 0 && !wait->is_now && !wait->asks_once && note_requests(wait);
        if (ready != 0 || wait->is_now || has_busy) {
            int found = ready != 0 ? call_unmasked(wait) : call(wait, &none);
            if (found != 0 || !has_busy)
                return found < 0 ? found : wait->adapter->merge(wait, found);
            acknowledge(wait);
        }
        if (has_busy && spin(wait))
            continue;
        if (hqq_load32_relaxed(&hqq_handlers_run) != handlers) {
            errno = EINTR;
            return -1;
        }
        if (arm(wait))
            return call(wait, hqq_waiting_span(wait->until_ns, &left));
    }
}
