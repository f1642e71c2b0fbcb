#include "endpoint/validation.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "channel/handshake.h"
#include "channel/rendezvous.h"
#include "channel/rx.h"
#include "endpoint/destinations.h"
#include "endpoint/scheduler.h"
#include "platform/clock.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "runtime/reserved.h"

/* Channels that a socket may have, and those among them that are not validated yet. */
#define CHANNELS_MAX 4096
#define UNVALIDATED_MAX 1024

/* Offers that one look reads, whoever floods the rendezvous. */
#define OFFERS_A_LOOK 16

/* ---- Offers ----------------------------------------------------------------------------------------------------- */

void hqq_validation_push(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    struct hqq_channel *first;
    hqq_channel_hold(channel);
    hqq_identity_tell(channel, &endpoint->identity);
    do {
        first = hqq_load_pointer_acquire(&endpoint->offered);
        channel->next = first;
    } while (!hqq_cas_pointer_release(&endpoint->offered, first, channel)); /* release: with the swap below */
}

void hqq_validation_drop_offered(struct hqq_endpoint *endpoint, bool is_own)
{
    struct hqq_channel *channel = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    while (channel) {
        struct hqq_channel *next = channel->next;
        if (is_own)
            hqq_rx_stop(channel, HQQ_HANDOFF); /* so the peer learns that nobody will send by it any more */
        hqq_channel_drop(channel);
        channel = next;
    }
}

/* Received from once the peer has repeated the secret. */
void hqq_validation_take_over_offered(struct hqq_endpoint *endpoint)
{
    struct hqq_channel *channel = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    while (channel) {
        struct hqq_channel *next = channel->next;
        hqq_scheduler_add(endpoint, channel);
        channel = next;
    }
}

/* Takes what a connection offers. False: it has not offered yet. */
static bool read_offer(struct hqq_endpoint *endpoint, int connection)
{
    struct hqq_channel *channel;
    int fd = hqq_rendezvous_read_offer(connection);
    if (fd == -EAGAIN)
        return false;
    if (fd < 0)
        return true;
    int result = hqq_channel_attach(fd, &channel);
    hqq_libc.close(fd);
    if (result != 0) {
        hqq_log(HQQ_LOG_WARN, "an offered channel is refused: %s", hqq_strerror(result));
        hqq_add_relaxed(&endpoint->counters->links_refused, 1);
        return true;
    }
    hqq_scheduler_reap(endpoint, true);
    if (hqq_load32_relaxed(&endpoint->channel_count) >= CHANNELS_MAX ||
        hqq_load32_relaxed(&endpoint->unvalidated_count) >= UNVALIDATED_MAX) {
        hqq_log(HQQ_LOG_WARN, "an offered channel is refused: there are too many");
        hqq_handshake_tell(channel, HQQ_STAGE_REFUSED);
        hqq_add_relaxed(&endpoint->counters->links_refused, 1);
        hqq_channel_drop(channel);
        return true;
    }
    hqq_scheduler_add(endpoint, channel);
    hqq_store_relaxed(&channel->own->received_ns, hqq_clock_ns());
    hqq_handshake_tell(channel, HQQ_STAGE_ACKNOWLEDGED);
    return true;
}

static void read_offers(struct hqq_endpoint *endpoint)
{
    for (int i = 0; i < HQQ_PENDING; i++) {
        if (endpoint->pending[i] >= 0 && read_offer(endpoint, endpoint->pending[i]))
            hqq_reserved_close(&endpoint->pending[i]);
    }
    for (int i = 0; i < OFFERS_A_LOOK; i++) {
        int connection = hqq_rendezvous_accept(endpoint->rule, endpoint->listener);
        if (connection == -EPERM || connection == -ECONNABORTED)
            continue;
        if (connection < 0)
            return;
        if (read_offer(endpoint, connection)) {
            hqq_libc.close(connection);
            continue;
        }
        int last = HQQ_PENDING - 1; /* what has been silent longest makes way */
        hqq_reserved_close(&endpoint->pending[last]);
        hqq_reserved_take(connection, &endpoint->pending[last], &endpoint->receive_lock);
    }
}

/* Who offered is told that somebody receives here. */
static void say_that_we_receive(struct hqq_endpoint *endpoint)
{
    uint64_t now = hqq_clock_ns();
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next) {
        if (channel->is_attached && !channel->is_validated)
            hqq_store_relaxed(&channel->own->received_ns, now);
    }
}

void hqq_validation_look(struct hqq_endpoint *endpoint)
{
    uint64_t ticks = hqq_ticks();
    if (endpoint->offered)
        hqq_validation_take_over_offered(endpoint);
    if (hqq_load32_relaxed(&endpoint->unvalidated_count) != 0)
        say_that_we_receive(endpoint);
    if (hqq_filter_is_set() ||
        !hqq_ticks_are_due(ticks, hqq_load_relaxed(&endpoint->looked_ticks), HQQ_VALIDATION_LOOK_US))
        return;
    hqq_store_relaxed(&endpoint->looked_ticks, ticks);
    hqq_scheduler_reap(endpoint, false);
    if (endpoint->listener < 0)
        hqq_validation_listen(endpoint);
    if (endpoint->listener < 0)
        return;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the lock is held */
    read_offers(endpoint);
    pthread_setcancelstate(cancel, NULL);
}

void hqq_validation_look_if_due(struct hqq_endpoint *endpoint)
{
    if (!hqq_validation_is_due(endpoint) || hqq_endpoint_mode(endpoint) != HQQ_MODE_ACCELERATED ||
        endpoint->changing != 0)
        return;
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    hqq_validation_look(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* ---- Challenges ------------------------------------------------------------------------------------------------- */

static struct hqq_channel *find_offered(const struct hqq_endpoint *endpoint, uint64_t id)
{
    struct hqq_channel *channel = endpoint->channels;
    while (channel && !(channel->is_attached && channel->id == id))
        channel = channel->next;
    return channel;
}

static void validate(struct hqq_endpoint *endpoint, struct hqq_channel *channel, const struct msghdr *message,
                     uint64_t secret)
{
    if (channel->is_validated)
        return;
    if (message->msg_namelen <= sizeof(channel->name)) {
        memcpy(&channel->name, message->msg_name, message->msg_namelen);
        channel->name_length = message->msg_namelen;
    }
    channel->is_validated = true;
    hqq_scheduler_expect_no_more(endpoint);
    hqq_handshake_repeat(channel, secret);
    hqq_add_relaxed(&endpoint->counters->links_opened, 1);
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_ACCELERATED);
    hqq_log(HQQ_LOG_INFO, "a channel of a peer's is validated");
    if (hqq_lock_take(&endpoint->send_lock)) {
        hqq_destinations_add_reply(endpoint, channel);
        hqq_lock_give(&endpoint->send_lock);
    }
}

bool hqq_validation_take(struct hqq_endpoint *endpoint, struct msghdr *message, bool is_peek)
{
    bool is_only;
    uint64_t id, secret;
    int fd = hqq_handshake_descriptor(message, &is_only);
    if (fd < 0 || !is_only || !hqq_handshake_read_key(fd, &id, &secret))
        return false;
    bool is_ours = hqq_lock_is_mine(&endpoint->receive_lock);
    if (!is_ours && !hqq_lock_take(&endpoint->receive_lock))
        return false;
    struct hqq_channel *channel = find_offered(endpoint, id);
    /* Not for a peek: nobody would expect the descriptor that comes when the datagram is taken. And not in a handler
     * that has interrupted a change of the channels: the sender will challenge again. */
    if (channel && !is_peek && endpoint->changing == 0) {
        endpoint->changing++;
        hqq_fence_compiler();
        validate(endpoint, channel, message, secret);
        hqq_fence_compiler();
        endpoint->changing--;
    }
    if (!is_ours)
        hqq_lock_give(&endpoint->receive_lock);
    hqq_sys.close(fd); /* a key whose channel is gone is no more the program's */
    return true;
}

/* ---- The rendezvous --------------------------------------------------------------------------------------------- */

/* For a socket that says nothing better: why nobody can offer it a channel, or that somebody can. */
static void note_listening(struct hqq_endpoint *endpoint, int result)
{
    uint32_t reason = hqq_load32_relaxed(&endpoint->counters->reason);
    if (result >= 0 && reason == HQQ_SOCKET_NO_RENDEZVOUS)
        hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_NO_TRAFFIC);
    else if (result == -EADDRINUSE && reason == HQQ_SOCKET_NO_TRAFFIC)
        hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_NO_RENDEZVOUS);
}

void hqq_validation_listen(struct hqq_endpoint *endpoint)
{
    struct hqq_place place;
    if (endpoint->name_length == 0 || endpoint->is_listen_refused)
        return;
    int result = hqq_rendezvous_place(endpoint->rule, &endpoint->name, endpoint->name_length, -1, &place);
    if (result == 0)
        result = hqq_rendezvous_listen(&place);
    if (result >= 0)
        result = hqq_reserved_take(result, &endpoint->listener, &endpoint->receive_lock);
    note_listening(endpoint, result);
    if (result < 0) {
        endpoint->is_listen_refused = result != -EADDRINUSE; /* another process receives; perhaps not for ever */
        hqq_log(HQQ_LOG_INFO, "no rendezvous: %s", strerror(-result));
    }
}

void hqq_validation_end(struct hqq_endpoint *endpoint, bool is_own)
{
    if (endpoint->listener >= 0 && is_own)
        hqq_rendezvous_unlink(endpoint->listener, endpoint->rule);
    hqq_reserved_close(&endpoint->listener);
    for (int i = 0; i < HQQ_PENDING; i++)
        hqq_reserved_close(&endpoint->pending[i]);
}
