/*
 * The ways of moving a message that are measured side by side. Each is a table of functions; run.c calls them, and
 * nothing but a transport's own file knows how it works. Results are 0, PERF_ERROR_*, -errno or enum hqq_error.
 */
#ifndef HQQ_PERF_TRANSPORT_H
#define HQQ_PERF_TRANSPORT_H

#include "tools/perf/end.h"

enum perf_kind { PERF_ROUND_TRIP = 0, PERF_STREAM = 1, PERF_KINDS };
enum perf_mode { PERF_SPIN = 0, PERF_SLEEP = 1, PERF_MODES };

#define PERF_BIT(number) (1u << (number))

struct perf_transport {
    const char *name;
    unsigned modes; /* PERF_BIT(enum perf_mode) of those it knows */
    bool any_size;  /* knows no message size */
    bool in_place;  /* touches the first bytes of a message only, so it has no bandwidth */
    /* Before the fork: what both sides inherit. NULL if there is nothing. */
    int (*create)(struct perf_channel *channel);
    /* In each process after it; close undoes it. NULL if there is nothing. */
    int (*open)(struct perf_end *end);
    void (*close)(struct perf_end *end);
    /* Round trips; NULL if it has none. */
    int (*ping)(struct perf_end *end, uint64_t count, bool last);
    int (*pong)(struct perf_end *end);
    /* Streams; send is NULL if it has none, receive alone is NULL if the driver works by itself. */
    int (*send)(struct perf_end *end, uint64_t count, bool last);
    int (*receive)(struct perf_end *end, uint64_t count);
};

extern const struct perf_transport perf_pingpong;
extern const struct perf_transport perf_hqq;
extern const struct perf_transport perf_hqq_batch;
extern const struct perf_transport perf_hqq_zerocopy;
extern const struct perf_transport perf_unix;
extern const struct perf_transport perf_unix_spin;
extern const struct perf_transport perf_memcpy;
extern const struct perf_transport perf_memcpy_pair;

/* All of them, in the order in which they run and are reported. */
enum { PERF_TRANSPORTS = 8 };
extern const struct perf_transport *const perf_transports[PERF_TRANSPORTS];

extern const char *const perf_kind_names[PERF_KINDS];
extern const char *const perf_mode_names[PERF_MODES];

static inline bool perf_transport_does(const struct perf_transport *transport, enum perf_kind kind, enum perf_mode mode)
{
    return (transport->modes & PERF_BIT(mode)) != 0 &&
           (kind == PERF_ROUND_TRIP ? transport->ping != NULL : transport->send != NULL);
}

#endif
