#include "runtime/fdtable.h"

#include <sys/mman.h>

#include "platform/sys.h"

static const struct hqq_ops plain_ops = {.family = HQQ_FAMILY_NONE};

struct hqq_object hqq_fd_plain = {.ops = &plain_ops};

hqq_atomic_pointer hqq_fd_first[HQQ_FD_PAGE];
hqq_atomic_pointer hqq_fd_pages[HQQ_FD_MAX / HQQ_FD_PAGE];

static hqq_atomic_pointer *page_of(int fd)
{
    return fd < HQQ_FD_PAGE ? hqq_fd_first : hqq_load_pointer_acquire(&hqq_fd_pages[fd / HQQ_FD_PAGE]);
}

hqq_atomic_pointer *hqq_fd_entry(int fd)
{
    hqq_atomic_pointer *page = (unsigned)fd < HQQ_FD_MAX ? page_of(fd) : NULL;
    return page ? &page[fd % HQQ_FD_PAGE] : NULL;
}

/* Threads and signal handlers may do this at once: the first to publish wins. */
bool hqq_fd_prepare(int fd)
{
    const size_t size = sizeof(hqq_atomic_pointer) * HQQ_FD_PAGE;
    void *page;
    if ((unsigned)fd >= HQQ_FD_MAX)
        return false;
    if (page_of(fd))
        return true;
    if (hqq_sys.mmap(&page, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) != 0)
        return false;
    if (!hqq_cas_pointer_release(&hqq_fd_pages[fd / HQQ_FD_PAGE], NULL, page))
        hqq_sys.munmap(page, size);
    return true;
}

bool hqq_fd_set(int fd, void *object)
{
    hqq_atomic_pointer *entry = hqq_fd_entry(fd);
    if (!entry && (!object || !hqq_fd_prepare(fd)))
        return !object;
    hqq_store_pointer_release(entry ? entry : hqq_fd_entry(fd), object);
    return true;
}

bool hqq_fd_replace(int fd, void *expected, void *object)
{
    hqq_atomic_pointer *entry = hqq_fd_prepare(fd) ? hqq_fd_entry(fd) : NULL;
    return entry && hqq_cas_pointer_release(entry, expected, object);
}

int hqq_fd_next(int fd)
{
    for (int at = fd > 0 ? fd : 0; at < HQQ_FD_MAX; at++) {
        hqq_atomic_pointer *page = page_of(at);
        if (!page)
            at |= HQQ_FD_PAGE - 1; /* nothing up to the next page */
        else if (hqq_load_pointer_acquire(&page[at % HQQ_FD_PAGE]))
            return at;
    }
    return -1;
}
