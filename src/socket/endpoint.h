/*
 * An endpoint: what this process knows of one socket, and the table from descriptors to endpoints. Its memory is never
 * given back, so a thread that loses a race with close() finds a dead endpoint and not garbage: whoever has taken one
 * of its locks asks hqq_endpoint_is_live() first.
 *
 * Two locks, one for sending and one for receiving; who needs both takes the receive lock first. Neither is held while
 * a thread sleeps in the kernel or runs code of the app.
 */
#ifndef HQQ_SOCKET_ENDPOINT_H
#define HQQ_SOCKET_ENDPOINT_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <hqq/socket.h>

#include "base/atomic.h"
#include "platform/process.h"
#include "socket/config.h"
#include "socket/counters.h"
#include "socket/lock.h"
#include "socket/pair.h"

#define HQQ_TABLE_SIZE 65536
#define HQQ_ROUTE_BUCKETS 64
#define HQQ_ID_BUCKETS 128
#define HQQ_CALLERS 4

/* is_kernel_only where the socket was shut down for reading: its queue may be looked at. */
#define HQQ_KERNEL_ONLY_SHUT 2

/* Why an endpoint's links are parked, as far as it is for longer than somebody else's sleep. */
enum hqq_park {
    HQQ_PARK_OPTION = 1u << 0, /* an option, or a kind of wait, that only the kernel serves */
    HQQ_PARK_SHARED = 1u << 1, /* other processes receive too, or may */
};

/* How far the way to a destination has come. */
enum hqq_progress {
    HQQ_PROGRESS_NONE,    /* no pair */
    HQQ_PROGRESS_OFFERED, /* waiting until the peer receives on its socket */
    HQQ_PROGRESS_PROVED,  /* PROOF sent, waiting for its echo */
    HQQ_PROGRESS_OPEN,    /* datagrams may take the ring */
};

/* A destination of an endpoint; under its send lock. */
struct hqq_route {
    struct hqq_route *next;
    struct sockaddr_un name;
    socklen_t name_length;
    bool is_connected; /* the socket is connected there: tokens need no address */
    const struct hqq_rule *rule;
    struct hqq_pair *pair;
    enum hqq_progress progress;
    bool is_on_ring;
    bool is_reply;             /* the peer offered the pair, and has proved that it may */
    hqq_atomic_u32 kernel_run; /* datagrams that the kernel took since the last change of way */
    hqq_atomic_u32 inside;     /* threads in a kernel send */
    uint32_t kernel_starts;    /* kernel sends that were begun */
    uint64_t barrier_due;      /* the number that the next datagram in the ring carries; 0: none */
    uint64_t nonce;
    uint64_t sent_ticks, checked_ticks;
    uint64_t stuck_r, stuck_ns; /* since when the peer has not read beyond r though there was something; 0: it has */
    uint64_t retry_ns, backoff_ns;
    int path_fd; /* O_PATH, so that tokens reach this inode and no other; -1: none, or opened for each token */
    struct hqq_inode inode;
};

struct hqq_endpoint {
    /* Read by every call, written seldom. */
    hqq_atomic_u32 is_live;
    hqq_atomic_u32 descriptors; /* that lead here */
    uint64_t generation;
    uint64_t cookie;
    const struct hqq_rule *rule; /* of its own name, else of its first peer's */
    struct hqq_counters *counters;
    hqq_atomic_u32 is_nonblocking;
    hqq_atomic_u32 park;         /* enum hqq_park, or'ed */
    hqq_atomic_u32 is_ours_only; /* 1: all waits come through our calls, so links may be left awake */
    hqq_atomic_u64 receive_timeout_ns;
    hqq_atomic_u32 has_deadlines; /* 1: deadlines were set, once at least: deadline.h */
    hqq_atomic_u64 read_deadline_ns, write_deadline_ns;
    hqq_atomic_u32 is_kernel_only;         /* 1: the kernel's queue must be read by nothing but the app's own calls */
    struct hqq_endpoint *next, *next_free; /* of all there ever were; of those that are not in use */
    struct hqq_shared *shared;             /* what forked copies share; NULL: nothing */

    /* Receiving. */
    alignas(HQQ_CACHE_LINE) struct hqq_lock receive_lock;
    hqq_atomic_u32 sleepers;               /* threads that sleep in the kernel for it */
    hqq_atomic_pointer offered;            /* pairs that the sending side made, to be taken over */
    struct hqq_pair *pairs, *pairs_last;   /* all, the oldest first */
    struct hqq_pair *active, *active_last; /* those to look at: not known to be armed and empty */
    struct hqq_pair *current;              /* the one last delivered from */
    struct hqq_pair *swept;                /* where the next sweep begins; NULL: at the first */
    uint32_t pair_count, unproved_count;
    uint32_t turn;       /* datagrams from the rings since the kernel's queue was looked at */
    uint32_t run;        /* datagrams from current in a row */
    uint32_t head_count; /* which datagram of the kernel's head limits are for */
    hqq_atomic_u32
        woken;         /* pairs that bells made active, one soon after the other; a guess, changed without the lock */
    bool head_is_data; /* the kernel's head is a datagram, before which the rings have their turn, up to limits */
    bool has_noted;    /* a barrier has been noted since the kernel's queue was last empty */
    bool is_parked;    /* all doors say so */
    bool is_inherited; /* from the parent: its links and its rendezvous are not ours to end */
    bool is_receiver;  /* this process is the one that receives */
    hqq_atomic_u32 may_meet_tokens; /* 1: from the first pair on; looked at without the lock, too */
    uint32_t passed_on;             /* tokens that were sent again to another process, the last at passed_on_ns */
    uint64_t passed_on_ns;
    uint64_t swept_ns;       /* when pairs that are over were last looked for */
    uint32_t calm;           /* receives since it was parked for others' sleep */
    int listener;            /* the rendezvous, or -1 */
    int caller[HQQ_CALLERS]; /* who have come there and not spoken yet, latest first; -1 for none */
    uint32_t listen_countdown, listen_interval;
    int ghost;                     /* a duplicate for threads that sleep on a closed descriptor, or -1 */
    hqq_atomic_u64 spin_budget_ns; /* also learnt without the lock */
    struct hqq_pair *by_id[HQQ_ID_BUCKETS];
    struct sockaddr_un name; /* its own, 0 long: none */
    socklen_t name_length;

    /* Sending. */
    alignas(HQQ_CACHE_LINE) struct hqq_lock send_lock;
    struct hqq_route *peer; /* connected to */
    bool is_connected;      /* somewhere, configured or not */
    struct hqq_route *last;
    struct hqq_route *bucket[HQQ_ROUTE_BUCKETS];
    struct hqq_pair *replies[HQQ_ROUTE_BUCKETS]; /* pairs that peers offered, by the peers' names */
    uint32_t route_count;
    bool is_send_plain;          /* the kernel alone sends: shut down */
    hqq_atomic_u64 longest;      /* datagram that the kernel would take: SO_SNDBUF and what it needs itself */
    hqq_atomic_u32 is_disturbed; /* a signal handler sent through the kernel in between */
};

extern hqq_atomic_pointer hqq_table[HQQ_TABLE_SIZE];

/* In the table: looked at, and no datagram socket of AF_UNIX; a socket of AF_HQQ (named.h); one of AF_UNIX that is not
 * configured so far; one that has sent a single datagram to a configured name: who sends no other pays for nothing. */
#define HQQ_TABLE_PLAIN ((struct hqq_endpoint *)1)
#define HQQ_TABLE_NAMED ((struct hqq_endpoint *)2)
#define HQQ_TABLE_CANDIDATE ((struct hqq_endpoint *)3)
#define HQQ_TABLE_SENT_ONCE ((struct hqq_endpoint *)4)

/* True if what the table says is an endpoint, and none of the above. */
static inline bool hqq_table_is_endpoint(const struct hqq_endpoint *endpoint)
{
    return __builtin_expect((uintptr_t)endpoint > (uintptr_t)HQQ_TABLE_SENT_ONCE, 1);
}

/* What the table says: an endpoint, one of the above, or NULL for never looked at. */
static inline struct hqq_endpoint *hqq_table_get(int fd)
{
    if (__builtin_expect((unsigned)fd >= HQQ_TABLE_SIZE, 0))
        return HQQ_TABLE_PLAIN;
    /* acquire: with the release in hqq_table_set(). What is behind the pointer was there before it. */
    return hqq_load_pointer_acquire(&hqq_table[fd]);
}

/* The endpoint, or NULL. */
static inline struct hqq_endpoint *hqq_endpoint_find(int fd)
{
    struct hqq_endpoint *endpoint = hqq_table_get(fd);
    return (uintptr_t)endpoint > (uintptr_t)HQQ_TABLE_SENT_ONCE ? endpoint : NULL;
}

void hqq_table_set(int fd, struct hqq_endpoint *endpoint);

/* A new endpoint for fd, in the table. NULL: out of memory. */
struct hqq_endpoint *hqq_endpoint_make(int fd, const struct hqq_rule *rule);

/* One more descriptor of the same socket. */
void hqq_endpoint_share(struct hqq_endpoint *endpoint, int fd);

/* fd is about to be closed, or was; with the last one the endpoint ends. is_closing: fd is open still, so that the socket
 * can be kept for threads that sleep on it. */
void hqq_endpoint_leave(int fd, bool is_closing);

/* SO_RCVTIMEO may have changed. */
void hqq_endpoint_note_timeout(struct hqq_endpoint *endpoint, int fd);

/* The size of its send buffer may have changed. */
void hqq_endpoint_note_buffer(struct hqq_endpoint *endpoint, int fd);

/* The kernel serves this socket from now on. fd: one of its descriptors, or -1. Takes the receive lock. */
void hqq_endpoint_demote(struct hqq_endpoint *endpoint, int fd);

/* The same, and its queue is left alone from now on, but for what the app does. */
void hqq_endpoint_give_to_kernel(struct hqq_endpoint *endpoint, int fd);

/* All endpoints, dead ones too, by their next. */
struct hqq_endpoint *hqq_endpoint_first(void);

/* Around a fork: no endpoint begins or ends. */
void hqq_endpoint_lock_registry(void);
void hqq_endpoint_unlock_registry(void);

/* In a child, where the threads that held locks are gone. */
void hqq_endpoint_reset_locks(void);

/* True in the preload: every wait of the app comes through our calls, unless something says otherwise. */
extern bool hqq_endpoint_waits_are_ours;

static inline bool hqq_endpoint_is_live(const struct hqq_endpoint *endpoint, int fd)
{
    return hqq_table_get(fd) == endpoint;
}

/* False if this is a copy of another process's endpoint: a fork that no handler saw. */
static inline bool hqq_endpoint_is_own(const struct hqq_endpoint *endpoint)
{
    return hqq_process_is_generation(endpoint->generation);
}

#endif
