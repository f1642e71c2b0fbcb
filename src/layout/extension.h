/*
 * The extension block: what peers of this library tell each other beyond the original format, in bytes of the first
 * page that the original never touches. Who holds each end, and the bells that wake sleepers. A region without the
 * block, or with one of a version we do not know, works too, by bounded waiting. PROTOCOL.md, "Extension block".
 *
 * All of it can be overwritten by a hostile peer at any time: words are read once and only ever compared.
 */
#ifndef HQQ_LAYOUT_EXTENSION_H
#define HQQ_LAYOUT_EXTENSION_H

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

#define HQQ_EXTENSION_OFFSET 64
#define HQQ_EXTENSION_MAGIC UINT64_C(0x4851515f45585431)   /* "HQQ_EXT1" */
#define HQQ_EXTENSION_SETTING UINT64_C(0x4851515f45585430) /* being set up */

/* Where sleepers of one kind wait, on a cache line of its own; ring/bell.h has how. The words are written only by who
 * sleeps and by who finds a sleeper, so that while nobody sleeps the line is shared and stays in every cache. */
struct hqq_bell {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u32 sequence; /* the futex word: moves with every ring of the bell */
    hqq_atomic_u32 armed;                            /* 1: somebody has gone to sleep since it was last rung */
    hqq_atomic_u32 sleepers;                         /* threads that sleep or are about to */
    hqq_atomic_u32 is_polled;                        /* 1: they sleep in poll(2): standard/poll.h */
};

/* Who holds an end; see standard/end.h for the states. */
struct hqq_end {
    alignas(HQQ_CACHE_LINE) hqq_atomic_u64 owner;
    hqq_atomic_u32 cpu;      /* a hint: the processor on which it last began to wait, plus one; 0 if it never did */
    hqq_atomic_u32 is_light; /* 1: its holder rings without a fence (ring/bell.h) */
};

struct hqq_extension {
    hqq_atomic_u64 magic;
    hqq_atomic_u64 flags;         /* 0; a set bit is a version we do not know */
    hqq_atomic_u64 pid_namespace; /* in which identities are meant: hqq_process_namespace(); 0: in none */
    hqq_atomic_u64 initializer;   /* identity of the process that made the region; 0 if unknown */
    hqq_atomic_u64 reserved[4];
    struct hqq_end end[2]; /* primary, secondary */
    struct {
        struct hqq_bell data;  /* readers of this ring sleep here while it is empty */
        struct hqq_bell space; /* writers of this ring sleep here while it is full */
    } ring[2];
};

_Static_assert(offsetof(struct hqq_extension, end) == 64, "extension layout");
_Static_assert(offsetof(struct hqq_extension, ring) == 192, "extension layout");
_Static_assert(sizeof(struct hqq_extension) == 448, "extension layout");
_Static_assert(HQQ_EXTENSION_OFFSET + sizeof(struct hqq_extension) <= 4096, "fits the smallest page");

/* Sets the block up in a page that only this process uses yet (its state is 1 and this process made it so). */
struct hqq_extension *hqq_extension_format(void *page, uint64_t pid_namespace, uint64_t initializer);

/* Finds the block of a region that is ready, setting it up in zero bytes if nobody did. NULL if it is there in a
 * version that we do not know, or is not set up by the deadline, as whoever began to has died. */
struct hqq_extension *hqq_extension_find(void *page, uint64_t pid_namespace, uint64_t deadline_ns);

/* Finds the block if it is there; writes nothing. */
const struct hqq_extension *hqq_extension_peek(const void *page);

/* The identity of the process that makes the region, or made it; 0 if it has not said. */
uint64_t hqq_extension_initializer(const void *page, uint64_t pid_namespace);

#endif
