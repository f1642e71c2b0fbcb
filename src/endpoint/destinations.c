#include "endpoint/destinations.h"

#include <assert.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include <hqq/link.h>

#include "channel/rendezvous.h"
#include "channel/tx.h"
#include "endpoint/shared.h"
#include "platform/clock.h"
#include "platform/trace.h"
#include "runtime/pool.h"
#include "runtime/reserved.h"

#define DESTINATIONS_MAX 4096

#define BACKOFF_FIRST_NS (10 * HQQ_NS_PER_MS)
#define BACKOFF_LAST_NS (5 * HQQ_NS_PER_S)

static struct hqq_pool pool = HQQ_POOL(struct hqq_destination);

hqq_atomic_u64 hqq_destination_moves[HQQ_PROGRESS_STATES];

/* ---- States ----------------------------------------------------------------------------------------------------- */

const char *hqq_destination_text(enum hqq_progress progress)
{
    static const char *const text[HQQ_PROGRESS_STATES] = {"NONE", "OFFERED", "CHALLENGED", "OPEN", "RESENDING"};
    return text[progress];
}

bool hqq_destination_may_move(enum hqq_progress from, enum hqq_progress to)
{
    static const bool legal[HQQ_PROGRESS_STATES][HQQ_PROGRESS_STATES] = {
        [HQQ_PROGRESS_NONE] = {[HQQ_PROGRESS_OFFERED] = true, [HQQ_PROGRESS_OPEN] = true},
        [HQQ_PROGRESS_OFFERED] = {[HQQ_PROGRESS_NONE] = true, [HQQ_PROGRESS_CHALLENGED] = true},
        [HQQ_PROGRESS_CHALLENGED] =
            {[HQQ_PROGRESS_NONE] = true, [HQQ_PROGRESS_CHALLENGED] = true, [HQQ_PROGRESS_OPEN] = true},
        [HQQ_PROGRESS_OPEN] = {[HQQ_PROGRESS_NONE] = true, [HQQ_PROGRESS_RESENDING] = true},
        [HQQ_PROGRESS_RESENDING] = {[HQQ_PROGRESS_NONE] = true},
    };
    return legal[from][to];
}

void hqq_destination_set(struct hqq_destination *destination, enum hqq_progress progress)
{
    enum hqq_progress from = destination->progress;
    assert(hqq_destination_may_move(from, progress));
    destination->progress = progress;
    hqq_store32_relaxed(&destination->kernel_run, 0);
    hqq_add_relaxed(&hqq_destination_moves[progress], 1);
    hqq_log(HQQ_LOG_DEBUG, "destination %s: %s -> %s",
            hqq_destination_is_path(destination) ? destination->name.sun_path : "@", hqq_destination_text(from),
            hqq_destination_text(progress));
}

void hqq_destination_back_off(struct hqq_destination *destination)
{
    destination->backoff_ns = destination->backoff_ns == 0 ? BACKOFF_FIRST_NS : destination->backoff_ns * 2;
    if (destination->backoff_ns > BACKOFF_LAST_NS)
        destination->backoff_ns = BACKOFF_LAST_NS;
    destination->retry_ns = hqq_clock_ns() + destination->backoff_ns;
}

void hqq_destination_forget(struct hqq_endpoint *endpoint, struct hqq_destination *destination,
                            enum hqq_socket_reason reason)
{
    struct hqq_channel *channel = destination->channel;
    if (!channel)
        return;
    if (destination->progress >= HQQ_PROGRESS_OPEN)
        hqq_sub32_relaxed(&endpoint->counters->links, 1);
    hqq_store32_release(&channel->is_given_up, 1); /* edge D8: with the receiving side, which ends it */
    hqq_destination_set_channel(destination, NULL);
    hqq_destination_set(destination, HQQ_PROGRESS_NONE);
    hqq_endpoint_set_reason(endpoint, reason);
    hqq_destination_back_off(destination);
    hqq_reserved_close(&destination->key_fd);
    destination->has_unsent = false;
    hqq_channel_drop(channel);
}

void hqq_destination_begin_anew(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    hqq_destination_forget(endpoint, destination, HQQ_SOCKET_PEER_LEFT);
    destination->retry_ns = 0;
}

/* ---- Finding ---------------------------------------------------------------------------------------------------- */

static unsigned bucket_of(const struct sockaddr *address, socklen_t length)
{
    const unsigned char *bytes = (const unsigned char *)address;
    uint32_t value = 2166136261u;
    for (socklen_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return (value ^ value >> 16) % HQQ_DESTINATION_BUCKETS;
}

socklen_t hqq_destination_significant_length(const struct sockaddr *address, socklen_t length)
{
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (length <= head || path[0] == '\0')
        return length;
    return (socklen_t)(head + strnlen(path, length - head));
}

/* The length is a significant one. */
static inline bool has_name(const struct hqq_destination *destination, const struct sockaddr *address, socklen_t length)
{
    return destination->name_length == length && memcmp(&destination->name, address, length) == 0;
}

bool hqq_destination_is_to(const struct hqq_destination *destination, const struct sockaddr *address, socklen_t length)
{
    return has_name(destination, address, hqq_destination_significant_length(address, length));
}

static void end_one(struct hqq_endpoint *endpoint, struct hqq_destination *destination)
{
    if (destination->channel)
        hqq_channel_drop(destination->channel);
    hqq_destination_set_channel(destination, NULL);
    hqq_reserved_close(&destination->key_fd);
    endpoint->destination_count--;
    /* One that a thread still sends through is let be, and lost. */
    if (hqq_load32_acquire(&destination->inside) == 0)
        hqq_pool_return(&pool, destination);
}

/* The oldest without a channel, of a bucket. */
static bool forget_oldest(struct hqq_endpoint *endpoint, unsigned bucket)
{
    struct hqq_destination **oldest = NULL;
    for (struct hqq_destination **at = &endpoint->bucket[bucket]; *at; at = &(*at)->next) {
        if (!(*at)->channel && hqq_load32_relaxed(&(*at)->inside) == 0)
            oldest = at;
    }
    if (!oldest)
        return false;
    struct hqq_destination *destination = *oldest;
    *oldest = destination->next;
    if (endpoint->last == destination)
        endpoint->last = NULL;
    end_one(endpoint, destination);
    return true;
}

/* Who sends to many names in a long life knows the latest. */
static bool make_room(struct hqq_endpoint *endpoint, unsigned bucket)
{
    for (unsigned i = 0; i < HQQ_DESTINATION_BUCKETS; i++) {
        if (endpoint->destination_count < DESTINATIONS_MAX ||
            forget_oldest(endpoint, (bucket + i) % HQQ_DESTINATION_BUCKETS))
            return true;
    }
    return false;
}

static struct hqq_destination *make(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length,
                                    const struct hqq_rule *rule)
{
    if (!make_room(endpoint, bucket_of(address, length)))
        return NULL;
    struct hqq_destination *destination = hqq_pool_take(&pool);
    if (!destination)
        return NULL;
    memset(destination, 0, sizeof(*destination));
    memcpy(&destination->name, address, length);
    destination->name_length = length;
    destination->rule = rule;
    destination->key_fd = -1;
    endpoint->destination_count++;
    return destination;
}

struct hqq_destination *hqq_destinations_find(struct hqq_endpoint *endpoint, const struct sockaddr *address,
                                              socklen_t length)
{
    if (length < sizeof(sa_family_t) || length > sizeof(struct sockaddr_un) || (uintptr_t)address < 4096)
        return NULL;
    struct hqq_destination *destination = endpoint->last;
    if (destination && has_name(destination, address, length))
        return destination;
    if (address->sa_family != AF_UNIX)
        return NULL;
    length = hqq_destination_significant_length(address, length);
    if (length <= offsetof(struct sockaddr_un, sun_path))
        return NULL;
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    if (path[0] != '\0' && path[0] != '/') /* it may mean another socket each time */
        return NULL;
    /* An abstract name is the peer's as long as that lives. A path may lead elsewhere by now: it is looked after on
     * its own. */
    if (path[0] == '\0' && endpoint->peer && has_name(endpoint->peer, address, length))
        return endpoint->peer;
    unsigned bucket = bucket_of(address, length);
    for (destination = endpoint->bucket[bucket]; destination && !has_name(destination, address, length);
         destination = destination->next) {
    }
    if (!destination) {
        const struct hqq_rule *rule = hqq_config_match(address, length);
        if (!rule && endpoint->replies) /* who has a channel to us may have any name */
            rule = endpoint->rule;
        destination = rule ? make(endpoint, address, length, rule) : NULL;
        if (!destination)
            return NULL;
        destination->next = endpoint->bucket[bucket];
        endpoint->bucket[bucket] = destination;
    }
    endpoint->last = destination;
    return destination;
}

/* An abstract name is found as the peer's from now on: what has been sent to it so far is the peer's too. */
static struct hqq_destination *take_abstract(struct hqq_endpoint *endpoint, const struct sockaddr *address,
                                             socklen_t length)
{
    struct hqq_destination **at = &endpoint->bucket[bucket_of(address, length)];
    if (((const struct sockaddr_un *)(const void *)address)->sun_path[0] != '\0')
        return NULL;
    while (*at && !has_name(*at, address, length))
        at = &(*at)->next;
    struct hqq_destination *destination = *at;
    if (!destination)
        return NULL;
    *at = destination->next;
    destination->next = NULL;
    if (endpoint->last == destination)
        endpoint->last = NULL;
    return destination;
}

struct hqq_destination *hqq_destinations_connect(struct hqq_endpoint *endpoint, const struct sockaddr *address,
                                                 socklen_t length)
{
    length = hqq_destination_significant_length(address, length);
    const struct hqq_rule *rule = hqq_config_match(address, length);
    if (!rule && endpoint->replies)
        rule = endpoint->rule;
    struct hqq_destination *destination = rule ? take_abstract(endpoint, address, length) : NULL;
    if (rule && !destination)
        destination = make(endpoint, address, length, rule);
    struct hqq_place place;
    if (!destination)
        return NULL;
    destination->is_connected = true;
    if (hqq_rendezvous_place(rule, &destination->name, destination->name_length, -1, &place) == 0)
        destination->inode = place.inode;
    return destination;
}

/* ---- All of them ------------------------------------------------------------------------------------------------ */

static struct hqq_destination *chain(struct hqq_endpoint *endpoint, int index)
{
    return index < 0 ? endpoint->peer : endpoint->bucket[index];
}

static void drop_reply(struct hqq_channel **at)
{
    struct hqq_channel *channel = *at;
    *at = channel->validated_next;
    hqq_channel_drop(channel);
}

/* A handler in a send of this thread's leaves channels that it ends to who comes by here next. */
struct hqq_channel *hqq_destinations_reply(struct hqq_endpoint *endpoint, const struct hqq_destination *destination)
{
    struct hqq_channel **at = &endpoint->replies;
    while (*at) {
        const struct hqq_channel *channel = *at;
        const struct sockaddr *address = (const struct sockaddr *)(const void *)&channel->name;
        if (hqq_load32_relaxed(&channel->is_given_up) != 0) {
            drop_reply(at);
            continue;
        }
        if (hqq_destination_is_to(destination, address, channel->name_length) &&
            (!hqq_destination_is_path(destination) || hqq_inode_is_same(&channel->peer_inode, &destination->inode)))
            return *at;
        at = &(*at)->validated_next;
    }
    return NULL;
}

void hqq_destinations_forget_channel(struct hqq_endpoint *endpoint, const struct hqq_channel *channel)
{
    for (struct hqq_channel **at = &endpoint->replies; *at; at = &(*at)->validated_next) {
        if (*at == channel) {
            drop_reply(at);
            break;
        }
    }
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        for (struct hqq_destination *destination = chain(endpoint, i); destination; destination = destination->next) {
            if (destination->channel == channel)
                hqq_destination_begin_anew(endpoint, destination);
        }
    }
}

void hqq_destinations_request_drain(struct hqq_endpoint *endpoint, uint64_t sends)
{
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        for (struct hqq_destination *destination = chain(endpoint, i); destination; destination = destination->next) {
            if (destination->channel)
                hqq_tx_request_drain(destination->channel, sends);
        }
    }
}

/* What the kernel has let through before says nothing: whom a socket takes datagrams from changes as it connects. */
static void want_kernel_send(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    const int indices[] = {-1, (int)bucket_of(address, length)};
    for (int i = 0; i < 2; i++) {
        for (struct hqq_destination *at = chain(endpoint, indices[i]); at; at = at->next) {
            if (has_name(at, address, length))
                hqq_store32_relaxed(&at->kernel_run, 0);
        }
    }
}

void hqq_destinations_add_reply(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&channel->name;
    socklen_t length = hqq_destination_significant_length(address, channel->name_length);
    struct hqq_place place;
    if (length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(struct sockaddr_un) || !endpoint->rule)
        return; /* nobody can answer an unnamed socket */
    if (hqq_rendezvous_place(endpoint->rule, (const struct sockaddr_un *)(const void *)address, length, -1, &place) !=
        0)
        return;
    /* In another mount namespace the client's path may be another socket's here, which an answer is for. */
    const struct hqq_identity peer = hqq_identity_of_peer(channel);
    if (peer.file.number != 0 && place.inode.number != 0 && !hqq_inode_is_same(&peer.file, &place.inode))
        return;
    channel->peer_inode = place.inode;
    want_kernel_send(endpoint, address, length);
    hqq_channel_hold(channel);
    channel->validated_next = endpoint->replies;
    endpoint->replies = channel;
}

/* Slots hold what they hold: the last one of a datagram counts whole. */
int hqq_destinations_unread(struct hqq_endpoint *endpoint, int in_kernel)
{
    uint64_t bytes = (uint64_t)in_kernel;
    if (!hqq_lock_take(&endpoint->send_lock))
        return in_kernel;
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        for (struct hqq_destination *destination = chain(endpoint, i); destination; destination = destination->next) {
            if (destination->channel)
                bytes += hqq_tx_depth(destination->channel) * destination->channel->tx.buffer_size;
        }
    }
    hqq_lock_give(&endpoint->send_lock);
    return bytes < INT_MAX ? (int)bytes : INT_MAX;
}

/* ---- Ending ----------------------------------------------------------------------------------------------------- */

void hqq_destinations_forget_all(struct hqq_endpoint *endpoint)
{
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        for (struct hqq_destination *destination = chain(endpoint, i); destination; destination = destination->next) {
            hqq_destination_forget(endpoint, destination, HQQ_SOCKET_NO_TRAFFIC);
            destination->retry_ns = destination->backoff_ns = 0;
            destination->inode = (struct hqq_inode){0};
        }
    }
}

void hqq_destinations_disconnect(struct hqq_endpoint *endpoint)
{
    struct hqq_destination *destination = endpoint->peer;
    if (!destination)
        return;
    hqq_destination_forget(endpoint, destination, HQQ_SOCKET_NO_TRAFFIC);
    endpoint->peer = NULL;
    end_one(endpoint, destination);
}

void hqq_destinations_end_all(struct hqq_endpoint *endpoint, bool is_own)
{
    for (int i = -1; i < HQQ_DESTINATION_BUCKETS; i++) {
        struct hqq_destination *destination = chain(endpoint, i);
        while (destination) {
            struct hqq_destination *next = destination->next;
            if (is_own && destination->channel)
                hqq_store32_release(&destination->channel->is_given_up, 1); /* edge D8 */
            if (!is_own)                                                    /* a child has no threads inside */
                hqq_store32_relaxed(&destination->inside, 0);
            end_one(endpoint, destination);
            destination = next;
        }
        if (i >= 0)
            endpoint->bucket[i] = NULL;
    }
    while (endpoint->replies)
        drop_reply(&endpoint->replies);
    endpoint->peer = NULL;
    endpoint->last = NULL;
    endpoint->destination_count = 0;
    if (is_own) {
        hqq_store32_relaxed(&endpoint->counters->links, 0);
        hqq_ownership_release(endpoint);
    }
}

void hqq_destinations_inherit(struct hqq_endpoint *endpoint)
{
    bool was_connected = endpoint->peer != NULL;
    struct sockaddr_un name = was_connected ? endpoint->peer->name : (struct sockaddr_un){0};
    socklen_t length = was_connected ? endpoint->peer->name_length : 0;
    hqq_lock_reset(&pool.lock);
    hqq_destinations_end_all(endpoint, false);
    if (was_connected)
        endpoint->peer = hqq_destinations_connect(endpoint, (const struct sockaddr *)(const void *)&name, length);
}
