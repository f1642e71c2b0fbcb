#include "endpoint/borrow.h"

#include <errno.h>

#include "channel/rx.h"
#include "endpoint/entered.h"
#include "endpoint/kernel_queue.h"
#include "endpoint/scheduler.h"
#include "endpoint/take.h"

ssize_t hqq_borrow_next(struct hqq_endpoint *endpoint, int fd, struct hqq_borrowed *ret_borrowed)
{
    struct msghdr nothing = {0};
    struct hqq_entered entered;
    struct hqq_receiving receiving = {
        .endpoint = endpoint, .fd = fd, .flags = MSG_PEEK | MSG_TRUNC, .message = &nothing, .frame = &entered.frame};
    ssize_t result = -EBADF;
    ret_borrowed->channel = NULL;
    hqq_entered_begin(&entered, endpoint);
    while (hqq_endpoint_is_live(endpoint, fd)) {
        struct hqq_datagram datagram;
        hqq_entered_try(&entered);
        result = hqq_take_next(&receiving);
        struct hqq_channel *channel = result >= 0 && !endpoint->head_is_noted && !endpoint->are_rings_last
                                          ? hqq_scheduler_next(endpoint, &datagram)
                                          : NULL;
        if (result == HQQ_RECEIVE_SPOILT)
            continue;
        if (!channel)
            break;
        hqq_channel_hold(channel);
        hqq_add32_relaxed(&channel->loans, 1);
        if (!hqq_entered_is_spoilt(&entered) && hqq_rx_take(channel, &datagram)) {
            hqq_take_count(endpoint, datagram.length);
            *ret_borrowed = (struct hqq_borrowed){channel, datagram.position, datagram.slots};
            result = (ssize_t)datagram.length;
            break;
        }
        hqq_sub32_relaxed(&channel->loans, 1);
        hqq_channel_drop(channel);
    }
    hqq_entered_end(&entered);
    return result;
}

void hqq_borrow_give_back(struct hqq_channel *channel, uint64_t position, uint64_t slots)
{
    const struct hqq_datagram datagram = {.position = position, .slots = slots};
    hqq_rx_release(channel, &datagram);
    hqq_sub32_release(&channel->loans, 1);
}
