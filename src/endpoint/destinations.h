/*
 * Destinations: where an endpoint sends to, by name, and how far each has come on its way to a channel. All under the
 * send lock. One setter, hqq_destination_set(): asserts that the move is legal, traces and counts it.
 *
 *      state        event                                                                next
 *      NONE         link-after reached, and an offer was left at the rendezvous          OFFERED
 *      NONE         another name of a receiver that has a channel; or the peer's         OPEN
 *                   channel is validated, and a kernel send of ours there succeeded
 *      OFFERED      acknowledged; the kernel took the challenge                          CHALLENGED
 *      OFFERED      512 datagrams without an acknowledgement                             NONE, with back-off
 *      CHALLENGED   validated                                                            OPEN
 *      CHALLENGED   64 datagrams without: another challenge                              CHALLENGED
 *      any          refused, closed, dead, the name leads elsewhere                      NONE
 *      OPEN         HANDOFF, or the receiver's process is gone                           RESENDING
 *      RESENDING    what was not read has been sent again, or can't be                   NONE
 *      RESENDING    nobody has the name: the rest is kept for a second                   RESENDING
 *
 * Names are what programs give; the receiver behind a path is known by its inode, so two names of one receiver share a
 * channel.
 */
#ifndef HQQ_ENDPOINT_DESTINATIONS_H
#define HQQ_ENDPOINT_DESTINATIONS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "channel/tx.h"
#include "endpoint/endpoint.h"
#include "runtime/inode.h"

enum hqq_progress {
    HQQ_PROGRESS_NONE = 0,
    HQQ_PROGRESS_OFFERED = 1,
    HQQ_PROGRESS_CHALLENGED = 2,
    HQQ_PROGRESS_OPEN = 3,
    HQQ_PROGRESS_RESENDING = 4,
};

#define HQQ_PROGRESS_STATES 5

struct hqq_destination {
    struct hqq_destination *next;
    struct sockaddr_un name;
    socklen_t name_length;
    bool is_connected; /* the socket is connected there */
    const struct hqq_rule *rule;
    enum hqq_progress progress;
    struct hqq_channel *channel; /* held, unless the state is NONE */
    int key_fd;                  /* of the challenge, until it is validated; or -1 */
    uint64_t secret;             /* that the peer is to repeat */
    bool has_unsent;             /* RESENDING: this one was claimed, and found no room in the kernel's queue */
    struct hqq_unread unsent;
    uint64_t keep_until_ns;    /* RESENDING: nobody has the name, and what is left is kept until then; 0: not so */
    hqq_atomic_u32 kernel_run; /* datagrams that the kernel took since the last move */
    hqq_atomic_u32 inside;     /* threads in a kernel send */
    uint64_t sent_ticks, checked_ticks;
    uint64_t stuck_r, stuck_ns; /* since when the peer has not read beyond r though there was something; 0: it has */
    uint64_t retry_ns, backoff_ns;
    uint64_t reply_retry_ns; /* there was no memory to answer by the peer's channel: not tried again before */
    uint64_t missed_waits;   /* for an acknowledgement, in a row, that were in vain */
    uint64_t skipped_waits;
    uint64_t waited_at, unwilling_us; /* a long one was in vain: none for so long from then on, in ticks */
    uint64_t names_seen;              /* hqq_names_changes as of the last look at the name */
    struct hqq_inode inode;           /* of a path; 0: not looked at */
};

bool hqq_destination_may_move(enum hqq_progress from, enum hqq_progress to);
void hqq_destination_set(struct hqq_destination *destination, enum hqq_progress progress);
const char *hqq_destination_text(enum hqq_progress progress);

/* Moves of this process into each state, for tests and the report. */
extern hqq_atomic_u64 hqq_destination_moves[HQQ_PROGRESS_STATES];

/* For a while nothing is offered; twice as long as the last time. */
void hqq_destination_back_off(struct hqq_destination *destination);

/* The channel ends for this destination: back to NONE, and for a while nothing is offered. */
void hqq_destination_forget(struct hqq_endpoint *endpoint, struct hqq_destination *destination,
                            enum hqq_socket_reason reason);

/* The same for a receiver that has left: there may be another one by now, so the next send may offer a channel at
 * once. */
void hqq_destination_begin_anew(struct hqq_endpoint *endpoint, struct hqq_destination *destination);

/* ---- All of an endpoint's ---------------------------------------------------------------------------------------- */

/* The destination for an address, which is made if it is configured; NULL: the kernel resolves it. */
struct hqq_destination *hqq_destinations_find(struct hqq_endpoint *endpoint, const struct sockaddr *address,
                                              socklen_t length);

/* The one that the socket was connected to just now; NULL: it is not configured. */
struct hqq_destination *hqq_destinations_connect(struct hqq_endpoint *endpoint, const struct sockaddr *address,
                                                 socklen_t length);
void hqq_destinations_disconnect(struct hqq_endpoint *endpoint);

/* Its channels end; it begins anew. */
void hqq_destinations_forget_all(struct hqq_endpoint *endpoint);

/* With the send lock; the pointer is looked at without it too. */
static inline void hqq_destination_set_channel(struct hqq_destination *destination, struct hqq_channel *channel)
{
    __atomic_store_n(&destination->channel, channel, __ATOMIC_RELAXED);
}

/* Without the lock: to compare, not to follow. */
static inline const struct hqq_channel *hqq_destination_peek_channel(const struct hqq_destination *destination)
{
    return __atomic_load_n(&destination->channel, __ATOMIC_RELAXED);
}

/* A channel is over: those that use it begin anew. */
void hqq_destinations_forget_channel(struct hqq_endpoint *endpoint, const struct hqq_channel *channel);

/* Of all channels: sends of which it is not known where they went. */
void hqq_destinations_request_drain(struct hqq_endpoint *endpoint, uint64_t sends);

/* A validated channel of a peer's: replies to its name may use it. */
void hqq_destinations_add_reply(struct hqq_endpoint *endpoint, struct hqq_channel *channel);

/* The channel that a peer of this name has offered, or NULL. */
struct hqq_channel *hqq_destinations_reply(struct hqq_endpoint *endpoint, const struct hqq_destination *destination);

/* The socket is closed; or, is_own false, was the parent's. */
void hqq_destinations_end_all(struct hqq_endpoint *endpoint, bool is_own);

/* In a child of a fork: it starts afresh, connected to where it was. */
void hqq_destinations_inherit(struct hqq_endpoint *endpoint);

/* SIOCOUTQ: bytes that were sent and not read; what the kernel says of its part is given. Takes the send lock. */
int hqq_destinations_unread(struct hqq_endpoint *endpoint, int in_kernel);

/* A path is the same with and without its NUL, and whatever stands behind it. */
socklen_t hqq_destination_significant_length(const struct sockaddr *address, socklen_t length);

static inline bool hqq_destination_is_path(const struct hqq_destination *destination)
{
    return destination->name.sun_path[0] != '\0';
}

/* True if it leads to this address. */
bool hqq_destination_is_to(const struct hqq_destination *destination, const struct sockaddr *address, socklen_t length);

#endif
