#include "endpoint/changes.h"

#include <fcntl.h>

#include "channel/rx.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/modes.h"
#include "endpoint/ownership.h"
#include "endpoint/put_back.h"
#include "endpoint/scheduler.h"
#include "endpoint/socket_options.h"

/* No ring is used to send any more. Under the receive lock, or its own thread's. */
static void send_plainly(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_lock_take(&endpoint->send_lock);
    endpoint->is_send_plain = true;
    hqq_destinations_forget_all(endpoint);
    hqq_ownership_note_change(endpoint);
    if (has_lock)
        hqq_lock_give(&endpoint->send_lock);
}

void hqq_changes_shut_down(struct hqq_endpoint *endpoint, int how)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (how != SHUT_RD)
        send_plainly(endpoint);
    if (how != SHUT_WR && hqq_endpoint_mode(endpoint) != HQQ_MODE_KERNEL) /* rings first, then the end of file */
        hqq_mode_set(endpoint, HQQ_MODE_SHUT);
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_changes_before_option(struct hqq_endpoint *endpoint, int option)
{
    if (hqq_socket_options_forbids_looks(option))
        hqq_endpoint_give_to_kernel(endpoint);
}

void hqq_changes_after_option(struct hqq_endpoint *endpoint, int fd, int option)
{
    if (option == SO_SNDBUF || option == SO_SNDBUFFORCE)
        hqq_endpoint_note_buffer(endpoint, fd);
    if (!hqq_socket_options_is_kernels(option))
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    uint32_t set = hqq_socket_options_kernels(fd);
    hqq_store32_relaxed(&endpoint->options, set);
    if (set != 0) {
        if (hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
            hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_OPTION);
        send_plainly(endpoint);
    } else {
        hqq_mode_remove_foreign(endpoint, HQQ_FOREIGN_OPTION);
    }
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_changes_note_flags(struct hqq_endpoint *endpoint, int flags)
{
    if (endpoint->shared)
        hqq_store32_relaxed(&endpoint->shared->is_nonblocking, (flags & O_NONBLOCK) != 0);
    bool is_signalled = (hqq_load32_relaxed(&endpoint->foreign) & HQQ_FOREIGN_SIGNAL) != 0;
    if (((flags & O_ASYNC) != 0) == is_signalled)
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (flags & O_ASYNC) {
        if (hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
            hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_SIGNAL);
    } else {
        hqq_mode_remove_foreign(endpoint, HQQ_FOREIGN_SIGNAL);
    }
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* What is not read is sent again by its senders; what is read meanwhile is taken with a locked instruction, as they do. */
static void hand_off(struct hqq_endpoint *endpoint)
{
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
        channel->is_shared = true;
    hqq_scheduler_stop_all(endpoint, HQQ_HANDOFF);
}

void hqq_changes_passed(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    hqq_add_relaxed(&hqq_ownership_copies, 1);
    hand_off(
        endpoint); /* first: a sender that met SUSPENDED would let what is newer overtake what it has to send again */
    if (hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_SHARED);
    send_plainly(endpoint); /* where it leads from now on the other process may change */
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* What can't be put back comes with its senders' next datagrams. */
static void put_back_or_hand_off(struct hqq_endpoint *endpoint, int fd, bool has_lock, bool keeps_names)
{
    bool is_receiver = hqq_load32_relaxed(&endpoint->is_receiver) != 0;
    if (has_lock && is_receiver && endpoint->busy && hqq_endpoint_is_live(endpoint, fd))
        hqq_put_back(endpoint, fd, keeps_names);
    hand_off(endpoint);
}

void hqq_changes_inherited(struct hqq_endpoint *endpoint, int fd)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    hqq_add_relaxed(&hqq_ownership_copies, 1);
    put_back_or_hand_off(endpoint, fd, has_lock, true);
    if (hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_SHARED);
    hqq_ownership_note_passed(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_changes_read_unseen(struct hqq_endpoint *endpoint, int fd)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (hqq_load32_relaxed(&endpoint->is_busy) != 0)
        put_back_or_hand_off(endpoint, fd, has_lock, false);
    if (hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_WAITER);
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_changes_sent_unseen(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (!endpoint->is_send_plain)
        send_plainly(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* Without a lock, which another thread may have: the process ends. */
void hqq_changes_exit(struct hqq_endpoint *endpoint)
{
    if (endpoint->is_inherited && hqq_load32_relaxed(&endpoint->is_receiver) == 0)
        return;
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next) {
        channel->is_shared = true; /* another thread may receive still, beside a sender that claims what is left */
        hqq_rx_stop(channel, HQQ_HANDOFF);
    }
}

void hqq_changes_exec(struct hqq_endpoint *endpoint, bool is_kept)
{
    if (is_kept)
        hqq_ownership_note_passed(endpoint);
    bool has_lock = hqq_lock_try(&endpoint->receive_lock);
    if (has_lock || hqq_lock_is_mine(&endpoint->receive_lock)) {
        if (hqq_load32_relaxed(&endpoint->is_receiver) == 0 && hqq_endpoint_mode(endpoint) <= HQQ_MODE_FOREIGN)
            hqq_ownership_contest(endpoint); /* its parent and the next program share the socket from now on */
        hand_off(endpoint);
    }
    if (has_lock)
        hqq_lock_give(&endpoint->receive_lock);
}
