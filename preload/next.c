#include "preload/next.h"

#include <dlfcn.h>
#include <stddef.h>

typedef void *dlsym_fn(void *handle, const char *name);

dlsym_fn *hqq_next_dlsym;

static void *find_none(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return NULL;
}

/* Nobody hooks dlvsym(). libc's dlsym() has had one of these versions. */
void hqq_next_resolve(void)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.17", "GLIBC_2.2.5"};
    union {
        void *pointer;
        dlsym_fn *function;
    } real = {.pointer = NULL};
    for (size_t i = 0; i < sizeof(versions) / sizeof(*versions) && !real.pointer; i++)
        real.pointer = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
    hqq_next_dlsym = real.pointer ? real.function : find_none;
}

void *hqq_next(const char *name)
{
    if (!hqq_next_dlsym)
        hqq_next_resolve();
    void *found = hqq_next_dlsym(RTLD_NEXT, name);
    return hqq_next_is_ours(found) ? NULL : found;
}
