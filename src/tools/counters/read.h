/*
 * Counters of other processes, copied out of their memory and checked; what hqq-run and hqqstat have in common. What
 * is read is not believed: sizes must be those this tool was built with, names are cut to their memory, and what
 * can't be printed is escaped. Functions return 0 or -errno.
 */
#ifndef HQQ_TOOLS_COUNTERS_READ_H
#define HQQ_TOOLS_COUNTERS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "runtime/counters.h"

/* A figure of a socket; the order is that of counters_figures. */
enum counters_figure {
    SENT_RING,
    SENT_RING_BYTES,
    SENT_KERNEL,
    WITHDRAWN,
    SPILLS,
    SWITCHES,
    RESENT,
    RECEIVED_RING,
    RECEIVED_RING_BYTES,
    RECEIVED_KERNEL,
    TRIALS,
    SLEEPS,
    SPINS_WON,
    SUSPENDED,
    LINKS_OFFERED,
    LINKS_OPENED,
    LINKS_REFUSED,
    FIGURES,
};

struct counters_figure_info {
    const char *name; /* of the member, and in JSON */
    size_t offset;    /* in struct hqq_counters */
    const char *meaning;
};

extern const struct counters_figure_info counters_figures[FIGURES];

struct counters_socket {
    uint32_t index; /* of its entry */
    bool is_live;
    uint32_t fd;
    uint64_t cookie;
    uint32_t reason;
    uint32_t links;
    const char *bound, *peer; /* printable; "" for no name */
    uint64_t figures[FIGURES];
};

struct counters_process {
    uint64_t pid; /* as it says itself */
    uint64_t started_ns;
    uint32_t log_level;
    const char *command; /* printable */
    struct counters_socket *sockets;
    size_t count;
};

/* All that fd holds, as a child of parent. -EPROTO: no counters, or of another version; -ENOMEM. Leaves out what a
 * forked child has from its parent and has not used, where it has another entry of the same socket. */
int counters_read(TALLOC_CTX *parent, int fd, struct counters_process **ret_process);

/* A copy of text that a terminal and a JSON reader take: UTF-8 as it is, all else, and a backslash, as \xNN. NULL:
 * out of memory. */
char *counters_printable(TALLOC_CTX *parent, const char *text, size_t length);

/* Datagrams through the ring in 100 of both ways; -1 if there were none. */
double counters_ring_share(const struct counters_socket *socket);

/* Why its datagrams go through the kernel; NULL where there is nothing to explain. */
const char *counters_why(const struct counters_socket *socket);

#endif
