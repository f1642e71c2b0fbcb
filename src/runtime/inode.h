/*
 * Which file a path leads to. Inode numbers may be used again at once, births are not.
 */
#ifndef HQQ_RUNTIME_INODE_H
#define HQQ_RUNTIME_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct hqq_inode {
    uint64_t device, number, born_ns; /* born_ns 0: the file system does not tell */
};

/* What to ask statx() for. */
#define HQQ_INODE_MASK (STATX_INO | STATX_BTIME)

static inline struct hqq_inode hqq_inode_of(const struct statx *status)
{
    struct hqq_inode inode = {
        .device = (uint64_t)status->stx_dev_major << 32 | status->stx_dev_minor,
        .number = status->stx_ino,
    };
    if (status->stx_mask & STATX_BTIME)
        inode.born_ns = (uint64_t)status->stx_btime.tv_sec * 1000000000 + status->stx_btime.tv_nsec;
    return inode;
}

/* False for one that was never looked at: all zero. */
static inline bool hqq_inode_is_known(const struct hqq_inode *inode)
{
    return inode->device != 0 || inode->number != 0 || inode->born_ns != 0;
}

static inline bool hqq_inode_is_same(const struct hqq_inode *a, const struct hqq_inode *b)
{
    return a->device == b->device && a->number == b->number && a->born_ns == b->born_ns;
}

#endif
