/*
 * What an advanced link is inside this library. One lock guards all of it but for what belongs to a role: one thread at
 * a time is the taker (it takes packets from the link) and one the sender (it puts chunks into it). Roles change hands
 * under the lock; whoever has one works without the lock, so that copying holds nobody up, and what only the role
 * touches needs none. Threads that wait have no thread of ours to rely on: wait.h.
 *
 * Units include only what stands above them here:
 *
 *      wire, rate, crypto, compress     frames, buckets, and libraries; they know nothing of a link
 *      wake                             who waits
 *      control, news, handlers, event   queues and tables of one kind, and the descriptor that tells of them
 *      credit, inbox, call              flow control; messages that wait; calls under way
 *      connection, requests             the table of connections; requests that wait
 *      schedule, stats, output          whose turn it is, counts, and packets out
 *      session                          negotiation and keys
 *      enter, stream                    what a call begins and ends with; which messages go in pieces
 *      connect, deliver                 connections by packets; whom a message is for that has arrived
 *      partial, assembly                messages that are arriving: the table of them, and how they are put together
 *      input, wait, message             packets in; whoever waits drives the link; from a message to packets
 *
 * and above them what the program calls: open, negotiate, dial, send, receive, outgoing, calling, serve, next, process,
 * priority, statistics.
 */
#ifndef HQQ_ADVANCED_STATE_H
#define HQQ_ADVANCED_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hqq/advanced.h>

#include "advanced/crypto.h"
#include "advanced/rate.h"
#include "advanced/wire.h"
#include "base/atomic.h"
#include "standard/packets.h"

struct hqq_assembly;

/* ---- Waiting: wake.h ------------------------------------------------------------------------------------------- */

enum hqq_waiting {
    HQQ_WAITING_ASLEEP, /* on its condition variable */
    HQQ_WAITING_TAKING, /* in the link, as the taker */
    HQQ_WAITING_ROOM,   /* in the link, for a free slot */
};

struct hqq_waiter {
    struct hqq_waiter *next;
    const void *object; /* what it waits for */
    enum hqq_waiting how;
    bool is_called;  /* to look again; set by who changed something */
    bool is_looking; /* it looks again by itself, and soon */
    pthread_cond_t cond;
};

/* ---- What is to be sent: output.h ------------------------------------------------------------------------------ */

enum hqq_item_state {
    HQQ_ITEM_QUEUED,
    HQQ_ITEM_DONE,
    HQQ_ITEM_FAILED,
};

/* What becomes of an item for which there is no room. */
enum hqq_patience {
    HQQ_PATIENCE_WAITS,   /* somebody waits for it to be sent */
    HQQ_PATIENCE_AT_ONCE, /* somebody wants it sent at once, or not at all */
    HQQ_PATIENCE_POSTED,  /* nobody waits for it: it is freed with its data */
};

/* How far an item has come. */
enum hqq_progress {
    HQQ_PROGRESS_NONE,
    HQQ_PROGRESS_STARTED, /* a chunk of it has been sent */
    HQQ_PROGRESS_FILLING, /* and it may fill the ring: it found that empty, or room for all of it */
};

/* A message, or a piece of one, that is to be sent. */
struct hqq_item {
    struct hqq_item *next;
    struct hqq_connection *on; /* whose queue it is in */
    struct hqq_chunk chunk;    /* the next one; size is set when it is cut */
    const unsigned char *data; /* of the next chunk */
    uint64_t left;             /* bytes of this item */
    uint64_t queued_ns;
    enum hqq_item_state state;
    int result;       /* if it failed */
    bool is_in_hand;  /* the sender is copying from it */
    bool is_begun;    /* a chunk of the message has been sent */
    bool is_canceled; /* to be taken out when the sender has let go of it */
    enum hqq_patience patience;
    enum hqq_progress progress;
    uint64_t original; /* bytes of the message as the program sees it */
};

/* A control packet that is to be sent. */
struct hqq_control {
    struct hqq_control *next;
    struct hqq_control **place; /* where it is remembered, for what it says to be changed while it waits; or NULL */
    struct hqq_packet packet;
};

/* ---- What has arrived: inbox.h --------------------------------------------------------------------------------- */

/* What waits for the program, of all kinds, in the order in which it came. */
enum hqq_news_kind {
    HQQ_NEWS_ARRIVAL,
    HQQ_NEWS_REQUEST,
    HQQ_NEWS_CONNECTION,
};

struct hqq_news {
    struct hqq_news *next, **link; /* link NULL: it is in no list */
    enum hqq_news_kind kind;
    void *object; /* what has come: of the connection whose inbox it is in, the request, the connection */
};

/* A message that has arrived, or the news that one will not. */
struct hqq_arrival {
    struct hqq_arrival *next;
    struct hqq_news news;
    struct hqq_received received;
    uint64_t cost; /* of its connection's credit */
    int error;
};

struct hqq_inbox {
    struct hqq_arrival *first, **last;
    uint64_t count, bytes;
};

/* ---- Connections: connection.h --------------------------------------------------------------------------------- */

/* Whether a connection takes its turn to send. */
enum hqq_turn {
    HQQ_TURN_NONE,      /* nothing to send, as far as the schedule knows */
    HQQ_TURN_READY,     /* in the ring of its class */
    HQQ_TURN_NO_CREDIT, /* out of it until it is given credit, or has something to send that needs none */
};

struct hqq_connection {
    struct hqq_advanced *advanced;
    struct hqq_connection *next_in_bucket;
    struct hqq_connection *next_all, **link_all; /* all that are in the table */
    struct hqq_connection *next_waiting;         /* to be accepted */
    struct hqq_news news;                        /* while it waits for that */
    uint64_t id;
    enum hqq_connection_state state;
    bool is_dialled, is_user_held, is_in_table;
    uint64_t references; /* of the table, the user, items, assemblies */
    uint64_t created_ns, used_ns, close_reason;
    int refusal; /* why the peer refused it */

    /* Sending. */
    struct hqq_item *first_item, **last_item;
    struct hqq_connection *next_ready; /* in the list of its class */
    enum hqq_turn turn;
    uint32_t priority, ready_class;
    struct hqq_rate rate;
    uint64_t sent_cost, credit_limit;

    /* Receiving. */
    struct hqq_inbox inbox;
    uint64_t received_cost, held_cost, granted_limit;
    struct hqq_control *queued_credit; /* that tells the limit, and has not been sent yet */

    uint64_t messages_sent, bytes_sent, messages_received, bytes_received;
};

/* ---- Calls: call.h ---------------------------------------------------------------------------------------------- */

enum hqq_pending_state {
    HQQ_PENDING_UNDER_WAY,
    HQQ_PENDING_ANSWERED, /* or it has failed: result says */
    HQQ_PENDING_CANCELED,
};

struct hqq_pending {
    struct hqq_advanced *advanced;
    struct hqq_pending *next;
    uint64_t connection, message;
    enum hqq_pending_state state;
    bool is_waited_for;
    int result;
    uint64_t status;
    struct hqq_received answer;
};

struct hqq_request {
    struct hqq_advanced *advanced;
    struct hqq_request *next;
    struct hqq_news news;
    struct hqq_received received;
    uint64_t method, cost;
};

struct hqq_handler {
    uint64_t method;
    hqq_request_fn *handle;
    void *arg;
};

struct hqq_stream_taker {
    uint64_t connection;
    hqq_stream_fn *take;
    void *arg;
};

/* ---- The link ---------------------------------------------------------------------------------------------------- */

#define HQQ_BUCKETS 256

/* Counts of one role, written by it alone and read by anybody. */
struct hqq_role_counts {
    hqq_atomic_u64 chunks, encrypted, encryption_ns, encryption_bytes;
};

struct hqq_session {
    enum hqq_negotiation state;
    int failure;
    uint64_t started_ns;
    bool has_asked, has_answered, has_ack;
    bool is_peer_marked;                    /* it asked, with the mark of this library */
    bool has_agreed;                        /* what was agreed on stands; it is DONE once setup and keys have come */
    bool is_done;                           /* as state says: the taker's */
    bool has_setup, has_key, has_confirmed; /* from the peer */
    uint64_t asked_version, asked_features, asked_capabilities;
    uint64_t version, features, capabilities;
    uint64_t peer_window, peer_max_message;
    bool is_sealing;           /* what is sent from now on is sealed */
    bool is_opening;           /* what comes from now on is sealed */
    uint64_t sealed, opened;   /* records so far: the numbers of the next; the sender's and the taker's */
    struct hqq_crypto *crypto; /* made when it is offered */
};

struct hqq_advanced {
    struct hqq_advanced *self; /* for functions that only look, but must lock */
    struct hqq_link *link;
    void *memory; /* the talloc parent of all; touched under the lock only */
    struct hqq_advanced_config config;
    pthread_mutex_t lock;

    bool is_taking, is_sending;     /* somebody has the role */
    hqq_atomic_u32 callback_thread; /* the thread in which a stream's function runs; 0: none */
    uint64_t inside;                /* calls under way, for hqq_advanced_close() to wait for */
    pthread_cond_t outside;         /* none is any more */
    struct hqq_waiter *waiters;
    uint64_t progress; /* packets taken and put: moves with each */

    int ended;        /* why nothing more will come; 0: it may */
    int output_ended; /* why nothing more can be sent */

    struct hqq_session session;

    /* Output. */
    uint64_t next_message;
    struct hqq_control *first_control, **last_control;
    uint64_t controls;
    struct hqq_ready {
        struct hqq_connection *first, **last;
    } ready[HQQ_PRIORITIES];
    uint64_t turn; /* chunks sent */
    struct hqq_rate rate;
    bool has_rates;         /* one was set somewhere */
    uint64_t room_wanted;   /* slots that must be free for the next chunk to go; 0: it does not wait for any */
    uint64_t rate_until_ns; /* when a rate lets the next chunk go; HQQ_FOREVER: none waits for that */
    uint64_t posted_bytes;

    /* Input. The table of what is arriving is the taker's. */
    struct hqq_assembly *assemblies[HQQ_BUCKETS];
    uint64_t partial_count, partial_bytes;
    uint64_t assembly_clock; /* counts the chunks that came */
    /* Of a slot each: what was copied out of the region, what was opened, what was unpacked. */
    unsigned char *scratch, *plain, *unpacked;
    uint64_t waiting_bytes, waiting_count;
    struct hqq_news *news, **last_news;

    /* Connections; ground has id 0 and what belongs to no other. */
    struct hqq_connection *ground;
    struct hqq_connection *table[HQQ_BUCKETS];
    struct hqq_connection *all;
    uint64_t connections;
    uint64_t first_id, next_id, highest_peer_id; /* first, next: of those that this end dials */
    uint64_t backlog, listen_until_ns;
    struct hqq_connection *first_waiting, **last_waiting;
    uint64_t waiting_connections;

    /* Calls. */
    struct hqq_pending *calls[HQQ_BUCKETS];
    uint64_t call_count;
    struct hqq_request *first_request, **last_request;
    uint64_t requests, request_bytes; /* that wait */
    struct hqq_handler *handlers;
    size_t handler_count;
    struct hqq_stream_taker *streams;
    size_t stream_count;

    /* The peer's statistics. */
    uint64_t stats_asked, stats_answered;
    struct hqq_advanced_peer_stats peer_stats;
    struct hqq_control *queued_ask, *queued_stats; /* the last question and the last answer, not sent yet */

    /* The dispatcher. */
    enum hqq_dispatching {
        HQQ_DISPATCHING_NOT,
        HQQ_DISPATCHING,
        HQQ_DISPATCHING_ENDS, /* it has been told to */
    } dispatching;
    pthread_t dispatcher;
    int event_fd;
    bool is_event_raised;

    struct hqq_advanced_stats stats;
    struct hqq_role_counts sent, taken;
};

static inline void hqq_advanced_lock(struct hqq_advanced *advanced)
{
    (void)pthread_mutex_lock(&advanced->lock);
}

static inline void hqq_advanced_unlock(struct hqq_advanced *advanced)
{
    (void)pthread_mutex_unlock(&advanced->lock);
}

static inline bool hqq_advanced_has(const struct hqq_advanced *advanced, uint64_t feature)
{
    return (advanced->session.features & feature) != 0;
}

/* Bytes of a slot that are not the message's. */
static inline uint64_t hqq_advanced_overhead(bool is_sealed)
{
    return is_sealed ? HQQ_CRYPTO_TAG : 0;
}

/* True if the role of the taker is free, and there is room for what may come. With the lock. */
static inline bool hqq_advanced_may_take(const struct hqq_advanced *advanced)
{
    return !advanced->is_taking && advanced->ended == 0 &&
           advanced->waiting_bytes < advanced->config.max_received_bytes;
}

#endif
