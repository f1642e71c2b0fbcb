/*
 * The counters of a process, in memory that others may read while it lives or hangs: a memfd named "hqq-counters", or,
 * where HQQ_REPORT names a folder, the file PID in it, which outlives the process. A head, then a fixed number of
 * entries, one a socket; an entry is reused only when all have been used. Readers check magic and sizes, and take each
 * word as it is. Written by the process alone: sending counters under the socket's send lock, receiving ones under its
 * receive lock, so without locked instructions.
 */
#ifndef HQQ_RUNTIME_COUNTERS_H
#define HQQ_RUNTIME_COUNTERS_H

#include <stdalign.h>
#include <stdint.h>

#include "base/atomic.h"

#define HQQ_COUNTERS_MAGIC UINT64_C(0x4851515f434e5431) /* "HQQ_CNT1" */
#define HQQ_COUNTERS_ENTRIES 1024
#define HQQ_COUNTERS_NAME 108
#define HQQ_COUNTERS_MEMFD "hqq-counters"

enum hqq_counters_state {
    HQQ_COUNTERS_FREE = 0,
    HQQ_COUNTERS_LIVE = 1,
    HQQ_COUNTERS_CLOSED = 2, /* the socket is closed; the figures are its last */
};

/* One socket of this process. */
struct hqq_counters {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 state; /* enum hqq_counters_state */
    hqq_atomic_u32 fd;                            /* the descriptor it was first known by */
    hqq_atomic_u64 cookie;                        /* SO_COOKIE */
    hqq_atomic_u32 reason;                        /* enum hqq_socket_reason */
    hqq_atomic_u32 links;                         /* open now */
    hqq_atomic_u64 links_offered, links_opened, links_refused;
    hqq_atomic_u32 bound_length, peer_length; /* of the names below; an abstract one begins with NUL */
    char bound[HQQ_COUNTERS_NAME], peer[HQQ_COUNTERS_NAME];

    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 sent_ring; /* datagrams */
    hqq_atomic_u64 sent_ring_bytes, sent_kernel;
    hqq_atomic_u64 withdrawn; /* published, and withdrawn as the receiver was asleep */
    hqq_atomic_u64 spills;    /* times a full ring sent us back to the kernel */
    hqq_atomic_u64 switches;  /* times we went (back) to the ring */
    hqq_atomic_u64 resent;    /* datagrams of a ring nobody reads, sent again through the kernel */

    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 received_ring; /* datagrams */
    hqq_atomic_u64 received_ring_bytes, received_kernel;
    hqq_atomic_u64 trials;    /* times that rings began to be polled */
    hqq_atomic_u64 sleeps;    /* waits that ended in the kernel */
    hqq_atomic_u64 spins_won; /* waits that ended before that */
    hqq_atomic_u64 suspended; /* times that rings could not be used any more */
};

struct hqq_counters_head {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 magic; /* stored last */
    hqq_atomic_u64 bytes;                         /* of the whole */
    hqq_atomic_u64 pid, started_ns;               /* CLOCK_REALTIME */
    hqq_atomic_u32 entry_count, entry_bytes;
    hqq_atomic_u32 log_level; /* may be changed from outside: takes effect at once */
    char command[64];         /* as in /proc/self/comm */
    struct hqq_counters entry[HQQ_COUNTERS_ENTRIES];
};

/* The calling process's counters; makes them at the first call. Never NULL: without memory, a page that nobody else
 * sees. The address stays the same for good. A forked child has its own from its first call on: entries that were live
 * stay so, with their names, and figures of zero; pointers to them stay good. Until that call it must write to none. */
struct hqq_counters_head *hqq_counters_head(void);

/* The descriptor of the memfd; -1 if there is none (yet). */
int hqq_counters_fd(void);

/* The app puts something else there: the memfd has another descriptor now, or none (negative). The memory stays. */
void hqq_counters_move_fd(int fd);

/* An entry for a socket; never NULL: when all are taken, one that is shared and shown to nobody. */
struct hqq_counters *hqq_counters_take(void);
void hqq_counters_end(struct hqq_counters *counters);

#endif
