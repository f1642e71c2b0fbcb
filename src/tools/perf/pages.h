/* Memory straight from the kernel: page-aligned, zero, present before it is measured, unmapped by its talloc parent. */
#ifndef HQQ_PERF_PAGES_H
#define HQQ_PERF_PAGES_H

#include <stddef.h>

struct perf_pages {
    void *base;
    size_t length;
};

enum perf_pages_kind {
    PERF_PAGES_PRIVATE, /* this process's own */
    PERF_PAGES_SHARED,  /* shared with the children of this process */
};

/* NULL, with errno, if there is no memory. */
struct perf_pages *perf_pages_create(const void *parent, size_t length, enum perf_pages_kind kind);

#endif
