/*
 * A channel: the link between one socket of this process and one socket of another. Its region is one of the standard
 * format in a sealed memfd that nobody else maps; the socket that offers the channel has the primary end. A block of words in
 * the spare part of the region's first page says how far the two have come:
 *
 *      the offerer                                     the other
 *      offers the memfd at the rendezvous      -->     ACKNOWLEDGED, once its process receives on the socket
 *      sends one of the app's datagrams with   -->     repeats the key's secret: the kernel has shown that the offerer may
 *      a key (the challenge)                           send to this socket, and what its address is
 *      publishes while the notify word says POLLING
 *
 * Sending is tx.h, receiving rx.h, the word notify.h. Everything in the region is hostile input: words are loaded once, compared,
 * and never used as an index unmasked. Knows no endpoint and no descriptor of the app.
 */
#ifndef HQQ_CHANNEL_CHANNEL_H
#define HQQ_CHANNEL_CHANNEL_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/atomic.h"
#include "channel/notify.h"
#include "platform/shm.h"
#include "platform/sys.h"
#include "ring/ring.h"
#include "runtime/config.h"
#include "runtime/inode.h"

/* How far the other end has come with what was offered to it. */
enum hqq_stage {
    HQQ_STAGE_NONE = 0,
    HQQ_STAGE_ACKNOWLEDGED = 1, /* its process receives on the socket, and waits for the challenge */
    HQQ_STAGE_REFUSED = 2,
};

/* What one end tells the other. Each line is written by its own process, but for the sender's withdrawal in notify. */
struct hqq_channel_side {
    /* As a receiver, what its sender reads with each datagram. */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 notify;
    hqq_atomic_u64 drain_acknowledged; /* the request after which its kernel queue was seen empty */
    hqq_atomic_u64 drain_progress;     /* changes while it pops what its kernel queue holds, and a sender asks */
    /* As a receiver, what changes seldom. */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 stage; /* enum hqq_stage */
    hqq_atomic_u32 cpu;                           /* a hint: where it last waited, plus one */
    hqq_atomic_u64 owner;                         /* identity of its process */
    hqq_atomic_u64 received_ns;                   /* when it last received, to a millisecond */
    hqq_atomic_u64 echo;                          /* the secret of the challenge that has come; 0: none has */
    hqq_atomic_u64 socket;                        /* which it is: identity.h */
    hqq_atomic_u64 file_device, file_number, file_born_ns;
    /* As a sender. */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 drain_requested; /* kernel sends that have returned */
};

struct hqq_channel_block {
    hqq_atomic_u64 magic;            /* with the version of this block in its last byte */
    hqq_atomic_u64 namespace;        /* hqq_process_namespace() of the offerer */
    hqq_atomic_u64 id;               /* random: a key names the channel by it */
    struct hqq_channel_side side[2]; /* offerer, other */
};

#define HQQ_CHANNEL_BLOCK_OFFSET 1024
#define HQQ_CHANNEL_MAGIC UINT64_C(0x4851515f43484e32) /* "HQQ_CHN2" */

_Static_assert(HQQ_CHANNEL_BLOCK_OFFSET + sizeof(struct hqq_channel_block) <= 4096, "fits the smallest page");
_Static_assert(sizeof(struct hqq_channel_side) == (size_t)3 * HQQ_CACHE_LINE, "a line for each writer and rhythm");

/* Slots of a ring at most, so that 20 bits tell positions apart. */
#define HQQ_CHANNEL_SLOTS_MAX (UINT64_C(1) << 16)

struct hqq_channel {
    struct hqq_ring tx, rx;
    struct hqq_channel_side *own, *peer;
    uint64_t id;
    uint64_t generation;        /* of the process that made it */
    uint64_t secret;            /* of the challenge that the peer is to repeat; 0: the peer made the channel */
    bool is_attached;           /* the peer made it */
    bool may_compare;           /* identities mean the same to both */
    hqq_atomic_u32 references;  /* the sending side's, the receiving side's, those of reservations and loans */
    hqq_atomic_u32 is_given_up; /* 1: the sending side is done with it, and so is the channel */
    hqq_atomic_u32 is_reserved; /* 1: a reservation has the next slots to be sent */
    struct hqq_mapping mapping;
    hqq_atomic_u64 charged; /* to the budget: bytes that this process may be the first to touch */

    /* Receiving; under the receive lock of the endpoint that has it. */
    alignas(HQQ_CACHE_LINE) struct hqq_channel *next, *previous; /* of all channels of the endpoint */
    struct hqq_channel *busy_next, *busy_previous;               /* of those that are looked at */
    struct hqq_channel *validated_next;                          /* of those just validated, for the sending side */
    bool is_busy;
    bool is_validated;
    bool is_shared;          /* other processes may read this ring too: takes need a locked instruction */
    hqq_atomic_u32 loans;    /* datagrams that were borrowed and not given back */
    uint64_t seen_w;         /* published up to here, at least */
    uint64_t noted_position; /* what goes before the datagram at the head of the kernel's queue */
    uint32_t noted_for;      /* which of those datagrams that is */
    uint64_t arrived_up_to;  /* what is counted among the arrivals of the socket */
    uint64_t requested;      /* drain_requested as of before the look at the kernel's queue */
    uint64_t since_ns;       /* when it was made */
    uint64_t seen_activity;  /* what had gone by it, either way, when memory was last looked for; and since when */
    uint64_t seen_activity_ns;
    struct sockaddr_storage name; /* the peer's, as the kernel tells it; may be a byte longer than sockaddr_un */
    socklen_t name_length;

    /* Sending; under the send lock. */
    alignas(HQQ_CACHE_LINE) uint64_t message; /* id of the last datagram in chunks */
    struct hqq_inode peer_inode;              /* of the peer's path, when the challenge came */
};

/* Makes a region, and the channel that looks at it from the offerer's side. The less is left of the memory that the rule
 * allows, the smaller it is; -ENOBUFS if nothing is. *ret_fd is the caller's. 0, -errno or a kind of <hqq/error.h>. */
int hqq_channel_create(const struct hqq_rule *rule, int *ret_fd, struct hqq_channel **ret_channel);

/* False: there is no room for even a small one. A hint. */
bool hqq_channel_has_room(const struct hqq_rule *rule);

/* Before the first datagram that is sent by a channel of the peer's making: its pages are this process's then. False:
 * there is no room for them. Under the send lock. */
bool hqq_channel_charge_replies(struct hqq_channel *channel, const struct hqq_rule *rule);

/* Maps what was offered, after checking all of it. fd stays the caller's. */
int hqq_channel_attach(int fd, struct hqq_channel **ret_channel);

/* The last holder unmaps it. */
void hqq_channel_drop(struct hqq_channel *channel);

static inline void hqq_channel_hold(struct hqq_channel *channel)
{
    hqq_add32_relaxed(&channel->references, 1);
}

/* Tells the peer on which processor this side is, so that its spins know whether they are in the way. Where it changes
 * seldom it is a load. Returns that processor's number plus one. */
static inline uint32_t hqq_channel_note_cpu(const struct hqq_channel *channel)
{
    uint32_t own = (uint32_t)hqq_sys.cpu_now() + 1;
    if (hqq_load32_relaxed(&channel->own->cpu) != own)
        hqq_store32_relaxed(&channel->own->cpu, own);
    return own;
}

/* True if the peer last waited on the processor that this thread runs on: a spin keeps it from running. */
static inline bool hqq_channel_shares_cpu(const struct hqq_channel *channel)
{
    uint32_t own = hqq_channel_note_cpu(channel);
    return hqq_load32_relaxed(&channel->peer->cpu) == own;
}

/* The largest datagram that goes through its rings. */
static inline uint64_t hqq_channel_longest(const struct hqq_ring *ring)
{
    return ring->buffer_size * (ring->count / 2);
}

/* Slots for a datagram of this length. */
static inline uint64_t hqq_channel_slots(const struct hqq_ring *ring, uint64_t length)
{
    return length == 0 ? 1 : (length + ring->buffer_size - 1) / ring->buffer_size;
}

/* The state in which the peer receives, and this side. */
static inline enum hqq_notify hqq_channel_peer_state(const struct hqq_channel *channel)
{
    return hqq_notify_state(hqq_load_relaxed(&channel->peer->notify));
}

static inline enum hqq_notify hqq_channel_own_state(const struct hqq_channel *channel)
{
    return hqq_notify_state(hqq_load_relaxed(&channel->own->notify));
}

/* In a child of a fork. */
void hqq_channel_reset_lock(void);

#endif
