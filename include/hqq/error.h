/*
 * Results of the link functions.
 *
 * Every function that can fail returns an int:
 *
 *      0          success
 *      positive   one of enum hqq_error below
 *      negative   -errno of the system call that failed (-ENOSPC, -EEXIST, ...)
 *
 * Kinds 1 to 7 are those of the HQQ protocol; they travel in Error packets, so their numbers are fixed. Kinds from
 * 64 up are local to this library and never on the wire.
 *
 * Functions of this header are async-signal-safe and may be called from any thread.
 */
#ifndef HQQ_ERROR_H
#define HQQ_ERROR_H

#include <hqq/export.h>

HQQ_BEGIN_DECLS

enum hqq_error {
    HQQ_OK = 0,                    /* no error */
    HQQ_ERROR_MEMORY_ALIGN = 1,    /* address or buffer size misaligned                      EINVAL */
    HQQ_ERROR_INVALID_SIZE = 2,    /* a count or a size is out of range, or not the region's EINVAL */
    HQQ_ERROR_MEMORY_SMALL = 3,    /* the memory is shorter than the layout                  ENOBUFS */
    HQQ_ERROR_FAILED_INIT = 4,     /* the region did not become ready                        EPROTO */
    HQQ_ERROR_CONN_NOT_FOUND = 5,  /* no such connection or address                          ENOTCONN */
    HQQ_ERROR_INVALID_OP = 6,      /* not allowed in this state, or an unknown packet        EOPNOTSUPP */
    HQQ_ERROR_BUFFER_OVERFLOW = 7, /* the datagram is larger than a buffer                   EMSGSIZE */

    HQQ_ERROR_TIMEOUT = 64,     /* the deadline passed                                       ETIMEDOUT */
    HQQ_ERROR_WOULD_BLOCK = 65, /* nothing to read or no free slot, and not allowed to wait  EAGAIN */
    HQQ_ERROR_TRUNCATED = 66,   /* the datagram was longer than the caller's buffer          EMSGSIZE */
    HQQ_ERROR_CLOSED = 67,      /* this end was shut down, or the peer closed its own        EPIPE */
    HQQ_ERROR_PEER_DIED = 68,   /* the peer's process is gone without having closed          ECONNRESET */
    HQQ_ERROR_INIT_DIED = 69,   /* the primary died while it initialized the region          EOWNERDEAD */
    HQQ_ERROR_BUSY = 70,        /* a live process holds this end of the link                 EBUSY */
    HQQ_ERROR_BAD_MAGIC = 71,   /* not an HQQ region                                         EPROTO */
    HQQ_ERROR_VERSION = 72,     /* a region of another major version                         EPROTONOSUPPORT */
    HQQ_ERROR_PAGE_SIZE = 73,   /* a region made with another page size                      EPROTONOSUPPORT */
    HQQ_ERROR_UNSEALED = 74,    /* the memory can shrink under its users (see hqq_link_attach_fd)  EPERM */
    HQQ_ERROR_FORKED = 75,      /* the link belongs to the parent process                    ECHILD */

    HQQ_ERROR_REMOTE = 76,               /* the peer answered the call with an error         EREMOTEIO */
    HQQ_ERROR_CANCELED = 77,             /* another thread gave the call up                  ECANCELED */
    HQQ_ERROR_AUTH = 78,                 /* the keys differ, or a packet was tampered with   EBADMSG */
    HQQ_ERROR_ABORTED = 79,              /* the peer gave the message up midway              ECONNABORTED */
    HQQ_ERROR_TOO_MANY_MESSAGES = 80,    /* too many messages are arriving at once           ENOBUFS */
    HQQ_ERROR_TOO_MANY_BYTES = 81,       /* too much memory for messages would be needed     ENOBUFS */
    HQQ_ERROR_TOO_MANY_CONNECTIONS = 82, /* as many connections as the configuration allows  EMFILE */
    HQQ_ERROR_TOO_MANY_CALLS = 83,       /* as many calls under way as it allows             EAGAIN */
};

/*
 * One line of text for a result, without a newline. A static string for every kind; for a negative result the text
 * of that errno; for any other number "unknown error". Never NULL; never freed by the caller.
 */
HQQ_EXPORT const char *hqq_strerror(int result);

/*
 * The errno that says the same: 0 for 0, the value in the table above for a kind, the errno itself for a negative
 * result, EPROTO for a number that is none of these.
 */
HQQ_EXPORT int hqq_error_to_errno(int result);

HQQ_END_DECLS

#endif
