/*
 * Sockets of AF_HQQ: one named link each, behind a descriptor that is a real one, a datagram socket of AF_UNIX that gets
 * nothing but knocks (standard/poll.h). The link is the primary's end after bind, the secondary's after connect.
 *
 * A socket lives as long as a descriptor leads to it, a call is under way, or a slot of its link is held; whoever is last
 * closes the link. Its memory is never given back, so a thread that loses a race with close() finds one that is not in
 * use. No function here waits unless it says so.
 */
#ifndef HQQ_HQQSOCK_NAMED_H
#define HQQ_HQQSOCK_NAMED_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "base/atomic.h"
#include "runtime/fdtable.h"

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
    struct hqq_object object;
    struct hqq_named *next_unused; /* while it is not in use */
    /* From here on zero when it is made. */
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

extern const struct hqq_ops hqq_named_ops;

/* How many there ever were: while it is 0, waits for many descriptors need not look for them. */
extern hqq_atomic_u32 hqq_named_count;

/* The socket that a descriptor leads to; NULL: it is none of AF_HQQ's. */
static inline struct hqq_named *hqq_named_find(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return __builtin_expect(object && object->ops == &hqq_named_ops, 0) ? (struct hqq_named *)(void *)object : NULL;
}

/* Between the two the socket and its link stay. False: the descriptor was closed just now. */
bool hqq_named_enter(struct hqq_named *named, int fd);
void hqq_named_drop(struct hqq_named *named);

/* Found and entered, or NULL. */
struct hqq_named *hqq_named_enter_fd(int fd);

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

/* socket(AF_HQQ, type, protocol): a descriptor, or -errno. It is not in the table before it is listed: by then what the
 * table says of an earlier descriptor of this number is forgotten. */
int hqq_named_make(int type, int protocol, struct hqq_named **ret_named);
void hqq_named_list(int fd, struct hqq_named *named);

void hqq_named_share(void *object, int fd, int duplicate);
void hqq_named_leave(void *object, int fd, bool is_closing);

/* In a child of a fork. */
void hqq_named_reset_lock(void);

/* ---- Operations: see runtime/fdtable.h ------------------------------------------------------------------------- */

int hqq_named_bind(void *object, int fd, const struct sockaddr *address, socklen_t length);
int hqq_named_connect(void *object, int fd, const struct sockaddr *address, socklen_t length); /* may wait */
int hqq_named_get_name(void *object, int fd, bool of_peer, struct sockaddr *address, socklen_t *length);
int hqq_named_shutdown(void *object, int fd, int how);
int hqq_named_set_option(void *object, int fd, int level, int option, const void *value, socklen_t length);
int hqq_named_get_option(void *object, int fd, int level, int option, void *value, socklen_t *length);
int hqq_named_ioctl(void *object, int fd, unsigned long request, void *argument);
void hqq_named_note_flags(void *object, int fd, int flags);
void hqq_named_status(void *object, int fd, struct hqq_socket_status *status);

ssize_t hqq_named_send(void *object, int fd, const struct msghdr *message, int flags);
ssize_t hqq_named_receive(void *object, int fd, struct msghdr *message, int flags);
int hqq_named_reserve(void *object, int fd, size_t length, int flags, struct hqq_reservation *reservation);
int hqq_named_borrow(void *object, int fd, int flags, struct hqq_loan *loan);

int hqq_named_set_deadline(void *object, int fd, bool reads, bool writes, uint64_t when_ns);
int hqq_named_epoll_ctl(void *object, int epoll, int operation, int fd, const struct epoll_event *event);

/* ---- What is held (HQQ_HELD_IN_LINK) --------------------------------------------------------------------------- */

/* The end of a reservation: committed, the length or -errno, and then the reservation stays; or abandoned. The end of a
 * loan. is_own: false in a child of a fork, where the slots are the parent's. */
ssize_t hqq_named_commit(const struct hqq_reservation *reservation, size_t length);
void hqq_named_abandon(const struct hqq_reservation *reservation, bool is_own);
void hqq_named_release(const struct hqq_loan *loan, bool is_own);

/* ---- Waits for several descriptors ----------------------------------------------------------------------------- */

/* How the other descriptors of a wait are waited for; -1 and errno, as ppoll(). */
typedef int (*hqq_named_poll_others)(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                     const sigset_t *mask);

/* The same for those of a set; span_ns: for so long, HQQ_FOREVER for ever. */
typedef int (*hqq_named_epoll_others)(int epoll, struct epoll_event *events, int count, uint64_t span_ns,
                                      const sigset_t *mask);

/* Those that wait for descriptors with AF_HQQ's among them: as their namesakes, but -errno. The arguments have been checked.
 * For more than a few descriptors they take memory from the heap. */
int hqq_named_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                    hqq_named_poll_others others);
int hqq_named_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                      const sigset_t *mask, hqq_named_poll_others others);

/* True if the set has such sockets. */
bool hqq_named_epoll_knows(int epoll);

/* Drops the events that are none of the app's. Returns how many are left. */
int hqq_named_epoll_without_knocks(struct epoll_event *events, int count);

/* Waits for them, and for all others in the set. As epoll_wait(), but -errno. The arguments have been checked. */
int hqq_named_epoll_wait(int epoll, struct epoll_event *events, int count, uint64_t until_ns, bool is_now,
                         const sigset_t *mask, hqq_named_epoll_others others);

/* The descriptor is closed: as a set, and as a member of others. */
void hqq_named_epoll_forget(int fd);
void hqq_named_epoll_reset_lock(void);

/* ---- For the files of this part -------------------------------------------------------------------------------- */

/* -errno for what a link's function said; ENOTCONN and the like are the caller's. */
int hqq_named_error(const struct hqq_named *named, int result);

/* Copies a name out as the kernel does: what fits, and its whole length. */
bool hqq_named_tell(const struct hqq_link *link, struct sockaddr *address, socklen_t *length);

/* Whether an address is that of the link's other end: 0 or -errno. */
int hqq_named_check_address(const struct hqq_link *link, const struct sockaddr *address, socklen_t length);

#endif
