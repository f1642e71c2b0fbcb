/*
 * Sockets: the calls of <sys/socket.h>, <unistd.h>, <poll.h> and <sys/epoll.h> under names that begin with hqq_, for
 * datagram sockets of AF_UNIX whose traffic is to go through shared memory where both ends can; the same calls for
 * sockets over one named link (AF_HQQ, below); and what datagram sockets lack: sending and receiving in place, and
 * deadlines. What comes next is about AF_UNIX.
 *
 * A descriptor made here is a real one: the kernel's own socket, bound and connected in the kernel. Names, permissions,
 * errors, readiness and lifetime are the kernel's. Only datagrams take another way, once the process at the other end
 * turns out to speak HQQ too, and while it is looking: what is sent to a receiver that sleeps goes through the kernel,
 * in order with the rest, and wakes it. So does whatever is unusual. Code is ported by renaming calls,
 * by hand or by including <hqq/rename.h>.
 *
 * Each function takes what its namesake takes, returns what it returns (-1 and errno on failure) and fails as
 * it does; unix(7) and the namesake's page are its documentation. Where a descriptor is none of ours, the call is
 * passed on. What is said below is what differs:
 *  - Waiting. A socket whose datagrams were waited for by hqq_poll(), hqq_epoll_wait() and so on, or by an hqq_recv()
 *    that blocked, is from then on to be waited for by functions of this header only: its next datagram may arrive
 *    without the kernel's knowledge. A socket that only ever was read after some other wait (poll() of libc, say, in
 *    an event loop) gets everything through the kernel: nothing is put into its rings.
 *  - Closing. Close by hqq_close(); after a fork each process for itself.
 *
 * Functions may be called from any thread. Those that send and receive are async-signal-safe, as POSIX wants of send()
 * and recv(), but for the first call of a process, and take neither locks of libc nor memory from the heap. A blocked
 * call is a cancellation point.
 */
#ifndef HQQ_SOCKET_H
#define HQQ_SOCKET_H

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include <hqq/export.h>

HQQ_BEGIN_DECLS

/* <sys/socket.h> defines it with _GNU_SOURCE only, which callers of hqq_sendmmsg() and hqq_recvmmsg() need. */
struct mmsghdr;

/* ---- As their namesakes ---------------------------------------------------------------------------------------- */

HQQ_EXPORT int hqq_socket(int domain, int type, int protocol);
HQQ_EXPORT int hqq_socketpair(int domain, int type, int protocol, int fds[2]);
HQQ_EXPORT int hqq_bind(int fd, const struct sockaddr *address, socklen_t length);
HQQ_EXPORT int hqq_connect(int fd, const struct sockaddr *address, socklen_t length);
HQQ_EXPORT int hqq_shutdown(int fd, int how);
HQQ_EXPORT int hqq_getsockname(int fd, struct sockaddr *address, socklen_t *length);
HQQ_EXPORT int hqq_getpeername(int fd, struct sockaddr *address, socklen_t *length);
HQQ_EXPORT int hqq_getsockopt(int fd, int level, int option, void *value, socklen_t *length);
HQQ_EXPORT int hqq_setsockopt(int fd, int level, int option, const void *value, socklen_t length);

HQQ_EXPORT ssize_t hqq_send(int fd, const void *data, size_t length, int flags);
HQQ_EXPORT ssize_t hqq_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                              socklen_t address_length);
HQQ_EXPORT ssize_t hqq_sendmsg(int fd, const struct msghdr *message, int flags);
HQQ_EXPORT int hqq_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
HQQ_EXPORT ssize_t hqq_write(int fd, const void *data, size_t length);
HQQ_EXPORT ssize_t hqq_writev(int fd, const struct iovec *parts, int count);
HQQ_EXPORT ssize_t hqq_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags);

HQQ_EXPORT ssize_t hqq_recv(int fd, void *data, size_t capacity, int flags);
HQQ_EXPORT ssize_t hqq_recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                                socklen_t *address_length);
HQQ_EXPORT ssize_t hqq_recvmsg(int fd, struct msghdr *message, int flags);
HQQ_EXPORT int hqq_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);
HQQ_EXPORT ssize_t hqq_read(int fd, void *data, size_t capacity);
HQQ_EXPORT ssize_t hqq_readv(int fd, const struct iovec *parts, int count);
HQQ_EXPORT ssize_t hqq_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags);

HQQ_EXPORT int hqq_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
HQQ_EXPORT int hqq_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
HQQ_EXPORT int hqq_select(int count, fd_set *reading, fd_set *writing, fd_set *special, struct timeval *timeout);
HQQ_EXPORT int hqq_pselect(int count, fd_set *reading, fd_set *writing, fd_set *special, const struct timespec *timeout,
                           const sigset_t *mask);
HQQ_EXPORT int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
HQQ_EXPORT int hqq_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
HQQ_EXPORT int hqq_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask);
HQQ_EXPORT int hqq_epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                                const sigset_t *mask);

HQQ_EXPORT int hqq_close(int fd);
HQQ_EXPORT int hqq_close_range(unsigned first, unsigned last, int flags);
HQQ_EXPORT void hqq_closefrom(int first);
HQQ_EXPORT int hqq_dup(int fd);
HQQ_EXPORT int hqq_dup2(int fd, int wanted);
HQQ_EXPORT int hqq_dup3(int fd, int wanted, int flags);
HQQ_EXPORT int hqq_fcntl(int fd, int command, ...);
HQQ_EXPORT int hqq_ioctl(int fd, unsigned long request, ...);

/* ---- Sockets of a named link ------------------------------------------------------------------------------------ */

/*
 * AF_HQQ: a socket over one named link (hqq/link.h), which is how a C program talks to one that knows the format and
 * nothing of this library. hqq_socket(AF_HQQ, SOCK_DGRAM, 0), with SOCK_NONBLOCK and SOCK_CLOEXEC as wanted, makes it;
 * hqq_bind() creates the link and holds its primary end, hqq_connect() opens it and holds the secondary. There is one
 * process at each end. The number is that of no family of the kernel, which has less than 64: socket(2) refuses it.
 *
 * All of the calls above may be used; hqq_named(7) has what each says and when. In short:
 *  - a datagram is 1 to HQQ_SO_BUFFER_SIZE bytes long, else EMSGSIZE; of an empty one nothing is sent;
 *  - without a link ENOTCONN; the peer has closed EPIPE, died ECONNRESET, once what it had sent was read;
 *  - a full ring makes senders wait, or EAGAIN; a signal ends every wait with EINTR, SA_RESTART or not;
 *  - the link is this process's alone: in a child of a fork ECHILD, and the child may close its copy. Duplicates in one
 *    process are of one socket;
 *  - readiness is exact for hqq_poll() and its like where the peer uses this library in the same network namespace; for
 *    any other peer they look once a millisecond. poll() of libc knows of input alone, and only from the former;
 *  - the descriptor must be closed by hqq_close(), which ends calls of other threads with EBADF.
 */
#define AF_HQQ 0x4851 /* "HQ" */
#define PF_HQQ AF_HQQ

#define HQQ_NAME_MAX 255

/* The name of a link: 1 to HQQ_NAME_MAX bytes and a NUL, one leading '/' is ignored. Longer than sockaddr_storage. */
struct sockaddr_hqq {
    sa_family_t shqq_family; /* AF_HQQ */
    char shqq_name[HQQ_NAME_MAX + 1];
};

/* Options of such a socket: each a uint64_t, set before hqq_bind() (else EISCONN). Those of a link that is connected to
 * are what its creator chose. */
#define SOL_HQQ 0x4851
#define HQQ_SO_BUFFER_COUNT 1  /* slots for each direction: a power of two, 2 to 2^32; default 256 */
#define HQQ_SO_BUFFER_SIZE 2   /* bytes of a datagram at most: a multiple of 8, 8 to 2^32; default 4096 */
#define HQQ_SO_MODE 3          /* permission bits of the object, 1 to 0777; default 0600 */
#define HQQ_SO_REPLACE_STALE 4 /* not 0: bind over what a holder left that has died or closed */

/* ---- What sockets lack ----------------------------------------------------------------------------------------- */

/*
 * Deadlines: absolute times, in nanoseconds on CLOCK_MONOTONIC (hqq_clock_ns() of hqq/link.h), at which calls that wait
 * to receive, or to send, end with ETIMEDOUT; those that wait already, too. 0 is none. A deadline stays until another is
 * set. It ends waits only: what need not wait succeeds after it, what may not wait says EAGAIN as ever, and poll and its
 * like know nothing of it. Where there is a time-out as well (SO_RCVTIMEO, SO_SNDTIMEO: EAGAIN) the earlier one counts.
 *
 * For sockets of AF_HQQ, and datagram sockets of AF_UNIX, served by HQQ or not; else EOPNOTSUPP, or EBADF. One of
 * AF_UNIX that ever had a deadline notices within 10 ms that it was moved, and its waits are interrupted by signals with
 * EINTR, SA_RESTART or not. A receive or a send on it that began to sleep in the kernel before the first one was set is
 * not reached: where waits are to be ended from outside, begin with hqq_set_deadline(fd, 0).
 *
 * 0, or -1. From any thread; not for signal handlers. Never waits.
 */
HQQ_EXPORT int hqq_set_deadline(int fd, uint64_t when_ns); /* both */
HQQ_EXPORT int hqq_set_read_deadline(int fd, uint64_t when_ns);
HQQ_EXPORT int hqq_set_write_deadline(int fd, uint64_t when_ns);

/*
 * Sending and receiving without a copy: the caller writes a datagram where its receiver will read it, and reads one where
 * its sender wrote it, in shared memory, wherever the datagram takes a ring. Where it takes the kernel the same calls
 * work on memory from the heap, so that the caller's code is one; hqq_socket_status() tells which it was. Any datagram
 * socket will do, served by HQQ or not.
 *
 * hqq_reserve() gets memory for a datagram of up to length bytes to where the socket is connected. hqq_commit() sends the
 * first length bytes, with the flags of the reserve, and returns what hqq_send() would; then the reservation is done with,
 * and data NULL. If it fails the reservation is still held: commit again, or hqq_abandon().
 *
 *  - AF_UNIX: nothing is sent before the commit, which is where order, blocking and errors are those of hqq_send(). No
 *    slot is taken, so a reservation holds nobody up: what else is sent there meanwhile goes through the kernel, as does
 *    then the commit. One reservation at a time is in the ring; others are in memory from the heap.
 *  - AF_HQQ: the slot is taken by hqq_reserve(), which waits for it, and its place is the datagram's. Until the commit the
 *    peer reads nothing that was sent later, so hold it briefly. hqq_commit() never waits; of an empty one nothing is
 *    sent.
 *
 * hqq_borrow() takes the next datagram, waiting as hqq_recv() does, whole, however long it is. hqq_release() gives it back;
 * until then its slots are not free for the sender. Loans may be released in any order. The peer of a ring can write to
 * a borrowed datagram if it is malicious: what must not change while it is looked at must be copied first.
 *
 * A reservation or a loan may be handed on to another thread. It outlives the close of the socket, and its peer: a commit
 * then says EBADF, or what hqq_send() says of a peer that is gone. After a fork it is the parent's: in the child commit
 * says ECHILD, and abandon and release give back the child's copy alone.
 *
 * 0 but for hqq_commit(), or -1 with the errors of hqq_send() and hqq_recv(), and: EMSGSIZE (more than the socket sends;
 * commit: more than was reserved), ENOMEM, EINVAL (commit, abandon, release: done with already). hqq_borrow() ends with
 * EMSGSIZE, and the datagram is lost, if another process that receives on the socket took the one that it had seen. Not
 * async-signal-safe; a handler may send and receive on the socket meanwhile, but should not wait on one of AF_HQQ.
 */
struct hqq_reservation {
    void *data;      /* where to write */
    size_t capacity; /* bytes that fit; at least what was asked for */
    int fd, flags;   /* the library's, as is what follows */
    uint32_t kind;
    uint64_t position, generation, cookie;
    void *holder;
};

struct hqq_loan {
    const void *data;
    size_t length; /* of the whole datagram */
    uint32_t kind; /* the library's, as is what follows */
    uint32_t slots;
    uint64_t position, generation;
    void *holder;
};

HQQ_EXPORT int hqq_reserve(int fd, size_t length, int flags, struct hqq_reservation *ret_reservation);
HQQ_EXPORT ssize_t hqq_commit(struct hqq_reservation *reservation, size_t length);
HQQ_EXPORT int hqq_abandon(struct hqq_reservation *reservation);

HQQ_EXPORT int hqq_borrow(int fd, int flags, struct hqq_loan *ret_loan);
HQQ_EXPORT int hqq_release(struct hqq_loan *loan);

/* Why a socket's datagrams go through the kernel. */
enum hqq_socket_reason {
    HQQ_SOCKET_ACCELERATED = 0,    /* they do not: at least one link is open */
    HQQ_SOCKET_NOT_OURS = 1,       /* no AF_UNIX datagram socket, or without a name and not used through HQQ */
    HQQ_SOCKET_NOT_CONFIGURED = 2, /* its names are not among the configured ones */
    HQQ_SOCKET_NO_TRAFFIC = 3,     /* too few datagrams yet */
    HQQ_SOCKET_PEER_PLAIN = 4,     /* nobody at the other end speaks HQQ */
    HQQ_SOCKET_PEER_FOREIGN = 5,   /* who answers there is another user, who may not */
    HQQ_SOCKET_WAITING = 6,        /* a link was offered; the peer has not received on its socket since */
    HQQ_SOCKET_OPTION = 7,     /* an option or a use that only the kernel can serve: credentials, SO_PEEK_OFF, ... */
    HQQ_SOCKET_SHARED = 8,     /* several processes receive on it */
    HQQ_SOCKET_RESOURCES = 9,  /* out of memory, descriptors or links */
    HQQ_SOCKET_PEER_LEFT = 10, /* the last link ended with its peer */
    HQQ_SOCKET_FILTERED = 11,  /* a seccomp filter was set: no system call is made but the program's own */
    HQQ_SOCKET_NO_RENDEZVOUS = 12, /* another process holds the name where peers would offer it links */
};

struct hqq_socket_status {
    enum hqq_socket_reason reason;                                   /* ACCELERATED if any link is open */
    uint32_t links;                                                  /* open links */
    uint64_t sent_ring, sent_kernel, received_ring, received_kernel; /* datagrams of this process on this socket */
};

/* How it is with a socket. 0, or -1: EBADF. */
HQQ_EXPORT int hqq_socket_status(int fd, struct hqq_socket_status *ret_status);

/* One line that explains a reason. A static string, never NULL. */
HQQ_EXPORT const char *hqq_socket_reason_text(enum hqq_socket_reason reason);

HQQ_END_DECLS

#endif
