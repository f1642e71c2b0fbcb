#include "socket/route_parts.h"

#include <stddef.h>
#include <string.h>

#include "socket/rendezvous.h"

static socklen_t reply_length(const struct hqq_pair *pair)
{
    return hqq_route_significant_length((const struct sockaddr *)(const void *)&pair->name, pair->name_length);
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
    pair->inode = place.inode;
    unsigned bucket = hqq_route_bucket(address, length);
    pair->is_for_replies = true;
    pair->reply_next = endpoint->replies[bucket];
    endpoint->replies[bucket] = pair;
    if (endpoint->peer && hqq_route_has_name(endpoint->peer, address, length))
        hqq_route_use_for_replies(endpoint, endpoint->peer, pair);
    for (struct hqq_route *route = endpoint->bucket[bucket]; route; route = route->next) {
        if (hqq_route_has_name(route, address, length))
            hqq_route_use_for_replies(endpoint, route, pair);
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
    for (struct hqq_pair *pair = endpoint->replies[hqq_route_bucket(address, route->name_length)]; pair;
         pair = pair->reply_next) {
        if (is_by_name(pair, address, route->name_length))
            hqq_store32_release(&pair->given_up, 1);
    }
}

struct hqq_pair *hqq_route_reply_pair(struct hqq_endpoint *endpoint, unsigned bucket, const struct sockaddr *address,
                                      socklen_t length)
{
    struct hqq_pair *pair = endpoint->replies[bucket];
    while (pair && (hqq_load32_relaxed(&pair->given_up) != 0 || !is_by_name(pair, address, length)))
        pair = pair->reply_next;
    return pair;
}

void hqq_route_use_for_replies(struct hqq_endpoint *endpoint, struct hqq_route *route, struct hqq_pair *pair)
{
    if (route->pair) {
        /* Both have offered. The pair with the lower id serves both ways, where ours is not in use already. */
        if (route->progress == HQQ_PROGRESS_OPEN || route->pair->id.word[0] < pair->id.word[0])
            return;
        hqq_route_forget_pair(endpoint, route, HQQ_SOCKET_WAITING);
    }
    struct hqq_place place;
    if (hqq_route_hold_path(route) != 0 ||
        hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place) != 0) {
        hqq_route_let_path_go(route);
        return;
    }
    if (!hqq_inode_is_same(&place.inode, &pair->inode)) { /* the name is another socket's by now */
        hqq_store32_release(&pair->given_up, 1);
        hqq_route_let_path_go(route);
        return;
    }
    route->inode = place.inode;
    hqq_add32_relaxed(&pair->references, 1);
    route->pair = pair;
    route->is_reply = true;
    route->progress = HQQ_PROGRESS_OFFERED;
}

void hqq_route_disown(struct hqq_endpoint *endpoint, struct hqq_pair *pair)
{
    const struct sockaddr *address = (const struct sockaddr *)(const void *)&pair->name;
    if (!pair->is_for_replies)
        return;
    unsigned bucket = hqq_route_bucket(address, reply_length(pair));
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
            hqq_route_forget(endpoint, at);
            break;
        }
    }
}
