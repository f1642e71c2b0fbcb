/*
 * The calls of libc that the socket layer stands on, as a table: what "the kernel path" means. By default each entry is
 * libc's own function; the preload puts in what lies behind its hooks. Entries keep libc's manners: -1 and errno,
 * cancellation points. Everything that is done on behalf of the app goes through here.
 */
#ifndef HQQ_RUNTIME_LIBC_H
#define HQQ_RUNTIME_LIBC_H

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct hqq_libc {
    int (*socket)(int, int, int);
    int (*socketpair)(int, int, int, int[2]);
    int (*bind)(int, const struct sockaddr *, socklen_t);
    int (*listen)(int, int);
    int (*accept4)(int, struct sockaddr *, socklen_t *, int);
    int (*connect)(int, const struct sockaddr *, socklen_t);
    int (*shutdown)(int, int);
    int (*getsockname)(int, struct sockaddr *, socklen_t *);
    int (*getpeername)(int, struct sockaddr *, socklen_t *);
    int (*getsockopt)(int, int, int, void *, socklen_t *);
    int (*setsockopt)(int, int, int, const void *, socklen_t);

    ssize_t (*send)(int, const void *, size_t, int);
    ssize_t (*sendto)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(int, const struct msghdr *, int);
    int (*sendmmsg)(int, struct mmsghdr *, unsigned, int);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);

    ssize_t (*recv)(int, void *, size_t, int);
    ssize_t (*recvfrom)(int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(int, struct msghdr *, int);
    int (*recvmmsg)(int, struct mmsghdr *, unsigned, int, struct timespec *);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);

    int (*poll)(struct pollfd *, nfds_t, int);
    int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
    int (*pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
    int (*epoll_ctl)(int, int, int, struct epoll_event *);
    int (*epoll_wait)(int, struct epoll_event *, int, int);
    int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
    int (*epoll_pwait2)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);

    int (*close)(int);
    int (*close_range)(unsigned, unsigned, int);
    void (*closefrom)(int);
    int (*dup)(int);
    int (*dup2)(int, int);
    int (*dup3)(int, int, int);
    int (*fcntl)(int, int, ...);
    int (*ioctl)(int, unsigned long, ...);
    int (*open)(const char *, int, ...);

    long (*syscall)(long, ...); /* no cancellation point: what is done while a lock is held */
};

extern struct hqq_libc hqq_libc;

/* In msg_flags before a receive: nobody asks for them, so a call will do that does not tell. */
#define HQQ_FLAGS_UNWANTED (-1)

/* True if a call of one buffer does the same, which costs the kernel a tenth less. */
static inline bool hqq_libc_is_simple(const struct msghdr *message)
{
    return message->msg_iovlen == 1 && message->msg_controllen == 0 && message->msg_iov->iov_len <= INT_MAX;
}

/* sendmsg() and recvmsg(), by the cheapest call. */
static inline ssize_t hqq_libc_send(int fd, const struct msghdr *message, int flags)
{
    if (hqq_libc_is_simple(message))
        return hqq_libc.sendto(fd, message->msg_iov->iov_base, message->msg_iov->iov_len, flags,
                               (const struct sockaddr *)message->msg_name, message->msg_namelen);
    return hqq_libc.sendmsg(fd, message, flags);
}

static inline ssize_t hqq_libc_receive(int fd, struct msghdr *message, int flags)
{
    if (message->msg_flags != HQQ_FLAGS_UNWANTED || !hqq_libc_is_simple(message))
        return hqq_libc.recvmsg(fd, message, flags);
    socklen_t *length = message->msg_name ? &message->msg_namelen : NULL;
    return hqq_libc.recvfrom(fd, message->msg_iov->iov_base, message->msg_iov->iov_len, flags,
                             (struct sockaddr *)message->msg_name, length);
}

#endif
