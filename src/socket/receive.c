#include "socket/receive.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <hqq/link.h>

#include "base/point.h"
#include "platform/clock.h"
#include "socket/deadline.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/kernel.h"
#include "socket/offers.h"
#include "socket/queue.h"
#include "socket/ready.h"
#include "socket/rendezvous.h"
#include "socket/rings.h"
#include "socket/spin.h"

/* Datagrams from the rings before the kernel's queue gets its turn. */
#define KERNEL_TURN 128

/* Flags that are the kernel's to answer. */
#define KERNEL_FLAGS (MSG_OOB | MSG_ERRQUEUE)

/* ---- The next datagram ----------------------------------------------------------------------------------------- */

static ssize_t take_from_kernel(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result;
    endpoint->turn = 0;
    if (!hqq_load32_relaxed(&endpoint->may_meet_tokens) && receiving->flags & MSG_PEEK)
        return hqq_kernel_recvmsg(receiving->fd, receiving->message, receiving->flags);
    for (int tokens = 0; tokens < HQQ_TOKENS_MOST; tokens++) {
        bool is_token = false;
        if (hqq_load32_relaxed(&endpoint->may_meet_tokens) && !endpoint->head_is_data) {
            struct hqq_token token;
            long error = 0;
            switch (hqq_queue_look(receiving->fd, &token, &error)) {
            case HQQ_QUEUE_ERROR:
                return error;
            case HQQ_QUEUE_EMPTY:
                if (hqq_rings_pass_noted(endpoint))
                    return hqq_rings_take(receiving);
                return HQQ_RECEIVE_NOTHING;
            case HQQ_QUEUE_END:
            case HQQ_QUEUE_DATA:
                hqq_rings_set_limits(endpoint);
                break;
            case HQQ_QUEUE_TOKEN:
            default:
                is_token = true;
                if (!hqq_queue_may_pop(endpoint, &token))
                    return hqq_rings_take(receiving);
                break;
            }
        }
        if (endpoint->head_is_data) {
            result = hqq_rings_take(receiving);
            if (result != HQQ_RECEIVE_NOTHING)
                return result;
            if (receiving->flags & MSG_PEEK) {
                long peeked = hqq_kernel_recvmsg(receiving->fd, receiving->message, receiving->flags);
                endpoint->head_is_data = peeked >= 0;
                return peeked;
            }
        }
        endpoint->head_is_data = false;
        if ((is_token ? hqq_queue_pop_any(receiving, &result) : hqq_queue_pop(receiving, &result)) == HQQ_POPPED_DATA)
            return result;
        /* It was a token; the ring that it speaks of may have something that goes before what follows. */
        result = hqq_rings_take(receiving);
        if (result != HQQ_RECEIVE_NOTHING)
            return result;
    }
    return HQQ_RECEIVE_NOTHING;
}

static ssize_t take_next(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    if (__builtin_expect(hqq_load32_relaxed(&endpoint->is_kernel_only) != 0, 0))
        return hqq_rings_take(receiving);
    if (__builtin_expect(endpoint->offered != NULL, 0))
        hqq_offers_take_over(endpoint);
    /* With another thread asleep always: a token must stay for it. */
    bool is_kernels_turn = endpoint->turn >= KERNEL_TURN || endpoint->head_is_data;
    if (__builtin_expect(!is_kernels_turn || hqq_load32_relaxed(&endpoint->sleepers) != 0, 1)) {
        ssize_t result = hqq_rings_take(receiving);
        if (__builtin_expect(result != HQQ_RECEIVE_NOTHING, 1))
            return result;
    }
    hqq_offers_look(endpoint, false);
    ssize_t result = take_from_kernel(receiving);
    if (result != HQQ_RECEIVE_NOTHING || !endpoint->active)
        return result;
    result = hqq_rings_take(receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING && endpoint->has_noted, 0)) /* it saw a barrier just now */
        result = take_from_kernel(receiving);
    return result;
}

/* ---- Sleeping -------------------------------------------------------------------------------------------------- */

/* Sleeps until the kernel has something, in the receive that the app made, so that time-outs, signals and cancellation
 * are the kernel's own. Peeking, as another thread may be quicker. The lock is not held. */
static ssize_t sleep_in_kernel(struct hqq_endpoint *endpoint, int fd, uint64_t until_ns)
{
    char byte;
    ssize_t result;
    if (__builtin_expect(hqq_load32_acquire(&endpoint->has_deadlines) != 0, 0))
        return hqq_deadline_sleep(endpoint, fd, until_ns);
    pthread_cleanup_push(hqq_doorbell_leave_sleep, endpoint);
    HQQ_POINT("socket.asleep");
    if (until_ns == HQQ_FOREVER) {
        result = hqq_libc.recv(fd, &byte, sizeof(byte), MSG_PEEK);
    } else {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        struct timespec timeout = hqq_timespec(hqq_clock_left(until_ns));
        result = hqq_libc.ppoll(&ready, 1, &timeout, NULL);
        if (result == 0) {
            errno = EAGAIN;
            result = -1;
        }
    }
    pthread_cleanup_pop(1);
    return result < 0 ? -errno : result;
}

/* The descriptor was closed while this thread slept. A receive that sleeps keeps its socket, so it gets what came; the
 * socket was kept for it (descriptor.c). */
static ssize_t take_from_closed(const struct hqq_receiving *receiving, ssize_t slept)
{
    int ghost = receiving->endpoint->ghost;
    ssize_t result = slept <= 0 ? slept : -EBADF; /* 0: shut down */
    while (ghost >= 0 && slept > 0) {
        struct hqq_token token;
        long error = result;
        enum hqq_queue_head head = hqq_queue_look(ghost, &token, &error);
        const struct hqq_receiving from_ghost = {receiving->endpoint, ghost, receiving->flags, receiving->message};
        if (head == HQQ_QUEUE_EMPTY || head == HQQ_QUEUE_ERROR)
            break;
        if (hqq_queue_pop_any(&from_ghost, &result) == HQQ_POPPED_DATA)
            break;
    }
    if (hqq_load32_relaxed(&receiving->endpoint->sleepers) == 0) {
        hqq_close_hidden(ghost);
        receiving->endpoint->ghost = -1;
    }
    return result;
}

/* One receive that may wait; called and returns with the lock held. */
static ssize_t wait_and_take(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    uint64_t timeout = hqq_load_relaxed(&endpoint->receive_timeout_ns);
    uint64_t until = HQQ_FOREVER;
    for (;;) {
        ssize_t result = take_next(receiving);
        if (result != HQQ_RECEIVE_NOTHING)
            return result;
        if (hqq_load32_relaxed(&endpoint->is_kernel_only) != 0)
            return HQQ_RECEIVE_KERNELS;
        if (hqq_spin_for_data(endpoint, receiving->fd))
            continue;
        if (timeout != HQQ_FOREVER && until == HQQ_FOREVER)
            until = hqq_deadline_after(hqq_clock_ns(), timeout);
        if (until != HQQ_FOREVER && hqq_clock_left(until) == 0)
            return HQQ_RECEIVE_NOTHING;
        if (!hqq_receive_arm(endpoint, receiving->fd))
            continue;
        uint64_t asleep_ns = endpoint->pairs ? hqq_clock_ns() : 0;
        hqq_doorbell_enter_sleep(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
        result = sleep_in_kernel(endpoint, receiving->fd, until);
        hqq_lock_take(&endpoint->receive_lock);
        if (asleep_ns != 0)
            hqq_spin_learn(endpoint, hqq_clock_ns() - asleep_ns);
        if (!hqq_endpoint_is_live(endpoint, receiving->fd))
            return take_from_closed(receiving, result);
        if (result < 0) {
            int error = (int)result;
            result = take_next(receiving);
            return result != HQQ_RECEIVE_NOTHING ? result : error;
        }
        hqq_doorbell_woke(endpoint);
    }
}

/* ---- The call -------------------------------------------------------------------------------------------------- */

static ssize_t settle(ssize_t result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

/* A buffer that can't be written: the kernel says EFAULT, and the datagram is lost. */
static ssize_t receive_badly(const struct hqq_receiving *receiving)
{
    struct msghdr nowhere = {0};
    struct hqq_receiving lost = *receiving;
    ssize_t result = HQQ_RECEIVE_NOTHING;
    lost.message = &nowhere;
    if (hqq_lock_take(&receiving->endpoint->receive_lock)) {
        result = hqq_rings_take(&lost);
        hqq_lock_give(&receiving->endpoint->receive_lock);
    }
    if (result == HQQ_RECEIVE_NOTHING)
        return hqq_libc.recvmsg(receiving->fd, receiving->message, receiving->flags);
    errno = EFAULT;
    return -1;
}

/* A signal handler that interrupted a receive of its own thread: datagrams of the kernel's queue, but no tokens. */
static ssize_t receive_in_handler(const struct hqq_receiving *receiving)
{
    struct hqq_token token;
    long error;
    if (hqq_queue_look(receiving->fd, &token, &error) == HQQ_QUEUE_TOKEN) {
        errno = EAGAIN;
        return -1;
    }
    return hqq_libc.recvmsg(receiving->fd, receiving->message, receiving->flags);
}

/* The app's own call comes next. */
static void drop_tokens(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_token token;
    long error;
    while (hqq_load32_relaxed(&endpoint->is_kernel_only) == HQQ_KERNEL_ONLY_SHUT &&
           hqq_load32_relaxed(&endpoint->may_meet_tokens) && hqq_queue_look(fd, &token, &error) == HQQ_QUEUE_TOKEN &&
           hqq_queue_pop_token(endpoint, fd)) {
    }
}

ssize_t hqq_receive(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    struct hqq_receiving receiving = {
        .endpoint = endpoint, .fd = fd, .flags = flags & ~MSG_NOSIGNAL, .message = message};
    bool may_wait = (flags & MSG_DONTWAIT) == 0 && hqq_load32_relaxed(&endpoint->is_nonblocking) == 0;
    size_t length;
    ssize_t result;

    if (__builtin_expect(!hqq_endpoint_is_own(endpoint), 0))
        hqq_fork_noticed();
    if ((flags & KERNEL_FLAGS) != 0 || message->msg_iovlen > IOV_MAX)
        return hqq_libc.recvmsg(fd, message, flags);
    if (!hqq_vector_length(message->msg_iov, message->msg_iovlen, &length))
        return receive_badly(&receiving);
    if (!hqq_lock_take(&endpoint->receive_lock))
        return receive_in_handler(&receiving);
    if (__builtin_expect(!hqq_endpoint_is_live(endpoint, fd), 0)) {
        hqq_lock_give(&endpoint->receive_lock);
        return hqq_libc.recvmsg(fd, message, flags);
    }
    if (__builtin_expect(!endpoint->is_receiver, 0))
        hqq_fork_receives(endpoint);
    hqq_doorbell_enter(endpoint);
    result = take_next(&receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING, 0) && may_wait) {
        hqq_store32_relaxed(&endpoint->is_ours_only, 1);
        result = wait_and_take(&receiving);
    }
    if (__builtin_expect(result == HQQ_RECEIVE_KERNELS ||
                             (result == HQQ_RECEIVE_NOTHING && hqq_load32_relaxed(&endpoint->is_kernel_only)),
                         0)) {
        drop_tokens(endpoint, fd);
        hqq_lock_give(&endpoint->receive_lock);
        return hqq_deadline_recvmsg(endpoint, fd, message, flags);
    }
    if (!hqq_load32_relaxed(&endpoint->is_ours_only))
        hqq_ready_settle(endpoint, fd);
    hqq_lock_give(&endpoint->receive_lock);
    return settle(result);
}

ssize_t hqq_receive_now(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    struct hqq_receiving receiving = {.endpoint = endpoint, .fd = fd, .flags = flags, .message = message};
    ssize_t result = take_next(&receiving);
    if (!hqq_load32_relaxed(&endpoint->is_ours_only))
        hqq_ready_settle(endpoint, fd);
    return result;
}

ssize_t hqq_receive_lend(struct hqq_endpoint *endpoint, int fd, struct hqq_lent *ret_lent)
{
    struct msghdr message = {0};
    struct hqq_receiving peek = {.endpoint = endpoint, .fd = fd, .flags = MSG_PEEK | MSG_TRUNC, .message = &message};
    ssize_t length = take_next(&peek);
    ret_lent->pair = NULL;
    if (length < 0 || !endpoint->current)
        return length;
    ssize_t lent =
        hqq_rings_lend(endpoint, endpoint->current, ret_lent); /* that it came from, if it came from a ring */
    if (lent == HQQ_RECEIVE_KERNELS)
        return length;
    if (lent >= 0 && !hqq_load32_relaxed(&endpoint->is_ours_only))
        hqq_ready_settle(endpoint, fd);
    return lent;
}

size_t hqq_receive_next_length(struct hqq_endpoint *endpoint, int fd)
{
    struct msghdr message = {0};
    struct hqq_receiving receiving = {
        .endpoint = endpoint, .fd = fd, .flags = MSG_PEEK | MSG_TRUNC, .message = &message};
    ssize_t result = take_next(&receiving);
    return result > 0 ? (size_t)result : 0;
}

/* ---- Slow changes ---------------------------------------------------------------------------------------------- */

void hqq_receive_park(struct hqq_endpoint *endpoint, enum hqq_park why)
{
    hqq_or32_relaxed(&endpoint->park, (uint32_t)why);
    hqq_doorbell_park(endpoint);
}

void hqq_receive_look_anew(struct hqq_endpoint *endpoint)
{
    endpoint->head_is_data = false;
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next)
        hqq_doorbell_activate(endpoint, pair);
}

void hqq_receive_end_all(struct hqq_endpoint *endpoint, bool is_own)
{
    if (endpoint->offered)
        hqq_offers_take_over(endpoint);
    while (endpoint->pairs) {
        struct hqq_pair *pair = endpoint->pairs;
        if (is_own) {
            hqq_doorbell_break(endpoint, pair);
        } else { /* the region is the parent's */
            hqq_doorbell_unlist(endpoint, pair);
            hqq_pair_drop(pair);
        }
    }
    endpoint->head_is_data = false;
}
