/*
 * Sockets of AF_HQQ: one named link each, behind a descriptor that is a real one, a datagram socket of AF_UNIX that gets
 * nothing but knocks (standard/poll.h). The link is the primary's end after bind, the secondary's after connect.
 *
 * A socket lives as long as a descriptor leads to it, a call is under way, or a slot of its link is held; whoever is last
 * closes the link. Its memory is never given back, so a thread that loses a race with close() finds one that is not in
 * use. No function here waits unless it says so.
 */
#ifndef HQQ_SOCKET_NAMED_H
#define HQQ_SOCKET_NAMED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "base/atomic.h"
#include "socket/endpoint.h"

/* How far a socket has come. */
enum hqq_named_state {
    HQQ_NAMED_NEW,
    HQQ_NAMED_OPENING, /* a thread is inside bind or connect */
    HQQ_NAMED_OPEN,
};

/* How it was shut down, or'ed. */
enum hqq_named_shut {
    HQQ_NAMED_SHUT_READING = 1u << 0,
    HQQ_NAMED_SHUT_WRITING = 1u << 1,
};

struct hqq_named {
    void *next_free; /* the pool's, while it is not in use */
    hqq_atomic_u32 references, descriptors;
    hqq_atomic_u32 is_closed; /* the last descriptor is gone: calls that are still inside come back */
    hqq_atomic_u32 state;     /* enum hqq_named_state */
    hqq_atomic_pointer link;  /* NULL until it is open */
    uint64_t generation;      /* of the process that made it, or its link */

    hqq_atomic_u32 is_nonblocking;
    hqq_atomic_u32 shut;         /* enum hqq_named_shut, or'ed */
    hqq_atomic_u32 is_heard;     /* knocks arrive: its descriptor is bound to the knocking address */
    hqq_atomic_u32 is_ours_only; /* 1: it was waited for by our calls, so the kernel need not know of datagrams */
    hqq_atomic_u32 is_knocked;   /* this process has knocked itself since the knocks were taken out */
    hqq_atomic_u32 sleepers;     /* threads that sleep on the descriptor, or are about to */
    hqq_atomic_u64 receive_timeout_ns, send_timeout_ns;       /* SO_RCVTIMEO, SO_SNDTIMEO; HQQ_FOREVER: none */
    hqq_atomic_u64 read_deadline_ns, write_deadline_ns;       /* HQQ_FOREVER: none */
    hqq_atomic_u64 buffer_count, buffer_size, mode, replaces; /* SOL_HQQ, before bind; 0: the default */
};

extern hqq_atomic_pointer hqq_named_table[HQQ_TABLE_SIZE];

/* How many there ever were: while it is 0, waits for many descriptors need not look for them. */
extern hqq_atomic_u32 hqq_named_count;

/* True for a descriptor of AF_HQQ. */
static inline bool hqq_is_named(int fd)
{
    return __builtin_expect(hqq_table_get(fd) == HQQ_TABLE_NAMED, 0);
}

/* Between the two the socket and its link stay. NULL: the descriptor was closed just now. */
struct hqq_named *hqq_named_enter(int fd);
void hqq_named_drop(struct hqq_named *named);

/* One more reference, for who has one. */
void hqq_named_hold(struct hqq_named *named);

/* Its link, or NULL. For who has entered. */
static inline struct hqq_link *hqq_named_link(const struct hqq_named *named)
{
    union {
        const hqq_atomic_pointer *in;
        hqq_atomic_pointer *out;
    } constless = {.in = &named->link};
    return hqq_load_pointer_acquire(constless.out);
}

/* ---- The life of a descriptor ---------------------------------------------------------------------------------- */

/* socket(AF_HQQ, type, protocol): a descriptor, or -errno. */
int hqq_named_make(int type, int protocol);

/* One more descriptor of the same socket; one less. is_closing: fd is open still. */
void hqq_named_share(int fd, int duplicate);
void hqq_named_leave(int fd, bool is_closing);

/* In a child of a fork. */
void hqq_named_reset_lock(void);

/* ---- What the calls of <hqq/socket.h> do with it: results as theirs, but -errno for -1 ------------------------- */

int hqq_named_bind(int fd, const struct sockaddr *address, socklen_t length);
int hqq_named_connect(int fd, const struct sockaddr *address, socklen_t length); /* may wait */
int hqq_named_name(int fd, bool of_peer, struct sockaddr *address, socklen_t *length);
int hqq_named_shutdown(int fd, int how);
int hqq_named_set_option(int fd, int level, int option, const void *value, socklen_t length);
int hqq_named_get_option(int fd, int level, int option, void *value, socklen_t *length);
int hqq_named_ioctl(int fd, unsigned long request, void *argument);
void hqq_named_note_flags(int fd, int flags);
void hqq_named_status(int fd, struct hqq_socket_status *status);

ssize_t hqq_named_send(int fd, const struct msghdr *message, int flags);
ssize_t hqq_named_receive(int fd, struct msghdr *message, int flags);

int hqq_named_set_deadline(int fd, bool reads, bool writes, uint64_t when_ns);

/* Those that wait for several descriptors, AF_HQQ's among them: -1 and errno, as their namesakes. The arguments have been
 * checked. For more than a few descriptors they take memory from the heap. */
int hqq_named_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
int hqq_named_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                      const sigset_t *mask);

/* epoll_ctl() of a socket of AF_HQQ: 0 or -errno. */
int hqq_named_epoll_ctl(int epoll, int operation, int fd, const struct epoll_event *event);

/* True if the set has such sockets; then this waits for them, and for all others in it. -1 and errno. The arguments have
 * been checked. */
/* Drops the events that are none of the app's. Returns how many are left. */
int hqq_named_epoll_without_knocks(struct epoll_event *events, int count);
bool hqq_named_epoll_knows(int epoll);
int hqq_named_epoll_wait(int epoll, struct epoll_event *events, int count, uint64_t until_ns, bool is_now,
                         const sigset_t *mask);

/* The descriptor is closed: as a set, and as a member of others. */
void hqq_named_epoll_forget(int fd);
void hqq_named_epoll_reset_lock(void);

/* epoll.c: a wait for those of a set that are none of AF_HQQ's, for so long; HQQ_FOREVER for ever. */
int hqq_epoll_wait_sockets(int epoll, struct epoll_event *events, int count, uint64_t span_ns, const sigset_t *mask);

/* poll.c: ppoll() of descriptors that are none of AF_HQQ's. */
int hqq_poll_sockets(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);

/* ---- For the files of this part -------------------------------------------------------------------------------- */

/* -errno for what a link's function said; ENOTCONN and the like are the caller's. */
int hqq_named_error(const struct hqq_named *named, int result);

/* Copies a name out as the kernel does: what fits, and its whole length. */
void hqq_named_tell(const struct hqq_link *link, struct sockaddr *address, socklen_t *length);

/* Whether an address is that of the link's other end: 0 or -errno. */
int hqq_named_check_address(const struct hqq_link *link, const struct sockaddr *address, socklen_t length);

#endif
