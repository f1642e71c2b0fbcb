#include "endpoint/kernel_queue.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>

#include "base/point.h"
#include "channel/handshake.h"
#include "endpoint/deadline.h"
#include "endpoint/validation.h"
#include "runtime/cursor.h"
#include "runtime/frame.h"
#include "runtime/kernel.h"
#include "runtime/ticks.h"

/* What a receive that expects a challenge has beside the app's own header. */
struct widened {
    struct msghdr message;
    struct sockaddr_storage name;
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
};

/* True while somebody may send a challenge, or may have sent one more than was needed. */
static bool expects_challenge(const struct hqq_endpoint *endpoint)
{
    return hqq_load32_relaxed(&endpoint->unvalidated_count) != 0 || hqq_load32_relaxed(&endpoint->keys_expected) != 0;
}

/* The app's header, with room for a name and a descriptor. */
static void widen(const struct msghdr *app, struct widened *widened)
{
    widened->message = *app;
    if (!app->msg_name || app->msg_namelen <= sizeof(struct sockaddr_un)) { /* a name may be a byte longer */
        widened->message.msg_name = &widened->name;
        widened->message.msg_namelen = sizeof(widened->name);
    }
    if (!app->msg_control || app->msg_controllen < CMSG_LEN(sizeof(int))) {
        widened->message.msg_control = widened->control;
        widened->message.msg_controllen = sizeof(widened->control);
    }
}

/* What the app is to see of what came. False: the name can't be written. */
static bool narrow(struct msghdr *app, struct widened *widened, bool was_challenge)
{
    struct msghdr *wide = &widened->message;
    bool is_told = true;
    if (app->msg_name && wide->msg_name == &widened->name)
        is_told = hqq_app_write(app->msg_name, &widened->name,
                                wide->msg_namelen < app->msg_namelen ? wide->msg_namelen : app->msg_namelen);
    app->msg_namelen = wide->msg_namelen;
    app->msg_flags = wide->msg_flags;
    bool is_lost = wide->msg_control == widened->control && wide->msg_controllen != 0;
    if (is_lost && !was_challenge) { /* somebody's descriptors, for which the app has no room */
        hqq_handshake_close_descriptors(wide);
        app->msg_flags |= MSG_CTRUNC;
    }
    app->msg_controllen = is_lost || was_challenge ? 0 : wide->msg_controllen;
    return is_told;
}

/* Returns the result. */
static ssize_t note_challenge(const struct hqq_receiving *receiving, struct widened *widened, ssize_t result)
{
    bool was_challenge = false;
    if (result >= 0 && widened->message.msg_controllen != 0)
        was_challenge = hqq_validation_take(receiving->endpoint, &widened->message, (receiving->flags & MSG_PEEK) != 0);
    if (result < 0)
        return result;
    uint32_t expected = hqq_load32_relaxed(&receiving->endpoint->keys_expected);
    if (expected != 0 && (receiving->flags & MSG_PEEK) == 0)
        hqq_store32_relaxed(&receiving->endpoint->keys_expected, expected - 1);
    return narrow(receiving->message, widened, was_challenge) ? result : -EFAULT;
}

bool hqq_kernel_queue_is_empty(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return hqq_kernel_poll_now(&ready, 1) == 0;
}

/* A header that a handler of this thread may make invalid: then the kernel takes nothing. */
static ssize_t pop_with(const struct hqq_receiving *receiving, struct msghdr *message)
{
    struct hqq_receive_frame *frame = receiving->frame;
    if (!frame)
        return hqq_kernel_recvmsg(receiving->fd, message, receiving->flags);
    frame->kernel = *message;
    hqq_fence_compiler();
    if (hqq_load32_relaxed(&frame->is_spoilt) != 0)
        return HQQ_RECEIVE_SPOILT;
    HQQ_POINT("endpoint.pop");
    ssize_t result = hqq_kernel_recvmsg(receiving->fd, &frame->kernel, receiving->flags);
    if (result == -EMSGSIZE && hqq_load32_relaxed(&frame->is_spoilt) != 0)
        return HQQ_RECEIVE_SPOILT;
    *message = frame->kernel;
    return result;
}

ssize_t hqq_kernel_queue_pop(const struct hqq_receiving *receiving)
{
    struct widened widened;
    ssize_t result;
    if (__builtin_expect(!expects_challenge(receiving->endpoint), 1)) {
        result = pop_with(receiving, receiving->message);
    } else {
        widen(receiving->message, &widened);
        result = pop_with(receiving, &widened.message);
        result = note_challenge(receiving, &widened, result);
    }
    if (result >= 0)
        hqq_add_relaxed(&receiving->endpoint->counters->received_kernel, 1);
    return result;
}

void hqq_kernel_queue_leave(void *endpoint)
{
    struct hqq_endpoint *entered = endpoint;
    if (hqq_load32_relaxed(&entered->in_kernel) != 0) /* 0: in a child of a fork made by a handler of this call */
        hqq_sub32_release(&entered->in_kernel, 1);
}

/* ---- The app's own call ------------------------------------------------------------------------------------------ */

struct sleeping {
    struct hqq_frame frame; /* first */
    struct hqq_endpoint *endpoint;
};

static void leave_frame(struct hqq_frame *frame)
{
    hqq_kernel_queue_leave(frame->object);
}

static void leave_cancelled(void *argument)
{
    struct sleeping *sleeping = argument;
    hqq_frame_pop(&sleeping->frame);
    hqq_kernel_queue_leave(sleeping->endpoint);
}

static ssize_t call_counted(struct hqq_endpoint *endpoint, int fd, struct msghdr *message, int flags)
{
    struct sleeping sleeping = {.frame = {.leave = leave_frame, .object = endpoint}, .endpoint = endpoint};
    ssize_t result;
    hqq_frame_push(&sleeping.frame);
    pthread_cleanup_push(leave_cancelled, &sleeping);
    HQQ_POINT("endpoint.asleep");
    result = hqq_deadline_recvmsg(endpoint, fd, message, flags);
    pthread_cleanup_pop(1);
    return result < 0 ? -errno : result;
}

ssize_t hqq_kernel_queue_receive(const struct hqq_receiving *receiving, bool *ret_has_slept)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    struct widened widened;
    bool is_wide = expects_challenge(endpoint);
    if (__builtin_expect(is_wide, 0))
        widen(receiving->message, &widened);
    uint64_t began = hqq_ticks();
    ssize_t result =
        call_counted(endpoint, receiving->fd, is_wide ? &widened.message : receiving->message, receiving->flags);
    *ret_has_slept = hqq_ticks_are_due(hqq_ticks(), began, HQQ_BET_AWAKE_US);
    if (__builtin_expect(is_wide, 0))
        result = note_challenge(receiving, &widened, result);
    if (result >= 0)
        hqq_add_relaxed(&endpoint->counters->received_kernel, 1);
    return result;
}
