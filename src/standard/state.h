/*
 * What a link is inside this library, and the steps that reading and writing share: may this call go on, claim,
 * publish, release, count. The fast halves are inline here; the slow halves, which wait, are in claim.c.
 */
#ifndef HQQ_STANDARD_STATE_H
#define HQQ_STANDARD_STATE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hqq/link.h>

#include "base/atomic.h"
#include "base/thread.h"
#include "layout/extension.h"
#include "layout/packet.h"
#include "platform/process.h"
#include "platform/shm.h"
#include "ring/bell.h"
#include "ring/consume.h"
#include "ring/produce.h"
#include "ring/ring.h"
#include "ring/wait.h"
#include "standard/end.h"

/* Counts of what happens for every datagram. A thread with a shard of its own adds without a locked instruction. */
struct hqq_shard {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 messages_written;
    hqq_atomic_u64 bytes_written;
    hqq_atomic_u64 messages_read;
    hqq_atomic_u64 bytes_read;
    hqq_atomic_u64 slots_taken;    /* reserved or borrowed by callers */
    hqq_atomic_u64 slots_returned; /* committed, aborted or released */
};

#define HQQ_OWN_SHARDS 16

/* Counts of what happens seldom. */
struct hqq_counts {
    hqq_atomic_u64 tombstones_written, tombstones_skipped, wakeups_sent, read_timeouts, write_timeouts, truncated,
        invalid_packets, errors, peer_deaths, slots_recovered;
};

/* The datagram that a short read has not finished, with HQQ_LINK_STREAM_READ: its slot stays borrowed. */
struct hqq_remainder {
    hqq_atomic_u32 lock; /* stream.c */
    bool is_held;
    uint64_t position, at, length;
};

struct hqq_link {
    /* Read by every call, written by none. */
    struct hqq_ring tx, rx;
    struct hqq_end *own_end, *peer_end;
    struct hqq_bell *tx_data, *tx_space, *rx_data, *rx_space;
    uint64_t generation;
    uint64_t first_copy; /* position of tx at which this endpoint began: copy ids count from there */
    enum hqq_role role;
    bool is_stream_read;
    bool is_light; /* this end rings its bells without a fence, and the peer knows */

    /* Written seldom. */
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 shut;
    hqq_atomic_u32 inside; /* calls that wait, or have waited and not ended yet */
    hqq_atomic_u64 read_deadline_ns, write_deadline_ns, read_timeout_ns, write_timeout_ns;
    hqq_atomic_u64 large_threshold;
    hqq_atomic_u64 checked_ns; /* when a call last looked whether the peer lives */
    uint64_t peer_check_ns;
    uint64_t identity; /* this process, as the extension block may name it; UNKNOWN if it may not */

    struct hqq_spin read_spin, write_spin;
    struct hqq_counts counts;
    struct hqq_shard shard[HQQ_OWN_SHARDS + 1]; /* the last is shared by all other threads */

    struct hqq_remainder remainder;
    struct hqq_mapping mapping; /* base NULL: the memory is the caller's */
    bool owns_name;
    char name[HQQ_SHM_NAME_MAX + 2];
    void *block;                   /* the talloc block that this lies in */
    struct hqq_extension stand_in; /* where there is none in the region: nobody else sees it */
};

/* ---- Counting -------------------------------------------------------------------------------------------------- */

/* The calling thread's shard, and whether no other thread adds to it. */
static inline struct hqq_shard *hqq_link_shard(struct hqq_link *link, bool *ret_is_own)
{
    uint32_t index = hqq_thread_self() - 1;
    *ret_is_own = __builtin_expect(index < HQQ_OWN_SHARDS, 1);
    return &link->shard[*ret_is_own ? index : HQQ_OWN_SHARDS];
}

static inline void hqq_count(hqq_atomic_u64 *counter, bool is_own, uint64_t by)
{
    if (__builtin_expect(is_own, 1))
        hqq_count_own(counter, by);
    else
        hqq_add_relaxed(counter, by);
}

static inline void hqq_link_count_written(struct hqq_link *link, uint64_t messages, uint64_t bytes)
{
    bool is_own;
    struct hqq_shard *shard = hqq_link_shard(link, &is_own);
    hqq_count(&shard->messages_written, is_own, messages);
    hqq_count(&shard->bytes_written, is_own, bytes);
}

static inline void hqq_link_count_read(struct hqq_link *link, uint64_t messages, uint64_t bytes)
{
    bool is_own;
    struct hqq_shard *shard = hqq_link_shard(link, &is_own);
    hqq_count(&shard->messages_read, is_own, messages);
    hqq_count(&shard->bytes_read, is_own, bytes);
}

static inline void hqq_link_count_taken(struct hqq_link *link)
{
    bool is_own;
    struct hqq_shard *shard = hqq_link_shard(link, &is_own);
    hqq_count(&shard->slots_taken, is_own, 1);
}

static inline void hqq_link_count_returned(struct hqq_link *link)
{
    bool is_own;
    struct hqq_shard *shard = hqq_link_shard(link, &is_own);
    hqq_count(&shard->slots_returned, is_own, 1);
}

/* True if a caller still holds a slot. Exact once no call is under way. */
bool hqq_link_holds_slots(const struct hqq_link *link);

/* Counts a failure and returns it. Time-outs are counted where they happen. */
static inline int hqq_link_fail(struct hqq_link *link, int result)
{
    hqq_add_relaxed(&link->counts.errors, 1);
    return result;
}

/* ---- May this call go on? -------------------------------------------------------------------------------------- */

/* 0, FORKED or CLOSED (by this end). */
static inline int hqq_link_guard(const struct hqq_link *link)
{
    if (__builtin_expect(!hqq_process_is_generation(link->generation), 0))
        return HQQ_ERROR_FORKED;
    if (__builtin_expect(hqq_load32_relaxed(&link->shut) != 0, 0))
        return HQQ_ERROR_CLOSED;
    return 0;
}

/* 0, or why there is nobody at the other end any more. */
static inline int hqq_link_peer_gone(const struct hqq_link *link)
{
    /* edges E1, E2: what the peer published before it left is visible to looks at the ring after this one. */
    switch (hqq_end_state(hqq_load_acquire(&link->peer_end->owner))) {
    case HQQ_END_SHUT:
    case HQQ_END_CLOSED:
        return HQQ_ERROR_CLOSED;
    case HQQ_END_DEAD:
        return HQQ_ERROR_PEER_DIED;
    case HQQ_END_NONE:
    case HQQ_END_ALIVE:
    case HQQ_END_RECOVERING:
    default:
        return 0;
    }
}

/* The same for readers. A peer that has shut its end still publishes what it has claimed, or closes, or dies; all of
 * that is worth waiting for. */
static inline int hqq_link_writers_gone(const struct hqq_link *link)
{
    int result = hqq_link_peer_gone(link);
    if (__builtin_expect(result == HQQ_ERROR_CLOSED, 0) && hqq_ring_depth(&link->rx) != 0 &&
        hqq_end_state(hqq_load_acquire(&link->peer_end->owner)) == HQQ_END_SHUT)
        return 0;
    return result;
}

/* ---- Claiming -------------------------------------------------------------------------------------------------- */

/* One public call that reads or writes, from its first claim to its end. */
struct hqq_call {
    bool may_wait;
    bool has_waited;   /* it is counted in link->inside until it ends */
    bool has_slept;    /* it passes the bell on when it ends */
    uint64_t until_ns; /* when its time-out ends; 0: it has not had to wait yet */
    uint64_t position; /* what it has claimed last: count slots from here */
    uint64_t count;
};

int hqq_link_claim_write_slow(struct hqq_link *link, struct hqq_call *call, uint64_t want);
int hqq_link_claim_read_slow(struct hqq_link *link, struct hqq_call *call, uint64_t want);

/* What a wait in one direction consists of, without a time-out. */
struct hqq_wait hqq_link_wait(struct hqq_link *link, enum hqq_wait_for what);

/* Claims 1 to want slots to write. An error has been counted, and has ended the call. */
static inline int hqq_link_claim_write(struct hqq_link *link, struct hqq_call *call, uint64_t want)
{
    int result = hqq_link_peer_gone(link);
    if (__builtin_expect(result == 0, 1)) {
        call->count = hqq_ring_claim_write(&link->tx, want, &call->position);
        if (__builtin_expect(call->count != 0, 1))
            return 0;
    }
    return hqq_link_claim_write_slow(link, call, want);
}

/* Claims 1 to want packets to read, of any kind. An error has been counted, and has ended the call. */
static inline int hqq_link_claim_read(struct hqq_link *link, struct hqq_call *call, uint64_t want)
{
    call->count = hqq_ring_claim_read(&link->rx, want, &call->position);
    if (__builtin_expect(call->count != 0, 1))
        return 0;
    return hqq_link_claim_read_slow(link, call, want);
}

/* ---- Handing over ---------------------------------------------------------------------------------------------- */

static inline void hqq_link_publish(struct hqq_link *link, uint64_t position, uint64_t opcode, uint64_t operand2)
{
    struct hqq_packet packet = {
        .opcode = opcode,
        .operand = {position - link->first_copy + 1, position & link->tx.mask, operand2},
    };
    hqq_packet_store(hqq_ring_packet(&link->tx, position), &packet);
    hqq_ring_publish(&link->tx, position);
}

/* A sleeper was woken: by a knock too, if it sleeps in poll (poll.h), and counted. */
void hqq_link_rung(struct hqq_link *link, struct hqq_bell *bell);

/* Knocks at whoever sleeps at this bell in poll, if anybody may. A knock that fails leaves the bell armed. */
void hqq_link_knock(const struct hqq_link *link, struct hqq_bell *bell);

/* Wakes the peer's readers, after count slots were published. */
static inline void hqq_link_ring_data(struct hqq_link *link, uint64_t count)
{
    if (link->is_light ? hqq_bell_ring_light(link->tx_data, count) : hqq_bell_ring(link->tx_data, count))
        hqq_link_rung(link, link->tx_data);
}

/* Wakes the peer's writers, after count slots were released. */
static inline void hqq_link_ring_space(struct hqq_link *link, uint64_t count)
{
    if (link->is_light ? hqq_bell_ring_light(link->rx_space, count) : hqq_bell_ring(link->rx_space, count))
        hqq_link_rung(link, link->rx_space);
}

/* After a sleep: wakes another sleeper if there is more (bell.h). The end of the call does it, too late for those
 * that have the user's code to run first. */
void hqq_link_pass_on_read(struct hqq_link *link, struct hqq_call *call);
void hqq_link_pass_on_write(struct hqq_link *link, struct hqq_call *call);

/* The end of a call that claimed something. Nothing of the link may be used after it, as it may have been closed. */
void hqq_link_end_read_slow(struct hqq_link *link, struct hqq_call *call);
void hqq_link_end_write_slow(struct hqq_link *link, struct hqq_call *call);

static inline void hqq_link_end_read(struct hqq_link *link, struct hqq_call *call)
{
    if (__builtin_expect(call->has_waited, 0))
        hqq_link_end_read_slow(link, call);
}

static inline void hqq_link_end_write(struct hqq_link *link, struct hqq_call *call)
{
    if (__builtin_expect(call->has_waited, 0))
        hqq_link_end_write_slow(link, call);
}

/* For loops that claim without ever finding the ring dry: 0, or TIMEOUT or WOULD_BLOCK if such a call must not go on;
 * that has been counted, and has ended the call. */
int hqq_link_may_read_on(struct hqq_link *link, struct hqq_call *call);

/* Between the two, hqq_link_close() waits. Nothing of the link may be used after leaving. */
void hqq_link_enter(struct hqq_link *link);
void hqq_link_leave(struct hqq_link *link);

/* When this call, which reads, must give up. */
uint64_t hqq_link_read_until(struct hqq_link *link, struct hqq_call *call, uint64_t now);

/* ---- What a packet means to a standard reader ------------------------------------------------------------------ */

enum hqq_content {
    HQQ_CONTENT_DATAGRAM,
    HQQ_CONTENT_TOMBSTONE, /* skip it */
    HQQ_CONTENT_INVALID,   /* drop it; ret_error says why */
};

/* Judges a published slot, by one read of each word that matters. */
static inline enum hqq_content hqq_link_content(const struct hqq_link *link, uint64_t position, uint64_t *ret_length,
                                                int *ret_error)
{
    const hqq_atomic_u64 *element = hqq_ring_packet(&link->rx, position);
    uint64_t opcode = hqq_load_relaxed(&element[0]);
    uint64_t length = hqq_load_relaxed(&element[1 + HQQ_COPY_SIZE]);

    if (__builtin_expect(opcode == HQQ_OPCODE_COPY, 1)) {
        *ret_length = length;
        *ret_error = HQQ_ERROR_INVALID_SIZE;
        /* One comparison for 1 to S: 0 wraps to the largest. */
        return length - 1 < link->rx.buffer_size ? HQQ_CONTENT_DATAGRAM : HQQ_CONTENT_INVALID;
    }
    if (opcode == HQQ_OPCODE_TOMBSTONE)
        return HQQ_CONTENT_TOMBSTONE;
    if (opcode == HQQ_OPCODE_CONN_COPY) {
        *ret_length = length;
        *ret_error = HQQ_ERROR_INVALID_SIZE;
        return length <= link->rx.buffer_size ? HQQ_CONTENT_DATAGRAM : HQQ_CONTENT_INVALID;
    }
    *ret_error = HQQ_ERROR_INVALID_OP;
    return HQQ_CONTENT_INVALID;
}

/* This process's end, for claiming and leaving it. */
static inline struct hqq_end_view hqq_link_own_end(struct hqq_link *link)
{
    return (struct hqq_end_view){
        .end = link->own_end,
        .produces = &link->tx,
        .consumes = &link->rx,
        .bells = {link->tx_space, link->rx_data},
    };
}

/* Frees the slots of a peer that has died. Returns true if there was one, and everybody who waits has been woken. */
bool hqq_link_recover_peer(struct hqq_link *link);

/* Wakes everybody who sleeps at either end, for them to look at the ends anew. */
void hqq_link_wake_everybody(struct hqq_link *link);

/* Claims the next datagram, skipping tombstones and dropping what is invalid (that is then the result, counted, and the
 * call has ended). On success the caller reads, releases, and calls hqq_link_end_read(). */
int hqq_link_next_datagram(struct hqq_link *link, struct hqq_call *call, uint64_t *ret_length);

/* hqq_link_peek() that also shows the datagram: look() may be called more than once, as what it saw may have been taken
 * meanwhile; the last time counts. Its result is not used; NULL for none. */
int hqq_link_peek_with(struct hqq_link *link, hqq_read_fn *look, void *arg, size_t *ret_length);

/* hqq_link_read() with HQQ_LINK_STREAM_READ. */
int hqq_link_read_stream(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length, bool may_wait);

#endif
