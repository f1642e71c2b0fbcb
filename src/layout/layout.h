/*
 * Where things lie in a region: sizes, offsets and bounds, as PROTOCOL.md ("Region") fixes them. Pure arithmetic on
 * numbers that have been checked; touches no memory.
 *
 *      superblock page | ring 0 | buffers 0 | ring 1 | buffers 1        each part starts on a page
 *
 * Ring 0 goes from the primary to the secondary, ring 1 the other way.
 */
#ifndef HQQ_LAYOUT_LAYOUT_H
#define HQQ_LAYOUT_LAYOUT_H

#include <stdint.h>

#define HQQ_RING_COUNT 2

/* A ring as it lies in memory, from its start. */
#define HQQ_RING_MAGIC_OFFSET 0
#define HQQ_RING_SIZE_OFFSET 8
#define HQQ_RING_FLAG_OFFSET 16
#define HQQ_RING_R_OFFSET 24
#define HQQ_RING_W_OFFSET 128
#define HQQ_RING_ELEMENT_OFFSET 256
#define HQQ_RING_ELEMENT_STRIDE 72
#define HQQ_RING_ELEMENT_SEQ 64
/* The original counts 512 bytes of header though elements begin at 256; the size is part of the format. */
#define HQQ_RING_HEADER_BYTES 512

#define HQQ_RING_MAGIC UINT64_C(0xc9d8c1d43f096701)
#define HQQ_RING_FLAG_INITIALIZED UINT64_C(2)

#define HQQ_BUFFER_COUNT_MIN UINT64_C(2)
#define HQQ_BUFFER_COUNT_MAX (UINT64_C(1) << 32)
#define HQQ_BUFFER_SIZE_MIN UINT64_C(8)
#define HQQ_BUFFER_SIZE_MAX (UINT64_C(1) << 32)
#define HQQ_LAYOUT_BYTES_MAX (UINT64_C(1) << 62)

struct hqq_layout {
    uint64_t page_size;
    uint64_t buffer_count;
    uint64_t buffer_size;
    uint64_t ring[HQQ_RING_COUNT];    /* offsets from the region's base */
    uint64_t buffers[HQQ_RING_COUNT]; /* offsets from the region's base */
    uint64_t bytes;                   /* of the whole region */
};

/* The system's page size. */
uint64_t hqq_page_size(void);

/* 0, HQQ_ERROR_INVALID_SIZE or HQQ_ERROR_MEMORY_ALIGN, as hqq_layout_size() in hqq/link.h. */
int hqq_layout_compute(uint64_t buffer_count, uint64_t buffer_size, uint64_t page_size, struct hqq_layout *ret_layout);

#endif
