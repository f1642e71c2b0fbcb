/*
 * One side of an advanced link that is measured, and the ways it is measured: the transports of hqq-perf-advanced. They
 * go by the table of tools/perf/transport.h, over a link of the shape's own slots.
 */
#ifndef HQQ_PERF_ADVANCED_LINK_H
#define HQQ_PERF_ADVANCED_LINK_H

#include <hqq/advanced.h>

#include "tools/perf/transport.h"

enum { ADVANCED_CONNECTIONS = 4 };

/* What a transport has beside its perf_end: end->own. */
struct advanced_end {
    struct hqq_advanced *advanced;
    struct hqq_connection *connections[ADVANCED_CONNECTIONS];
    unsigned connection_count;
    struct hqq_pending *pending;            /* the call that is under way */
    struct hqq_request *request;            /* the one to answer */
    uint64_t posted[ADVANCED_CONNECTIONS];  /* bytes, of each */
    uint64_t arrived[ADVANCED_CONNECTIONS]; /* the same at the other side */
    uint64_t heads[ADVANCED_CONNECTIONS];   /* numbers of the messages that are arriving */
    uint64_t hash;                          /* of the bulk that has come */
    bool is_last;                           /* the last message has come */
};

static inline struct advanced_end *advanced_of(const struct perf_end *end)
{
    return end->own;
}

/* Opens the link of this side, makes an advanced link of it, and negotiates: as the driver it asks. Features that are
 * not required are offered, but for compression and encryption. 0, -errno or enum hqq_error. */
int advanced_open(struct perf_end *end, uint64_t required, uint64_t left_out);
/* The driver dials so many connections, the peer accepts them. */
int advanced_connect(struct perf_end *end, unsigned count);
void advanced_close(struct perf_end *end);

/* What the messages to send are made of, but for their numbers: random bytes, or lines of a log. */
void advanced_fill_random(struct perf_end *end);
void advanced_fill_text(struct perf_end *end);

extern const struct perf_transport advanced_plain;      /* calls and messages */
extern const struct perf_transport advanced_encrypted;  /* the same, encrypted */
extern const struct perf_transport advanced_packed;     /* messages, compressed: lines of a log */
extern const struct perf_transport advanced_unpackable; /* the same of random bytes */
extern const struct perf_transport advanced_alone;      /* an urgent message there and back, nothing else on the way */
extern const struct perf_transport advanced_urgent;     /* the same beside bulk streams that never end */
extern const struct perf_transport advanced_equal;      /* the same without priorities */
extern const struct perf_transport advanced_shares;     /* several connections that all have something to send */
extern const struct perf_transport advanced_socket;     /* a pair of stream sockets */

#endif
