/*
 * Routes: the destinations of an endpoint, and how a destination gets its pair. Everything here is done under the
 * endpoint's send lock and never waits.
 */
#ifndef HQQ_SOCKET_ROUTE_H
#define HQQ_SOCKET_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "socket/endpoint.h"

/* Datagrams that go through the kernel for another reason than a full ring before the ring is tried again: whoever
 * mixes the two does not pay for a switch each time. */
#define HQQ_ROUTE_KERNEL_RUN 4

/* The route to an address, made if it is configured and not there yet; NULL: the kernel's business. */
struct hqq_route *hqq_route_find(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length);

/* What the next datagram is to do; a negative number: an error that a token met on a connected socket, -errno, which is
 * what this send is to report. */
enum hqq_way {
    HQQ_ROUTE_KERNEL = 0,
    HQQ_ROUTE_RING = 1,
    HQQ_ROUTE_FULL = 2, /* the kernel: a token found the peer's queue full. Whoever may wait sends it waiting */
};

/* Looks whether the way to the ring can go on: offers a pair, proves, opens, and enters the ring. To be called before
 * a datagram is sent through the kernel. enum hqq_way, or -errno. */
int hqq_route_advance(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd);

/* Where tokens go: nowhere in particular for a connected socket, to the very inode of a path, else to the name. */
struct hqq_target {
    struct sockaddr_un name;
    socklen_t length; /* 0: the socket is connected */
    int lent;         /* a descriptor that was opened for this, or -1 */
};

/* 0 or -errno: the path leads elsewhere by now, or there is no descriptor to be had. Then hqq_route_target_done(). */
int hqq_route_target(const struct hqq_route *route, struct hqq_target *ret_target);
void hqq_route_target_done(struct hqq_target *target);

/* As calls want it. */
static inline const struct sockaddr *hqq_target_address(const struct hqq_target *target)
{
    return target->length != 0 ? (const struct sockaddr *)(const void *)&target->name : NULL;
}

/* What is so once the token that was due has been sent, waiting, and nothing else has been sent meanwhile. */
void hqq_route_proved(struct hqq_route *route);
void hqq_route_entered(struct hqq_endpoint *endpoint, struct hqq_route *route);

/* Sends a token to the destination. 0 or -errno. */
int hqq_route_send_token(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd, enum hqq_token_kind kind,
                         uint64_t value);

/* Gives the pair up: its sending half ends here. */
void hqq_route_forget_pair(struct hqq_endpoint *endpoint, struct hqq_route *route, enum hqq_socket_reason reason);

/* The next datagrams take the kernel. */
static inline void hqq_route_leave_ring(struct hqq_route *route)
{
    route->is_on_ring = false;
    route->barrier_due = 0;
    hqq_store32_relaxed(&route->kernel_run, 0);
}

/* Replies to the peer of a pair that it offered may go through it, too, from the first reply on. Under both locks; so
 * is the end of that. */
void hqq_route_adopt(struct hqq_endpoint *endpoint, struct hqq_pair *pair);
void hqq_route_disown(struct hqq_endpoint *endpoint, struct hqq_pair *pair);

/* The peer of a pair that this socket offered has left: the route need not wait for the next datagram to find that out,
 * unless there are some that were not read, which may have to be sent again. */
void hqq_route_abandon(struct hqq_endpoint *endpoint, const struct hqq_pair *pair);

/* SIOCOUTQ: bytes that the peers have not taken, of which the kernel counts so many. Takes the send lock. */
int hqq_route_unread(struct hqq_endpoint *endpoint, int in_kernel);

/* A descriptor of ours has another number now. */
void hqq_route_move_descriptor(struct hqq_endpoint *endpoint, int from, int to);

/* True if the route leads to this address. */
bool hqq_route_is_to(const struct hqq_route *route, const struct sockaddr *address, socklen_t length);

/* Gives all pairs up; the routes stay. */
void hqq_route_forget_all(struct hqq_endpoint *endpoint);

/* The socket is not connected any more. */
void hqq_route_disconnect(struct hqq_endpoint *endpoint);

/* Makes the route of a connected socket; NULL if it is not configured. */
struct hqq_route *hqq_route_connect(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length);

/* Looks whether the name still leads to the same inode. */
bool hqq_route_is_current(const struct hqq_route *route);

/* It does not: whatever is known of that name is of another socket. */
void hqq_route_name_moved(struct hqq_endpoint *endpoint, struct hqq_route *route);

/* True if nobody who knows the pair receives at the other side any more. */
bool hqq_route_is_deserted(const struct hqq_route *route);

/* In a child of a fork. */
void hqq_route_reset_lock(void);

/* All of them end: the socket is closed, or this is a child. is_own: false leaves the region alone. */
void hqq_route_end_all(struct hqq_endpoint *endpoint, bool is_own);

#endif
