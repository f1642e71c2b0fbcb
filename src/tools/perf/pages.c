/* Mappings with a talloc handle. */
#include "tools/perf/pages.h"

#include <errno.h>
#include <sys/mman.h>
#include <talloc.h>

static int destroy_pages(struct perf_pages *pages)
{
    if (pages->base != NULL)
        munmap(pages->base, pages->length);
    return 0;
}

struct perf_pages *perf_pages_create(const void *parent, size_t length, enum perf_pages_kind kind)
{
    int flags = MAP_ANONYMOUS | MAP_POPULATE | (kind == PERF_PAGES_SHARED ? MAP_SHARED : MAP_PRIVATE);
    struct perf_pages *pages = talloc_zero(parent, struct perf_pages);
    void *base;

    if (pages == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    base = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (base == MAP_FAILED) {
        int error = errno;

        talloc_free(pages);
        errno = error;
        return NULL;
    }
    pages->base = base;
    pages->length = length;
    talloc_set_destructor(pages, destroy_pages);
    return pages;
}
