#include "socket/route_parts.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/trace.h"
#include "socket/libc.h"
#include "socket/rendezvous.h"
#include "socket/spin.h"

#include <hqq/link.h>

#define BACKOFF_FIRST_NS (10 * HQQ_NS_PER_MS)
#define BACKOFF_LAST_NS (5 * HQQ_NS_PER_S)

/* A PROOF whose echo does not come was lost with a queue that was purged. */
#define PROOF_PATIENCE 64

/* Datagrams after which an offer that nobody took is made again. */
#define OFFER_PATIENCE 512

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
    int result = hqq_route_hold_path(route);
    if (result == 0)
        result = hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place);
    if (result == 0 && route->is_connected && hqq_route_is_path(route) &&
        !hqq_inode_is_same(&place.inode, &route->inode))
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
    route->inode = place.inode;
    route->pair = pair;
    memcpy(&pair->name, &route->name, sizeof(route->name));
    pair->name_length = route->name_length;
    if (hqq_route_is_path(route)) { /* as the kernel tells it: with a NUL */
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
        if (hqq_pair_peer_has_left(pair))
            hqq_route_abandon(endpoint, pair);
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
        hqq_log(HQQ_LOG_INFO, "offered a link to %s", hqq_route_is_path(route) ? route->name.sun_path : "@");
        hqq_add_relaxed(&endpoint->counters->links_offered, 1);
        set_reason(endpoint, HQQ_SOCKET_WAITING);
        route->progress = HQQ_PROGRESS_OFFERED;
        hqq_store32_relaxed(&route->kernel_run, 0);
        return;
    }
    hqq_route_let_path_go(route);
    hqq_log(HQQ_LOG_INFO, "no link to %s: %s", hqq_route_is_path(route) ? route->name.sun_path : "@",
            strerror(-result));
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
    hqq_atomic_u64 *nonce = &route->pair->nonce;
    if (hqq_load_relaxed(nonce) == 0) {
        if (getrandom(&route->nonce, sizeof(route->nonce), GRND_NONBLOCK) != sizeof(route->nonce) || route->nonce == 0)
            return 0;
        hqq_store_relaxed(nonce, route->nonce);
    }
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
    hqq_log(HQQ_LOG_INFO, "link to %s is open", hqq_route_is_path(route) ? route->name.sun_path : "@");
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
    hqq_route_let_path_go(route);
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
