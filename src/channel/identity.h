/*
 * Which socket an end of a channel is of, beyond its name: a name may lead to another socket in another mount namespace, or once
 * its owner has died. Each end tells its own; a peer that lies about itself misleads nobody but those that it talks to.
 */
#ifndef HQQ_CHANNEL_IDENTITY_H
#define HQQ_CHANNEL_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "channel/channel.h"
#include "runtime/inode.h"

struct hqq_identity {
    uint64_t socket;       /* its inode, as in /proc/net/unix; 0: unknown */
    struct hqq_inode file; /* of the path that it is bound to; 0: none, or unknown */
};

/* Before the stage, or the offer, that makes the peer look. */
static inline void hqq_identity_tell(const struct hqq_channel *channel, const struct hqq_identity *identity)
{
    hqq_store_relaxed(&channel->own->file_device, identity->file.device);
    hqq_store_relaxed(&channel->own->file_number, identity->file.number);
    hqq_store_relaxed(&channel->own->file_born_ns, identity->file.born_ns);
    hqq_store_relaxed(&channel->own->socket, identity->socket);
}

static inline struct hqq_identity hqq_identity_of_peer(const struct hqq_channel *channel)
{
    return (struct hqq_identity){
        .socket = hqq_load_relaxed(&channel->peer->socket),
        .file = {hqq_load_relaxed(&channel->peer->file_device), hqq_load_relaxed(&channel->peer->file_number),
                 hqq_load_relaxed(&channel->peer->file_born_ns)},
    };
}

/* A name's path, with a NUL. */
static inline void hqq_identity_path(const struct sockaddr_un *name, socklen_t length,
                                     char path[static sizeof(name->sun_path) + 1])
{
    size_t bytes = length - offsetof(struct sockaddr_un, sun_path);
    memcpy(path, name->sun_path, bytes);
    path[bytes] = '\0';
}

/* Which file a path leads to. False: none. errno is spoilt. */
bool hqq_identity_look_up(const char *path, struct hqq_inode *ret_inode);

/* False: the abstract name belongs to another socket of this network namespace, or to none. Reads a list of all sockets; true where
 * that can't be had. */
bool hqq_identity_has_abstract_name(uint64_t socket, const struct sockaddr_un *name, socklen_t length);

#endif
