/*
 * An endpoint: what this process knows of one AF_UNIX datagram socket, by whatever number it is used. Its memory is never given
 * back, so a thread that loses a race with close() finds a dead endpoint and not garbage: whoever has taken one of its locks asks
 * hqq_endpoint_is_live() first.
 *
 * Two locks, one for sending and one for receiving; who needs both takes the receive lock first. Neither is held while a thread
 * sleeps, in a cancellation point, or in code of the app; a signal handler may find either held by its own thread (lock.h).
 */
#ifndef HQQ_ENDPOINT_ENDPOINT_H
#define HQQ_ENDPOINT_ENDPOINT_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <hqq/socket.h>

#include "base/atomic.h"
#include "channel/channel.h"
#include "channel/identity.h"
#include "endpoint/bet.h"
#include "endpoint/mode.h"
#include "platform/process.h"
#include "runtime/config.h"
#include "runtime/counters.h"
#include "runtime/fdtable.h"
#include "runtime/lock.h"

#define HQQ_DESTINATION_BUCKETS 64
#define HQQ_PENDING 4

#define HQQ_FORK_HAS_RECEIVE 1u
#define HQQ_FORK_HAS_SEND 2u
#define HQQ_FORK_HAS_PLACE 4u

struct hqq_destination;
struct hqq_shared;
struct hqq_membership;

/* A receive in progress, on its caller's stack: what a handler that interrupts it spoils, so that it begins anew. */
struct hqq_receive_frame {
    struct hqq_receive_frame *below;
    hqq_atomic_u32 is_spoilt;
    struct msghdr kernel; /* of the pop that may be under way: made invalid, it takes nothing */
};

struct hqq_endpoint {
    struct hqq_object object; /* of the table of descriptors; first */
    /* Read by every call, written seldom. */
    hqq_atomic_u32 is_live;
    hqq_atomic_u32 descriptors; /* numbers that lead here */
    uint64_t generation;
    uint64_t cookie;
    struct hqq_identity identity;
    const struct hqq_rule *rule; /* of its own name, else of its first peer's */
    struct hqq_counters *counters;
    hqq_atomic_u32 mode;           /* enum hqq_mode: mode.h */
    hqq_atomic_u32 foreign;        /* enum hqq_foreign, or'ed */
    hqq_atomic_u32 is_intercepted; /* 1: every wait on it comes through our calls, as far as is known */
    hqq_atomic_u32 options;        /* of enum hqq_option, as bits, that this process has set: ancillary.h */
    hqq_atomic_u32 is_given;       /* 1: a child gets duplicates of it, which no flag of its own closes */
    hqq_atomic_u32 has_deadlines;  /* 1: deadlines were set, once at least: deadline.h */
    hqq_atomic_u64 read_deadline_ns, write_deadline_ns;
    struct hqq_endpoint *next, *next_free; /* of all there ever were; of those that are not in use */
    struct hqq_endpoint *cookie_next;      /* of those in use whose cookies share a bucket */
    struct hqq_shared *shared;             /* what forked copies share; NULL: nothing */
    uint32_t shared_take;                  /* of that place: hqq_shared_take() */
    uint64_t shared_generation;            /* of the process that holds it; 0: this one has returned it */

    /* Receiving. */
    alignas(HQQ_CACHE_LINE) struct hqq_lock receive_lock;
    struct hqq_receive_frame *frame; /* of the holder, the innermost */
    uint32_t changing; /* how often its holder is in the midst of changing the lists below: a handler keeps off them */
    uint64_t note;     /* whose note of the drain requests is the last: hqq_scheduler_note_requests() */
    uint64_t arrivals; /* slots that rings have got, as far as anybody looked: for edge-triggered sets */
    uint32_t list_changes;      /* so far: a handler of the holder may have made some in between */
    struct hqq_channel *buried; /* ended beside a receive of this thread's, which may look at them still */
    hqq_atomic_u32 is_busy; /* 1: a channel is polled, or its ring holds something, or a look is due: else receives are
                                        the kernel's own and nothing more */
    hqq_atomic_u32 in_kernel;                        /* threads in a receive or a wait of the kernel's for it */
    hqq_atomic_pointer offered;                      /* channels that the sending side made, to be taken over */
    struct hqq_channel *channels, *channels_last;    /* all, the oldest first */
    struct hqq_channel *busy;                        /* those that are looked at: a circle */
    struct hqq_channel *current;                     /* the one last delivered from; in the circle, or NULL */
    struct hqq_channel *waiting;                     /* the one that was looked at last for a wish to come in */
    hqq_atomic_u32 channel_count, unvalidated_count; /* written with the lock */
    hqq_atomic_u32
        keys_expected; /* datagrams of the kernel's that may bring a challenge that nothing waits for any more */
    uint32_t pops;     /* datagrams from the kernel's queue */
    uint32_t since_kernel_poll; /* datagrams from the rings since the kernel's queue was looked at */
    uint32_t burst;             /* datagrams from current in a row */
    uint32_t head_number;       /* which datagram at the head of the kernel's queue positions are noted for */
    bool head_is_noted;         /* one is at the head, and the rings have their turn before it, up to noted positions */
    bool are_rings_last;        /* what they held before is in the kernel's queue: put_back.h */
    bool is_inherited;          /* from the parent: its channels and its rendezvous are not ours to end */
    bool is_lost;               /* closed in the midst of a send: not used again */
    hqq_atomic_u32 is_receiver; /* this process is the one that receives */
    bool is_listen_refused;     /* there can be no rendezvous: not tried again */
    struct hqq_bet bet;
    int listener;                /* the rendezvous, or -1 */
    int pending[HQQ_PENDING];    /* connections there that have not offered yet, the latest first; -1 for none */
    hqq_atomic_u64 looked_ticks; /* when the rendezvous was last looked at */
    uint64_t reaped_ns;          /* when channels that are over were last looked for */
    uint64_t reaped_all_ns;      /* when all of them were */
    uint64_t refreshed_ns;       /* when the kernel was last asked what other processes may have changed */
    uint32_t has_fork_locks;     /* HQQ_FORK_HAS_...: locks to be given back after the fork; a place for the child */
    struct hqq_membership *memberships; /* of epoll sets */
    bool was_named;                     /* when it was first seen, whatever is known of the name */
    struct sockaddr_un name;            /* its own, 0 long: none */
    socklen_t name_length;

    /* Sending. */
    alignas(HQQ_CACHE_LINE) struct hqq_lock send_lock;
    struct hqq_destination *peer; /* connected to */
    bool is_connected;            /* somewhere, configured or not */
    uint64_t peer_sum;            /* of the name that getpeername() told then; 0: not known */
    bool is_send_plain;           /* the kernel alone sends */
    struct hqq_destination *last;
    struct hqq_destination *bucket[HQQ_DESTINATION_BUCKETS];
    struct hqq_channel *replies; /* channels of peers, validated, whose other direction may be used */
    uint32_t destination_count;
    uint64_t folded_sends;    /* of shared->kernel_sends, what every channel has been told of */
    uint64_t seen_changes;    /* of shared->changes */
    uint64_t publisher;       /* the identity by which this process has claimed to publish; 0: it has not */
    uint32_t owner_asked;     /* sends since the process that publishes was last looked for */
    hqq_atomic_u64 published; /* the position that its holder is publishing, plus one; 0: none. For recovery */
    hqq_atomic_u64 longest;   /* datagram that the kernel would take: SO_SNDBUF and what it needs itself */
};

extern const struct hqq_ops hqq_endpoint_ops;

/* The endpoint that a descriptor leads to, or NULL. */
static inline struct hqq_endpoint *hqq_endpoint_find(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return object && object->ops == &hqq_endpoint_ops ? (struct hqq_endpoint *)(void *)object : NULL;
}

static inline bool hqq_endpoint_is_live(const struct hqq_endpoint *endpoint, int fd)
{
    return hqq_fd_get(fd) == &endpoint->object;
}

/* False if this is a copy of another process's endpoint: a fork that no handler saw. */
static inline bool hqq_endpoint_is_own(const struct hqq_endpoint *endpoint)
{
    return hqq_process_is_generation(endpoint->generation);
}

static inline enum hqq_mode hqq_endpoint_mode(const struct hqq_endpoint *endpoint)
{
    return (enum hqq_mode)hqq_load32_relaxed(&endpoint->mode);
}

/* Around changes of what the receive lock guards, but for receives. A handler that has interrupted the holder does without the lock, and the
 * holder finds out. False: so it is. */
static inline bool hqq_endpoint_begin_change(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_lock_take(&endpoint->receive_lock);
    endpoint->changing++;
    hqq_fence_compiler();
    return has_lock;
}

static inline void hqq_endpoint_end_change(struct hqq_endpoint *endpoint, bool has_lock)
{
    hqq_fence_compiler();
    endpoint->changing--;
    if (has_lock)
        hqq_lock_give(&endpoint->receive_lock);
}

/* Why its datagrams take the kernel, for the report. */
static inline void hqq_endpoint_set_reason(struct hqq_endpoint *endpoint, enum hqq_socket_reason reason)
{
    hqq_store32_relaxed(&endpoint->counters->reason, (uint32_t)reason);
}

#endif
