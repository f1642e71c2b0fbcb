#include "layout/superblock.h"

#include <hqq/error.h>
#include <hqq/version.h>

#include "base/point.h"
#include "layout/extension.h"
#include "platform/process.h"

bool hqq_superblock_claim(void *page)
{
    struct hqq_superblock *superblock = page;
    uint64_t found = HQQ_SUPERBLOCK_EMPTY;
    if (!hqq_cas_acq_rel(&superblock->state, &found, HQQ_SUPERBLOCK_INITIALIZING))
        return false;
    HQQ_POINT("superblock.claimed");
    return true;
}

void hqq_superblock_publish(void *page, const struct hqq_layout *layout)
{
    struct hqq_superblock *superblock = page;
    hqq_store_relaxed(&superblock->major, HQQ_PROTOCOL_MAJOR);
    hqq_store_relaxed(&superblock->minor, HQQ_PROTOCOL_MINOR);
    hqq_store_relaxed(&superblock->page_size, layout->page_size);
    hqq_store_relaxed(&superblock->buffer_count, layout->buffer_count);
    hqq_store_relaxed(&superblock->buffer_size, layout->buffer_size);
    hqq_store_relaxed(&superblock->layout_bytes, layout->bytes);
    hqq_store_relaxed(&superblock->magic, HQQ_SUPERBLOCK_MAGIC);
    HQQ_POINT("superblock.formatted");
    hqq_store_release(&superblock->state, HQQ_SUPERBLOCK_READY); /* edge S1: with the load in hqq_superblock_look() */
    HQQ_POINT("superblock.ready");
}

static enum hqq_attach look_at_ready(const struct hqq_superblock *superblock, const struct hqq_attach_wish *wish,
                                     struct hqq_layout *ret_layout, int *ret_error)
{
    /* Copied once; only the copies are used from here on. */
    uint64_t major = hqq_load_relaxed(&superblock->major);
    uint64_t page_size = hqq_load_relaxed(&superblock->page_size);
    uint64_t buffer_count = hqq_load_relaxed(&superblock->buffer_count);
    uint64_t buffer_size = hqq_load_relaxed(&superblock->buffer_size);
    uint64_t layout_bytes = hqq_load_relaxed(&superblock->layout_bytes);
    struct hqq_layout layout;

    if (major != HQQ_PROTOCOL_MAJOR)
        *ret_error = HQQ_ERROR_VERSION;
    else if (page_size != wish->page_size)
        *ret_error = HQQ_ERROR_PAGE_SIZE;
    else if ((wish->buffer_count != 0 && wish->buffer_count != buffer_count) ||
             (wish->buffer_size != 0 && wish->buffer_size != buffer_size) ||
             hqq_layout_compute(buffer_count, buffer_size, page_size, &layout) != 0 || layout.bytes != layout_bytes)
        *ret_error = HQQ_ERROR_INVALID_SIZE;
    else if (layout.bytes > wish->memory_bytes)
        *ret_error = HQQ_ERROR_MEMORY_SMALL;
    else {
        *ret_layout = layout;
        return HQQ_ATTACH_READY;
    }
    return HQQ_ATTACH_MISMATCH;
}

static bool has_state(const struct hqq_superblock *superblock, uint64_t state)
{
    return hqq_load_acquire(&superblock->state) == state; /* edge S1 */
}

/* The state only ever rises, so after three looks it is final. */
enum hqq_attach hqq_superblock_look(const void *page, const struct hqq_attach_wish *wish, struct hqq_layout *ret_layout,
                                    int *ret_error)
{
    const struct hqq_superblock *superblock = page;
    for (int look = 0; look < 3; look++) {
        uint64_t state = hqq_load_acquire(&superblock->state); /* edge S1: with the store in hqq_superblock_publish() */
        uint64_t magic = hqq_load_relaxed(&superblock->magic);

        if (state == HQQ_SUPERBLOCK_READY && magic == HQQ_SUPERBLOCK_MAGIC)
            return look_at_ready(superblock, wish, ret_layout, ret_error);
        if (state == HQQ_SUPERBLOCK_EMPTY && magic == 0)
            return HQQ_ATTACH_EMPTY;
        if (state == HQQ_SUPERBLOCK_INITIALIZING &&
            !hqq_process_is_dead(hqq_extension_initializer(page, wish->pid_namespace)))
            return HQQ_ATTACH_INITIALIZING;
        /* A magic that is early, or an initializer that is gone, may be the next state's. */
        if (has_state(superblock, state)) {
            if (state == HQQ_SUPERBLOCK_INITIALIZING)
                return HQQ_ATTACH_INIT_DIED;
            break;
        }
    }
    *ret_error = HQQ_ERROR_BAD_MAGIC;
    return HQQ_ATTACH_MISMATCH;
}
