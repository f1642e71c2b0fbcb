/*
 * Access to memory that the app names, and that may not be there. The kernel answers a bad address with EFAULT; here such
 * an access is made by one of two functions in assembly, which a handler of SIGSEGV and SIGBUS makes return false. That
 * costs nothing where the address is good: no flag is set, no system call made.
 *
 * The preload installs the handler (preload/fault.c). Without it a bad address ends the program, as memcpy() would.
 * Both functions and hqq_guard_repair() are async-signal-safe.
 */
#ifndef HQQ_PLATFORM_GUARD_H
#define HQQ_PLATFORM_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HQQ_GUARD_TELLS_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define HQQ_GUARD_TELLS_TSAN 1
#endif

/* In assembly. Nonzero: the access faulted; a part of the bytes may have been copied. They must not overlap. */
int hqq_guard_copy_bytes(void *to, const void *from, size_t length);
int hqq_guard_touch(const void *first, const void *second);

#ifdef HQQ_GUARD_TELLS_TSAN
void __tsan_read_range(void *address, unsigned long length);
void __tsan_write_range(void *address, unsigned long length);
#endif

/* Like memcpy(). False: some byte can't be read or written. */
static inline bool hqq_guard_copy(void *to, const void *from, size_t length)
{
#ifdef HQQ_GUARD_TELLS_TSAN
    __tsan_read_range((void *)(uintptr_t)from, length);
    __tsan_write_range(to, length);
#endif
    return __builtin_expect(hqq_guard_copy_bytes(to, from, length) == 0, 1);
}

/* No processor here has smaller pages. */
#define HQQ_GUARD_PAGE ((size_t)4096)

bool hqq_guard_is_readable_slow(const void *address, size_t length);

/* True if each byte can be read, by one byte of each page. */
static inline bool hqq_guard_is_readable(const void *address, size_t length)
{
    if (__builtin_expect(length - 1 >= HQQ_GUARD_PAGE, 0)) /* longer, or nothing */
        return hqq_guard_is_readable_slow(address, length);
    return __builtin_expect(hqq_guard_touch(address, (const char *)address + length - 1) == 0, 1);
}

/* For a handler of SIGSEGV or SIGBUS, with its third argument: true if the access was one of these. It returns false then,
 * once the handler has returned. */
bool hqq_guard_repair(void *context);

#endif
