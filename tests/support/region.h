/*
 * Memory for regions, and both ends of a link in one process. The memory is zero, page-aligned, shared with forked
 * children, and lies between two pages that nobody may touch. Where memory can't be had the test program aborts.
 */
#ifndef TESTS_SUPPORT_REGION_H
#define TESTS_SUPPORT_REGION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <hqq/link.h>

#include "base/atomic.h"
#include "layout/extension.h"
#include "layout/packet.h"
#include "platform/shm.h"
#include "ring/ring.h"

struct region {
    void *base;
    size_t length; /* bytes, a multiple of the page size */
};

/* At least length bytes. */
struct region region_new(size_t length);

/* As many as a region of that shape takes. */
struct region region_for(uint64_t buffer_count, uint64_t buffer_size);

void region_delete(struct region *region);

/* The word at a byte offset. */
hqq_atomic_u64 *region_word(const struct region *region, size_t offset);

struct hqq_extension *region_extension(const struct region *region);

/* A view of ring 0 or 1 of a region of that shape. */
struct hqq_ring region_ring(const struct region *region, uint64_t buffer_count, uint64_t buffer_size, int index);

/* A new object in /dev/shm, named at once: as it is, all zero. Results are those of hqq_shm_create_unnamed() and
 * hqq_shm_give_name(). */
int region_create_named(const char *name, mode_t mode, size_t length, struct hqq_mapping *ret_mapping);

/* A link with both ends in this process. */
struct pair {
    struct region region;
    struct hqq_link *primary, *secondary;
};

struct pair pair_open(uint64_t buffer_count, uint64_t buffer_size);

/* The role in config is ignored; its count and size must be said. Unless peer_check_ns is said too, sleepers never wake
 * to look at their peer, so that a test hangs where nobody wakes them. */
struct pair pair_open_with(const struct hqq_link_config *config);

/* A view of ring 0 (from the primary) or 1 of the pair's region. The primary must be open. */
struct hqq_ring pair_ring(const struct pair *pair, int index);

/* Publishes a packet of any kind in ring 0 or 1, with the slot's buffer as it is, and rings nobody's bell. */
void pair_publish(const struct pair *pair, int index, const struct hqq_packet *packet);

/* Closes the ends that are not NULL, and deletes the region. */
void pair_close(struct pair *pair);

#endif
