/*
 * The advanced link: messages of any size, connections, calls, flow control, priorities, compression and encryption, in
 * the packets of a standard link. PROTOCOL.md has the frames; the original implementation speaks messages, calls and
 * connections, and never sees the rest, which is used only where both ends have agreed on it.
 *
 * How it runs. No thread is made unless hqq_advanced_start() is called. Whoever waits in a call of this header drives the
 * link meanwhile: it takes what the peer sends, for whomever that is, and moves what other threads want to send. A
 * program with a loop of its own calls hqq_advanced_process(). While nobody is in any call, nothing moves.
 *
 * Unless a comment says otherwise:
 *  - results are those of hqq/error.h; outputs (ret_*) are written on success only;
 *  - deadline_ns is an absolute time on CLOCK_MONOTONIC (hqq_clock_ns()): HQQ_FOREVER for none, 0 not to wait at all
 *    (WOULD_BLOCK). One that passes is TIMEOUT. Signals do not end a wait;
 *  - every function may be called from any thread, but hqq_advanced_close(), which must be the last; none is
 *    async-signal-safe;
 *  - before negotiation has succeeded, functions that need the peer are INVALID_OP. Once the link has ended they are
 *    CLOSED, PEER_DIED or AUTH; what came before can still be received;
 *  - a link belongs to the process that made it: FORKED in a child, which may only hqq_advanced_close() its copy;
 *  - sizes are bytes, times nanoseconds. -ENOMEM is possible wherever something is made, sent or received.
 */
#ifndef HQQ_ADVANCED_H
#define HQQ_ADVANCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hqq/error.h>
#include <hqq/export.h>
#include <hqq/link.h>

HQQ_BEGIN_DECLS

struct hqq_advanced;

/* ---- Features -------------------------------------------------------------------------------------------------- */

/* What both ends must have to use it. The first two are the original's. */
#define HQQ_FEATURE_LARGE_COPY (UINT64_C(1) << 0)       /* messages larger than a slot */
#define HQQ_FEATURE_REQUEST_RESPONSE (UINT64_C(1) << 1) /* calls */
#define HQQ_FEATURE_COMPRESSION (UINT64_C(1) << 8)      /* LZ4, of messages that gain by it */
#define HQQ_FEATURE_ENCRYPTION (UINT64_C(1) << 9)       /* authenticated, with a pre-shared key */
#define HQQ_FEATURE_FLOW_CONTROL (UINT64_C(1) << 10)    /* credits for each connection */
#define HQQ_FEATURE_STATISTICS (UINT64_C(1) << 11)      /* hqq_advanced_get_peer_stats() */
#define HQQ_FEATURE_QOS (UINT64_C(1) << 12)             /* priorities between connections */
#define HQQ_FEATURE_STREAMING (UINT64_C(1) << 13)       /* messages beyond max_message, for who takes them in pieces */

/* Hints that travel with the negotiation; the library does nothing with them. */
#define HQQ_CAPABILITY_LARGE_BUFFERS (UINT64_C(1) << 0)
#define HQQ_CAPABILITY_HIGH_THROUGHPUT (UINT64_C(1) << 1)
#define HQQ_CAPABILITY_LOW_LATENCY (UINT64_C(1) << 2)

/* What this build can do: without liblz4 no COMPRESSION, without libsodium no ENCRYPTION. Async-signal-safe. */
HQQ_EXPORT uint64_t hqq_advanced_supported_features(void);

/* ---- Opening and closing --------------------------------------------------------------------------------------- */

#define HQQ_KEY_BYTES 32

/* Set members you do not care about to 0 ("the default"), best by HQQ_ADVANCED_CONFIG_INIT. */
struct hqq_advanced_config {
    uint64_t features;          /* to offer; default all that are possible here but COMPRESSION, which takes longer
                                     than it saves where memory is not short. ENCRYPTION needs a key and a buffer size
                                     of at least 32 */
    uint64_t required_features; /* negotiation fails where one of these is not agreed; offered as well */
    uint64_t capabilities;      /* default all three */
    uint64_t version;         /* to speak, major << 8 | minor; default 1.0. Ends agree on the lower minor of one major;
                                     this library knows of no difference between minors */
    const unsigned char *key; /* HQQ_KEY_BYTES that both ends know, copied; NULL: no encryption */
    uint64_t max_message;     /* largest message to receive whole; default 64 MiB */
    uint64_t max_partial_count;  /* messages that may be arriving at once; default 256 */
    uint64_t max_partial_bytes;  /* memory for those; default 4 * max_message */
    uint64_t max_received_bytes; /* messages that wait to be received, of all connections: beyond it nothing more is
                                     taken from the link. As much again of requests that wait: beyond it they are
                                     refused. Default 4 * max_message */
    uint64_t max_connections;    /* default 1024 */
    uint64_t max_calls;          /* calls under way, and requests waiting to be served; default 1024 each */
    uint64_t max_posted_bytes;   /* by hqq_advanced_post() and not sent yet; default max_message */
    uint64_t max_sent;           /* largest message to send, beside what the peer takes; default 2^48 */
    uint64_t window;             /* what a connection's peer may send ahead of its reader; default 256 KiB */
    uint64_t compress_threshold; /* smaller messages are never compressed; default 1 KiB */
    uint64_t reserved;           /* 0 */
};

#define HQQ_ADVANCED_CONFIG_INIT                                                                                       \
    {                                                                                                                  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                                                 \
    }

/*
 * Makes an advanced link of a link, which belongs to it from then on: hqq_advanced_close() closes it, and nothing but
 * hqq_link_get_stats(), hqq_link_peer() and the like may be called on it; its deadlines are not used. On failure the
 * link stays the caller's. config may be NULL. Sends nothing and does not wait. Errors: INVALID_OP (an unknown feature
 * or capability, one required that is not possible here, a link with HQQ_LINK_STREAM_READ, reserved not 0),
 * INVALID_SIZE (a limit beyond 2^48), FORKED, CLOSED, -ENOMEM.
 */
HQQ_EXPORT int hqq_advanced_open(struct hqq_link *link, const struct hqq_advanced_config *config,
                                 struct hqq_advanced **ret_advanced);

/* The link below. */
HQQ_EXPORT struct hqq_link *hqq_advanced_link(const struct hqq_advanced *advanced);

/* Ends the link: every waiting thread, here and at the peer, wakes with CLOSED. Does not wait. 0 or FORKED. */
HQQ_EXPORT int hqq_advanced_shutdown(struct hqq_advanced *advanced);

/*
 * Shuts the link down, stops the dispatcher, waits for calls that are waiting to end, and frees everything: connections,
 * requests, pending calls, outgoing messages, received messages. What was posted and not sent is lost: hqq_advanced_flush()
 * first. No other call may be under way that does not wait, or begin. NULL is allowed.
 */
HQQ_EXPORT void hqq_advanced_close(struct hqq_advanced *advanced);

/* ---- Negotiation ----------------------------------------------------------------------------------------------- */

enum hqq_negotiation {
    HQQ_NEGOTIATION_NONE = 0,
    HQQ_NEGOTIATION_UNDER_WAY = 1,
    HQQ_NEGOTIATION_DONE = 2,
    HQQ_NEGOTIATION_FAILED = 3, /* final */
};

/*
 * Agrees with the peer on version and features: hqq_advanced_negotiate() asks, hqq_advanced_accept_negotiation() waits for
 * the peer to ask. Both ends may ask. An answer is given by whichever call drives the link. There is one attempt for
 * a link: where the deadline passes it is still under way, and either function may be called again to go on waiting.
 * Errors: WOULD_BLOCK, TIMEOUT, INVALID_OP (refused by the peer, or by us: another major version, a required feature
 * missing, an answer that was not asked for), AUTH (the keys differ), CLOSED, PEER_DIED, FORKED.
 */
HQQ_EXPORT int hqq_advanced_negotiate(struct hqq_advanced *advanced, uint64_t deadline_ns);
HQQ_EXPORT int hqq_advanced_accept_negotiation(struct hqq_advanced *advanced, uint64_t deadline_ns);

HQQ_EXPORT enum hqq_negotiation hqq_advanced_negotiation(const struct hqq_advanced *advanced);

/* What was agreed on; 0 and false before that. The version is major << 8 | minor. */
HQQ_EXPORT uint64_t hqq_advanced_version(const struct hqq_advanced *advanced);
HQQ_EXPORT uint64_t hqq_advanced_features(const struct hqq_advanced *advanced);
HQQ_EXPORT uint64_t hqq_advanced_capabilities(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_large_copy_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_request_response_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_compression_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_encryption_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_flow_control_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_statistics_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_qos_enabled(const struct hqq_advanced *advanced);
HQQ_EXPORT bool hqq_advanced_is_streaming_enabled(const struct hqq_advanced *advanced);

/* ---- Driving --------------------------------------------------------------------------------------------------- */

/*
 * Drives the link: takes what has come, runs handlers, sends what waits to be sent. Returns 0 once something was done, with
 * nothing more to do at once; WOULD_BLOCK or TIMEOUT if there was nothing. Errors else: CLOSED, PEER_DIED, AUTH, FORKED,
 * INVALID_OP (called by a handler).
 */
HQQ_EXPORT int hqq_advanced_process(struct hqq_advanced *advanced, uint64_t deadline_ns);

/* Waits until everything that was posted or is owed to the peer lies in the link. */
HQQ_EXPORT int hqq_advanced_flush(struct hqq_advanced *advanced, uint64_t deadline_ns);

/*
 * Starts a thread that drives the link until hqq_advanced_stop() or the end of the link, with all signals blocked; its
 * handlers run there. *ret_fd, unless ret_fd is NULL, is a descriptor that polls readable while there is a message, a
 * connection or a request to take, or the link has ended; the library's, close-on-exec, never to be read or closed.
 * INVALID_OP if it runs already; -EAGAIN, -EMFILE, -ENFILE.
 */
HQQ_EXPORT int hqq_advanced_start(struct hqq_advanced *advanced, int *ret_fd);
HQQ_EXPORT int hqq_advanced_stop(struct hqq_advanced *advanced);

/* ---- Messages -------------------------------------------------------------------------------------------------- */

enum hqq_message_flags {
    HQQ_MESSAGE_REQUEST = 8,
    HQQ_MESSAGE_RESPONSE = 16,
    HQQ_MESSAGE_ERROR = 32,            /* with RESPONSE */
    HQQ_MESSAGE_COMPRESSED = 64,       /* on its way; data and length are those before */
    HQQ_MESSAGE_DATAGRAM = 0x00010000, /* a datagram of a standard link: no id */
};

/* A message that was received. Its memory is the link's, valid until it is freed or the link closed. */
struct hqq_received {
    void *data;
    size_t length;
    uint64_t connection; /* id of the connection it came on; 0 for none */
    uint64_t message;    /* id of the message, as its sender counts them */
    uint32_t flags;      /* enum hqq_message_flags */
};

HQQ_EXPORT void hqq_received_free(struct hqq_advanced *advanced, struct hqq_received *received);

/*
 * Sends one message, of any size from 0 up, and returns when all of it lies in the link. connection is 0, or any number
 * that means something to the peer and is not, nor was, that of a connection; numbers from 2^32 up never are. A message
 * whose deadline passes midway is aborted, and the peer drops what it has. A standard datagram of the peer arrives as a
 * message of connection 0. Errors: BUFFER_OVERFLOW (larger than the peer takes, or than a slot without LARGE_COPY),
 * CONN_NOT_FOUND (the number of a connection that was closed), WOULD_BLOCK, TIMEOUT, INVALID_OP, CLOSED,
 * PEER_DIED, AUTH, FORKED.
 */
HQQ_EXPORT int hqq_advanced_send(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length,
                                 uint64_t deadline_ns);

/* The same, and tells the id that the message has: also where it was given up midway (else *ret_message is 0). */
HQQ_EXPORT int hqq_advanced_send_message(struct hqq_advanced *advanced, uint64_t connection, const void *data,
                                         size_t length, uint64_t deadline_ns, uint64_t *ret_message);

/* Sends a datagram of the standard link, in its order among messages without a connection: for a peer that reads some
 * of it as such. Of 0 bytes nothing is sent. BUFFER_OVERFLOW (larger than a slot), INVALID_OP where ENCRYPTION was
 * agreed on, as it would be in the clear. */
HQQ_EXPORT int hqq_advanced_send_datagram(struct hqq_advanced *advanced, const void *data, size_t length,
                                          uint64_t deadline_ns);

/* The same without waiting: what does not fit at once is copied, and sent by whichever call drives the link. Errors
 * as above, and TOO_MANY_BYTES (max_posted_bytes). */
HQQ_EXPORT int hqq_advanced_post(struct hqq_advanced *advanced, uint64_t connection, const void *data, size_t length);

/*
 * Receives the next message that came on none of the open connections; free it. A message that the peer aborted or that
 * had to be refused is reported once, in its place among the others: ABORTED (also where a peer without features of
 * this library left it midway and others needed its room), BUFFER_OVERFLOW (above max_message), TOO_MANY_MESSAGES,
 * TOO_MANY_BYTES (max_partial_count, max_partial_bytes), INVALID_SIZE (a malformed frame). Then connection and message
 * of *ret_received say which it was, and data is NULL. Errors else: WOULD_BLOCK, TIMEOUT, INVALID_OP, CLOSED, PEER_DIED, AUTH, FORKED.
 */
HQQ_EXPORT int hqq_advanced_receive(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                    struct hqq_received *ret_received);

/* ---- Messages in pieces ---------------------------------------------------------------------------------------- */

/* A message that is sent piece by piece; its length must be known at the beginning. Never compressed. */
struct hqq_outgoing;

HQQ_EXPORT int hqq_outgoing_begin(struct hqq_advanced *advanced, uint64_t connection, uint64_t total,
                                  struct hqq_outgoing **ret_outgoing);
/* Sends the next piece. INVALID_SIZE beyond the total. After any other error the message can only be aborted. */
HQQ_EXPORT int hqq_outgoing_write(struct hqq_outgoing *outgoing, const void *data, size_t length, uint64_t deadline_ns);
/* Frees it once all was written; INVALID_SIZE before that. Waits for an empty message only, which lies in the link when
 * this returns 0; after WOULD_BLOCK and TIMEOUT it may be tried again. */
HQQ_EXPORT int hqq_outgoing_finish(struct hqq_outgoing *outgoing, uint64_t deadline_ns);
/* Frees it; the peer drops what it has, if that is not all. NULL is allowed. */
HQQ_EXPORT void hqq_outgoing_abort(struct hqq_outgoing *outgoing);

/* The id that the message has. */
HQQ_EXPORT uint64_t hqq_outgoing_message(const struct hqq_outgoing *outgoing);

enum hqq_stream_event {
    HQQ_STREAM_BEGIN = 0, /* total is known, nothing has come */
    HQQ_STREAM_DATA = 1,
    HQQ_STREAM_END = 2,    /* all of it has come */
    HQQ_STREAM_FAILED = 3, /* no more will come; error says why */
};

struct hqq_stream_piece {
    enum hqq_stream_event event;
    int error;
    uint64_t connection, message;
    uint64_t total;  /* bytes of the whole message */
    uint64_t offset; /* of data in it */
    const void *data;
    size_t length;
};

/* Takes a piece of a message; data is valid during the call. Runs in a thread that drives the link, and holds the whole
 * link up meanwhile; of this link it may only post, respond without waiting, and look at statistics. Anything but 0 ends
 * the message: its other pieces are dropped, with no further event. */
typedef int hqq_stream_fn(const struct hqq_stream_piece *piece, void *arg);

#define HQQ_ANY_CONNECTION UINT64_MAX

/* From now on messages that begin on that connection (an id, or HQQ_ANY_CONNECTION, also 0) are handed to take, in
 * pieces as they come, instead of being received whole; max_message does not bound them if STREAMING was agreed on.
 * Requests and answers are not streamed. take NULL ends it. */
HQQ_EXPORT int hqq_advanced_set_stream(struct hqq_advanced *advanced, uint64_t connection, hqq_stream_fn *take,
                                       void *arg);

/* ---- Connections ----------------------------------------------------------------------------------------------- */

struct hqq_connection;

enum hqq_connection_state {
    HQQ_CONNECTION_CLOSED = 0,
    HQQ_CONNECTION_OPENING = 1,
    HQQ_CONNECTION_OPEN = 2,
    HQQ_CONNECTION_CLOSING = 3, /* closed here; what was posted is still to be sent */
};

/* From now on the peer can dial, with up to backlog connections (at least 1) waiting to be accepted; 0: no more. */
HQQ_EXPORT int hqq_advanced_listen(struct hqq_advanced *advanced, uint64_t backlog);
/* The same until that time: who dials later is refused. HQQ_FOREVER is no end, 0 one that is over. */
HQQ_EXPORT int hqq_advanced_listen_until(struct hqq_advanced *advanced, uint64_t backlog, uint64_t deadline_ns);
/* Opens a connection. CONN_NOT_FOUND: nobody listens, or its backlog is full. TOO_MANY_CONNECTIONS. A deadline that passes
 * ends the attempt. */
HQQ_EXPORT int hqq_advanced_dial(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                 struct hqq_connection **ret_connection);
HQQ_EXPORT int hqq_advanced_accept(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                   struct hqq_connection **ret_connection);

/* As hqq_advanced_send(), _post() and _receive(). Messages of one connection arrive in the order sent. CLOSED once
 * either side has closed the connection; what came before can still be received. */
HQQ_EXPORT int hqq_connection_send(struct hqq_connection *connection, const void *data, size_t length,
                                   uint64_t deadline_ns);
HQQ_EXPORT int hqq_connection_send_message(struct hqq_connection *connection, const void *data, size_t length,
                                           uint64_t deadline_ns, uint64_t *ret_message);
HQQ_EXPORT int hqq_connection_post(struct hqq_connection *connection, const void *data, size_t length);
HQQ_EXPORT int hqq_connection_receive(struct hqq_connection *connection, uint64_t deadline_ns,
                                      struct hqq_received *ret_received);

/* Closes the connection, after what was posted on it, and frees it; messages that were received from it stay valid, what
 * was not received is dropped. Threads that wait in a call on it end with CLOSED, and no call on it may begin any
 * more. reason: any number, for the peer. NULL is allowed. Does not wait. */
HQQ_EXPORT void hqq_connection_close(struct hqq_connection *connection, uint64_t reason);

HQQ_EXPORT uint64_t hqq_connection_id(const struct hqq_connection *connection);
HQQ_EXPORT enum hqq_connection_state hqq_connection_state(const struct hqq_connection *connection);
/* Why the peer closed it; 0 if it has not. */
HQQ_EXPORT uint64_t hqq_connection_close_reason(const struct hqq_connection *connection);

struct hqq_connection_info {
    uint64_t id;
    enum hqq_connection_state state;
    uint32_t priority;            /* enum hqq_priority */
    bool is_dialled;              /* by this end */
    uint64_t created_ns, used_ns; /* on CLOCK_MONOTONIC; used: last sent or received */
    uint64_t messages_sent, bytes_sent, messages_received, bytes_received;
    uint64_t waiting_bytes; /* received by the link and not yet by the program */
};

HQQ_EXPORT void hqq_connection_get_info(const struct hqq_connection *connection, struct hqq_connection_info *ret_info);
/* All connections that are not closed, the first capacity of them. *ret_count is always set: how many there are. */
HQQ_EXPORT int hqq_advanced_connections(struct hqq_advanced *advanced, struct hqq_connection_info *infos,
                                        size_t capacity, size_t *ret_count);

/* ---- Calls ----------------------------------------------------------------------------------------------------- */

/*
 * Calls a method of the peer, and waits for the answer, which is to be freed. 0: *ret_status is what the peer
 * responded with. REMOTE: it responded with an error, *ret_status says which and *ret_answer is there all the same.
 * TOO_MANY_CALLS. An answer that comes after the deadline is dropped and counted. ret_status and ret_answer may be NULL.
 */
HQQ_EXPORT int hqq_advanced_call(struct hqq_advanced *advanced, uint64_t method, const void *data, size_t length,
                                 uint64_t deadline_ns, uint64_t *ret_status, struct hqq_received *ret_answer);
HQQ_EXPORT int hqq_connection_call(struct hqq_connection *connection, uint64_t method, const void *data, size_t length,
                                   uint64_t deadline_ns, uint64_t *ret_status, struct hqq_received *ret_answer);

/* A call that has been sent and whose answer is waited for later, or never. */
struct hqq_pending;

/* connection may be NULL. deadline_ns is that of sending. */
HQQ_EXPORT int hqq_pending_begin(struct hqq_advanced *advanced, struct hqq_connection *connection, uint64_t method,
                                 const void *data, size_t length, uint64_t deadline_ns,
                                 struct hqq_pending **ret_pending);
/* As hqq_advanced_call(). WOULD_BLOCK and TIMEOUT leave it pending, every other result frees it. CANCELED if another
 * thread cancels it; then it is freed too. */
HQQ_EXPORT int hqq_pending_wait(struct hqq_pending *pending, uint64_t deadline_ns, uint64_t *ret_status,
                                struct hqq_received *ret_answer);
/* The id of the request; its answer has the same. */
HQQ_EXPORT uint64_t hqq_pending_message(const struct hqq_pending *pending);
/* Gives the call up: the answer will be dropped and counted. Frees it, unless a thread waits for it, which wakes and
 * does. NULL is allowed. */
HQQ_EXPORT void hqq_pending_cancel(struct hqq_pending *pending);

/* A call of the peer. Whoever has it must respond or drop it. */
struct hqq_request;

/* Takes the next request that no handler is for. */
HQQ_EXPORT int hqq_advanced_serve(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                  struct hqq_request **ret_request);

/* Handles a request, which is its own from then on, also after it returns. Run by hqq_advanced_process() and the
 * dispatcher only; may call anything but hqq_advanced_process(), hqq_advanced_stop() and hqq_advanced_close(). */
typedef void hqq_request_fn(struct hqq_request *request, void *arg);

#define HQQ_ANY_METHOD UINT64_MAX

/* From now on requests for that method, or HQQ_ANY_METHOD for those without a handler of their own, are handled by that
 * function; NULL: by hqq_advanced_serve() again. */
HQQ_EXPORT int hqq_advanced_handle(struct hqq_advanced *advanced, uint64_t method, hqq_request_fn *handle, void *arg);

HQQ_EXPORT uint64_t hqq_request_method(const struct hqq_request *request);
HQQ_EXPORT uint64_t hqq_request_connection(const struct hqq_request *request);
HQQ_EXPORT uint64_t hqq_request_message(const struct hqq_request *request);
HQQ_EXPORT const void *hqq_request_data(const struct hqq_request *request);
HQQ_EXPORT size_t hqq_request_length(const struct hqq_request *request);

/* Answers, and frees the request. On WOULD_BLOCK, TIMEOUT, BUFFER_OVERFLOW, TOO_MANY_BYTES and -ENOMEM it stays the
 * caller's, and another answer may be tried (the caller has ABORTED if a part of the first one was under way); after any
 * other error it has been freed. With deadline 0 what does not fit at once is posted. */
HQQ_EXPORT int hqq_request_respond(struct hqq_request *request, uint64_t status, const void *data, size_t length,
                                   uint64_t deadline_ns);
HQQ_EXPORT int hqq_request_respond_error(struct hqq_request *request, uint64_t status, const void *data, size_t length,
                                         uint64_t deadline_ns);
/* Frees it without an answer. NULL is allowed. */
HQQ_EXPORT void hqq_request_drop(struct hqq_request *request);

/* ---- Whatever comes next ----------------------------------------------------------------------------------------- */

enum hqq_next_kind {
    HQQ_NEXT_MESSAGE = 0,    /* message: to be freed */
    HQQ_NEXT_FAILED = 1,     /* a message that will not arrive: error, and which in message */
    HQQ_NEXT_REQUEST = 2,    /* request: that no handler is for; to be responded to or dropped */
    HQQ_NEXT_CONNECTION = 3, /* connection: that the peer has dialled; to be closed */
};

struct hqq_next {
    enum hqq_next_kind kind;
    int error;
    struct hqq_received message;
    struct hqq_request *request;
    struct hqq_connection *connection; /* the message's too; NULL for none */
};

/*
 * Takes what has come first of all that waits for the program: messages of no connection and of every connection that it
 * has, requests, and connections to accept; in the order in which they came. It takes from the same queues as
 * hqq_advanced_receive(), hqq_connection_receive(), hqq_advanced_serve() and hqq_advanced_accept(), which may be called
 * beside it. Errors: WOULD_BLOCK, TIMEOUT, INVALID_OP, CLOSED, PEER_DIED, AUTH, FORKED.
 */
HQQ_EXPORT int hqq_advanced_next(struct hqq_advanced *advanced, uint64_t deadline_ns, struct hqq_next *ret_next);

/* ---- Priorities and rates -------------------------------------------------------------------------------------- */

/* Classes of what is sent. Between two chunks the highest class that has something goes first; of every 32 chunks one
 * goes to the lowest that waits, so that none starves. Where QOS was not agreed on all are NORMAL. */
enum hqq_priority {
    HQQ_PRIORITY_BULK = 0,
    HQQ_PRIORITY_NORMAL = 1,
    HQQ_PRIORITY_HIGH = 2,
    HQQ_PRIORITY_URGENT = 3,
};

#define HQQ_PRIORITIES 4

/* The class of a connection, or of all that belongs to none; NORMAL at first. INVALID_OP (unknown). */
HQQ_EXPORT int hqq_connection_set_priority(struct hqq_connection *connection, enum hqq_priority priority);
HQQ_EXPORT int hqq_advanced_set_priority(struct hqq_advanced *advanced, enum hqq_priority priority);

/* Sends at most that much of the connection, or of the whole link, on average, and at most burst bytes at once (at least
 * the buffer size; 0: 10 ms worth). 0 bytes per second: no limit. INVALID_SIZE beyond 2^48. */
HQQ_EXPORT int hqq_connection_set_rate(struct hqq_connection *connection, uint64_t bytes_per_second, uint64_t burst);
HQQ_EXPORT int hqq_advanced_set_rate(struct hqq_advanced *advanced, uint64_t bytes_per_second, uint64_t burst);

/* ---- Statistics ------------------------------------------------------------------------------------------------ */

/* Counts of this end since it was opened. Bytes are those of messages, as the program sees them. */
struct hqq_advanced_stats {
    uint64_t negotiation_ns; /* from the first packet of the negotiation to its end */
    uint64_t messages_sent, bytes_sent;
    uint64_t messages_received, bytes_received;
    uint64_t chunks_sent, chunks_received;
    uint64_t messages_aborted;   /* here, midway */
    uint64_t messages_refused;   /* the peer's: limits, aborted, malformed */
    uint64_t messages_displaced; /* of those, left midway by a peer that cannot abort, to make room for others */
    uint64_t answers_dropped;    /* to a peer that asks and does not read: it runs into its deadline */
    uint64_t requests_sent, requests_received;
    uint64_t responses_sent, responses_received;
    uint64_t error_responses_sent, error_responses_received;
    uint64_t late_responses; /* to calls that were given up; dropped */
    uint64_t connections_opened, connections_refused;
    uint64_t invalid_frames;      /* malformed, or not allowed in this state; dropped */
    uint64_t late_frames;         /* for connections that are closed; dropped */
    uint64_t errors;              /* calls of this header that failed, but for TIMEOUT and WOULD_BLOCK */
    uint64_t compressed_messages; /* sent */
    uint64_t compressed_before, compressed_after; /* their bytes: the ratio */
    uint64_t encrypted_chunks;                    /* sent and received */
    uint64_t encryption_bytes;                    /* that it added to what was sent */
    uint64_t encryption_ns;                       /* spent in it, sending and receiving: every 64th chunk is timed */
    uint64_t credits_sent, credits_received;
    uint64_t credit_waits;              /* times a connection had to wait for credit */
    uint64_t rate_waits;                /* times something waited for its rate */
    uint64_t queued[HQQ_PRIORITIES];    /* messages that were queued to be sent */
    uint64_t queued_ns[HQQ_PRIORITIES]; /* the time until their first chunk lay in the link, together */
    uint64_t queued_max_ns[HQQ_PRIORITIES];
    uint64_t connections;                     /* now: not closed */
    uint64_t partial_messages, partial_bytes; /* now: arriving */
    uint64_t waiting_messages, waiting_bytes; /* now: arrived, and not received by the program */
    uint64_t calls;                           /* now: under way */
};

HQQ_EXPORT int hqq_advanced_get_stats(struct hqq_advanced *advanced, struct hqq_advanced_stats *ret_stats);

/* What the peer says of itself. Needs STATISTICS. */
struct hqq_advanced_peer_stats {
    uint64_t messages_sent, messages_received, bytes_received, errors;
};

HQQ_EXPORT int hqq_advanced_get_peer_stats(struct hqq_advanced *advanced, uint64_t deadline_ns,
                                           struct hqq_advanced_peer_stats *ret_stats);

HQQ_END_DECLS

#endif
