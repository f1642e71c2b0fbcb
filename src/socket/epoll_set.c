#include "socket/epoll_set.h"

#include "runtime/config.h"
#include "runtime/pool.h"

static struct hqq_pool pool = HQQ_POOL(struct hqq_epoll_set);
static hqq_atomic_pointer all;

struct hqq_epoll_set *hqq_epoll_set_all(void)
{
    return hqq_load_pointer_acquire(&all);
}

struct hqq_epoll_set *hqq_epoll_set_find(int fd)
{
    struct hqq_object *object = hqq_fd_get(fd);
    return object && object->ops == &hqq_epoll_ops ? (struct hqq_epoll_set *)(void *)object : NULL;
}

/* One that is not in use any more. */
static struct hqq_epoll_set *find_unused(void)
{
    for (struct hqq_epoll_set *set = hqq_epoll_set_all(); set; set = set->next) {
        if (hqq_load32_relaxed(&set->descriptors) == 0 && hqq_load32_relaxed(&set->waiters) == 0 &&
            hqq_load32_relaxed(&set->members) == 0 && hqq_cas32_acquire(&set->descriptors, 0, 1))
            return set;
    }
    return NULL;
}

static struct hqq_epoll_set *make(void)
{
    struct hqq_epoll_set *set = hqq_pool_take(&pool);
    if (!set)
        return NULL;
    set->object.ops = &hqq_epoll_ops;
    hqq_store32_relaxed(&set->descriptors, 1);
    do {
        set->next = hqq_load_pointer_acquire(&all);
    } while (!hqq_cas_pointer_release(&all, set->next, set));
    return set;
}

struct hqq_epoll_set *hqq_epoll_set_find_or_make(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_set_find(fd);
    if (set || !hqq_fd_prepare(fd))
        return set;
    set = find_unused();
    if (!set)
        set = make();
    if (!set)
        return NULL;
    /* Of unknown origin: others may wait for it, by other descriptors. */
    hqq_store32_relaxed(&set->is_foreign, hqq_config_is_preload());
    hqq_store32_relaxed(&set->is_polled, 0);
    struct hqq_object *known = hqq_fd_get(fd);
    if ((!known || known == &hqq_fd_plain) && hqq_fd_replace(fd, known, set))
        return set;
    hqq_store32_release(&set->descriptors, 0);
    return hqq_epoll_set_find(fd);
}

void hqq_epoll_set_made(int fd)
{
    struct hqq_epoll_set *set = hqq_epoll_set_find_or_make(fd);
    if (set)
        hqq_store32_relaxed(&set->is_foreign, 0);
}

void hqq_epoll_set_reset_locks(void)
{
    hqq_lock_reset(&pool.lock);
    for (struct hqq_epoll_set *set = hqq_epoll_set_all(); set; set = set->next) {
        hqq_lock_reset(&set->lock);
        hqq_store32_relaxed(&set->waiters, 0);
        hqq_store32_relaxed(&set->version, (hqq_load32_relaxed(&set->version) + 1) & ~1u);
    }
}
