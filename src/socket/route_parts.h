/*
 * What the files of routes share: route.c keeps the destinations, route_name.c knows names and sends tokens by them,
 * route_open.c gets a destination its pair, route_reply.c lets replies use the pair of who asked. All under the send
 * lock.
 */
#ifndef HQQ_SOCKET_ROUTE_PARTS_H
#define HQQ_SOCKET_ROUTE_PARTS_H

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socket/route.h"

/* ---- Destinations (route.c) ------------------------------------------------------------------------------------ */

/* The bucket for an address of a significant length. */
unsigned hqq_route_bucket(const struct sockaddr *address, socklen_t length);

/* A path is the same with and without its NUL, and whatever stands behind it. */
socklen_t hqq_route_significant_length(const struct sockaddr *address, socklen_t length);

/* True if the route leads to this address, of a significant length. */
static inline bool hqq_route_has_name(const struct hqq_route *route, const struct sockaddr *address, socklen_t length)
{
    return route->name_length == length && memcmp(&route->name, address, length) == 0;
}

/* Takes the route out of its bucket, and ends it. */
void hqq_route_forget(struct hqq_endpoint *endpoint, struct hqq_route **place);

/* ---- Names (route_name.c) -------------------------------------------------------------------------------------- */

static inline bool hqq_route_is_path(const struct hqq_route *route)
{
    return route->name.sun_path[0] != '\0';
}

/* An O_PATH descriptor of the destination, for a socket that is not connected to it. 0 or -errno. */
int hqq_route_hold_path(struct hqq_route *route);
void hqq_route_let_path_go(struct hqq_route *route);

/* ---- Replies (route_reply.c) ----------------------------------------------------------------------------------- */

/* The pair that a peer of this name has offered, or NULL. */
struct hqq_pair *hqq_route_reply_pair(struct hqq_endpoint *endpoint, unsigned bucket, const struct sockaddr *address,
                                      socklen_t length);

/* The route goes through it, unless it has a better one. */
void hqq_route_use_for_replies(struct hqq_endpoint *endpoint, struct hqq_route *route, struct hqq_pair *pair);

#endif
