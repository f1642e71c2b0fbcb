/*
 * The standard link: datagrams through shared memory between two ends, the primary and the secondary.
 *
 * A link is a region of memory with one ring of slots for each direction; PROTOCOL.md has its bytes. Each slot owns a
 * buffer, so a datagram is at most one buffer size long. A datagram written at one end is read once at the other, whole
 * or not at all, and in the order in which the slots were claimed.
 *
 * One process holds an end at a time; all its threads may use the link at once. Another process may take an end over
 * once its holder has closed it or died.
 *
 * Unless a comment says otherwise:
 *  - results are those of hqq/error.h: 0, a positive enum hqq_error, or -errno;
 *  - outputs (ret_*) are written on success only, but for lengths with TRUNCATED and the counts of batches;
 *  - times are nanoseconds on CLOCK_MONOTONIC, see hqq_clock_ns();
 *  - every function may be called from any thread, but for hqq_link_close(), which must be the last;
 *  - a link belongs to the process that made it. A forked child gets HQQ_ERROR_FORKED from every call and may only
 *    hqq_link_close() its copy, which leaves the parent's link alone;
 *  - a function that reads or writes may wait (spin, then yield, then sleep) where its comment says "waits"; a signal
 *    does not end the wait, its handler runs and the wait goes on;
 *  - hqq_link_try_read(), hqq_link_try_write() and the other forms that never wait are async-signal-safe on a link
 *    without HQQ_LINK_STREAM_READ: no allocation, no lock. errno is preserved by all but those
 *    that open.
 */
#ifndef HQQ_LINK_H
#define HQQ_LINK_H

#include <stddef.h>
#include <stdint.h>

#include <hqq/error.h>
#include <hqq/export.h>

HQQ_BEGIN_DECLS

struct hqq_link;

/* No deadline, no time-out. */
#define HQQ_FOREVER UINT64_MAX

/* hqq_link_config.spin_ns: give up the processor at once. */
#define HQQ_SPIN_NEVER UINT64_MAX

#define HQQ_DEFAULT_BUFFER_COUNT 256
#define HQQ_DEFAULT_BUFFER_SIZE 4096

enum hqq_role {
    HQQ_ROLE_ANY = 0, /* whoever finds the region empty is the primary */
    HQQ_ROLE_PRIMARY = 1,
    HQQ_ROLE_SECONDARY = 2,
};

enum hqq_link_flags {
    /* A read into a short buffer keeps the rest of the datagram for the next read, as a byte stream does. Reads are
     * then serialised by a lock, and none of them is async-signal-safe. */
    HQQ_LINK_STREAM_READ = 1u << 0,
    /* hqq_link_create(): an object of that name whose primary has died or closed is unlinked first. */
    HQQ_LINK_REPLACE_STALE = 1u << 1,
};

/*
 * How to open a link. Set every member you do not care about to 0 ("the default"), best by HQQ_LINK_CONFIG_INIT. Who
 * attaches to a region that exists takes buffer_count and buffer_size from it where they are 0 here, and is refused
 * with HQQ_ERROR_INVALID_SIZE where they differ.
 */
struct hqq_link_config {
    uint64_t buffer_count;      /* slots for each direction: a power of two, 2 to 2^32; default 256 */
    uint64_t buffer_size;       /* bytes of a slot's buffer: a multiple of 8, 8 to 2^32; default 4096 */
    uint64_t large_threshold;   /* bytes; a message above it counts as large; default buffer_size */
    uint64_t attach_timeout_ns; /* how long to wait for a region to become ready; default 1 s */
    uint64_t spin_ns;           /* longest spin before giving up the processor; default 20 us */
    uint64_t peer_check_ns;     /* how often a sleeper looks whether its peer lives; default 100 ms */
    uint32_t role;              /* enum hqq_role */
    uint32_t flags;             /* enum hqq_link_flags; unknown bits are HQQ_ERROR_INVALID_OP */
    uint32_t mode;              /* permission bits of a new named object, not masked by umask; default 0600 */
    uint32_t reserved;          /* 0 */
};

#define HQQ_LINK_CONFIG_INIT                                                                                           \
    {                                                                                                                  \
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0                                                                                   \
    }

/* ---- Opening and closing --------------------------------------------------------------------------------------- */

/*
 * Bytes of a region of this shape on this system. 0, HQQ_ERROR_INVALID_SIZE (count not a power of two or below 2, size
 * below 8, either above 2^32, a total beyond 2^62) or HQQ_ERROR_MEMORY_ALIGN (size not a multiple of 8). Never waits;
 * async-signal-safe.
 */
HQQ_EXPORT int hqq_layout_size(uint64_t buffer_count, uint64_t buffer_size, uint64_t *ret_bytes);

/*
 * Opens a link in memory that the caller owns and keeps mapped until after hqq_link_close(): shared between processes,
 * or plain memory between two threads. base must be page-aligned, and the first page zero before the first attach.
 * With HQQ_ROLE_ANY whoever finds the region empty initializes it and is the primary. HQQ_ROLE_PRIMARY on a region that
 * is ready takes over the primary's end from a process that closed it or died; the caller vouches that no process of
 * another implementation holds it. config may be NULL.
 *
 * Waits until the region is ready, at most attach_timeout_ns. Errors: MEMORY_ALIGN, MEMORY_SMALL (length is less than
 * the layout), INVALID_SIZE (configuration invalid, or not the region's), BAD_MAGIC, VERSION, PAGE_SIZE (not a
 * region of ours), FAILED_INIT (not ready in time), INIT_DIED, BUSY (a live process holds that end), INVALID_OP
 * (unknown role or flag, a mode beyond 0777, reserved not 0), -ENOMEM, -EMFILE, -ENFILE.
 */
HQQ_EXPORT int hqq_link_attach(void *base, size_t length, const struct hqq_link_config *config,
                               struct hqq_link **ret_link);

/*
 * Makes a region in a new sealed memfd and opens it as the primary. *ret_fd is close-on-exec and the caller's to pass
 * on (hqq_link_attach_fd() in the peer) and to close, at any time; the link does not need it. Errors: as
 * hqq_link_attach(), and -EMFILE, -ENFILE, -ENOMEM, -ENOSPC, -EFBIG (beyond RLIMIT_FSIZE; SIGXFSZ is never raised).
 */
HQQ_EXPORT int hqq_link_create_fd(const struct hqq_link_config *config, int *ret_fd, struct hqq_link **ret_link);

/*
 * Opens a link in the region of a memfd that somebody else made. fd stays the caller's and may be closed afterwards.
 * A descriptor that is not sealed against shrinking, or not on tmpfs, is HQQ_ERROR_UNSEALED: its owner could make our
 * reads raise SIGBUS. Give buffer_count and buffer_size where that owner is not trusted: else it chooses how much
 * memory the region takes. Errors: as hqq_link_attach(), and -EBADF, -EACCES (not open for writing), -EPERM (sealed
 * against writing).
 */
HQQ_EXPORT int hqq_link_attach_fd(int fd, const struct hqq_link_config *config, struct hqq_link **ret_link);

/*
 * Creates the named object /dev/shm/NAME, which must not exist, and opens its region as the primary. The name appears
 * with the region ready, so whoever opens it, by whatever implementation, is the secondary; a creator that dies before
 * leaves nothing. All of the memory is allocated now, so a full filesystem is -ENOSPC here and not SIGBUS later. The
 * object is removed by hqq_link_close() if it is still this one. name: 1 to 255 bytes, one leading '/' is ignored;
 * others lead into directories, which must exist; no part of it is empty, "." or "..".
 *
 * Errors: as hqq_link_attach(), and -EEXIST, -EINVAL or -ENAMETOOLONG (name), -ENOENT (no such directory), -EACCES,
 * -ENOSPC, -EFBIG. Of several that replace one stale object at once one succeeds; the others get -EEXIST.
 *
 * The object can be truncated by any process that may write to it, and reading then raises SIGBUS: give it a mode that
 * lets in only whom you trust, or use a memfd.
 */
HQQ_EXPORT int hqq_link_create(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link);

/*
 * Opens the named object as the secondary (as the primary, with config->role HQQ_ROLE_PRIMARY, to take over from one
 * that closed or died). Waits until its creator has made it ready, at most attach_timeout_ns, but not for the
 * name to appear. Errors: as hqq_link_attach(), and -ENOENT, -EACCES, -ENAMETOOLONG, -EINVAL (name, or not a regular
 * file); MEMORY_SMALL also where the object stayed empty.
 */
HQQ_EXPORT int hqq_link_open(const char *name, const struct hqq_link_config *config, struct hqq_link **ret_link);

/* Removes the name; ends that are open go on. 0, -ENOENT, -EACCES, -EINVAL or -ENAMETOOLONG. */
HQQ_EXPORT int hqq_link_unlink(const char *name);

/*
 * Ends all use of this end without freeing it: the peer, and every thread waiting on this end, wakes. Calls on this end
 * return HQQ_ERROR_CLOSED from now on; the peer reads what was written before, then gets HQQ_ERROR_CLOSED. Another call
 * does nothing. 0 or HQQ_ERROR_FORKED. Does not wait; async-signal-safe.
 */
HQQ_EXPORT int hqq_link_shutdown(struct hqq_link *link);

/*
 * Shuts the link down, waits for the calls that are waiting in it to end, unmaps and frees it. No other call on the
 * link may be under way or begin: where that is not certain, hqq_link_shutdown(), join the threads, then close.
 * Reservations and borrows still held become invalid, and their slots are given up as if the process had died. NULL
 * is allowed. Not async-signal-safe.
 */
HQQ_EXPORT void hqq_link_close(struct hqq_link *link);

/* ---- Datagrams ------------------------------------------------------------------------------------------------- */

/*
 * Writes one datagram of length bytes. A length of 0 writes nothing, as in the original protocol, and is no error.
 * Waits for a free slot until the write deadline. Errors: BUFFER_OVERFLOW (length above the buffer size), WOULD_BLOCK,
 * TIMEOUT, CLOSED, PEER_DIED, FORKED.
 */
HQQ_EXPORT int hqq_link_write(struct hqq_link *link, const void *data, size_t length);

/*
 * Reads one datagram. Waits for one until the read deadline. *ret_length is the length of the whole datagram. If that
 * is more than capacity, capacity bytes are stored, the rest is dropped, and the result is HQQ_ERROR_TRUNCATED, with
 * *ret_length set (with HQQ_LINK_STREAM_READ the rest is kept for the next read, the result is 0, and *ret_length is
 * what was stored). What the peer wrote before it closed or died can still be read; after that CLOSED or PEER_DIED.
 *
 * A packet that no standard link understands is dropped and counted, and the result is INVALID_OP (unknown kind) or
 * INVALID_SIZE (a length beyond the buffer). Errors else: WOULD_BLOCK, TIMEOUT, CLOSED, PEER_DIED, FORKED.
 */
HQQ_EXPORT int hqq_link_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length);

/* The same, never waiting, whatever deadline is set: WOULD_BLOCK instead. */
HQQ_EXPORT int hqq_link_try_write(struct hqq_link *link, const void *data, size_t length);
HQQ_EXPORT int hqq_link_try_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length);

/* The length of the datagram at the head of the queue, not taken. Never waits: WOULD_BLOCK. By the time of
 * a read another thread may have taken it. Errors else: CLOSED, PEER_DIED, FORKED; INVALID_OP
 * or INVALID_SIZE where a read would drop the packet and say so; INVALID_OP with HQQ_LINK_STREAM_READ. */
HQQ_EXPORT int hqq_link_peek(struct hqq_link *link, size_t *ret_length);

/* ---- Batches --------------------------------------------------------------------------------------------------- */

struct hqq_message {
    void *data;      /* written from, or read into */
    size_t capacity; /* reading: bytes at data */
    size_t length;   /* writing: bytes to write, 1 to the buffer size; reading, returned: bytes of the whole datagram */
};

/*
 * Writes count datagrams in order, claiming many slots at once. Waits for slots until all are written or the write
 * deadline passes. *ret_written is always set: how many were written. 0 if all were; the error that stopped it
 * otherwise. Lengths are all checked first: BUFFER_OVERFLOW, or INVALID_SIZE for a length of 0, with none written.
 */
HQQ_EXPORT int hqq_link_write_batch(struct hqq_link *link, const struct hqq_message *messages, size_t count,
                                    size_t *ret_written);

/*
 * Reads 1 to count datagrams: waits for the first until the read deadline, then takes those that are there. *ret_read
 * is always set. A datagram longer than its capacity is cut, as its length tells; the result is then
 * HQQ_ERROR_TRUNCATED. With HQQ_LINK_STREAM_READ: INVALID_OP. Errors else: as hqq_link_read(); invalid packets among
 * valid ones are only counted.
 */
HQQ_EXPORT int hqq_link_read_batch(struct hqq_link *link, struct hqq_message *messages, size_t count, size_t *ret_read);

/* ---- Without a copy -------------------------------------------------------------------------------------------- */

/* A slot that is this thread's between reserve and commit or abort, or between borrow and release. The thread may
 * hand it on to another. Every slot held delays all that come behind it, so hold it briefly. */
struct hqq_slot {
    void *data;        /* the slot's buffer, in shared memory */
    size_t length;     /* reserved: bytes that fit; borrowed: bytes of the datagram */
    uint64_t position; /* the library's */
};

/* Claims a slot to write into. Waits for one until the write deadline. Errors: as hqq_link_write(). */
HQQ_EXPORT int hqq_link_reserve(struct hqq_link *link, struct hqq_slot *ret_slot);

/* Publishes the first length bytes, 1 to the buffer size, as a datagram; slot is done with. INVALID_SIZE (slot is
 * still held), INVALID_OP (not a slot that is reserved), FORKED. Never waits. */
HQQ_EXPORT int hqq_link_commit(struct hqq_link *link, struct hqq_slot *slot, size_t length);

/* Gives the slot up: the peer skips it. reason is for whoever reads the region. INVALID_OP, FORKED. Never waits. */
HQQ_EXPORT int hqq_link_abort(struct hqq_link *link, struct hqq_slot *slot, uint64_t reason);

/* Takes the next datagram without copying it. The peer can write to a slot's buffer at any time if it is
 * malicious: what must not change while it is looked at must be copied first. Waits and errors as hqq_link_read();
 * with HQQ_LINK_STREAM_READ INVALID_OP. */
HQQ_EXPORT int hqq_link_borrow(struct hqq_link *link, struct hqq_slot *ret_slot);

/* Returns a borrowed slot to the peer. INVALID_OP (not a slot that is borrowed), FORKED. Never waits. */
HQQ_EXPORT int hqq_link_release(struct hqq_link *link, struct hqq_slot *slot);

/* Fills a datagram in place: up to capacity bytes at data, and their number in *ret_length (1 to capacity). Returns
 * 0, or an error of its own, which aborts the datagram and is what hqq_link_write_with() returns. */
typedef int hqq_write_fn(void *data, size_t capacity, size_t *ret_length, void *arg);
/* Looks at a datagram in place; the result is that of hqq_link_read_with(). The datagram is consumed either way. */
typedef int hqq_read_fn(const void *data, size_t length, void *arg);

/* reserve, fill, commit. The callback must not use the same link. Waits and errors as hqq_link_write(). */
HQQ_EXPORT int hqq_link_write_with(struct hqq_link *link, hqq_write_fn *fill, void *arg);
/* borrow, look, release. The callback must not use the same link. Waits and errors as hqq_link_read(). */
HQQ_EXPORT int hqq_link_read_with(struct hqq_link *link, hqq_read_fn *look, void *arg);

/* ---- Deadlines ------------------------------------------------------------------------------------------------- */

/* Now, in nanoseconds on CLOCK_MONOTONIC. Async-signal-safe. */
HQQ_EXPORT uint64_t hqq_clock_ns(void);

/*
 * An absolute time at which waits end with HQQ_ERROR_TIMEOUT, those that are under way included, until another is set;
 * HQQ_FOREVER (the default) for none. One for reading, one for writing. 0 or HQQ_ERROR_FORKED.
 */
HQQ_EXPORT int hqq_link_set_deadline(struct hqq_link *link, uint64_t when_ns); /* both */
HQQ_EXPORT int hqq_link_set_read_deadline(struct hqq_link *link, uint64_t when_ns);
HQQ_EXPORT int hqq_link_set_write_deadline(struct hqq_link *link, uint64_t when_ns);

/*
 * The longest wait of each call that begins to wait from now on; HQQ_FOREVER (the default) for no limit, 0 for no wait
 * at all: WOULD_BLOCK. The earlier of deadline and time-out ends a wait.
 */
HQQ_EXPORT int hqq_link_set_read_timeout(struct hqq_link *link, uint64_t timeout_ns);
HQQ_EXPORT int hqq_link_set_write_timeout(struct hqq_link *link, uint64_t timeout_ns);

/* ---- What a link is -------------------------------------------------------------------------------------------- */

HQQ_EXPORT enum hqq_role hqq_link_role(const struct hqq_link *link); /* PRIMARY or SECONDARY */
HQQ_EXPORT uint64_t hqq_link_buffer_count(const struct hqq_link *link);
HQQ_EXPORT uint64_t hqq_link_buffer_size(const struct hqq_link *link);
HQQ_EXPORT uint64_t hqq_link_large_threshold(const struct hqq_link *link);
/* bytes: 1 to 2^62, else INVALID_SIZE. Or FORKED. */
HQQ_EXPORT int hqq_link_set_large_threshold(struct hqq_link *link, uint64_t bytes);

enum hqq_peer {
    HQQ_PEER_UNKNOWN = 0, /* none yet, or one of another implementation, which does not say */
    HQQ_PEER_ALIVE = 1,
    HQQ_PEER_CLOSED = 2,
    HQQ_PEER_DIED = 3,
};

/* What is known of the other end, without looking anew. Never waits; async-signal-safe. */
HQQ_EXPORT enum hqq_peer hqq_link_peer(const struct hqq_link *link);

/*
 * Looks whether the peer's process lives, and if it has died frees the slots that it held: those it claimed and never
 * published are skipped by readers; those it took and never released are free again. Waits, and calls that find
 * nothing, do this by themselves every peer_check_ns. A process that has replaced itself by exec() still counts as
 * alive. A few system calls. Sets *ret_peer. 0 or FORKED.
 */
HQQ_EXPORT int hqq_link_check_peer(struct hqq_link *link, enum hqq_peer *ret_peer);

/* ---- The PacketConn model -------------------------------------------------------------------------------------- */

/* The address of an end: the link's name and the role. Regions without a name are called "". */
struct hqq_address {
    enum hqq_role role;
    char name[256]; /* NUL-terminated */
};

HQQ_EXPORT void hqq_link_local_address(const struct hqq_link *link, struct hqq_address *ret_address);
HQQ_EXPORT void hqq_link_remote_address(const struct hqq_link *link, struct hqq_address *ret_address);

/* hqq_link_read() that also says from whom: always the remote address. ret_from may be NULL. */
HQQ_EXPORT int hqq_link_read_from(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length,
                                  struct hqq_address *ret_from);
/* hqq_link_write() to an address, which must be the remote one: CONN_NOT_FOUND. NULL is the remote one. */
HQQ_EXPORT int hqq_link_write_to(struct hqq_link *link, const void *data, size_t length, const struct hqq_address *to);

/* ---- Statistics ------------------------------------------------------------------------------------------------ */

/* Counts of this end, of this process, since it opened the link. */
struct hqq_link_stats {
    uint64_t messages_written;
    uint64_t bytes_written;
    uint64_t messages_read;
    uint64_t bytes_read;         /* of whole datagrams, also of truncated ones */
    uint64_t tombstones_written; /* reservations that were aborted */
    uint64_t tombstones_skipped; /* aborted by the peer, or recovered */
    uint64_t read_waits;         /* times a reader found nothing and waited */
    uint64_t write_waits;        /* times a writer found no free slot and waited */
    uint64_t read_sleeps;        /* times a reader slept in the kernel */
    uint64_t write_sleeps;       /* times a writer slept in the kernel */
    uint64_t wakeups_sent;       /* system calls made to wake a sleeping peer */
    uint64_t read_timeouts;      /* TIMEOUT and, without waiting, WOULD_BLOCK; not peeks */
    uint64_t write_timeouts;     /* the same of writes */
    uint64_t truncated;          /* datagrams cut by a short buffer */
    uint64_t invalid_packets;    /* dropped: unknown kind or a length beyond the buffer */
    uint64_t errors;             /* calls that failed otherwise: BUFFER_OVERFLOW, CLOSED, ... */
    uint64_t peer_deaths;        /* peers found dead by this end */
    uint64_t slots_recovered;    /* slots freed that a dead peer had held */
    uint64_t write_depth;        /* now: slots claimed by writers here and not yet by the peer's readers */
    uint64_t read_depth;         /* now: slots claimed by the peer's writers and not yet by readers here */
    uint64_t write_high_water;   /* highest write_depth seen; looked at every 16th datagram and when full */
};

/* Reads the counts while the link is in use: each is exact, but they are not of one instant. Never waits;
 * async-signal-safe. The last three are 0 in a forked child. */
HQQ_EXPORT void hqq_link_get_stats(const struct hqq_link *link, struct hqq_link_stats *ret_stats);

HQQ_END_DECLS

#endif
