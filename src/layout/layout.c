#include "layout/layout.h"

#include <stdbool.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

_Static_assert(HQQ_RING_W_OFFSET - HQQ_RING_R_OFFSET >= 64, "r and w must not share a cache line");
_Static_assert(HQQ_RING_ELEMENT_STRIDE == HQQ_RING_ELEMENT_SEQ + 8, "seq ends an element");
_Static_assert(HQQ_RING_ELEMENT_OFFSET % 8 == 0 && HQQ_RING_ELEMENT_STRIDE % 8 == 0, "words must be aligned");
_Static_assert(HQQ_RING_ELEMENT_OFFSET < HQQ_RING_HEADER_BYTES, "elements end inside the ring");

uint64_t hqq_page_size(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) & ~(to - 1);
}

int hqq_layout_compute(uint64_t buffer_count, uint64_t buffer_size, uint64_t page_size, struct hqq_layout *ret_layout)
{
    if (!is_power_of_two(buffer_count) || buffer_count < HQQ_BUFFER_COUNT_MIN || buffer_count > HQQ_BUFFER_COUNT_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    if (buffer_size < HQQ_BUFFER_SIZE_MIN || buffer_size > HQQ_BUFFER_SIZE_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    if (buffer_size % 8 != 0)
        return HQQ_ERROR_MEMORY_ALIGN;

    uint64_t ring_bytes = HQQ_RING_HEADER_BYTES + HQQ_RING_ELEMENT_STRIDE * buffer_count;
    uint64_t pool_bytes;
    if (__builtin_mul_overflow(buffer_count, buffer_size, &pool_bytes) || pool_bytes > HQQ_LAYOUT_BYTES_MAX / 2)
        return HQQ_ERROR_INVALID_SIZE;

    /* No sum below overflows: two pools are 2^62 at most, and two rings of 2^32 elements, with the pages, far less. */
    struct hqq_layout layout = {.page_size = page_size, .buffer_count = buffer_count, .buffer_size = buffer_size};
    uint64_t offset = page_size;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        layout.ring[i] = offset;
        layout.buffers[i] = align_up(layout.ring[i] + ring_bytes, page_size);
        offset = align_up(layout.buffers[i] + pool_bytes, page_size);
    }
    layout.bytes = offset;
    if (layout.bytes > HQQ_LAYOUT_BYTES_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    *ret_layout = layout;
    return 0;
}

int hqq_layout_size(uint64_t buffer_count, uint64_t buffer_size, uint64_t *ret_bytes)
{
    struct hqq_layout layout;
    int result = hqq_layout_compute(buffer_count, buffer_size, hqq_page_size(), &layout);
    if (result == 0)
        *ret_bytes = layout.bytes;
    return result;
}
