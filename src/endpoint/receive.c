#include "endpoint/receive.h"

#include <errno.h>

#include "base/point.h"
#include "endpoint/entered.h"
#include "endpoint/kernel_queue.h"
#include "endpoint/ownership.h"
#include "endpoint/ready.h"
#include "endpoint/scheduler.h"
#include "endpoint/spin.h"
#include "endpoint/take.h"
#include "endpoint/validation.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/handlers.h"
#include "runtime/libc.h"

/* Flags that are the kernel's to answer. */
#define KERNEL_FLAGS MSG_OOB

/* A spin looks at the clock after so many looks at the rings. */
#define LOOKS_PER_CLOCK 32

/* ---- Spinning -------------------------------------------------------------------------------------------------- */

static bool has_data(void *endpoint)
{
    return hqq_scheduler_has_data(endpoint);
}

/* Under the receive lock: waits a little for a ring to have something. */
static bool spin(struct hqq_endpoint *endpoint, int fd)
{
    bool shares_cpu = false, is_won = false;
    uint64_t stake = hqq_ready_stake(endpoint, &shares_cpu);
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    if (stake == 0)
        return false;
    struct hqq_spin spin = hqq_spin_begin(stake, shares_cpu, handlers);
    while (!is_won && !hqq_lock_is_wanted(&endpoint->receive_lock) && hqq_spin_goes_on(&spin)) {
        is_won = hqq_spin_look(&spin, LOOKS_PER_CLOCK, has_data, endpoint);
        if (!is_won && !shares_cpu && (spin.rounds & 7) == 0 && !hqq_kernel_queue_is_empty(fd))
            return true; /* a sender that has no channel */
    }
    hqq_ready_count_spin(endpoint, is_won, hqq_spin_cost(&spin));
    return is_won;
}

/* ---- The kernel's own receive ----------------------------------------------------------------------------------- */

/* A thread that waits here looks at rings here: from then on waits come through our calls. */
static bool may_wait(struct hqq_endpoint *endpoint, int flags)
{
    bool waits = (flags & MSG_DONTWAIT) == 0 && !hqq_ownership_is_nonblocking(endpoint);
    if (waits && hqq_load32_relaxed(&endpoint->is_intercepted) == 0)
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
    return waits;
}

/* What a datagram from the kernel tells: whether polling would have paid, and whether it is time to look for offers. */
static void after_kernel(struct hqq_endpoint *endpoint, int fd, bool has_slept)
{
    bool is_time = hqq_bet_count(&endpoint->bet, has_slept || hqq_ready_has_slept) &&
                   hqq_load32_relaxed(&endpoint->channel_count) != 0;
    hqq_ready_has_slept = false;
    if (__builtin_expect(!is_time && !hqq_bet_is_hot(&endpoint->bet) && !hqq_validation_is_due(endpoint), 1))
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (has_lock && hqq_endpoint_is_live(endpoint, fd) && hqq_endpoint_mode(endpoint) == HQQ_MODE_ACCELERATED) {
        hqq_validation_look(endpoint);
        bool was_hot = hqq_bet_is_hot(&endpoint->bet);
        if (hqq_load32_relaxed(&endpoint->channel_count) != 0 && hqq_bet_consider(&endpoint->bet)) {
            hqq_count_own(&endpoint->counters->trials, !was_hot);
            hqq_scheduler_find_wanted(endpoint);
        }
    }
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* Nothing is busy: the kernel's own receive. False: something is, or somebody has to be looked for. */
static bool receive_plainly(const struct hqq_receiving *receiving, ssize_t *ret_result)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    bool has_slept;
    may_wait(endpoint, receiving->flags);
    hqq_kernel_queue_enter(endpoint);
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_busy) != 0, 0)) {
        hqq_kernel_queue_leave(endpoint);
        return false;
    }
    *ret_result = hqq_kernel_queue_receive(receiving, &has_slept);
    if (*ret_result >= 0 && (receiving->flags & MSG_PEEK) == 0)
        after_kernel(endpoint, receiving->fd, has_slept);
    return true;
}

/* Everything is armed and empty: the app's own call, which may sleep. Called with the lock, and returns with it.
 * Once this thread is counted as one that sleeps no handler of its own polls; one that came before may have begun
 * to, and then nothing sleeps. */
static ssize_t sleep_in_kernel(const struct hqq_receiving *receiving, struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_receiving plain = *receiving;
    bool has_slept;
    plain.frame = NULL;
    HQQ_POINT("endpoint.armed");
    hqq_kernel_queue_enter(endpoint);
    if (hqq_entered_is_spoilt(entered)) {
        hqq_kernel_queue_leave(endpoint);
        return HQQ_RECEIVE_SPOILT;
    }
    hqq_count_own(&endpoint->counters->sleeps, 1);
    hqq_entered_pause(entered);
    ssize_t result = hqq_kernel_queue_receive(&plain, &has_slept);
    hqq_entered_go_on(entered);
    if (has_slept && !hqq_bet_sleep(&endpoint->bet))
        return result;
    if (result >= 0 && hqq_endpoint_is_live(endpoint, receiving->fd)) {
        hqq_validation_look_if_due(endpoint);
        hqq_scheduler_find_wanted(endpoint);
    }
    return result;
}

/* ---- The call -------------------------------------------------------------------------------------------------- */

static ssize_t receive_locked(struct hqq_receiving *receiving, struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    bool waits = may_wait(endpoint, receiving->flags);
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_interrupting);
    for (;;) {
        hqq_entered_try(entered);
        ssize_t result = hqq_take_next(receiving);
        if (__builtin_expect(result >= 0, 1))
            return result;
        if (result == HQQ_RECEIVE_SPOILT)
            continue;
        if (result != HQQ_RECEIVE_NOTHING || !waits)
            return result;
        if (hqq_load32_relaxed(&hqq_handlers_interrupting) != handlers)
            return -EINTR;
        if (spin(endpoint, receiving->fd))
            continue;
        if (hqq_load32_relaxed(&hqq_handlers_interrupting) != handlers)
            return -EINTR;
        if (!hqq_scheduler_arm(endpoint, NULL))
            continue;
        result = sleep_in_kernel(receiving, entered);
        if (result != HQQ_RECEIVE_SPOILT)
            return result;
    }
}

/* What the kernel serves, or refuses before it would wait. */
static ssize_t receive_in_kernel(const struct hqq_receiving *receiving)
{
    ssize_t result = hqq_libc_receive(receiving->fd, receiving->message, receiving->flags);
    return result < 0 ? -errno : result;
}

/* receiving->frame is entered's, which counts once that has begun. */
static ssize_t receive(struct hqq_receiving *receiving, struct hqq_entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result;
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_receiver) == 0, 0))
        hqq_ownership_receives(endpoint);
    hqq_ownership_refresh(endpoint, receiving->fd);
    if (hqq_load32_relaxed(&endpoint->is_busy) == 0 && receive_plainly(receiving, &result))
        return result;
    hqq_entered_begin(entered, endpoint);
    if (hqq_entered_is_in_change(entered)) {
        hqq_entered_end(entered);
        return receive_in_kernel(receiving);
    }
    if (__builtin_expect(hqq_endpoint_is_live(endpoint, receiving->fd), 1)) {
        result = receive_locked(receiving, entered);
    } else {
        result = -EBADF;
    }
    hqq_entered_end(entered);
    return result;
}

/* A part of the vector that can't be written: a datagram that gets so far is lost, and EFAULT. */
static ssize_t receive_before(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags, size_t parts)
{
    struct msghdr before = *message;
    size_t length = 0;
    size_t all = message->msg_iovlen;
    before.msg_iovlen = parts;
    hqq_vector_length(before.msg_iov, before.msg_iovlen, &length);
    ssize_t result = hqq_receive(endpoint, fd, &before, flags | MSG_TRUNC);
    if (result > (ssize_t)length)
        return -EFAULT;
    if (result >= 0)
        *message = before;
    message->msg_iovlen = all;
    return result;
}

/* For good, once the rings are empty. */
static bool is_kernels(const struct hqq_endpoint *endpoint)
{
    return hqq_endpoint_mode(endpoint) == HQQ_MODE_KERNEL && hqq_load32_relaxed(&endpoint->is_busy) == 0;
}

ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    struct hqq_entered entered;
    struct hqq_receiving receiving = {
        .endpoint = endpoint, .fd = fd, .flags = flags & ~MSG_NOSIGNAL, .message = message, .frame = &entered.frame};
    size_t length, parts;
    if (__builtin_expect(!hqq_endpoint_is_own(endpoint), 0))
        hqq_ownership_noticed(endpoint);
    if (__builtin_expect((flags & KERNEL_FLAGS) != 0 || is_kernels(endpoint), 0))
        return receive_in_kernel(&receiving);
    if (__builtin_expect(!hqq_vector_length(message->msg_iov, message->msg_iovlen, &length), 0))
        return hqq_vector_has_null(message->msg_iov, message->msg_iovlen, &parts)
                   ? receive_before(endpoint, fd, message, flags, parts)
                   : receive_in_kernel(&receiving);
    return receive(&receiving, &entered);
}

bool hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd, size_t *ret_length)
{
    struct hqq_entered entered;
    struct hqq_datagram datagram = {.length = 0};
    if (endpoint->are_rings_last && !hqq_kernel_queue_is_empty(fd))
        return false;
    hqq_entered_begin(&entered, endpoint);
    bool may_look = !hqq_filter_is_set();
    hqq_scheduler_poll(endpoint);
    bool is_known = hqq_scheduler_next(endpoint, &datagram) != NULL ||
                    (may_look && !endpoint->head_is_noted && hqq_kernel_queue_is_empty(fd));
    if (!is_known && may_look) {
        if (!endpoint->head_is_noted)
            hqq_scheduler_note_head(endpoint);
        hqq_scheduler_fix_head(endpoint);
        is_known = hqq_scheduler_next(endpoint, &datagram) != NULL; /* it came before the head */
    }
    hqq_entered_end(&entered);
    *ret_length = datagram.length;
    return is_known;
}
