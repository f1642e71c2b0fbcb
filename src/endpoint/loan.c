#include "endpoint/loan.h"

#include <errno.h>

#include "channel/tx.h"
#include "channel/window.h"
#include "endpoint/destinations.h"
#include "endpoint/ownership.h"
#include "endpoint/send.h"
#include "runtime/kinds.h"

/* Under the send lock. The channel, if the next datagram may take its ring, and nobody has reserved a part of that. */
static struct hqq_channel *find_channel(struct hqq_endpoint *endpoint, int fd, size_t length)
{
    const struct hqq_destination *destination = hqq_endpoint_is_live(endpoint, fd) ? endpoint->peer : NULL;
    struct hqq_channel *channel =
        destination && destination->progress == HQQ_PROGRESS_OPEN ? destination->channel : NULL;
    if (!channel || endpoint->is_send_plain || hqq_ownership_is_passed(endpoint) ||
        !hqq_ownership_may_publish(endpoint) || length > hqq_channel_longest(&channel->tx) ||
        hqq_load32_acquire(&channel->is_reserved) != 0 || /* edge D9 */
        !hqq_tx_is_open(channel))
        return NULL;
    return channel;
}

bool hqq_loan_reserve(struct hqq_endpoint *endpoint, int fd, size_t length, struct hqq_reservation *reservation)
{
    if (!hqq_endpoint_is_own(endpoint) || !hqq_lock_try(&endpoint->send_lock))
        return false;
    struct hqq_channel *channel = find_channel(endpoint, fd, length);
    uint64_t slots = channel ? hqq_channel_slots(&channel->tx, length) : 0;
    uint64_t position = channel ? hqq_tx_position(channel) : 0;
    bool is_one_piece = channel && (position & channel->tx.mask) + slots <= channel->tx.count;
    bool is_reserved = is_one_piece && hqq_window_has_room(&channel->tx, position) && hqq_tx_has_room(channel, slots);
    if (is_reserved) {
        hqq_store32_relaxed(&channel->is_reserved, 1);
        hqq_channel_hold(channel);
        reservation->kind = HQQ_HELD_IN_RING;
        reservation->data = hqq_ring_buffer(&channel->tx, position);
        reservation->capacity = slots * channel->tx.buffer_size;
        reservation->position = position;
        reservation->cookie = endpoint->cookie;
        reservation->holder = channel;
    }
    hqq_lock_give(&endpoint->send_lock);
    return is_reserved;
}

/* The descriptor may be another socket's by now, and even the endpoint: the cookie is not. */
ssize_t hqq_loan_commit(const struct hqq_reservation *reservation, size_t length)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(reservation->fd);
    struct hqq_channel *channel = reservation->holder;
    struct iovec part = {.iov_base = reservation->data, .iov_len = length};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (!endpoint || endpoint->cookie != reservation->cookie)
        return -EBADF;
    ssize_t sent =
        hqq_send_reserved(endpoint, reservation->fd, &message, reservation->flags, channel, reservation->position);
    if (sent >= 0)
        hqq_channel_drop(channel);
    return sent;
}

void hqq_loan_abandon(const struct hqq_reservation *reservation)
{
    struct hqq_channel *channel = reservation->holder;
    hqq_store32_release(&channel->is_reserved, 0); /* edge D9 */
    hqq_channel_drop(channel);
}
