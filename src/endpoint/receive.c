#include "endpoint/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include <hqq/link.h>

#include "base/point.h"
#include "channel/rx.h"
#include "endpoint/deadline.h"
#include "endpoint/kernel_queue.h"
#include "endpoint/ownership.h"
#include "endpoint/scheduler.h"
#include "endpoint/spin.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "ring/consume.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/frame.h"
#include "runtime/handlers.h"
#include "runtime/kernel.h"

/* Datagrams from the rings before the kernel's queue gets its turn. */
#define KERNEL_TURN 128

/* Datagrams from the kernel's queue, less one, between looks at what is behind them; a mask. */
#define POPS_PER_LOOK 3u

/* Flags that are the kernel's to answer. */
#define KERNEL_FLAGS MSG_OOB

/* A spin looks at the clock after so many looks at the rings. */
#define LOOKS_PER_CLOCK 32

/* ---- From a ring ------------------------------------------------------------------------------------------------ */

/* False: it can't be written. */
static bool tell_name(const struct hqq_channel *channel, struct msghdr *message)
{
    if (!message->msg_name)
        return true;
    size_t length = channel->name_length < message->msg_namelen ? channel->name_length : message->msg_namelen;
    if (!hqq_app_write(message->msg_name, &channel->name, length))
        return false;
    message->msg_namelen = channel->name_length;
    return true;
}

/* What recvmsg() says of a datagram of which so much was copied, or that met a bad address. */
static ssize_t tell(const struct hqq_receiving *receiving, const struct hqq_channel *channel, size_t length,
                    size_t copied)
{
    struct msghdr *message = receiving->message;
    if (__builtin_expect(copied == HQQ_CURSOR_FAULT || !tell_name(channel, message), 0))
        return -EFAULT;
    message->msg_controllen = 0;
    message->msg_flags = copied < length ? MSG_TRUNC : 0;
    if (receiving->flags & MSG_CMSG_CLOEXEC)
        message->msg_flags |= MSG_CMSG_CLOEXEC;
    return (ssize_t)(receiving->flags & MSG_TRUNC ? length : copied);
}

static void count_taken(struct hqq_endpoint *endpoint, uint64_t length)
{
    hqq_count_own(&endpoint->counters->received_ring, 1);
    hqq_count_own(&endpoint->counters->received_ring_bytes, length);
    endpoint->since_kernel_poll++;
    endpoint->burst++;
    hqq_bet_gain(&endpoint->bet);
}

/* Where several processes may read a ring, what was copied counts only once r has moved; else r moves first, so that nothing is
 * written to the app's memory that is not its datagram. */
static ssize_t take_shared(const struct hqq_receiving *receiving, struct hqq_channel *channel,
                           const struct hqq_datagram *datagram)
{
    const struct msghdr *message = receiving->message;
    size_t copied = hqq_rx_copy(channel, datagram, message->msg_iov, message->msg_iovlen);
    if (!hqq_rx_take(channel, datagram))
        return HQQ_RECEIVE_SPOILT;
    hqq_rx_release(channel, datagram);
    count_taken(receiving->endpoint, datagram->length);
    return tell(receiving, channel, datagram->length, copied);
}

static ssize_t peek(const struct hqq_receiving *receiving, struct hqq_channel *channel,
                    const struct hqq_datagram *datagram)
{
    const struct msghdr *message = receiving->message;
    size_t copied = hqq_rx_copy(channel, datagram, message->msg_iov, message->msg_iovlen);
    return tell(receiving, channel, datagram->length, copied);
}

static ssize_t take_from_rings(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_datagram datagram;
    struct hqq_channel *channel = hqq_scheduler_next(endpoint, &datagram);
    if (!channel)
        return HQQ_RECEIVE_NOTHING;
    if (__builtin_expect((receiving->flags & MSG_PEEK) != 0, 0))
        return peek(receiving, channel, &datagram);
    if (__builtin_expect(channel->is_shared, 0))
        return take_shared(receiving, channel, &datagram);
    if (__builtin_expect(hqq_load32_relaxed(&receiving->frame->is_spoilt) != 0, 0) || !hqq_rx_take(channel, &datagram))
        return HQQ_RECEIVE_SPOILT;
    hqq_ring_prefetch_consume(&channel->rx, datagram.position, datagram.length);
    size_t copied = hqq_rx_copy(channel, &datagram, receiving->message->msg_iov, receiving->message->msg_iovlen);
    hqq_rx_release(channel, &datagram);
    count_taken(endpoint, datagram.length);
    return tell(receiving, channel, datagram.length, copied);
}

/* ---- The next datagram ----------------------------------------------------------------------------------------- */

/* With the lock: a socket that is kept busy by one sender is still offered channels by others, whose datagrams come by the kernel. */
static void look_for_offers(struct hqq_endpoint *endpoint)
{
    if (!hqq_validation_is_due(endpoint) || hqq_endpoint_mode(endpoint) != HQQ_MODE_ACCELERATED ||
        endpoint->changing != 0)
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    hqq_validation_look(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* Where each datagram is received as soon as it is there the queue is never met empty, though it is whenever one has been taken. */
static void look_behind(struct hqq_endpoint *endpoint, int fd)
{
    if (!hqq_scheduler_is_wanted(endpoint))
        return;
    hqq_scheduler_note_requests(endpoint);
    if (hqq_kernel_queue_is_empty(fd))
        hqq_scheduler_acknowledge(endpoint);
}

/* The kernel's turn: either its queue is empty, which answers those that ask for it, or the rings go first, up to where they are
 * now, and then the head. */
static ssize_t take_from_kernel(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    endpoint->since_kernel_poll = 0;
    if (!endpoint->head_is_noted) {
        hqq_scheduler_note_requests(endpoint);
        if (hqq_kernel_queue_is_empty(receiving->fd)) {
            HQQ_POINT("endpoint.drained");
            hqq_scheduler_acknowledge(endpoint);
            return HQQ_RECEIVE_NOTHING;
        }
        hqq_scheduler_note_head(endpoint);
    }
    ssize_t result = take_from_rings(receiving);
    if (result != HQQ_RECEIVE_NOTHING)
        return result;
    bool is_peek = (receiving->flags & MSG_PEEK) != 0;
    if (__builtin_expect(is_peek, 0))
        hqq_scheduler_fix_head(endpoint);
    result = hqq_kernel_queue_pop(receiving);
    if (result == HQQ_RECEIVE_NOTHING /* another process was quicker */ || (result != HQQ_RECEIVE_SPOILT && !is_peek))
        endpoint->head_is_noted = false;
    if (result >= 0 && !is_peek) {
        look_for_offers(endpoint);
        hqq_scheduler_find_wanted(endpoint);
        if ((++endpoint->pops & POPS_PER_LOOK) == 0)
            look_behind(endpoint, receiving->fd);
    }
    return result;
}

/* Never waits. */
static ssize_t take_next(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result = HQQ_RECEIVE_NOTHING;
    hqq_scheduler_poll(endpoint);
    if (__builtin_expect(endpoint->since_kernel_poll < KERNEL_TURN && !endpoint->head_is_noted, 1))
        result = take_from_rings(receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING, 0))
        result = take_from_kernel(receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING, 0) && endpoint->busy)
        result = take_from_rings(receiving);
    return result;
}

/* ---- Spinning -------------------------------------------------------------------------------------------------- */

static uint64_t stake_of(struct hqq_endpoint *endpoint, bool *ret_shares_cpu)
{
    const struct hqq_channel *channel = endpoint->current ? endpoint->current : endpoint->busy;
    uint64_t stake = channel ? hqq_bet_stake(&endpoint->bet, endpoint->rule->spin_ns) : 0;
    if (stake != 0)
        *ret_shares_cpu = hqq_channel_shares_cpu(channel);
    return stake;
}

/* With the receive lock. */
static void count_spin(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks)
{
    if (is_won) {
        hqq_count_own(&endpoint->counters->spins_won, 1);
        hqq_bet_won(&endpoint->bet, ticks);
    } else {
        hqq_bet_lost(&endpoint->bet, ticks);
    }
}

static bool has_data(void *endpoint)
{
    return hqq_scheduler_has_data(endpoint);
}

/* Under the receive lock: waits a little for a ring to have something. */
static bool spin(struct hqq_endpoint *endpoint, int fd)
{
    bool shares_cpu = false, is_won = false;
    uint64_t stake = stake_of(endpoint, &shares_cpu);
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_run);
    if (stake == 0)
        return false;
    struct hqq_spin spin = hqq_spin_begin(stake, shares_cpu, handlers);
    while (!is_won && !hqq_lock_is_wanted(&endpoint->receive_lock) && hqq_spin_goes_on(&spin)) {
        is_won = hqq_spin_look(&spin, LOOKS_PER_CLOCK, has_data, endpoint);
        if (!is_won && !shares_cpu && (spin.rounds & 7) == 0 && !hqq_kernel_queue_is_empty(fd))
            return true; /* a sender that has no channel */
    }
    count_spin(endpoint, is_won, hqq_spin_cost(&spin));
    return is_won;
}

/* ---- The call -------------------------------------------------------------------------------------------------- */

/* The holder of the lock is this very thread, which this handler has interrupted: what it was about to take is ours, and it begins
 * anew. */
static void spoil(struct hqq_endpoint *endpoint)
{
    for (struct hqq_receive_frame *frame = endpoint->frame; frame; frame = frame->below) {
        hqq_store32_relaxed(&frame->is_spoilt, 1);
        frame->kernel.msg_iovlen = UIO_MAXIOV + 1;
    }
    hqq_scheduler_interrupt(endpoint);
}

/* A receive that has the lock, or a place above the frames of this thread that have it. */
struct entered {
    struct hqq_frame jump; /* first */
    struct hqq_endpoint *endpoint;
    struct hqq_receive_frame frame;
    struct hqq_receive_frame *suspended; /* what endpoint->frame was when a handler gave the lock back for a while */
    bool is_inside;                      /* from before it takes the lock until after it gives it back */
    bool is_nested, is_suspended;
};

static void leave(struct hqq_endpoint *endpoint, struct entered *entered);

/* It was jumped out of: slots that it had taken are free, and so is the lock. */
static void abandon(struct hqq_frame *jump)
{
    struct entered *entered = (struct entered *)(void *)jump;
    struct hqq_endpoint *endpoint = jump->object;
    bool is_whole = entered->endpoint == endpoint; /* else found late, and overwritten */
    if (!hqq_lock_is_mine(&endpoint->receive_lock) || (is_whole && !entered->is_inside))
        return;
    if (is_whole && entered->is_nested) { /* the frame below may have taken slots too, and is at work on them */
        leave(endpoint, entered);
        return;
    }
    for (struct hqq_channel *channel = endpoint->busy; channel; channel = hqq_scheduler_after(channel, endpoint->busy))
        hqq_rx_recover(channel);
    endpoint->changing = 0;
    endpoint->frame = NULL;
    hqq_lock_give(&endpoint->receive_lock);
    if (is_whole)
        entered->is_inside = false;
}

/*
 * A handler that has to wait for one socket must not keep another one's lock, which the code that it interrupted holds: two threads
 * whose handlers want each other's would stand still. So those are given back while it waits and receives; what they were about
 * to take begins anew.
 */
static void suspend_interrupted(void)
{
    for (struct hqq_frame *at = hqq_frame_top; at; at = at->below) {
        struct entered *below = (struct entered *)(void *)at;
        if (at->leave != abandon || !below->is_inside || below->is_nested ||
            !hqq_lock_is_mine(&below->endpoint->receive_lock) || below->endpoint->changing != 0)
            continue;
        spoil(below->endpoint);
        below->is_suspended = true;
        below->suspended = below->endpoint->frame;
        below->endpoint->frame = NULL;
        hqq_lock_give(&below->endpoint->receive_lock);
    }
}

static void resume_interrupted(void)
{
    for (struct hqq_frame *at = hqq_frame_top; at; at = at->below) {
        struct entered *below = (struct entered *)(void *)at;
        if (at->leave != abandon || !below->is_suspended)
            continue;
        below->is_suspended = false;
        hqq_lock_take(&below->endpoint->receive_lock);
        below->endpoint->frame = below->suspended;
    }
}

static void enter(struct hqq_endpoint *endpoint, struct entered *entered)
{
    entered->is_nested = false;
    entered->is_inside = true;
    hqq_fence_compiler();
    if (__builtin_expect(!hqq_lock_try(&endpoint->receive_lock), 0)) {
        entered->is_nested = hqq_lock_is_mine(&endpoint->receive_lock);
        if (!entered->is_nested) {
            suspend_interrupted();
            entered->is_nested = !hqq_lock_take(&endpoint->receive_lock);
        }
    }
    if (entered->is_nested)
        spoil(endpoint);
    hqq_store32_relaxed(&entered->frame.is_spoilt, 0);
    entered->frame.below = endpoint->frame;
    endpoint->frame = &entered->frame;
}

/* The first one: a jump out of this call is noticed from here on. */
static void begin(struct hqq_endpoint *endpoint, struct entered *entered)
{
    entered->endpoint = endpoint;
    entered->is_inside = entered->is_suspended = false;
    entered->jump.leave = abandon;
    entered->jump.object = endpoint;
    hqq_frame_push(&entered->jump);
    enter(endpoint, entered);
}

static void end(struct hqq_endpoint *endpoint, struct entered *entered)
{
    leave(endpoint, entered);
    hqq_frame_pop(&entered->jump);
    if (__builtin_expect(hqq_frame_top != NULL, 0))
        resume_interrupted();
}

static void leave(struct hqq_endpoint *endpoint, struct entered *entered)
{
    endpoint->frame = entered->frame.below;
    if (!entered->is_nested) {
        if (__builtin_expect(endpoint->buried != NULL, 0))
            hqq_scheduler_drop_buried(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
    }
    hqq_fence_compiler();
    entered->is_inside = false;
}

/* True in a handler that has interrupted a change of the lists: it must not look at them. */
static bool is_in_change(const struct hqq_endpoint *endpoint, const struct entered *entered)
{
    return __builtin_expect(entered->is_nested && endpoint->changing != 0, 0);
}

/* Who waits here will look here: from then on waits come through our calls. */
static bool may_wait(struct hqq_endpoint *endpoint, int flags)
{
    bool waits = (flags & MSG_DONTWAIT) == 0 && !hqq_ownership_is_nonblocking(endpoint);
    if (waits && hqq_load32_relaxed(&endpoint->is_intercepted) == 0)
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
    return waits;
}

/* This thread has slept in a wait since its last receive. */
static __thread bool has_waited __attribute__((tls_model("initial-exec")));

/* What a datagram from the kernel tells: whether polling would have paid, and whether it is time to look for offers. */
static void after_kernel(struct hqq_endpoint *endpoint, int fd, bool has_slept)
{
    bool is_time =
        hqq_bet_count(&endpoint->bet, has_slept || has_waited) && hqq_load32_relaxed(&endpoint->channel_count) != 0;
    has_waited = false;
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

/* Everything is armed and empty: the app's own call, which may sleep. Called with the lock, and returns with it. Once this thread is
 * counted as one that sleeps no handler of its own polls; one that came before may have begun to, and then nothing sleeps. */
static ssize_t sleep_in_kernel(const struct hqq_receiving *receiving, struct entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct hqq_receiving plain = *receiving;
    bool has_slept;
    bool was_nested = entered->is_nested;
    struct hqq_receive_frame *below = entered->frame.below;
    plain.frame = NULL;
    HQQ_POINT("endpoint.armed");
    hqq_kernel_queue_enter(endpoint);
    if (__builtin_expect(hqq_load32_relaxed(&entered->frame.is_spoilt) != 0, 0)) {
        hqq_kernel_queue_leave(endpoint);
        return HQQ_RECEIVE_SPOILT;
    }
    hqq_count_own(&endpoint->counters->sleeps, 1);
    endpoint->frame = NULL;
    hqq_lock_give(&endpoint->receive_lock); /* also for the frames below, which begin anew whatever happens meanwhile */
    entered->is_inside = false;
    ssize_t result = hqq_kernel_queue_receive(&plain, &has_slept);
    enter(endpoint, entered);
    if (was_nested) {
        entered->is_nested = true;
        entered->frame.below = below;
    }
    if (has_slept && !hqq_bet_sleep(&endpoint->bet))
        return result;
    if (result >= 0 && hqq_endpoint_is_live(endpoint, receiving->fd)) {
        look_for_offers(endpoint);
        hqq_scheduler_find_wanted(endpoint);
    }
    return result;
}

static ssize_t receive_locked(struct hqq_receiving *receiving, struct entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    bool waits = may_wait(endpoint, receiving->flags);
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_interrupting);
    for (;;) {
        hqq_store32_relaxed(&entered->frame.is_spoilt, 0);
        ssize_t result = take_next(receiving);
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

/* The first receive of this process: it is the one that receives, from now on, unless another one does. */
static void begin_to_receive(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (has_lock)
        hqq_ownership_receives(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* What the kernel serves, or refuses before it would wait. */
static ssize_t receive_in_kernel(const struct hqq_receiving *receiving)
{
    ssize_t result = hqq_libc.recvmsg(receiving->fd, receiving->message, receiving->flags);
    return result < 0 ? -errno : result;
}

/* receiving->frame is entered's, which counts once that has begun. */
static ssize_t receive(struct hqq_receiving *receiving, struct entered *entered)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result;
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_receiver) == 0, 0))
        begin_to_receive(endpoint);
    hqq_ownership_refresh(endpoint, receiving->fd);
    if (hqq_load32_relaxed(&endpoint->is_busy) == 0 && receive_plainly(receiving, &result))
        return result;
    begin(endpoint, entered);
    if (is_in_change(endpoint, entered)) {
        end(endpoint, entered);
        return receive_in_kernel(receiving);
    }
    if (__builtin_expect(hqq_endpoint_is_live(endpoint, receiving->fd), 1)) {
        result = receive_locked(receiving, entered);
    } else {
        result = -EBADF;
    }
    end(endpoint, entered);
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
    struct entered entered;
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

ssize_t hqq_receive_now(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    return hqq_receive(endpoint, fd, message, flags | MSG_DONTWAIT);
}

/* ---- Lending ---------------------------------------------------------------------------------------------------- */

ssize_t hqq_receive_borrow(struct hqq_endpoint *endpoint, int fd, struct hqq_borrowed *ret_borrowed)
{
    struct msghdr nothing = {0};
    struct entered entered;
    struct hqq_receiving receiving = {
        .endpoint = endpoint, .fd = fd, .flags = MSG_PEEK | MSG_TRUNC, .message = &nothing, .frame = &entered.frame};
    ssize_t result = -EBADF;
    ret_borrowed->channel = NULL;
    begin(endpoint, &entered);
    while (hqq_endpoint_is_live(endpoint, fd)) {
        struct hqq_datagram datagram;
        hqq_store32_relaxed(&entered.frame.is_spoilt, 0);
        result = take_next(&receiving);
        struct hqq_channel *channel =
            result >= 0 && !endpoint->head_is_noted ? hqq_scheduler_next(endpoint, &datagram) : NULL;
        if (result == HQQ_RECEIVE_SPOILT)
            continue;
        if (!channel)
            break;
        hqq_channel_hold(channel);
        hqq_add32_relaxed(&channel->loans, 1);
        if (hqq_load32_relaxed(&entered.frame.is_spoilt) == 0 && hqq_rx_take(channel, &datagram)) {
            count_taken(endpoint, datagram.length);
            *ret_borrowed = (struct hqq_borrowed){channel, datagram.position, datagram.slots};
            result = (ssize_t)datagram.length;
            break;
        }
        hqq_sub32_relaxed(&channel->loans, 1);
        hqq_channel_drop(channel);
    }
    end(endpoint, &entered);
    return result;
}

void hqq_receive_give_back(struct hqq_channel *channel, uint64_t position, uint64_t slots)
{
    const struct hqq_datagram datagram = {.position = position, .slots = slots};
    hqq_rx_release(channel, &datagram);
    hqq_sub32_release(&channel->loans, 1);
}

bool hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd, size_t *ret_length)
{
    struct entered entered;
    struct hqq_datagram datagram = {.length = 0};
    begin(endpoint, &entered);
    hqq_scheduler_poll(endpoint);
    bool is_known =
        hqq_scheduler_next(endpoint, &datagram) != NULL || (!endpoint->head_is_noted && hqq_kernel_queue_is_empty(fd));
    if (!is_known) {
        if (!endpoint->head_is_noted)
            hqq_scheduler_note_head(endpoint);
        hqq_scheduler_fix_head(endpoint);
        is_known = hqq_scheduler_next(endpoint, &datagram) != NULL; /* it came before the head */
    }
    end(endpoint, &entered);
    *ret_length = datagram.length;
    return is_known;
}

/* ---- For waits -------------------------------------------------------------------------------------------------- */

uint64_t hqq_receive_stake(struct hqq_endpoint *endpoint, bool *ret_shares_cpu)
{
    struct entered entered;
    begin(endpoint, &entered);
    uint64_t stake = is_in_change(endpoint, &entered) ? 0 : stake_of(endpoint, ret_shares_cpu);
    end(endpoint, &entered);
    return stake;
}

void hqq_receive_spun(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks)
{
    struct entered entered;
    begin(endpoint, &entered);
    count_spin(endpoint, is_won, ticks);
    end(endpoint, &entered);
}

static void with_lock(struct hqq_endpoint *endpoint, void (*act)(struct hqq_endpoint *))
{
    struct entered entered;
    begin(endpoint, &entered);
    if (!is_in_change(endpoint, &entered))
        act(endpoint);
    end(endpoint, &entered);
}

void hqq_receive_note_requests(struct hqq_endpoint *endpoint)
{
    with_lock(endpoint, hqq_scheduler_note_requests);
}

void hqq_receive_acknowledge(struct hqq_endpoint *endpoint)
{
    with_lock(endpoint, hqq_scheduler_acknowledge);
}

/* Under a filter: what the rings hold is taken still, without a look at the kernel's queue. */
static void leave_to_kernel(struct hqq_endpoint *endpoint)
{
    hqq_scheduler_stop_all(endpoint, HQQ_SUSPENDED); /* those that hold something stay busy */
    endpoint->head_is_noted = false;
    endpoint->since_kernel_poll = 0;
}

bool hqq_receive_is_ready_slow(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    struct entered entered;
    bool is_ready = false;
    begin(endpoint, &entered);
    if (!is_in_change(endpoint, &entered)) {
        if (hqq_filter_is_set())
            leave_to_kernel(endpoint);
        else
            hqq_scheduler_poll(endpoint);
        is_ready = edge ? hqq_scheduler_has_news(endpoint, edge) : hqq_scheduler_has_data(endpoint);
    }
    end(endpoint, &entered);
    return is_ready;
}

bool hqq_receive_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    struct entered entered;
    begin(endpoint, &entered);
    bool may_sleep = is_in_change(endpoint, &entered) || hqq_scheduler_arm(endpoint, edge);
    if (may_sleep)
        hqq_bet_sleep(&endpoint->bet);
    end(endpoint, &entered);
    return may_sleep;
}

bool hqq_receive_sleep(struct hqq_endpoint *endpoint)
{
    hqq_kernel_queue_enter(endpoint);
    if (hqq_load32_relaxed(&endpoint->is_busy) == 0 || hqq_receive_arm(endpoint, NULL))
        return true;
    hqq_kernel_queue_leave(endpoint);
    return false;
}

void hqq_receive_wake(struct hqq_endpoint *endpoint)
{
    hqq_kernel_queue_leave(endpoint);
}

void hqq_receive_has_slept(void)
{
    has_waited = true;
}

void hqq_receive_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge)
{
    struct entered entered;
    begin(endpoint, &entered);
    if (!is_in_change(endpoint, &entered))
        hqq_scheduler_report(endpoint, edge);
    end(endpoint, &entered);
}

bool hqq_receive_is_kernels(struct hqq_endpoint *endpoint)
{
    return !hqq_receive_is_ready(endpoint, NULL);
}

void hqq_receive_begins(struct hqq_endpoint *endpoint)
{
    begin_to_receive(endpoint);
}
