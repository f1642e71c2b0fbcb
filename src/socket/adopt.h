/*
 * Adoption: finding out whether a descriptor is one that we are to serve. Those that were made, bound or connected
 * through us are known; one that was inherited, passed or activated is looked at once, when it is first used.
 */
#ifndef HQQ_SOCKET_ADOPT_H
#define HQQ_SOCKET_ADOPT_H

#include <sys/socket.h>

#include "socket/endpoint.h"
#include "socket/fork.h"

/* The slow halves of the two below. */
struct hqq_endpoint *hqq_adopt_unknown(int fd);
struct hqq_endpoint *hqq_adopt_for_address(int fd, const struct sockaddr *address, socklen_t length);

/* The endpoint of a descriptor that is about to receive, or NULL: libc's. */
static inline struct hqq_endpoint *hqq_adopt_to_receive(int fd)
{
    struct hqq_endpoint *endpoint = hqq_table_get(fd);
    if (hqq_table_is_endpoint(endpoint))
        return __builtin_expect(hqq_fork_is_vfork_child(), 0) ? NULL : endpoint;
    return endpoint ? NULL : hqq_adopt_unknown(fd);
}

/* The endpoint of a descriptor that is about to send to an address (NULL: where it is connected), or NULL: libc's. The
 * address is looked at only where the descriptor is a datagram socket of AF_UNIX. */
static inline struct hqq_endpoint *hqq_adopt_to_send(int fd, const struct sockaddr *address, socklen_t length)
{
    struct hqq_endpoint *endpoint = hqq_table_get(fd);
    if (hqq_table_is_endpoint(endpoint))
        return __builtin_expect(hqq_fork_is_vfork_child(), 0) ? NULL : endpoint;
    if (endpoint == HQQ_TABLE_PLAIN || endpoint == HQQ_TABLE_NAMED || (endpoint && !address))
        return NULL;
    return hqq_adopt_for_address(fd, address, length);
}

/* True if it is a datagram socket of AF_UNIX whose names, as far as it has any, no rule matches. */
bool hqq_adopt_is_unconfigured(int fd);

/* True if it is a datagram socket of AF_UNIX. */
bool hqq_adopt_is_candidate(int fd);

/* A socket was bound: its name may be a configured one. */
void hqq_adopt_bound(int fd);

/* A socket was connected to an address. */
void hqq_adopt_connected(int fd, const struct sockaddr *address, socklen_t length);

#endif
