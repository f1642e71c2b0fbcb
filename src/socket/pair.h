/*
 * A pair: the link between one socket of this process and one socket of another. The region is one of the standard
 * format in a sealed memfd that nobody else maps; who offers the pair is the primary. A block of words in the spare
 * part of its first page says how each side wants to be told of datagrams, and how far the two have come:
 *
 *      the offerer                         the other
 *      OFFERED                    -->      SEEN        once its process receives on the socket
 *      token PROOF(nonce)         -->      echo = nonce
 *      open; tokens BARRIER, then the ring
 *
 * Everything in the region is hostile input: words are loaded once, compared, and never used as an index unmasked.
 */
#ifndef HQQ_SOCKET_PAIR_H
#define HQQ_SOCKET_PAIR_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/atomic.h"
#include "platform/shm.h"
#include "platform/sys.h"
#include "ring/ring.h"
#include "socket/config.h"
#include "socket/inode.h"
#include "socket/token.h"

/*
 * How a side wants to be told of what is published for it. Its own process stores it; the other one only ever swaps
 * ARMED of an epoch, for which it has sent a token, for AWAKE.
 */
enum hqq_door {
    HQQ_DOOR_AWAKE = 0,  /* it will look before it sleeps */
    HQQ_DOOR_ARMED = 1,  /* it sleeps: send a token; the epoch is above these two bits */
    HQQ_DOOR_PARKED = 2, /* it wants datagrams through the kernel */
    HQQ_DOOR_CLOSED = 3, /* the same, for good */
};

#define HQQ_DOOR_BITS 2

/* Closed by a process that makes way for another program: whoever has the socket next is to get what was not read. */
#define HQQ_DOOR_HANDED_OVER (1u << HQQ_DOOR_BITS | HQQ_DOOR_CLOSED)

static inline enum hqq_door hqq_door_kind(uint32_t door)
{
    return (enum hqq_door)(door & 3);
}

/* What one side of a pair tells the other. */
struct hqq_pair_side {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 door;
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 stage; /* enum hqq_stage */
    hqq_atomic_u32 can_barrier;                   /* its process makes and passes barriers of membarrier(2) */
    hqq_atomic_u32 is_light;                      /* it publishes without a fence */
    hqq_atomic_u32 cpu;                           /* a hint: where it last waited, rang or took part, plus one */
    hqq_atomic_u64 echo;                          /* of the last PROOF it met */
    hqq_atomic_u64 owner;                         /* identity of its process */
};

enum hqq_stage {
    HQQ_STAGE_NONE = 0,
    HQQ_STAGE_SEEN = 1, /* its process receives on the socket, and knows tokens */
};

struct hqq_pair_block {
    hqq_atomic_u64 magic;
    hqq_atomic_u64 namespace; /* hqq_process_namespace() of the offerer */
    hqq_atomic_u64 id[2];
    struct hqq_pair_side side[2]; /* offerer, other */
};

#define HQQ_PAIR_BLOCK_OFFSET 1024
#define HQQ_PAIR_MAGIC UINT64_C(0x4851515f50414952) /* "HQQ_PAIR" */

_Static_assert(HQQ_PAIR_BLOCK_OFFSET + sizeof(struct hqq_pair_block) <= 4096, "fits the smallest page");

/* Where the barrier's number stands in a packet: an operand that is unused in the first packet of a datagram. */
#define HQQ_PAIR_BARRIER_OPERAND 6

struct hqq_pair {
    struct hqq_ring tx, rx;
    struct hqq_pair_side *own, *peer;
    struct hqq_pair_id id;
    uint64_t generation;       /* of the process that made it */
    bool is_light;             /* this side publishes without a fence, and the peer knows */
    bool may_compare;          /* identities mean the same to both */
    hqq_atomic_u32 is_lent;    /* 1: a reservation has the next slots to be sent, so nobody else may claim them */
    hqq_atomic_u32 references; /* the sending side's, the receiving side's, those of reservations and loans */
    hqq_atomic_u32 given_up;   /* 1: the sending side is done with it, and so is the pair */
    struct hqq_mapping mapping;

    /* Receiving; under the receive lock. */
    alignas(HQQ_CACHE_LINE) struct hqq_pair *next, *previous; /* of all pairs of the endpoint */
    struct hqq_pair *active_next, *active_previous;           /* of those whose rings are looked at */
    struct hqq_pair *id_next;                                 /* of those whose ids share a bucket */
    bool is_active, is_met;
    uint64_t head;    /* where r was seen last: a hint that spares looks at r, whose line is another one */
    bool is_attached; /* the peer made it */
    uint64_t since_ns;
    bool is_closing;              /* its door is closed for good; what it holds can be received still */
    uint32_t epoch;               /* of the last arming */
    uint64_t passed;              /* the highest barrier whose token has been met */
    uint64_t told;                /* what lies before this an edge-triggered wait was told of */
    uint64_t noted;               /* a barrier that was seen in the way */
    uint64_t limit;               /* before the datagram at the head of the kernel's queue: what lies before this */
    uint32_t limit_of;            /* which of those datagrams the limit was noted for */
    struct sockaddr_storage name; /* the peer's, as the kernel told; may be a byte longer than sockaddr_un */
    socklen_t name_length;

    /* Sending; under the send lock. */
    alignas(HQQ_CACHE_LINE) struct hqq_pair *reply_next; /* of those that replies may go through, by name */
    bool is_for_replies;
    struct hqq_inode inode; /* of the peer's path when it proved itself */
    uint64_t barrier;       /* the last one sent */
    uint64_t message;       /* id of the last chunked datagram */
    hqq_atomic_u64 nonce;   /* of the PROOF that the peer is to repeat; 0: none was sent */
};

/* Makes a region, and the pair that looks at it from the offerer's side. *ret_fd is the caller's. */
int hqq_pair_create(const struct hqq_rule *rule, int *ret_fd, struct hqq_pair **ret_pair);

/* Maps what was offered, after checking all of it. fd stays the caller's. */
int hqq_pair_attach(int fd, struct hqq_pair **ret_pair);

/* Tells the peer on which processor this side is, so that its spins know whether they are in the way. Where it changes
 * seldom it is a load. */
static inline uint32_t hqq_pair_note_cpu(const struct hqq_pair *pair)
{
    uint32_t own = (uint32_t)hqq_sys.cpu_now() + 1;
    if (hqq_load32_relaxed(&pair->own->cpu) != own)
        hqq_store32_relaxed(&pair->own->cpu, own);
    return own;
}

/* The last holder, the sending side, the receiving one, or a reservation or loan, unmaps it. */
void hqq_pair_drop(struct hqq_pair *pair);

/* The largest datagram that goes through its rings. */
static inline uint64_t hqq_pair_longest(const struct hqq_pair *pair)
{
    return pair->tx.buffer_size * (pair->tx.count / 2);
}

/* Slots for a datagram of this length. */
static inline uint64_t hqq_pair_slots(const struct hqq_ring *ring, uint64_t length)
{
    return length == 0 ? 1 : (length + ring->buffer_size - 1) / ring->buffer_size;
}

/* In a child of a fork. */
void hqq_pair_reset_lock(void);

/* Under the receive lock: true once the peer has shown that it has the socket, by a token that it sent, or by the echo of
 * one that was sent there. Until then nothing of its ring counts. */
static inline bool hqq_pair_is_met(struct hqq_pair *pair)
{
    if (__builtin_expect(pair->is_met, 1))
        return true;
    uint64_t nonce = hqq_load_relaxed(&pair->nonce);
    pair->is_met = nonce != 0 && hqq_load_acquire(&pair->peer->echo) == nonce;
    return pair->is_met;
}

/* True if there is no process of that number: quick, and misses those that are dead and not waited for. */
bool hqq_pair_peer_is_missing(const struct hqq_pair *pair);

/* The same, as of at most 20 us ago; nearly free where its process was asked for by then, for whatever pair. */
bool hqq_pair_peer_was_missing(const struct hqq_pair *pair, uint64_t ticks);

/* True if the peer has closed its side, or there is no process of its number. */
bool hqq_pair_peer_has_left(const struct hqq_pair *pair);

/* True if the peer's process runs no more for certain. */
bool hqq_pair_peer_is_dead(const struct hqq_pair *pair);

#endif
