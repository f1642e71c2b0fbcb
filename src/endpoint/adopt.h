/*
 * Adoption: finding out whether a descriptor is one that we are to serve. Those that were made, bound or connected
 * through us are known; one that was inherited, passed or activated is looked at once, when it is first used.
 */
#ifndef HQQ_ENDPOINT_ADOPT_H
#define HQQ_ENDPOINT_ADOPT_H

#include <sys/socket.h>

#include "endpoint/endpoint.h"

/* What serves a descriptor that was never looked at, or NULL: libc. For an address: also if it is configured. Called
 * once the library has started. */
struct hqq_object *hqq_adopt_unknown(int fd);
struct hqq_object *hqq_adopt_for_address(int fd, const struct sockaddr *address, socklen_t length);

/* True if there has ever been a candidate, or what was one. */
bool hqq_adopt_has_candidates(void);

/* A datagram socket without a configured name so far. */
void hqq_adopt_mark_candidate(int fd);

/* Marks in the table of descriptors: a datagram socket of AF_UNIX that is not configured so far; and one that has
 * sent a single datagram to a configured name, as a socket that sends no other is to cost nothing. */
extern struct hqq_object hqq_adopt_candidate, hqq_adopt_sent_once;

/* What either of them, or its copy in a child, is from a fork on until it is an endpoint: another process may connect it or send on
 * it. Sends ask the kernel where it leads. */
extern struct hqq_object hqq_adopt_forked;

/* True if a wait on it may find that it has become an endpoint. */
static inline bool hqq_adopt_may_become(const struct hqq_object *object)
{
    return object == &hqq_adopt_candidate || object == &hqq_adopt_forked;
}

/* True if nothing serves the descriptor so far. */
static inline bool hqq_adopt_is_open(int fd)
{
    return !hqq_fd_server(fd) || hqq_fd_get(fd) == &hqq_adopt_forked;
}

/* Before a fork, with the registry's lock. */
void hqq_adopt_fork_prepare(void);

/* True if it is a datagram socket of AF_UNIX whose names, as far as it has any, no rule matches. */
bool hqq_adopt_is_unconfigured(int fd);

/* True if it is a datagram socket of AF_UNIX. */
bool hqq_adopt_is_candidate(int fd);

/* Of the name of the peer, as the kernel tells it; 0: there is none. */
uint64_t hqq_adopt_peer_sum(int fd);

/* A descriptor came out of another process, which goes on to use it, or out of this one. */
void hqq_adopt_fetched(int fd);

/* A socket was bound: its name may be a configured one. */
void hqq_adopt_bound(int fd);

/* A socket was connected to an address, or dissolved (AF_UNSPEC). */
void hqq_adopt_connected(int fd, const struct sockaddr *address, socklen_t length);

#endif
