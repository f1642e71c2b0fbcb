/*
 * The superblock: the first 64 bytes of a region, and the steps by which two ends agree that it is ready. The steps are
 * explicit states; nothing here waits, whoever attaches calls hqq_superblock_look() until it is content or out of time.
 *
 *      EMPTY --claim--> INITIALIZING --publish--> READY | MISMATCH
 *                            `--initializer gone--> INIT_DIED
 */
#ifndef HQQ_LAYOUT_SUPERBLOCK_H
#define HQQ_LAYOUT_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "layout/layout.h"

#define HQQ_SUPERBLOCK_MAGIC UINT64_C(0x4851515f53544c31) /* "HQQ_STL1" */
#define HQQ_SUPERBLOCK_EMPTY UINT64_C(0)
#define HQQ_SUPERBLOCK_INITIALIZING UINT64_C(1)
#define HQQ_SUPERBLOCK_READY UINT64_C(2)

struct hqq_superblock {
    hqq_atomic_u64 magic;
    hqq_atomic_u64 state;
    hqq_atomic_u64 major;
    hqq_atomic_u64 minor;
    hqq_atomic_u64 page_size;
    hqq_atomic_u64 buffer_count;
    hqq_atomic_u64 buffer_size;
    hqq_atomic_u64 layout_bytes;
};

_Static_assert(sizeof(struct hqq_superblock) == 64, "superblock layout");

enum hqq_attach {
    HQQ_ATTACH_EMPTY,        /* nobody has claimed it */
    HQQ_ATTACH_INITIALIZING, /* claimed, not ready yet */
    HQQ_ATTACH_READY,        /* ready, and what was wanted */
    HQQ_ATTACH_MISMATCH,     /* ready or broken, and not what was wanted: ret_error says how */
    HQQ_ATTACH_INIT_DIED,    /* whoever claimed it is gone */
};

/* What an attacher wants; 0 for a count or size: whatever the region has. */
struct hqq_attach_wish {
    uint64_t buffer_count;
    uint64_t buffer_size;
    uint64_t page_size;
    uint64_t memory_bytes; /* of the memory that holds the region */
    uint64_t pid_namespace;
};

/* Claims an empty region: true for one caller alone, who must format or the region stays unusable. */
bool hqq_superblock_claim(void *page);

/* The claimer writes the fields, then magic, then state = ready. Rings and buffers must be there before. */
void hqq_superblock_publish(void *page, const struct hqq_layout *layout);

/* One look, no wait. ret_layout is set for READY, ret_error (enum hqq_error) for MISMATCH. The region's own words are
 * checked: a layout that is returned lies within memory_bytes. */
enum hqq_attach hqq_superblock_look(const void *page, const struct hqq_attach_wish *wish, struct hqq_layout *ret_layout,
                                    int *ret_error);

#endif
