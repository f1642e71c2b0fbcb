#include "socket/route.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/point.h"
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/trace.h"
#include "socket/kernel.h"
#include "socket/pool.h"
#include "socket/rendezvous.h"
#include "socket/spin.h"

#include <hqq/link.h>

#define ROUTES_MAX 4096
#define BACKOFF_FIRST_NS (10 * HQQ_NS_PER_MS)
#define BACKOFF_LAST_NS (5 * HQQ_NS_PER_S)

/* A PROOF whose echo does not come was lost with a queue that was purged. */
#define PROOF_PATIENCE 64

/* Datagrams after which an offer that nobody took is made again. */
#define OFFER_PATIENCE 512

static struct hqq_pool pool = HQQ_POOL(struct hqq_route);

void hqq_route_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}

/* ---- Finding --------------------------------------------------------------------------------------------------- */

static unsigned bucket_of(const struct sockaddr *address, socklen_t length)
{
    const unsigned char *bytes = (const unsigned char *)address;
    uint32_t value = 2166136261u;
    for (socklen_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return (value ^ value >> 16) % HQQ_ROUTE_BUCKETS;
}

/* A path is the same with and without its NUL, and whatever stands behind it. */
static socklen_t significant_length(const struct sockaddr *address, socklen_t length)
{
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (length <= head || path[0] == '\0')
        return length;
    return (socklen_t)(head + strnlen(path, length - head));
}

static bool is_to(const struct hqq_route *route, const struct sockaddr *address, socklen_t length)
{
    return route->name_length == length && memcmp(&route->name, address, length) == 0;
}

bool hqq_route_is_to(const struct hqq_route *route, const struct sockaddr *address, socklen_t length)
{
    return is_to(route, address, significant_length(address, length));
}

static struct hqq_route *make(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length,
                              const struct hqq_rule *rule)
{
    if (endpoint->route_count >= ROUTES_MAX)
        return NULL;
    struct hqq_route *route = hqq_pool_take(&pool);
    if (!route)
        return NULL;
    memcpy(&route->name, address, length);
    route->name_length = length;
    route->rule = rule;
    route->path_fd = -1;
    endpoint->route_count++;
    return route;
}

static struct hqq_pair *reply_pair(struct hqq_endpoint *endpoint, unsigned bucket, const struct sockaddr *address,
                                   socklen_t length);
static void use_for_replies(struct hqq_endpoint *endpoint, struct hqq_route *route, struct hqq_pair *pair);

struct hqq_route *hqq_route_find(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    if (length < sizeof(sa_family_t) || length > sizeof(struct sockaddr_un) || (uintptr_t)address < 4096)
        return NULL;
    struct hqq_route *route = endpoint->last;
    if (route && is_to(route, address, length))
        return route;
    if (address->sa_family != AF_UNIX)
        return NULL;
    length = significant_length(address, length);
    if (length <= offsetof(struct sockaddr_un, sun_path))
        return NULL;
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    if (path[0] != '\0' && path[0] != '/') /* it may mean another socket each time */
        return NULL;
    unsigned bucket = bucket_of(address, length);
    for (route = endpoint->bucket[bucket]; route && !is_to(route, address, length); route = route->next) {
    }
    struct hqq_pair *reply = route && route->pair ? NULL : reply_pair(endpoint, bucket, address, length);
    if (!route) {
        const struct hqq_rule *rule = reply ? endpoint->rule : hqq_config_match(address, length);
        route = rule ? make(endpoint, address, length, rule) : NULL;
        if (!route)
            return NULL;
        route->next = endpoint->bucket[bucket];
        endpoint->bucket[bucket] = route;
    }
    if (reply)
        use_for_replies(endpoint, route, reply);
    endpoint->last = route;
    return route;
}

struct hqq_route *hqq_route_connect(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    length = significant_length(address, length);
    const struct hqq_rule *rule = hqq_config_match(address, length);
    struct hqq_route *route = rule ? make(endpoint, address, length, rule) : NULL;
    struct hqq_place place;
    if (!route)
        return NULL;
    route->is_connected = true;
    if (hqq_rendezvous_place(rule, &route->name, route->name_length, -1, &place) == 0) {
        route->device = place.device;
        route->inode = place.inode;
    }
    return route;
}

/* Out of all lists. One that a thread still sends through is let be, and lost. */
static void end_route(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    endpoint->route_count--;
    if (hqq_load32_acquire(&route->inside) == 0)
        hqq_pool_return(&pool, route);
}

/* ---- Names ----------------------------------------------------------------------------------------------------- */

static bool is_path(const struct hqq_route *route)
{
    return route->name.sun_path[0] != '\0';
}

static void path_of(const struct hqq_route *route, char path[static sizeof(route->name.sun_path) + 1])
{
    size_t length = route->name_length - offsetof(struct sockaddr_un, sun_path);
    memcpy(path, route->name.sun_path, length);
    path[length] = '\0';
}

bool hqq_route_is_current(const struct hqq_route *route)
{
    char path[sizeof(route->name.sun_path) + 1];
    struct statx status;
    if (route->is_connected || !is_path(route))
        return true;
    path_of(route, path);
    int saved = errno;
    bool is_there = statx(AT_FDCWD, path, 0, STATX_INO, &status) == 0;
    errno = saved;
    return is_there && route->inode == status.stx_ino &&
           route->device == ((uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor);
}

bool hqq_route_is_deserted(const struct hqq_route *route)
{
    struct hqq_place place;
    if (hqq_pair_peer_is_dead(route->pair))
        return true;
    if (route->is_reply) /* it may never have had a rendezvous */
        return false;
    if (hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place) != 0)
        return false;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    bool is_deserted = hqq_rendezvous_is_deserted(&place);
    pthread_setcancelstate(cancel, NULL);
    return is_deserted;
}

/* ---- Tokens ---------------------------------------------------------------------------------------------------- */

const struct sockaddr *hqq_route_address(const struct hqq_route *route, struct sockaddr_un *by_inode,
                                         socklen_t *ret_length)
{
    *ret_length = 0;
    if (route->is_connected)
        return NULL;
    if (route->path_fd >= 0) {
        by_inode->sun_family = AF_UNIX;
        snprintf(by_inode->sun_path, sizeof(by_inode->sun_path), "/proc/self/fd/%d", route->path_fd);
        *ret_length = sizeof(*by_inode);
        return (const struct sockaddr *)(const void *)by_inode;
    }
    *ret_length = route->name_length;
    return (const struct sockaddr *)(const void *)&route->name;
}

int hqq_route_send_token(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd, enum hqq_token_kind kind,
                         uint64_t value)
{
    struct hqq_token token = hqq_token_make(route->pair->id, kind, value);
    struct sockaddr_un by_inode;
    socklen_t length;
    const struct sockaddr *address = hqq_route_address(route, &by_inode, &length);
    HQQ_POINT("socket.token");
    long result = hqq_kernel_sendto(fd, &token, sizeof(token), address, length);
    if (result >= 0 && kind == HQQ_TOKEN_BELL)
        hqq_count_own(&endpoint->counters->bells, 1);
    return result < 0 ? (int)result : 0;
}

/* ---- Getting a pair -------------------------------------------------------------------------------------------- */

static void set_reason(struct hqq_endpoint *endpoint, enum hqq_socket_reason reason)
{
    hqq_store32_relaxed(&endpoint->counters->reason, (uint32_t)reason);
}

static void back_off(struct hqq_route *route)
{
    route->backoff_ns = route->backoff_ns == 0 ? BACKOFF_FIRST_NS : route->backoff_ns * 2;
    if (route->backoff_ns > BACKOFF_LAST_NS)
        route->backoff_ns = BACKOFF_LAST_NS;
    route->retry_ns = hqq_clock_ns() + route->backoff_ns;
}

/* An O_PATH descriptor of the destination, for a socket that is not connected to it. */
static int hold_path(struct hqq_route *route)
{
    char path[sizeof(route->name.sun_path) + 1];
    if (route->is_connected || !is_path(route) || route->path_fd >= 0)
        return 0;
    path_of(route, path);
    int saved = errno;
    int fd = hqq_libc.open(path, O_PATH | O_CLOEXEC);
    int result = fd < 0 ? -errno : 0;
    errno = saved;
    if (result == 0) {
        fd = hqq_hide_descriptor(fd);
        route->path_fd = fd >= 0 ? fd : -1;
        result = fd >= 0 ? 0 : fd;
    }
    return result;
}

static void let_path_go(struct hqq_route *route)
{
    hqq_close_hidden(route->path_fd);
    route->path_fd = -1;
}

/* To the receiving side, for what the peer sends this way (release: with its acquire). */
static void push_offered(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    struct hqq_pair *first;
    do {
        first = hqq_load_pointer_acquire(&endpoint->offered);
        pair->next = first;
    } while (!hqq_cas_pointer_release(&endpoint->offered, first, pair));
}

/* Makes a pair and leaves it at the rendezvous. */
static int offer(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    struct hqq_place place;
    struct hqq_pair *pair;
    int memory_fd;
    int result = hold_path(route);
    if (result == 0)
        result = hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place);
    if (result == 0 && route->is_connected && is_path(route) &&
        (place.device != route->device || place.inode != route->inode))
        result = -ECONNREFUSED; /* the name is another socket's than the one that this is connected to */
    if (result != 0)
        return result;
    int fd = hqq_rendezvous_reach(route->rule, &place);
    if (fd < 0)
        return fd;
    result = hqq_pair_create(route->rule, &memory_fd, &pair);
    if (result != 0) {
        hqq_libc.close(fd);
        return result;
    }
    result = hqq_rendezvous_offer(fd, memory_fd);
    hqq_libc.close(memory_fd);
    if (result != 0) {
        hqq_pair_drop(pair);
        hqq_pair_drop(pair);
        return result;
    }
    route->device = place.device;
    route->inode = place.inode;
    route->pair = pair;
    memcpy(&pair->name, &route->name, sizeof(route->name));
    pair->name_length = route->name_length;
    if (is_path(route)) { /* as the kernel tells it: with a NUL */
        ((char *)&pair->name)[route->name_length] = '\0';
        pair->name_length = route->name_length + 1;
    }
    push_offered(endpoint, pair);
    return 0;
}

/* The receiving halves of earlier pairs, where nobody receives and so nobody ends them. */
static void end_old_offers(struct hqq_endpoint *endpoint)
{
    struct hqq_pair *pair = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    struct hqq_pair *kept = NULL;
    while (pair) {
        struct hqq_pair *next = pair->next;
        if (hqq_load32_relaxed(&pair->given_up) != 0) {
            hqq_store32_release(&pair->own->door, HQQ_DOOR_CLOSED);
            hqq_pair_drop(pair);
        } else {
            pair->next = kept;
            kept = pair;
        }
        pair = next;
    }
    while (kept) {
        struct hqq_pair *next = kept->next;
        push_offered(endpoint, kept);
        kept = next;
    }
}

static void try_to_offer(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    if (hqq_load32_relaxed(&endpoint->park) & HQQ_PARK_SHARED)
        return;
    if (hqq_route_is_to(route, (const struct sockaddr *)(const void *)&endpoint->name, endpoint->name_length))
        return; /* to itself */
    if (route->retry_ns != 0 && hqq_clock_ns() < route->retry_ns)
        return;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel); /* the lock is held */
    end_old_offers(endpoint);
    int result = offer(endpoint, route);
    pthread_setcancelstate(cancel, NULL);
    if (result == 0) {
        hqq_log(HQQ_LOG_INFO, "offered a link to %s", is_path(route) ? route->name.sun_path : "@");
        hqq_add_relaxed(&endpoint->counters->links_offered, 1);
        set_reason(endpoint, HQQ_SOCKET_WAITING);
        route->progress = HQQ_PROGRESS_OFFERED;
        hqq_store32_relaxed(&route->kernel_run, 0);
        return;
    }
    let_path_go(route);
    hqq_log(HQQ_LOG_INFO, "no link to %s: %s", is_path(route) ? route->name.sun_path : "@", strerror(-result));
    set_reason(endpoint, result == -ECONNREFUSED || result == -ENOENT || result == -ENOTSOCK ? HQQ_SOCKET_PEER_PLAIN
                         : result == -EPERM                                                  ? HQQ_SOCKET_PEER_FOREIGN
                                                                                             : HQQ_SOCKET_RESOURCES);
    hqq_add_relaxed(&endpoint->counters->links_refused, 1);
    back_off(route);
}

/* A token was refused: a full queue is something to wait for, anything else ends the pair. */
static int give_up(struct hqq_endpoint *endpoint, struct hqq_route *route, int error)
{
    if (error == -EAGAIN)
        return HQQ_ROUTE_FULL;
    if (error == -ENOBUFS || error == -ENOMEM)
        return HQQ_ROUTE_KERNEL;
    bool is_connected = route->is_connected;
    hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
    return is_connected ? error : 0;
}

void hqq_route_proved(struct hqq_route *route)
{
    route->progress = HQQ_PROGRESS_PROVED;
    hqq_store32_relaxed(&route->kernel_run, 0);
}

static int prove(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd)
{
    if (getrandom(&route->nonce, sizeof(route->nonce), GRND_NONBLOCK) != sizeof(route->nonce) || route->nonce == 0)
        return 0;
    int result = hqq_route_send_token(endpoint, route, fd, HQQ_TOKEN_PROOF, route->nonce);
    if (result == 0) {
        hqq_route_proved(route);
        return HQQ_ROUTE_KERNEL;
    }
    return give_up(endpoint, route, result);
}

static bool open_way(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    struct hqq_pair *pair = route->pair;
    if (hqq_pair_peer_is_dead(pair)) {
        hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
        route->retry_ns = 0;
        return false;
    }
    pair->is_light =
        hqq_load32_relaxed(&pair->own->can_barrier) != 0 && hqq_load32_relaxed(&pair->peer->can_barrier) != 0;
    /* Release: the receiver that sees it knows that barriers are needed before the first datagram comes. */
    hqq_store32_release(&pair->own->is_light, pair->is_light);
    route->progress = HQQ_PROGRESS_OPEN;
    hqq_store32_relaxed(&route->kernel_run, HQQ_ROUTE_KERNEL_RUN);
    route->backoff_ns = 0;
    route->retry_ns = 0;
    hqq_add_relaxed(&endpoint->counters->links_opened, 1);
    hqq_add32_relaxed(&endpoint->counters->links, 1);
    set_reason(endpoint, HQQ_SOCKET_ACCELERATED);
    hqq_log(HQQ_LOG_INFO, "link to %s is open", is_path(route) ? route->name.sun_path : "@");
    return true;
}

void hqq_route_forget_pair(struct hqq_endpoint *endpoint, struct hqq_route *route, enum hqq_socket_reason reason)
{
    struct hqq_pair *pair = route->pair;
    if (!pair)
        return;
    if (route->progress == HQQ_PROGRESS_OPEN)
        hqq_sub32_relaxed(&endpoint->counters->links, 1);
    hqq_store32_release(&pair->given_up, 1);
    hqq_route_leave_ring(route);
    route->is_reply = false;
    route->pair = NULL;
    route->progress = HQQ_PROGRESS_NONE;
    set_reason(endpoint, reason);
    back_off(route);
    let_path_go(route);
    hqq_pair_drop(pair);
}

void hqq_route_entered(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    struct hqq_pair *pair = route->pair;
    pair->barrier++;
    route->barrier_due = pair->barrier;
    route->is_on_ring = true;
    route->sent_ticks = route->checked_ticks = hqq_ticks();
    route->stuck_r = UINT64_MAX;
    hqq_count_own(&endpoint->counters->switches, 1);
    hqq_log(HQQ_LOG_DEBUG, "on the ring, barrier %llu", (unsigned long long)pair->barrier);
}

/*
 * Kernel -> ring: a numbered token in the kernel's queue, and the same number on the next datagram in the ring. Only
 * with none of our threads inside a kernel send: its datagram would come after the token.
 */
static int enter_ring(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd)
{
    struct hqq_pair *pair = route->pair;
    if (!pair || hqq_load32_relaxed(&route->kernel_run) < HQQ_ROUTE_KERNEL_RUN ||
        hqq_load32_relaxed(&route->inside) != 0 ||
        hqq_door_kind(hqq_load32_relaxed(&pair->peer->door)) >= HQQ_DOOR_PARKED)
        return 0;
    if (hqq_pair_peer_is_missing(pair)) {
        hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
        route->retry_ns = 0;
        return 0;
    }
    uint64_t depth = hqq_ring_depth(&pair->tx);
    if (depth > pair->tx.count / 2)
        return 0;
    int result = hqq_route_send_token(endpoint, route, fd, HQQ_TOKEN_BARRIER, pair->barrier + 1);
    if (result != 0)
        return give_up(endpoint, route, result);
    hqq_route_entered(endpoint, route);
    return HQQ_ROUTE_RING;
}

int hqq_route_advance(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd)
{
    if (endpoint->is_send_plain)
        return 0;
    if (route->pair && hqq_door_kind(hqq_load32_relaxed(&route->pair->peer->door)) == HQQ_DOOR_CLOSED)
        hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
    if (!route->pair) { /* none yet, or none any more */
        if (hqq_load32_relaxed(&route->kernel_run) >= route->rule->link_after)
            try_to_offer(endpoint, route);
        return HQQ_ROUTE_KERNEL;
    }
    switch (route->progress) {
    case HQQ_PROGRESS_OFFERED:
        if (hqq_load32_acquire(&route->pair->peer->stage) != HQQ_STAGE_SEEN) {
            if (!route->is_reply && hqq_load32_relaxed(&route->kernel_run) >= OFFER_PATIENCE)
                hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_WAITING); /* whoever it was has not received */
            return 0;
        }
        if (!route->is_reply)
            return prove(endpoint, route, fd);
        return open_way(endpoint, route) ? enter_ring(endpoint, route, fd) : 0;
    case HQQ_PROGRESS_PROVED:
        if (hqq_load_acquire(&route->pair->peer->echo) != route->nonce) {
            if (hqq_load32_relaxed(&route->kernel_run) >= PROOF_PATIENCE)
                return prove(endpoint, route, fd);
            return 0;
        }
        return open_way(endpoint, route) ? enter_ring(endpoint, route, fd) : 0;
    case HQQ_PROGRESS_OPEN:
    case HQQ_PROGRESS_NONE:
    default:
        return enter_ring(endpoint, route, fd);
    }
}

/* ---- Replies --------------------------------------------------------------------------------------------------- */

static socklen_t reply_length(const struct hqq_pair *pair)
{
    return significant_length((const struct sockaddr *)(const void *)&pair->name, pair->name_length);
}

void hqq_route_adopt(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&pair->name;
    socklen_t length = reply_length(pair);
    if (length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(struct sockaddr_un) || pair->is_for_replies)
        return; /* nobody can answer an unnamed socket */
    struct hqq_place place;
    if (!endpoint->rule || hqq_rendezvous_place(endpoint->rule, (const struct sockaddr_un *)(const void *)address,
                                                length, -1, &place) != 0)
        return;
    pair->device = place.device;
    pair->inode = place.inode;
    unsigned bucket = bucket_of(address, length);
    pair->is_for_replies = true;
    pair->reply_next = endpoint->replies[bucket];
    endpoint->replies[bucket] = pair;
    if (endpoint->peer && is_to(endpoint->peer, address, length))
        use_for_replies(endpoint, endpoint->peer, pair);
    for (struct hqq_route *route = endpoint->bucket[bucket]; route; route = route->next) {
        if (is_to(route, address, length))
            use_for_replies(endpoint, route, pair);
    }
}

static bool is_by_name(const struct hqq_pair *pair, const struct sockaddr *address, socklen_t length)
{
    return reply_length(pair) == length && memcmp(&pair->name, address, length) == 0;
}

void hqq_route_name_moved(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&route->name;
    hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
    route->retry_ns = 0;
    for (struct hqq_pair *pair = endpoint->replies[bucket_of(address, route->name_length)]; pair;
         pair = pair->reply_next) {
        if (is_by_name(pair, address, route->name_length))
            hqq_store32_release(&pair->given_up, 1);
    }
}

static struct hqq_pair *reply_pair(struct hqq_endpoint *endpoint, unsigned bucket, const struct sockaddr *address,
                                   socklen_t length)
{
    struct hqq_pair *pair = endpoint->replies[bucket];
    while (pair && (hqq_load32_relaxed(&pair->given_up) != 0 || !is_by_name(pair, address, length)))
        pair = pair->reply_next;
    return pair;
}

static void use_for_replies(struct hqq_endpoint *endpoint, struct hqq_route *route, struct hqq_pair *pair)
{
    if (route->pair) {
        /* Both have offered. The pair with the lower id serves both ways, where ours is not in use already. */
        if (route->progress == HQQ_PROGRESS_OPEN || route->pair->id.word[0] < pair->id.word[0])
            return;
        hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_WAITING);
    }
    struct hqq_place place;
    if (hold_path(route) != 0 ||
        hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place) != 0) {
        let_path_go(route);
        return;
    }
    if (place.device != pair->device || place.inode != pair->inode) { /* the name is another socket's by now */
        hqq_store32_release(&pair->given_up, 1);
        let_path_go(route);
        return;
    }
    route->device = place.device;
    route->inode = place.inode;
    hqq_add32_relaxed(&pair->references, 1);
    route->pair = pair;
    route->is_reply = true;
    route->progress = HQQ_PROGRESS_OFFERED;
}

static void forget_route(struct hqq_endpoint *endpoint, struct hqq_route **place)
{
    struct hqq_route *route = *place;
    *place = route->next;
    if (endpoint->last == route)
        endpoint->last = NULL;
    end_route(endpoint, route);
}

void hqq_route_disown(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&pair->name;
    if (!pair->is_for_replies)
        return;
    unsigned bucket = bucket_of(address, reply_length(pair));
    for (struct hqq_pair **at = &endpoint->replies[bucket]; *at; at = &(*at)->reply_next) {
        if (*at == pair) {
            *at = pair->reply_next;
            break;
        }
    }
    pair->is_for_replies = false;
    if (endpoint->peer && endpoint->peer->pair == pair)
        hqq_route_forget_pair(endpoint, endpoint->peer, HQQ_SOCKET_PEER_LEFT);
    for (struct hqq_route **at = &endpoint->bucket[bucket]; *at; at = &(*at)->next) {
        if ((*at)->pair == pair) {
            hqq_route_forget_pair(endpoint, *at, HQQ_SOCKET_PEER_LEFT);
            forget_route(endpoint, at);
            break;
        }
    }
}

static struct hqq_route *chain(struct hqq_endpoint *endpoint, int index)
{
    return index < 0 ? endpoint->peer : endpoint->bucket[index];
}

void hqq_route_move_descriptor(struct hqq_endpoint *endpoint, int from, int to)
{
    for (int i = -1; i < HQQ_ROUTE_BUCKETS; i++) {
        for (struct hqq_route *route = chain(endpoint, i); route; route = route->next) {
            if (route->path_fd == from)
                route->path_fd = to;
        }
    }
}

/* Slots hold what they hold: the last one of a datagram counts whole. On the ring, and with its barrier passed, what the
 * kernel still holds of ours are tokens. */
int hqq_route_unread(struct hqq_endpoint *endpoint, int in_kernel)
{
    uint64_t bytes = 0;
    bool is_all_passed = true;
    if (!hqq_lock_take(&endpoint->send_lock))
        return in_kernel;
    for (int i = -1; i < HQQ_ROUTE_BUCKETS; i++) {
        for (struct hqq_route *route = chain(endpoint, i); route; route = route->next) {
            is_all_passed &= route->is_on_ring && hqq_ring_depth(&route->pair->tx) == 0;
            if (route->pair)
                bytes += hqq_ring_depth(&route->pair->tx) * route->pair->tx.buffer_size;
        }
    }
    hqq_lock_give(&endpoint->send_lock);
    if (!is_all_passed)
        bytes += (uint64_t)in_kernel;
    return bytes < INT_MAX ? (int)bytes : INT_MAX;
}

void hqq_route_forget_all(struct hqq_endpoint *endpoint)
{
    for (int i = -1; i < HQQ_ROUTE_BUCKETS; i++) {
        for (struct hqq_route *route = chain(endpoint, i); route; route = route->next) {
            hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_NO_TRAFFIC);
            route->retry_ns = route->backoff_ns = 0;
        }
    }
}

void hqq_route_disconnect(struct hqq_endpoint *endpoint)
{
    struct hqq_route *route = endpoint->peer;
    if (!route)
        return;
    hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_NO_TRAFFIC);
    endpoint->peer = NULL;
    end_route(endpoint, route);
}

void hqq_route_end_all(struct hqq_endpoint *endpoint, bool is_own)
{
    for (int i = -1; i < HQQ_ROUTE_BUCKETS; i++) {
        struct hqq_route *route = chain(endpoint, i);
        while (route) {
            struct hqq_route *next = route->next;
            if (route->pair)
                hqq_pair_drop(route->pair);
            route->pair = NULL;
            let_path_go(route);
            if (!is_own) /* a child has no threads inside */
                hqq_store32_relaxed(&route->inside, 0);
            end_route(endpoint, route);
            route = next;
        }
        if (i >= 0) {
            endpoint->bucket[i] = NULL;
            endpoint->replies[i] = NULL;
        }
    }
    endpoint->peer = NULL;
    endpoint->last = NULL;
    endpoint->route_count = 0;
    if (is_own)
        hqq_store32_relaxed(&endpoint->counters->links, 0);
}
