#include "endpoint/send.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

#include <hqq/link.h>

#include "base/point.h"
#include "channel/handshake.h"
#include "channel/tx.h"
#include "channel/window.h"
#include "endpoint/deadline.h"
#include "endpoint/elsewhere.h"
#include "endpoint/ownership.h"
#include "endpoint/patience.h"
#include "endpoint/plan.h"
#include "endpoint/progress.h"
#include "endpoint/resend.h"
#include "ring/produce.h"
#include "runtime/filter.h"
#include "runtime/cursor.h"
#include "runtime/frame.h"
#include "runtime/handlers.h"
#include "runtime/kernel.h"
#include "runtime/names.h"
#include "runtime/reserved.h"

/* Flags that the ring can serve; the rest is the kernel's. */
#define RING_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE)

/* Inside: the socket is not what it was, and the endpoint is to learn of it first. No error number of the kernel's. */
#define SEND_ANEW (-4094)

/* What a jump out of a send leaves behind. */
enum phase {
    PHASE_OUTSIDE,
    PHASE_LOCKED, /* the lock, or it is being tried */
    PHASE_KERNEL,
    PHASE_NOTING, /* in the kernel's stead, and as PHASE_LOCKED */
};

/* One send. */
struct sending {
    struct hqq_frame frame; /* first */
    enum phase phase;
    struct hqq_endpoint *endpoint;
    struct hqq_destination *destination;
    int fd, flags;
    const struct msghdr *message;
    size_t length;
    struct hqq_channel
        *reserved; /* the datagram lies in the slots of this one's ring, from the position on; else NULL */
    uint64_t position;
    struct hqq_channel *published; /* something was, from published_from on, and the look is due */
    uint64_t published_from;
    struct hqq_channel *held; /* in the kernel: the channel that is to be asked to drain */
    uint32_t handlers;        /* hqq_handlers_interrupting, when it began */
    int news;                 /* enum hqq_news, or -errno: of the socket, from elsewhere */
    bool may_publish;         /* this process does; what another one sends must be counted for it */
};

/* A send that is none of ours. */
static ssize_t send_plainly(const struct sending *sending)
{
    ssize_t result = hqq_libc.sendmsg(sending->fd, sending->message, sending->flags);
    return result < 0 ? -errno : result;
}

static bool may_wait(const struct sending *sending)
{
    return (sending->flags & MSG_DONTWAIT) == 0 && !hqq_ownership_is_nonblocking(sending->endpoint);
}

static void give_lock(struct sending *sending)
{
    hqq_lock_give(&sending->endpoint->send_lock);
    sending->phase = PHASE_OUTSIDE;
}

/* ---- Through the kernel ----------------------------------------------------------------------------------------- */

/* A kernel send of this thread may have been taken by the kernel: what it publishes next must wait for that to be read. A channel
 * that was opened meanwhile has not been asked by whoever opened it, so all are. */
static void request_drain(struct sending *sending)
{
    const struct hqq_channel *channel =
        sending->destination ? hqq_destination_peek_channel(sending->destination) : NULL;
    if (sending->held && channel == sending->held)
        hqq_tx_request_drain(sending->held, 1);
    else if (!sending->destination || channel || !sending->may_publish)
        hqq_ownership_count_send(sending->endpoint);
}

static void leave_kernel(struct sending *sending)
{
    if (sending->held)
        hqq_channel_drop(sending->held);
    sending->held = NULL;
    if (sending->destination)
        hqq_sub32_release(&sending->destination->inside, 1);
}

static void cancel_kernel(void *argument)
{
    struct sending *sending = argument;
    hqq_frame_pop(&sending->frame);
    request_drain(sending);
    leave_kernel(sending);
}

/* The app's own call, without the lock, as it may sleep. -errno. */
static ssize_t call_kernel(struct sending *sending, const struct msghdr *message)
{
    ssize_t result;
    /* A handler that ran before the call would sleep must end it, as it would have ended the kernel's. */
    bool is_interrupted = hqq_load32_relaxed(&hqq_handlers_interrupting) != sending->handlers;
    int flags = sending->flags | (is_interrupted ? MSG_DONTWAIT : 0);
    sending->phase = PHASE_KERNEL;
    pthread_cleanup_push(cancel_kernel, sending);
    HQQ_POINT("endpoint.kernel");
    result = hqq_deadline_sendmsg(sending->endpoint, sending->fd, message, flags);
    pthread_cleanup_pop(0);
    if (result >= 0)
        return result;
    return is_interrupted && errno == EAGAIN && may_wait(sending) ? -EINTR : -errno;
}

/* Another thread may have opened the channel meanwhile. A handler in a send of this thread's leaves it to the next challenge. */
static void note_challenge(struct sending *sending)
{
    if (hqq_lock_is_mine(&sending->endpoint->send_lock))
        return;
    sending->phase = PHASE_NOTING;
    hqq_lock_take(&sending->endpoint->send_lock);
    hqq_destination_challenged(sending->destination);
    hqq_lock_give(&sending->endpoint->send_lock);
    sending->phase = PHASE_KERNEL;
}

/* The same with the key beside it. What fails because of the key is sent without. */
static ssize_t challenge(struct sending *sending, int key)
{
    struct msghdr message = *sending->message;
    union hqq_handshake_control control;
    hqq_handshake_attach(&message, &control, key);
    ssize_t result = call_kernel(sending, &message);
    hqq_sys.close(key);
    if (result >= 0)
        note_challenge(sending);
    else if (result != -EAGAIN && result != -EINTR)
        result = call_kernel(sending, sending->message);
    return result;
}

/* Not at a number that the program is about to get, if that can be had. */
static int copy_key(int key_fd)
{
    int key = hqq_libc.fcntl(key_fd, F_DUPFD_CLOEXEC, HQQ_RESERVED_MAX / 2);
    return key >= 0 ? key : hqq_libc.fcntl(key_fd, F_DUPFD_CLOEXEC, 0);
}

/* With the lock, which is given back. */
static ssize_t send_through_kernel(struct sending *sending, enum hqq_plan plan)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    struct hqq_destination *destination = sending->destination;
    int key = -1;
    if (destination) {
        hqq_add32_relaxed(&destination->inside, 1);
        sending->held = destination->channel;
        if (sending->held)
            hqq_channel_hold(sending->held);
        if (plan == HQQ_PLAN_CHALLENGE) /* a copy, as another thread may end the challenge meanwhile */
            key = copy_key(destination->key_fd);
    }
    give_lock(sending);
    ssize_t result = key >= 0 ? challenge(sending, key) : call_kernel(sending, sending->message);
    if (result >= 0) {
        request_drain(sending);
        hqq_add_relaxed(&endpoint->counters->sent_kernel, 1);
        if (destination)
            hqq_add32_relaxed(&destination->kernel_run, 1);
        if (sending->reserved)
            hqq_store32_release(&sending->reserved->is_reserved, 0); /* edge D9: with the load in look() */
    }
    leave_kernel(sending);
    sending->phase = PHASE_OUTSIDE;
    return result;
}

/* ---- Through the ring ------------------------------------------------------------------------------------------- */

/* True if it is sent. Else it has been withdrawn: the kernel has to carry it. */
static bool send_through_ring(struct sending *sending, uint64_t ticks)
{
    struct hqq_channel *channel = sending->destination->channel;
    uint64_t slots = hqq_channel_slots(&channel->tx, sending->length);
    uint64_t position = hqq_tx_position(channel);
    bool is_in_place = sending->reserved == channel && position == sending->position;
    if (__builtin_expect(!hqq_tx_fill(channel, position, sending->message->msg_iov, sending->message->msg_iovlen,
                                      sending->length, is_in_place),
                         0))
        return false;                                                 /* the kernel says EFAULT */
    if (__builtin_expect(!hqq_endpoint_is_own(sending->endpoint), 0)) /* a handler has forked, and this is the child */
        return false;
    sending->published_from = position;
    sending->published = channel;
    enum hqq_tx_outcome outcome = hqq_tx_publish(channel, position, position + slots);
    sending->published = NULL;
    if (__builtin_expect(outcome == HQQ_TX_WITHDRAWN, 0)) {
        hqq_count_own(&sending->endpoint->counters->withdrawn, 1);
        return false;
    }
    sending->destination->sent_ticks = ticks;
    hqq_ring_prefetch_produce(&channel->tx, position, sending->length);
    hqq_count_own(&sending->endpoint->counters->sent_ring, 1);
    hqq_count_own(&sending->endpoint->counters->sent_ring_bytes, sending->length);
    return true;
}

/* ---- The call --------------------------------------------------------------------------------------------------- */

static bool is_plain(const struct sending *sending)
{
    return sending->message->msg_controllen == 0 && (sending->flags & ~RING_FLAGS) == 0 &&
           sending->length <= hqq_ownership_longest(sending->endpoint) && !hqq_ownership_is_passed(sending->endpoint);
}

/* Where it goes; NULL: the kernel resolves it. */
static struct hqq_destination *destination_of(struct hqq_endpoint *endpoint, const struct msghdr *message)
{
    if (endpoint->is_send_plain)
        return NULL;
    if (!message->msg_name || message->msg_namelen == 0)
        return endpoint->peer;
    if (hqq_is_unreadable(message->msg_name, message->msg_namelen))
        return NULL;
    return hqq_destinations_find(endpoint, message->msg_name, message->msg_namelen);
}

/* A datagram that lies in reserved slots is copied where others have taken their place; not onto itself. */
static bool is_torn(const struct sending *sending, const struct hqq_channel *channel, uint64_t slots)
{
    uint64_t apart = (hqq_tx_position(channel) - sending->position) & channel->tx.mask;
    return sending->reserved == channel && apart != 0 && (apart < slots || channel->tx.count - apart < slots);
}

/* Whether receiver and name are what they were; and the socket itself. */
static void check(struct sending *sending, uint64_t ticks)
{
    struct hqq_destination *destination = sending->destination;
    bool is_due = hqq_ticks_are_due(ticks, destination->checked_ticks, 1000) && !hqq_filter_is_set();
    if (hqq_destination_check(sending->endpoint, destination, ticks) && is_due)
        sending->news = hqq_elsewhere_look(sending->endpoint, sending->fd, destination == sending->endpoint->peer);
}

/* Fills in what the plan is made from. */
static void look(struct sending *sending, struct hqq_view *view, uint64_t ticks)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    struct hqq_destination *destination = sending->destination;
    view->has_destination = destination != NULL;
    view->may_publish = sending->may_publish = hqq_ownership_may_publish(endpoint);
    if (!destination || !view->may_publish)
        return;
    if (destination->progress == HQQ_PROGRESS_OPEN && (hqq_destination_is_check_due(destination, ticks) ||
                                                       destination->names_seen != hqq_load_relaxed(&hqq_names_changes)))
        check(sending, ticks);
    view->step = hqq_destination_advance(endpoint, destination);
    if (view->step != HQQ_STEP_OPEN)
        return;
    struct hqq_channel *channel = destination->channel;
    uint64_t slots = hqq_channel_slots(&channel->tx, sending->length);
    view->fits = sending->length <= hqq_channel_longest(&channel->tx) && !is_torn(sending, channel, slots);
    view->is_reserved = hqq_load32_acquire(&channel->is_reserved) != 0 && sending->reserved != channel; /* edge D9 */
    view->state = hqq_channel_peer_state(channel);
    view->is_drained = hqq_tx_is_open(channel);
    view->has_room =
        view->fits && hqq_window_has_room(&channel->tx, hqq_tx_position(channel)) && hqq_tx_has_room(channel, slots);
}

/* With the lock, which is given back. */
static ssize_t plan_and_act(struct sending *sending)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    struct hqq_view view = {.is_plain = is_plain(sending)};
    view.may_wait = may_wait(sending);
    for (;;) {
        uint64_t ticks = hqq_ticks();
        sending->destination = destination_of(endpoint, sending->message);
        look(sending, &view, ticks);
        if (__builtin_expect(sending->news != HQQ_NEWS_NONE, 0)) {
            give_lock(sending);
            return sending->news < 0 ? sending->news : SEND_ANEW;
        }
        enum hqq_plan plan = hqq_plan_send(&view);
        ssize_t result;
        switch (plan) {
        case HQQ_PLAN_RING:
            if (!send_through_ring(sending, ticks))
                return send_through_kernel(sending, HQQ_PLAN_KERNEL);
            if (__builtin_expect(sending->reserved != NULL, 0))
                hqq_store32_release(&sending->reserved->is_reserved, 0);
            give_lock(sending);
            return (ssize_t)sending->length;
        case HQQ_PLAN_DRAIN:
            view.has_waited_for_drain = true;
            hqq_patience_for_drain(sending->destination);
            break;
        case HQQ_PLAN_ROOM:
            view.has_waited_for_room = true;
            hqq_count_own(&endpoint->counters->spills,
                          !hqq_patience_for_room(endpoint, sending->destination, sending->length));
            break;
        case HQQ_PLAN_RESEND:
            result = hqq_resend_judge(sending->fd, sending->message, sending->flags);
            if (result != 0) {
                give_lock(sending);
                return result;
            }
            result = hqq_resend(endpoint, sending->destination, sending->fd);
            if (result != -EAGAIN && sending->message->msg_name &&
                sending->destination->progress != HQQ_PROGRESS_RESENDING)
                break; /* a peer that has left says nothing of who has the name now */
            if (result != 0) {
                give_lock(sending);
                return result == -EAGAIN ? HQQ_RESEND_FULL : result;
            }
            break;
        case HQQ_PLAN_KERNEL:
        case HQQ_PLAN_CHALLENGE:
        default:
            return send_through_kernel(sending, plan);
        }
    }
}

static ssize_t send_once(struct sending *sending)
{
    struct hqq_endpoint *endpoint = sending->endpoint;
    sending->phase = PHASE_LOCKED;
    if (__builtin_expect(!hqq_lock_try(&endpoint->send_lock), 0)) {
        sending->destination = NULL;
        ssize_t result = call_kernel(sending, sending->message);
        if (result >= 0) {
            hqq_ownership_count_send(endpoint);
            hqq_add_relaxed(&endpoint->counters->sent_kernel, 1);
        }
        sending->phase = PHASE_OUTSIDE;
        return result;
    }
    if (__builtin_expect(!hqq_endpoint_is_live(endpoint, sending->fd), 0)) {
        give_lock(sending);
        return send_plainly(sending);
    }
    return plan_and_act(sending);
}

/* What was not read goes before it, and may find no room: then it is as with any full queue. */
static ssize_t send_message(struct sending *sending)
{
    bool waits = may_wait(sending);
    for (uint64_t until = 0;;) {
        ssize_t result = send_once(sending);
        if (__builtin_expect(result != HQQ_RESEND_FULL && result != SEND_ANEW, 1))
            return result;
        if (result == SEND_ANEW) {
            hqq_elsewhere_learn(sending->endpoint, sending->fd, (enum hqq_news)sending->news);
            sending->news = HQQ_NEWS_NONE;
            continue;
        }
        result = waits ? hqq_resend_wait(sending->fd, sending->handlers, &until) : -EAGAIN;
        if (result != 0)
            return result;
    }
}

/* This call was jumped out of. Where it held the lock the look that may be due is made, and the datagram, whose call never
 * returned, is dropped if it had to be withdrawn. */
static void abandon(struct hqq_frame *frame)
{
    struct sending *sending = (struct sending *)(void *)frame;
    if (sending->endpoint != frame->object) { /* found late, and overwritten: what can be told without it */
        struct hqq_endpoint *endpoint = frame->object;
        hqq_ownership_count_send(endpoint);
        if (hqq_lock_is_mine(&endpoint->send_lock))
            hqq_lock_give(&endpoint->send_lock);
        return;
    }
    enum phase phase = sending->phase;
    sending->phase = PHASE_OUTSIDE; /* once, though it may be called again */
    if (phase == PHASE_KERNEL || phase == PHASE_NOTING) {
        request_drain(sending);
        leave_kernel(sending);
    }
    if ((phase == PHASE_LOCKED || phase == PHASE_NOTING) && hqq_lock_is_mine(&sending->endpoint->send_lock)) {
        if (sending->published)
            hqq_tx_look(sending->published, sending->published_from);
        hqq_lock_give(&sending->endpoint->send_lock);
    }
}

static ssize_t begin(struct sending *sending)
{
    if (__builtin_expect(!hqq_endpoint_is_own(sending->endpoint), 0))
        hqq_ownership_noticed(sending->endpoint);
    if (__builtin_expect(!hqq_vector_length(sending->message->msg_iov, sending->message->msg_iovlen, &sending->length),
                         0))
        return send_plainly(sending);
    sending->handlers = hqq_load32_relaxed(&hqq_handlers_interrupting);
    sending->frame.leave = abandon;
    sending->frame.object = sending->endpoint;
    hqq_frame_push(&sending->frame);
    ssize_t result = send_message(sending);
    hqq_frame_pop(&sending->frame);
    return result;
}

ssize_t hqq_send_message(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags)
{
    struct sending sending = {.endpoint = endpoint, .fd = fd, .flags = flags, .message = message};
    return begin(&sending);
}

ssize_t hqq_send_reserved(struct hqq_endpoint *endpoint, int fd, const struct msghdr *message, int flags,
                          struct hqq_channel *channel, uint64_t position)
{
    struct sending sending = {
        .endpoint = endpoint, .fd = fd, .flags = flags, .message = message, .reserved = channel, .position = position};
    return begin(&sending);
}
