#include "endpoint/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hqq/link.h>

#include "channel/handshake.h"
#include "channel/liveness.h"
#include "channel/rendezvous.h"
#include "channel/tx.h"
#include "channel/window.h"
#include "endpoint/memory.h"
#include "endpoint/resend.h"
#include "endpoint/shared.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "runtime/names.h"
#include "runtime/reserved.h"

/* Datagrams after which an offer that nobody took is made again, and a challenge that did not arrive. */
#define OFFER_PATIENCE 512
#define CHALLENGE_PATIENCE 64

/* A receiver that is to be challenged was seen receiving within this. */
#define RECEIVED_NS (1 * HQQ_NS_PER_MS)

/* When an answer is tried again for which there was no memory. */
#define REPLY_RETRY_NS (200 * HQQ_NS_PER_MS)

/* How long a peer may leave datagrams unread before it is asked for. */
#define STUCK_NS (1 * HQQ_NS_PER_MS)

static const char *name_of(const struct hqq_destination *destination)
{
    return hqq_destination_is_path(destination) ? destination->name.sun_path : "@";
}

/* ---- Names ------------------------------------------------------------------------------------------------------ */

/* Which file the name leads to, if we may write to it. */
static bool look_up(const struct hqq_destination *destination, struct hqq_inode *ret_inode)
{
    char path[sizeof(destination->name.sun_path) + 1];
    struct hqq_inode inode;
    hqq_identity_path(&destination->name, destination->name_length, path);
    if (!hqq_identity_look_up(path, &inode) || hqq_libc.syscall(SYS_faccessat2, AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        return false;
    *ret_inode = inode;
    return true;
}

/* True if the name leads where it led, and we may write there. A connected socket goes on to send to whom it is
 * connected to. */
static bool is_current(struct hqq_destination *destination)
{
    struct hqq_inode inode;
    destination->names_seen = hqq_load_relaxed(&hqq_names_changes);
    if (destination->is_connected)
        return true;
    if (!hqq_destination_is_path(destination)) /* what a scope allows is the kernel's to say */
        return hqq_load32_acquire(&hqq_names_are_scoped) == 0;
    int saved = errno;
    bool is_same = look_up(destination, &inode) && hqq_inode_is_same(&inode, &destination->inode);
    errno = saved;
    return is_same;
}

/* True if the name is that socket's still which had the ring. */
static bool is_same_socket(struct hqq_destination *destination)
{
    if (hqq_filter_is_set() || destination->is_connected)
        return true;
    if (hqq_destination_is_path(destination))
        return is_current(destination);
    const struct hqq_identity peer = hqq_identity_of_peer(destination->channel);
    return hqq_identity_has_abstract_name(peer.socket, &destination->name, destination->name_length);
}

/* What was not read is for the socket that it was sent to. Where the name leads to another one by now, that has what the
 * first one's queue would not have held. */
static void begin_to_resend(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    destination->keep_until_ns = 0;
    if (is_same_socket(destination) || hqq_resend_give_up_queue(destination)) {
        hqq_destination_set(destination, HQQ_PROGRESS_RESENDING);
        return;
    }
    hqq_destination_begin_anew(endpoint, destination);
}

/* ---- Sharing what is there --------------------------------------------------------------------------------------- */

static void note_open(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    hqq_destination_set(destination, HQQ_PROGRESS_OPEN);
    destination->backoff_ns = destination->retry_ns = 0;
    destination->sent_ticks = hqq_ticks();
    destination->checked_ticks = destination->sent_ticks - 2000 * hqq_ticks_per_us(); /* due at once */
    destination->stuck_r = UINT64_MAX;
    hqq_tx_request_drain(destination->channel, 1); /* for what earlier sends have left in the kernel's queue */
    hqq_add32_relaxed(&endpoint->counters->links, 1);
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_ACCELERATED);
}

static void open_with(struct hqq_endpoint *endpoint, struct hqq_destination *destination, struct hqq_channel *channel)
{
    hqq_channel_hold(channel);
    hqq_destination_set_channel(destination, channel);
    note_open(endpoint, destination);
}

/* Another name of the receiver, whose progress is such; NULL: there is none. */
static struct hqq_destination *find_other(const struct hqq_endpoint *endpoint,
                                          const struct hqq_destination *destination, const struct hqq_inode *inode,
                                          bool (*is_such)(enum hqq_progress))
{
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        for (struct hqq_destination *other = i < 0 ? endpoint->peer : endpoint->bucket[i]; other; other = other->next) {
            if (other != destination && is_such(other->progress) && hqq_destination_is_path(other) &&
                hqq_inode_is_same(&other->inode, inode))
                return other;
        }
    }
    return NULL;
}

static bool is_open(enum hqq_progress progress)
{
    return progress == HQQ_PROGRESS_OPEN;
}

/* On its way to a channel, which will serve the other names too. */
static bool is_under_way(enum hqq_progress progress)
{
    return progress != HQQ_PROGRESS_NONE;
}

static bool is_offered(enum hqq_progress progress)
{
    return progress == HQQ_PROGRESS_OFFERED || progress == HQQ_PROGRESS_CHALLENGED;
}

/* One socket has one channel to a receiver, or the two would have no order: what another name of it has on offer is
 * given up. */
static void give_up_offer(struct hqq_endpoint *endpoint, const struct hqq_destination *destination)
{
    struct hqq_destination *other = hqq_destination_is_path(destination)
                                        ? find_other(endpoint, destination, &destination->inode, is_offered)
                                        : NULL;
    if (other)
        hqq_destination_begin_anew(endpoint, other);
}

/* The channel that a peer has offered, if there is memory to answer by it. */
static struct hqq_channel *find_reply(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (destination->reply_retry_ns != 0 && hqq_clock_ns() < destination->reply_retry_ns)
        return NULL;
    struct hqq_channel *channel = hqq_destinations_reply(endpoint, destination);
    if (!channel || hqq_channel_charge_replies(channel, destination->rule))
        return channel;
    hqq_memory_make_room(endpoint, destination->rule);
    destination->reply_retry_ns = hqq_clock_ns() + REPLY_RETRY_NS;
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_RESOURCES);
    return NULL;
}

/* A second name is known by its inode as soon as there is a channel that it might lead to. */
static bool find_shared(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    struct hqq_channel *channel = NULL;
    int saved = errno;
    if (endpoint->replies || hqq_load32_relaxed(&endpoint->counters->links) != 0) {
        if (hqq_destination_is_path(destination) && !destination->is_connected &&
            !look_up(destination, &destination->inode)) {
            errno = saved;
            return false;
        }
        errno = saved;
        const struct hqq_destination *other = hqq_destination_is_path(destination)
                                                  ? find_other(endpoint, destination, &destination->inode, is_open)
                                                  : NULL;
        channel = other ? other->channel : NULL;
        if (!channel && hqq_load32_relaxed(&destination->kernel_run) != 0)
            channel = find_reply(endpoint, destination);
    }
    if (channel && hqq_ownership_claim(endpoint)) {
        give_up_offer(endpoint, destination);
        open_with(endpoint, destination, channel);
    }
    return destination->progress == HQQ_PROGRESS_OPEN;
}

/* ---- Offering --------------------------------------------------------------------------------------------------- */

static int make_key(struct hqq_endpoint *endpoint, struct hqq_destination *destination, struct hqq_channel *channel)
{
    int key = hqq_handshake_make_key(channel, &destination->secret);
    if (key < 0)
        return key;
    return hqq_reserved_take(key, &destination->key_fd, &endpoint->send_lock) >= 0 ? 0 : -EMFILE;
}

/* As the kernel will tell it: what the peer was bound to. A path may be another one that leads there. Nobody may ask a
 * peer that is connected to us, which then is taken to have the name that we know. */
static void name_peer(struct hqq_channel *channel, const struct hqq_destination *destination)
{
    bool is_path = hqq_destination_is_path(destination);
    if (is_path && hqq_rendezvous_bound_name(&destination->name, destination->name_length, &channel->name,
                                             &channel->name_length) == 0)
        return;
    memcpy(&channel->name, &destination->name, sizeof(destination->name));
    channel->name_length = destination->name_length + is_path; /* with a NUL */
    if (is_path)
        ((char *)&channel->name)[destination->name_length] = '\0';
}

/* Makes a channel and leaves it at the rendezvous. */
static int offer(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    struct hqq_place place;
    struct hqq_channel *channel;
    int memory_fd;
    int result = hqq_rendezvous_place(destination->rule, &destination->name, destination->name_length, -1, &place);
    if (result == 0 && destination->is_connected && hqq_destination_is_path(destination) &&
        !hqq_inode_is_same(&place.inode, &destination->inode))
        result = -ECONNREFUSED; /* the name is another socket's than the one that this is connected to */
    if (result == 0 && hqq_destination_is_path(destination) &&
        find_other(endpoint, destination, &place.inode, is_under_way))
        result = -EALREADY;
    if (result != 0)
        return result;
    if (!hqq_memory_make_room(endpoint, destination->rule))
        return -ENOBUFS;
    int fd = hqq_rendezvous_reach(destination->rule, &place);
    if (fd < 0)
        return fd;
    result = hqq_channel_create(destination->rule, &memory_fd, &channel);
    if (result != 0) {
        hqq_libc.close(fd);
        return result;
    }
    result = hqq_rendezvous_offer(fd, memory_fd);
    hqq_sys.close(memory_fd);
    if (result == 0)
        result = make_key(endpoint, destination, channel);
    if (result != 0) {
        hqq_channel_drop(channel);
        return result;
    }
    destination->inode = place.inode;
    destination->names_seen = hqq_load_relaxed(&hqq_names_changes);
    hqq_destination_set_channel(destination, channel);
    channel->secret = destination->secret;
    name_peer(channel, destination);
    hqq_validation_push(endpoint, channel);
    return 0;
}

static void try_to_offer(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (hqq_load32_relaxed(&endpoint->foreign) & HQQ_FOREIGN_SHARED)
        return;
    if (hqq_filter_is_set() ||
        hqq_destination_is_to(destination, (const struct sockaddr *)(const void *)&endpoint->name,
                              endpoint->name_length))
        return; /* to itself */
    if (destination->retry_ns != 0 && hqq_clock_ns() < destination->retry_ns)
        return;
    if (!hqq_ownership_claim(endpoint))
        return;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the lock is held */
    int result = offer(endpoint, destination);
    pthread_setcancelstate(cancel, NULL);
    if (result == 0) {
        hqq_log(HQQ_LOG_INFO, "offered a channel to %s", name_of(destination));
        hqq_add_relaxed(&endpoint->counters->links_offered, 1);
        hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_WAITING);
        hqq_destination_set(destination, HQQ_PROGRESS_OFFERED);
        return;
    }
    if (result == -EALREADY)
        return;
    hqq_log(HQQ_LOG_INFO, "no channel to %s: %s", name_of(destination), strerror(-result));
    hqq_endpoint_set_reason(endpoint, result == -ECONNREFUSED || result == -ENOENT || result == -ENOTSOCK
                                          ? HQQ_SOCKET_PEER_PLAIN
                                      : result == -EPERM ? HQQ_SOCKET_PEER_FOREIGN
                                                         : HQQ_SOCKET_RESOURCES);
    hqq_add_relaxed(&endpoint->counters->links_refused, 1);
    hqq_destination_back_off(destination);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static bool is_receiving(const struct hqq_channel *channel)
{
    uint64_t received = hqq_load_relaxed(&channel->peer->received_ns);
    return hqq_clock_ns() - received < RECEIVED_NS;
}

/* The challenge is meant for whom the channel was offered to: if the name leads elsewhere by now, a stranger would
 * meet the key. */
static enum hqq_step challenge(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (!is_receiving(destination->channel))
        return HQQ_STEP_KERNEL;
    if (is_current(destination))
        return HQQ_STEP_CHALLENGE;
    hqq_destination_begin_anew(endpoint, destination);
    return HQQ_STEP_KERNEL;
}

static enum hqq_step advance_offered(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    switch (hqq_handshake_stage(destination->channel)) {
    case HQQ_STAGE_NONE:
        if (hqq_load32_relaxed(&destination->kernel_run) >= OFFER_PATIENCE)
            hqq_destination_forget(endpoint, destination, HQQ_SOCKET_WAITING);
        return HQQ_STEP_KERNEL;
    case HQQ_STAGE_ACKNOWLEDGED:
        return challenge(endpoint, destination);
    case HQQ_STAGE_REFUSED:
    default:
        hqq_destination_forget(endpoint, destination, HQQ_SOCKET_PEER_FOREIGN);
        return HQQ_STEP_KERNEL;
    }
}

static enum hqq_step advance_challenged(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    struct hqq_channel *channel = destination->channel;
    if (hqq_handshake_is_validated(channel, destination->secret)) {
        if (!hqq_filter_is_set() && !is_current(destination)) { /* since the challenge */
            hqq_destination_begin_anew(endpoint, destination);
            return HQQ_STEP_KERNEL;
        }
        hqq_reserved_close(&destination->key_fd);
        hqq_add_relaxed(&endpoint->counters->links_opened, 1);
        note_open(endpoint, destination);
        hqq_log(HQQ_LOG_INFO, "the channel to %s is open", name_of(destination));
        return HQQ_STEP_OPEN;
    }
    if (hqq_handshake_stage(channel) == HQQ_STAGE_REFUSED) {
        hqq_destination_forget(endpoint, destination, HQQ_SOCKET_PEER_FOREIGN);
        return HQQ_STEP_KERNEL;
    }
    bool is_lost = hqq_load32_relaxed(&destination->kernel_run) >= CHALLENGE_PATIENCE;
    return is_lost ? challenge(endpoint, destination) : HQQ_STEP_KERNEL;
}

void hqq_destination_challenged(struct hqq_destination *destination)
{
    if (destination->progress == HQQ_PROGRESS_OFFERED || destination->progress == HQQ_PROGRESS_CHALLENGED)
        hqq_destination_set(destination, HQQ_PROGRESS_CHALLENGED);
}

static enum hqq_step advance_none(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (find_shared(endpoint, destination))
        return HQQ_STEP_OPEN;
    if (hqq_load32_relaxed(&destination->kernel_run) >= destination->rule->link_after)
        try_to_offer(endpoint, destination);
    return HQQ_STEP_KERNEL;
}

/* The receiver may have ended the channel. */
static void note_end(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    const struct hqq_channel *channel = destination->channel;
    enum hqq_notify state = hqq_channel_peer_state(channel);
    if (state == HQQ_HANDOFF && destination->progress == HQQ_PROGRESS_OPEN)
        begin_to_resend(endpoint, destination);
    else if (state >= HQQ_CLOSED || hqq_load32_relaxed(&channel->is_given_up) != 0)
        hqq_destination_forget(endpoint, destination, HQQ_SOCKET_PEER_LEFT);
}

enum hqq_step hqq_destination_advance(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (destination->channel && destination->progress != HQQ_PROGRESS_RESENDING)
        note_end(endpoint, destination);
    if (!destination->channel)
        return advance_none(endpoint, destination);
    switch (destination->progress) {
    case HQQ_PROGRESS_OFFERED:
        return advance_offered(endpoint, destination);
    case HQQ_PROGRESS_CHALLENGED:
        return advance_challenged(endpoint, destination);
    case HQQ_PROGRESS_RESENDING:
        return HQQ_STEP_RESEND;
    case HQQ_PROGRESS_OPEN:
    case HQQ_PROGRESS_NONE:
    default:
        return HQQ_STEP_OPEN;
    }
}

/* ---- Is it there still? ------------------------------------------------------------------------------------------ */

/* In a stream: does the receiver read at all? */
static bool is_stuck(struct hqq_destination *destination)
{
    struct hqq_channel *channel = destination->channel;
    uint64_t now = hqq_clock_ns();
    uint64_t r = hqq_load_relaxed(hqq_ring_r(&channel->tx));
    if (r != destination->stuck_r || hqq_tx_depth(channel) == 0) {
        destination->stuck_r = r;
        destination->stuck_ns = now;
        return false;
    }
    if (now - destination->stuck_ns < STUCK_NS)
        return false;
    destination->stuck_ns = now;
    return hqq_liveness_is_dead(channel);
}

bool hqq_destination_check(struct hqq_endpoint *endpoint, struct hqq_destination *destination, uint64_t ticks)
{
    struct hqq_channel *channel = destination->channel;
    if (hqq_filter_is_set())
        return true;
    bool is_name_due = hqq_ticks_are_due(ticks, destination->checked_ticks, 1000) ||
                       destination->names_seen != hqq_load_relaxed(&hqq_names_changes);
    /* Where the kernel carries the datagram it says itself that nobody is there. */
    bool is_ring_used = hqq_channel_peer_state(channel) == HQQ_POLLING;
    bool is_gone = (is_ring_used || is_name_due) && hqq_liveness_is_missing(channel, ticks);
    if (!is_gone && is_name_due) {
        destination->checked_ticks = ticks;
        if (!is_current(destination)) {
            hqq_destination_begin_anew(endpoint, destination);
            return false;
        }
        hqq_window_settle(&channel->tx, ticks);
        is_gone = is_stuck(destination);
    }
    if (is_gone)
        begin_to_resend(endpoint, destination);
    return !is_gone;
}
