/*
 * A ring in plain memory of its own, without a region around it. It ends where its memory ends, and so do its buffers:
 * a step beyond either is a crash. The counters can be set by hand.
 */
#ifndef TESTS_SUPPORT_PLAIN_RING_H
#define TESTS_SUPPORT_PLAIN_RING_H

#include <stdint.h>

#include "ring/ring.h"
#include "support/region.h"

struct plain_ring {
    struct region control, buffers;
    struct hqq_ring ring; /* formatted, empty, at position 0 */
};

struct plain_ring plain_ring_new(uint64_t buffer_count, uint64_t buffer_size);
void plain_ring_delete(struct plain_ring *plain);

/* Makes the ring an empty one whose next position, to write and to read, is this. */
void plain_ring_start_at(struct plain_ring *plain, uint64_t position);

#endif
