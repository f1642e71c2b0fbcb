/*
 * From descriptors to what serves them: one entry a descriptor, one load a call. An entry is a pointer to an object whose
 * first member names its operations, so what is found says what can be done with it, and nobody asks of which kind it is.
 *
 * An object's memory is never given back and its ops never change, not even while it is not in use: a thread that has
 * loaded an entry may call an operation although the descriptor was closed since, and the operation finds that out.
 * Lock-free throughout, also in signal handlers. Entries lie in pages that are made as numbers are first used, so numbers
 * that nobody has take no memory.
 */
#ifndef HQQ_RUNTIME_FDTABLE_H
#define HQQ_RUNTIME_FDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/atomic.h"

struct epoll_event;
struct hqq_loan;
struct hqq_reservation;
struct hqq_socket_status;

/* Descriptors from here on are the kernel's alone. */
#define HQQ_FD_MAX (1 << 20)

enum hqq_family {
    HQQ_FAMILY_NONE, /* a mark: nothing is served */
    HQQ_FAMILY_UNIX,
    HQQ_FAMILY_HQQ,
};

/* Whoever has an entry. */
struct hqq_object {
    const struct hqq_ops *ops;
};

/*
 * What can be done with an object. Operations return 0 or more, or -errno; one that is NULL is the kernel's to do, by the
 * call that the program made. fd is the descriptor that the call named and the entry was found at; it may have been closed
 * since.
 */
struct hqq_ops {
    enum hqq_family family;
    socklen_t address_max; /* longer addresses are the kernel's to refuse */

    /* Marks: what serves the descriptor, now that it is to send to this address; or NULL. */
    struct hqq_object *(*adopt)(int fd, const struct sockaddr *address, socklen_t length);

    /* As sendmsg(2) and recvmsg(2). May wait, as the flags and the socket say; cancellation points. */
    ssize_t (*send)(void *object, int fd, const struct msghdr *message, int flags);
    ssize_t (*receive)(void *object, int fd, struct msghdr *message, int flags);

    /* A datagram in place (hqq_reserve(), hqq_borrow()): fill in what they return. -ESHUTDOWN of borrow: the end. */
    int (*reserve)(void *object, int fd, size_t length, int flags, struct hqq_reservation *reservation);
    int (*borrow)(void *object, int fd, int flags, struct hqq_loan *loan);

    int (*bind)(void *object, int fd, const struct sockaddr *address, socklen_t length);
    int (*connect)(void *object, int fd, const struct sockaddr *address, socklen_t length);
    int (*get_name)(void *object, int fd, bool of_peer, struct sockaddr *address, socklen_t *length);
    int (*shutdown)(void *object, int fd, int how);
    int (*set_option)(void *object, int fd, int level, int option, const void *value, socklen_t length);
    int (*get_option)(void *object, int fd, int level, int option, void *value, socklen_t *length);
    int (*ioctl)(void *object, int fd, unsigned long request, void *argument);
    int (*set_deadline)(void *object, int fd, bool reads, bool writes, uint64_t when_ns);
    int (*epoll_ctl)(void *object, int epoll, int operation, int fd, const struct epoll_event *event);

    /* Under a seccomp filter no call is made but the program's own. True if that is all that there is; else a receive finds something
     * in shared memory. NULL: it is served as ever. */
    bool (*is_kernels)(void *object);
    /* The kernel has set the status flags of the descriptor (F_SETFL). */
    void (*note_flags)(void *object, int fd, int flags);
    /* One more descriptor of the same socket. */
    void (*share)(void *object, int fd, int duplicate);
    /* The descriptor was sent to who knows whom. */
    void (*pass)(void *object);
    /* The descriptor goes; takes the entry out. is_closing: it is open still. */
    void (*leave)(void *object, int fd, bool is_closing);
    void (*status)(void *object, int fd, struct hqq_socket_status *status);
};

/* A descriptor that was looked at, and is the kernel's. */
extern struct hqq_object hqq_fd_plain;

/* ---- Pages ----------------------------------------------------------------------------------------------------- */

#define HQQ_FD_PAGE 1024

extern hqq_atomic_pointer hqq_fd_first[HQQ_FD_PAGE];              /* the entries that most programs use */
extern hqq_atomic_pointer hqq_fd_pages[HQQ_FD_MAX / HQQ_FD_PAGE]; /* of the others; not of the first */

/* The entry, or NULL where its page was never made. */
hqq_atomic_pointer *hqq_fd_entry(int fd);

/* ---- Entries --------------------------------------------------------------------------------------------------- */

/* What serves the descriptor; NULL: never looked at. Numbers that are none, or out of range, are plain. */
static inline struct hqq_object *hqq_fd_get(int fd)
{
    /* acquire: with the release in hqq_fd_replace(). What is behind the pointer was there before it. */
    if (__builtin_expect((unsigned)fd < HQQ_FD_PAGE, 1))
        return hqq_load_pointer_acquire(&hqq_fd_first[fd]);
    if ((unsigned)fd >= HQQ_FD_MAX)
        return &hqq_fd_plain;
    hqq_atomic_pointer *entry = hqq_fd_entry(fd);
    return entry ? hqq_load_pointer_acquire(entry) : NULL;
}

/* The same, if it serves messages; else NULL. */
static inline struct hqq_object *hqq_fd_server(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return object && object->ops->send ? object : NULL;
}

/* True if something is noted of the number. */
static inline bool hqq_fd_is_known(int fd)
{
    return (unsigned)fd < HQQ_FD_MAX && hqq_fd_get(fd) != NULL;
}

/* Makes room for an entry: after that hqq_fd_set() cannot fail. False: no memory, or out of range. */
bool hqq_fd_prepare(int fd);

/* False if the entry could not be made: the descriptor is the kernel's. object NULL: nothing is known any more. */
bool hqq_fd_set(int fd, void *object);

/* The same, if the entry is as expected. */
bool hqq_fd_replace(int fd, void *expected, void *object);

/* The first descriptor from this one on of which something is known, or -1. */
int hqq_fd_next(int fd);

#endif
