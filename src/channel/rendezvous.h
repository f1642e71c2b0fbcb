/*
 * The rendezvous: how a sender finds the library behind a socket. A process that receives on a socket with a configured name
 * listens on an abstract SOCK_SEQPACKET name derived from the inode of the path, or from the abstract name, and from the
 * protocol's version; a sender connects, leaves one message with the memfd of a channel, and goes away. Nothing here waits. That
 * a rendezvous was found proves nothing yet: the challenge does (handshake.h).
 */
#ifndef HQQ_CHANNEL_RENDEZVOUS_H
#define HQQ_CHANNEL_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "runtime/config.h"
#include "runtime/inode.h"

/* Which socket is meant, and whose it is. */
struct hqq_place {
    struct sockaddr_un rendezvous;
    socklen_t rendezvous_length;
    bool has_owner; /* a path has; an abstract name has not */
    uid_t owner;
    struct hqq_inode inode; /* of a path, else 0 */
};

/* Where the rendezvous for the socket at an address is. 0 or -errno: -ENOENT and the like, -EINVAL for what has none
 * (an unnamed socket). path_fd: an O_PATH descriptor of the path, to be looked at instead of the name, or -1. */
int hqq_rendezvous_place(const struct hqq_rule *rule, const struct sockaddr_un *name, socklen_t length, int path_fd,
                         struct hqq_place *ret_place);

/* Before a listener is closed: removes its file, where the rendezvous is one. */
void hqq_rendezvous_unlink(int listener, const struct hqq_rule *rule);

/* A listening descriptor, to be reserved, or -errno. */
int hqq_rendezvous_listen(const struct hqq_place *place);

/* What the socket at a path was bound to, and so what the kernel calls it; -errno, as EPERM if it is connected elsewhere:
 * ret_name is as it was. Asks by a socket that is connected there for an instant, which nobody sees. */
int hqq_rendezvous_bound_name(const struct sockaddr_un *name, socklen_t length, struct sockaddr_storage *ret_name,
                              socklen_t *ret_length);

/* Connects: a descriptor for the next call; -ECONNREFUSED: nobody listens; -EPERM: somebody does who may not; -EAGAIN:
 * later. */
int hqq_rendezvous_reach(const struct hqq_rule *rule, const struct hqq_place *place);

/* Leaves the channel's memory, and closes fd. */
int hqq_rendezvous_offer(int fd, int memory_fd);

/* True unless somebody listens there. */
bool hqq_rendezvous_is_deserted(const struct hqq_place *place);

/* The next connection, which may not have offered yet: a descriptor that is to be reserved if it is kept, or -errno; -EAGAIN: there
 * is none. */
int hqq_rendezvous_accept(const struct hqq_rule *rule, int listener);

/* The offer of a pending connection: a memfd that is the caller's, or -errno; -EAGAIN: not yet. */
int hqq_rendezvous_read_offer(int connection);

#endif
