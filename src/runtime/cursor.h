/*
 * Moving bytes between the app's vectors and slots. The addresses are the app's, and may be bad: bytes are copied under a guard
 * (platform/guard.h), and what is to be read before is looked at first, so that the kernel may say EFAULT.
 */
#ifndef HQQ_RUNTIME_CURSOR_H
#define HQQ_RUNTIME_CURSOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "platform/guard.h"

/* A place in a vector. */
struct hqq_cursor {
    const struct iovec *part;
    size_t parts, offset;
};

/* True if no byte can be at this address in a Linux process: the first page is never mapped, nor is the kernel's half. */
static inline bool hqq_is_bad_address(const void *address, size_t length)
{
    return length != 0 && ((uintptr_t)address < 4096 || (uintptr_t)address >= (uintptr_t)INTPTR_MAX + 1 - length);
}

/* A call moves no more bytes than these, whatever it is asked for. */
#define HQQ_CALL_MAX ((size_t)0x7ffff000)

static inline size_t hqq_within_a_call(size_t length)
{
    return length < HQQ_CALL_MAX ? length : HQQ_CALL_MAX;
}

/* True if a buffer of read(2) or write(2) is refused for its length alone: no process has so much memory behind an address. */
static inline bool hqq_is_bad_range(const void *address, size_t length)
{
    return length > HQQ_CALL_MAX && (length > (size_t)1 << 56 || (uintptr_t)address > ((uintptr_t)1 << 56) - length);
}

/* True if the app's structure can't be read. */
static inline bool hqq_is_unreadable(const void *address, size_t length)
{
    return hqq_is_bad_address(address, length) || !hqq_guard_is_readable(address, length);
}

/* Copies to the app's structure. False: it can't be written. */
static inline bool hqq_app_write(void *to, const void *from, size_t length)
{
    return !hqq_is_bad_address(to, length) && hqq_guard_copy(to, from, length);
}

/* The bytes of a vector; false if the kernel would refuse it. */
static inline bool hqq_vector_length(const struct iovec *parts, size_t count, size_t *ret_length)
{
    size_t length = 0;
    if (count > IOV_MAX || (count != 0 && hqq_is_unreadable(parts, count * sizeof(*parts))))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].iov_len > SSIZE_MAX - length || hqq_is_bad_address(parts[i].iov_base, parts[i].iov_len))
            return false;
        length += parts[i].iov_len;
    }
    *ret_length = length;
    return true;
}

/*
 * What the kernel takes for a vector until it gets to a part that lies in the first page: the parts before that one. False
 * if there is none such, or if the kernel would refuse the vector as it stands.
 */
static inline bool hqq_vector_has_null(const struct iovec *parts, size_t count, size_t *ret_before)
{
    size_t length = 0, before = count;
    if (count > IOV_MAX || (count != 0 && hqq_is_unreadable(parts, count * sizeof(*parts))))
        return false;
    for (size_t i = count; i-- > 0;) {
        bool is_null = parts[i].iov_len != 0 && (uintptr_t)parts[i].iov_base < 4096;
        if (parts[i].iov_len > SSIZE_MAX - length ||
            (!is_null && hqq_is_bad_address(parts[i].iov_base, parts[i].iov_len)))
            return false;
        length += parts[i].iov_len;
        if (is_null)
            before = i;
    }
    *ret_before = before;
    return before != count;
}

/* Copies length bytes, which the vector has, out of it. False: some can't be read. */
static inline bool hqq_cursor_copy_from(struct hqq_cursor *cursor, void *to, size_t length)
{
    unsigned char *at = to;
    while (length > 0) {
        size_t left = cursor->part->iov_len - cursor->offset;
        size_t piece = left < length ? left : length;
        if (piece != 0 && !hqq_guard_copy(at, (const unsigned char *)cursor->part->iov_base + cursor->offset, piece))
            return false;
        at += piece;
        length -= piece;
        cursor->offset += piece;
        if (cursor->offset == cursor->part->iov_len && length > 0) {
            cursor->part++;
            cursor->offset = 0;
        }
    }
    return true;
}

#define HQQ_CURSOR_FAULT SIZE_MAX

/* Copies up to length bytes into the vector, as far as it goes. Returns how many; HQQ_CURSOR_FAULT: some can't be written. */
static inline size_t hqq_cursor_copy_to(struct hqq_cursor *cursor, const void *from, size_t length)
{
    const unsigned char *at = from;
    size_t copied = 0;
    while (copied < length && cursor->parts > 0) {
        size_t left = cursor->part->iov_len - cursor->offset;
        size_t piece = left < length - copied ? left : length - copied;
        if (piece != 0 && !hqq_guard_copy((unsigned char *)cursor->part->iov_base + cursor->offset, at + copied, piece))
            return HQQ_CURSOR_FAULT;
        copied += piece;
        cursor->offset += piece;
        if (cursor->offset == cursor->part->iov_len) {
            cursor->part++;
            cursor->parts--;
            cursor->offset = 0;
        }
    }
    return copied;
}

/* Goes on by length bytes, which the vector has. */
static inline void hqq_cursor_skip(struct hqq_cursor *cursor, size_t length)
{
    while (length > 0 && cursor->parts > 0) {
        size_t left = cursor->part->iov_len - cursor->offset;
        size_t piece = left < length ? left : length;
        cursor->offset += piece;
        length -= piece;
        if (cursor->offset == cursor->part->iov_len) {
            cursor->part++;
            cursor->parts--;
            cursor->offset = 0;
        }
    }
}

#endif
