#include "endpoint/take.h"

#include <errno.h>

#include "base/point.h"
#include "channel/rx.h"
#include "endpoint/ancillary.h"
#include "endpoint/scheduler.h"
#include "endpoint/validation.h"
#include "ring/consume.h"
#include "runtime/cursor.h"

/* Datagrams from the rings before the kernel's queue gets its turn. */
#define KERNEL_TURN 128

/* Datagrams from the kernel's queue, less one, between looks at what is behind them; a mask. */
#define POPS_PER_LOOK 3u

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
    message->msg_flags = copied < length ? MSG_TRUNC : 0;
    uint32_t options = hqq_load32_relaxed(&receiving->endpoint->options);
    if (__builtin_expect(options != 0, 0))
        hqq_ancillary_tell(options, message);
    else
        message->msg_controllen = 0;
    if (receiving->flags & MSG_CMSG_CLOEXEC)
        message->msg_flags |= MSG_CMSG_CLOEXEC;
    return (ssize_t)(receiving->flags & MSG_TRUNC ? length : copied);
}

/* Where several processes may read a ring, what was copied counts only once r has moved; else r moves first, so that
 * nothing is written to the app's memory that is not its datagram. */
static ssize_t take_shared(const struct hqq_receiving *receiving, struct hqq_channel *channel,
                           const struct hqq_datagram *datagram)
{
    const struct msghdr *message = receiving->message;
    size_t copied = hqq_rx_copy(channel, datagram, message->msg_iov, message->msg_iovlen);
    if (!hqq_rx_take(channel, datagram))
        return HQQ_RECEIVE_SPOILT;
    hqq_rx_release(channel, datagram);
    hqq_take_count(receiving->endpoint, datagram->length);
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
    hqq_take_count(endpoint, datagram.length);
    return tell(receiving, channel, datagram.length, copied);
}

/* ---- The next datagram ----------------------------------------------------------------------------------------- */

/* Where each datagram is received as soon as it is there the queue is never met empty, though it is whenever one has
 * been taken. And where it is deep, its senders see here that it is worth their while to wait. */
static void look_behind(struct hqq_endpoint *endpoint, int fd)
{
    if (!hqq_scheduler_is_wanted(endpoint))
        return;
    uint64_t note = hqq_scheduler_note_requests(endpoint);
    if (hqq_kernel_queue_is_empty(fd))
        hqq_scheduler_acknowledge(endpoint, note, note);
    else
        hqq_scheduler_show_progress(endpoint);
}

/* The kernel's turn: either its queue is empty, which answers those that ask for it, or the rings go first, up to
 * where they are now, and then the head. */
static ssize_t take_from_kernel(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    endpoint->since_kernel_poll = 0;
    if (!endpoint->head_is_noted) {
        uint64_t note = hqq_scheduler_note_requests(endpoint);
        if (hqq_kernel_queue_is_empty(receiving->fd)) {
            HQQ_POINT("endpoint.drained");
            hqq_scheduler_acknowledge(endpoint, note, note);
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
        hqq_validation_look_if_due(endpoint);
        hqq_scheduler_find_wanted(endpoint);
        if ((++endpoint->pops & POPS_PER_LOOK) == 0)
            look_behind(endpoint, receiving->fd);
    }
    return result;
}

/* What was put back is older than what there was no room for; and that is sent again by its sender before anything new. */
static ssize_t take_rings_last(const struct hqq_receiving *receiving)
{
    ssize_t result = hqq_kernel_queue_pop(receiving);
    return result == HQQ_RECEIVE_NOTHING ? take_from_rings(receiving) : result;
}

ssize_t hqq_take_next(const struct hqq_receiving *receiving)
{
    struct hqq_endpoint *endpoint = receiving->endpoint;
    ssize_t result = HQQ_RECEIVE_NOTHING;
    if (__builtin_expect(endpoint->are_rings_last, 0))
        return take_rings_last(receiving);
    hqq_scheduler_poll(endpoint);
    if (__builtin_expect(endpoint->since_kernel_poll < KERNEL_TURN && !endpoint->head_is_noted, 1))
        result = take_from_rings(receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING, 0))
        result = take_from_kernel(receiving);
    if (__builtin_expect(result == HQQ_RECEIVE_NOTHING, 0) && endpoint->busy)
        result = take_from_rings(receiving);
    return result;
}
