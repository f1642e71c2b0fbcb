/*
 * The rendezvous: how a sender finds the shim behind a socket. The shim of a process that bound a configured name
 * listens on an abstract SOCK_SEQPACKET name derived from the inode of the path, or from the abstract name; a sender
 * connects, leaves one message with the memfd of a pair, and goes away. Nothing here waits. That a rendezvous was
 * found proves nothing yet: the token does (token.h).
 */
#ifndef HQQ_SOCKET_RENDEZVOUS_H
#define HQQ_SOCKET_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "socket/config.h"
#include "socket/inode.h"

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

/* Closes a listener. name: the socket's, if the rendezvous is ours to remove where it is a file; else NULL. */
void hqq_rendezvous_close(int listener, const struct sockaddr_un *name, const struct hqq_rule *rule);

/* A listening descriptor, out of the app's way, or -errno. */
int hqq_rendezvous_listen(const struct hqq_place *place);

/* Connects: a descriptor for the next call; -ECONNREFUSED: nobody listens; -EPERM: somebody does who may not; -EAGAIN:
 * later. */
int hqq_rendezvous_reach(const struct hqq_rule *rule, const struct hqq_place *place);

/* Leaves the pair's memory, and closes fd. */
int hqq_rendezvous_offer(int fd, int memory_fd);

/* True unless somebody listens there. */
bool hqq_rendezvous_is_deserted(const struct hqq_place *place);

/* The next caller, who may not have spoken yet: a descriptor that is to be hidden if it is kept, or -errno; -EAGAIN:
 * nobody called. */
int hqq_rendezvous_accept(const struct hqq_rule *rule, int listener);

/* What a caller offers: a memfd that is the caller of this function's, or -errno; -EAGAIN: he has not spoken yet. */
int hqq_rendezvous_hear(int caller);

/* Hidden descriptors are below this. */
#define HQQ_HIDDEN_MAX 1024

/* Moves a descriptor of ours to where apps do not look for their own: near the top of the first thousand. Returns its
 * new number; if that fails -EMFILE, and the descriptor is closed. */
int hqq_hide_descriptor(int fd);

/* True if this is one of the descriptors that were hidden. */
bool hqq_is_hidden_descriptor(int fd);

/* This number is not ours any more. */
void hqq_unhide_descriptor(int fd);

/* Closes a hidden descriptor of ours. */
void hqq_close_hidden(int fd);

#endif
