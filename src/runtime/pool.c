#include "runtime/pool.h"

#include <string.h>
#include <sys/mman.h>

#include "platform/shm.h"
#include "platform/sys.h"
#include "runtime/filter.h"

#define CHUNK ((size_t)1 << 16)

static void *cut(struct hqq_pool *pool)
{
    if (pool->left < pool->size) {
        void *pages;
        if (hqq_sys.mmap(&pages, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) != 0)
            return NULL;
        if (!hqq_filter_is_set())
            hqq_shm_omit_from_dumps(pages, CHUNK);
        pool->chunk = pages;
        pool->left = CHUNK;
    }
    void *object = pool->chunk;
    pool->chunk += pool->size;
    pool->left -= pool->size;
    return object;
}

void *hqq_pool_take(struct hqq_pool *pool)
{
    if (!hqq_lock_take(&pool->lock))
        return NULL;
    void *object = pool->free;
    if (object)
        memcpy(&pool->free, object, sizeof(void *));
    else
        object = cut(pool);
    hqq_lock_give(&pool->lock);
    if (object)
        memset(object, 0, pool->size);
    return object;
}

/* One that can't be given back now is lost, which is less than a deadlock. */
void hqq_pool_return(struct hqq_pool *pool, void *object)
{
    if (!object || !hqq_lock_take(&pool->lock))
        return;
    memcpy(object, &pool->free, sizeof(void *));
    pool->free = object;
    hqq_lock_give(&pool->lock);
}
