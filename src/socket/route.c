#include "socket/route_parts.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "socket/pool.h"
#include "socket/rendezvous.h"

#define ROUTES_MAX 4096

static struct hqq_pool pool = HQQ_POOL(struct hqq_route);

void hqq_route_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}

/* ---- Finding --------------------------------------------------------------------------------------------------- */

unsigned hqq_route_bucket(const struct sockaddr *address, socklen_t length)
{
    const unsigned char *bytes = (const unsigned char *)address;
    uint32_t value = 2166136261u;
    for (socklen_t i = 0; i < length; i++)
        value = (value ^ bytes[i]) * 16777619u;
    return (value ^ value >> 16) % HQQ_ROUTE_BUCKETS;
}

socklen_t hqq_route_significant_length(const struct sockaddr *address, socklen_t length)
{
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    size_t head = offsetof(struct sockaddr_un, sun_path);
    if (length <= head || path[0] == '\0')
        return length;
    return (socklen_t)(head + strnlen(path, length - head));
}

bool hqq_route_is_to(const struct hqq_route *route, const struct sockaddr *address, socklen_t length)
{
    return hqq_route_has_name(route, address, hqq_route_significant_length(address, length));
}

/* The oldest route without a pair, of a bucket. */
static bool forget_oldest(struct hqq_endpoint *endpoint, unsigned bucket)
{
    struct hqq_route **oldest = NULL;
    for (struct hqq_route **at = &endpoint->bucket[bucket]; *at; at = &(*at)->next) {
        if (!(*at)->pair && hqq_load32_relaxed(&(*at)->inside) == 0)
            oldest = at;
    }
    if (oldest)
        hqq_route_forget(endpoint, oldest);
    return oldest != NULL;
}

/* Whoever sends to many names in a long life knows the latest. */
static bool make_room(struct hqq_endpoint *endpoint, unsigned bucket)
{
    for (unsigned i = 0; i < HQQ_ROUTE_BUCKETS; i++) {
        if (endpoint->route_count < ROUTES_MAX || forget_oldest(endpoint, (bucket + i) % HQQ_ROUTE_BUCKETS))
            return true;
    }
    return false;
}

static struct hqq_route *make(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length,
                              const struct hqq_rule *rule)
{
    if (!make_room(endpoint, hqq_route_bucket(address, length)))
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

struct hqq_route *hqq_route_find(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    if (length < sizeof(sa_family_t) || length > sizeof(struct sockaddr_un) || (uintptr_t)address < 4096)
        return NULL;
    struct hqq_route *route = endpoint->last;
    if (route && hqq_route_has_name(route, address, length))
        return route;
    if (address->sa_family != AF_UNIX)
        return NULL;
    length = hqq_route_significant_length(address, length);
    if (length <= offsetof(struct sockaddr_un, sun_path))
        return NULL;
    const char *path = ((const struct sockaddr_un *)(const void *)address)->sun_path;
    if (path[0] != '\0' && path[0] != '/') /* it may mean another socket each time */
        return NULL;
    unsigned bucket = hqq_route_bucket(address, length);
    for (route = endpoint->bucket[bucket]; route && !hqq_route_has_name(route, address, length); route = route->next) {
    }
    struct hqq_pair *reply = route && route->pair ? NULL : hqq_route_reply_pair(endpoint, bucket, address, length);
    if (!route) {
        const struct hqq_rule *rule = reply ? endpoint->rule : hqq_config_match(address, length);
        route = rule ? make(endpoint, address, length, rule) : NULL;
        if (!route)
            return NULL;
        route->next = endpoint->bucket[bucket];
        endpoint->bucket[bucket] = route;
    }
    if (reply)
        hqq_route_use_for_replies(endpoint, route, reply);
    endpoint->last = route;
    return route;
}

struct hqq_route *hqq_route_connect(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    length = hqq_route_significant_length(address, length);
    const struct hqq_rule *rule = hqq_config_match(address, length);
    struct hqq_route *route = rule ? make(endpoint, address, length, rule) : NULL;
    struct hqq_place place;
    if (!route)
        return NULL;
    route->is_connected = true;
    if (hqq_rendezvous_place(rule, &route->name, route->name_length, -1, &place) == 0)
        route->inode = place.inode;
    return route;
}

/* ---- All of them ----------------------------------------------------------------------------------------------- */

static struct hqq_route *chain(struct hqq_endpoint *endpoint, int index)
{
    return index < 0 ? endpoint->peer : endpoint->bucket[index];
}

void hqq_route_abandon(struct hqq_endpoint *endpoint, const struct hqq_pair *pair)
{
    for (int i = -1; i < HQQ_ROUTE_BUCKETS; i++) {
        for (struct hqq_route *route = chain(endpoint, i); route; route = route->next) {
            if (route->pair != pair)
                continue;
            if (hqq_ring_depth(&pair->tx) == 0) {
                hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_PEER_LEFT);
                route->retry_ns = 0;
            }
            return;
        }
    }
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

/* ---- Ending ---------------------------------------------------------------------------------------------------- */

/* Out of all lists. One that a thread still sends through is let be, and lost. */
static void end_route(struct hqq_endpoint *endpoint, struct hqq_route *route)
{
    endpoint->route_count--;
    if (hqq_load32_acquire(&route->inside) == 0)
        hqq_pool_return(&pool, route);
}

void hqq_route_forget(struct hqq_endpoint *endpoint, struct hqq_route **place)
{
    struct hqq_route *route = *place;
    *place = route->next;
    if (endpoint->last == route)
        endpoint->last = NULL;
    end_route(endpoint, route);
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
            hqq_route_let_path_go(route);
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
