/*
 * What lies behind our hooks: the real dlsym(), which another hook of it does not change, and by it the next definition of each
 * function. Relies on dlvsym() alone.
 */
#ifndef HQQ_PRELOAD_NEXT_H
#define HQQ_PRELOAD_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#define HQQ_NEXT_HIDDEN __attribute__((visibility("hidden")))

/* NULL until hqq_next_resolve(), which cannot fail: then it is a function that finds nothing. */
extern void *(*hqq_next_dlsym)(void *handle, const char *name)HQQ_NEXT_HIDDEN;
void hqq_next_resolve(void) HQQ_NEXT_HIDDEN;

/* The next definition of a function after ours; NULL if there is none. */
void *hqq_next(const char *name) HQQ_NEXT_HIDDEN;

/* Where this module begins and ends. */
extern const char __ehdr_start[] HQQ_NEXT_HIDDEN;
extern const char _end[] HQQ_NEXT_HIDDEN;

static inline bool hqq_next_is_ours(const void *function)
{
    return (uintptr_t)function >= (uintptr_t)__ehdr_start && (uintptr_t)function < (uintptr_t)_end;
}

#endif
