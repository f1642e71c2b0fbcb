/*
 * The handshake: how two ends agree on a channel.
 *
 *      offer        the memfd, left at the rendezvous of the receiver
 *      acknowledge  the receiver's process receives on the socket, and has mapped the memfd
 *      challenge    one of the app's own datagrams, sent through the kernel with a key beside it, a descriptor that holds the
 *                   channel's id and a secret: so the kernel has checked that the sender may send there, and tells the
 *                   receiver the sender's true address
 *      validate     the receiver has taken the key out of the message, and repeats the secret in the region: so it has the
 *                   socket, and not merely a rendezvous
 *
 * Nothing here waits. Descriptors are the caller's.
 */
#ifndef HQQ_CHANNEL_HANDSHAKE_H
#define HQQ_CHANNEL_HANDSHAKE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "channel/channel.h"

/* Room for one descriptor in control data. */
union hqq_handshake_control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* Puts the memfd beside a message that has no control data. */
void hqq_handshake_attach(struct msghdr *message, union hqq_handshake_control *control, int memory_fd);

/* The first descriptor in a message's control data, or -1. With is_only true if it is all that there is. */
int hqq_handshake_descriptor(const struct msghdr *message, bool *ret_is_only);

/* Closes all descriptors in a message's control data. */
void hqq_handshake_close_descriptors(const struct msghdr *message);

/* A key: a sealed memfd of a few bytes. *ret_secret is never 0. A descriptor that is the caller's, or -errno. */
int hqq_handshake_make_key(const struct hqq_channel *channel, uint64_t *ret_secret);

/* What a key says. False: it is none. Never waits, whatever the descriptor is of. */
bool hqq_handshake_read_key(int fd, uint64_t *ret_id, uint64_t *ret_secret);

/* The peer has repeated the secret. acquire: with the release of the next one. */
static inline bool hqq_handshake_is_validated(const struct hqq_channel *channel, uint64_t secret)
{
    return hqq_load_acquire(&channel->peer->echo) == secret;
}

/* True if the peer is known to have the socket that it speaks for: it has sent a challenge, or repeated the secret of ours. Until
 * then it may be anybody who listens at the rendezvous, or connects there, and nothing that it writes is read. Under the receive
 * lock. */
static inline bool hqq_handshake_is_proved(struct hqq_channel *channel)
{
    if (!channel->is_validated && channel->secret != 0 && hqq_handshake_is_validated(channel, channel->secret))
        channel->is_validated = true;
    return channel->is_validated;
}

static inline void hqq_handshake_repeat(struct hqq_channel *channel, uint64_t secret)
{
    hqq_store_release(&channel->own->echo, secret);
}

/* How far the peer has come. acquire: with the release of the next one. */
static inline enum hqq_stage hqq_handshake_stage(const struct hqq_channel *channel)
{
    return (enum hqq_stage)hqq_load32_acquire(&channel->peer->stage);
}

static inline void hqq_handshake_tell(struct hqq_channel *channel, enum hqq_stage stage)
{
    hqq_store32_release(&channel->own->stage, (uint32_t)stage);
}

#endif
