/*
 * Objects of one size that are made and given back in sends and receives, so also in signal handlers: not from the heap,
 * whose locks the interrupted code may hold, but from pages of their own. Their memory stays: a thread that lost a race
 * finds an object of the same kind, or one that is not in use. Aligned to a cache line, and zero when taken.
 */
#ifndef HQQ_RUNTIME_POOL_H
#define HQQ_RUNTIME_POOL_H

#include <stddef.h>

#include "runtime/lock.h"

struct hqq_pool {
    struct hqq_lock lock;
    size_t size;          /* of an object */
    void *free;           /* the first of a list, by its first word */
    unsigned char *chunk; /* what is left of the last pages */
    size_t left;
};

#define HQQ_POOL(type)                                                                                                 \
    {                                                                                                                  \
        .size = (sizeof(type) + HQQ_CACHE_LINE - 1) / HQQ_CACHE_LINE * HQQ_CACHE_LINE                                  \
    }

/* NULL: no memory, or this thread is in the pool already. */
void *hqq_pool_take(struct hqq_pool *pool);
void hqq_pool_return(struct hqq_pool *pool, void *object);

#endif
