/*
 * What results mean: one table of the library's own kinds, libc's texts for errno values. Relies on constant data only,
 * so it is async-signal-safe; never translates.
 */
#include <hqq/error.h>

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef __GLIBC__
#if __GLIBC_PREREQ(2, 32)
#define HAVE_STRERRORDESC
#endif
#endif

/* The kernel's own bound: no errno value is above it. */
#define ERRNO_MAX 4095

static const struct {
    enum hqq_error kind;
    int errno_value;
    const char *text;
} kinds[] = {
    {HQQ_OK, 0, "no error"},
    {HQQ_ERROR_MEMORY_ALIGN, EINVAL, "memory or buffer size is misaligned"},
    {HQQ_ERROR_INVALID_SIZE, EINVAL, "size or count is out of range, or not the region's"},
    {HQQ_ERROR_MEMORY_SMALL, ENOBUFS, "memory is shorter than the layout"},
    {HQQ_ERROR_FAILED_INIT, EPROTO, "region did not become ready"},
    {HQQ_ERROR_CONN_NOT_FOUND, ENOTCONN, "no such connection or address"},
    {HQQ_ERROR_INVALID_OP, EOPNOTSUPP, "operation is not allowed or unknown"},
    {HQQ_ERROR_BUFFER_OVERFLOW, EMSGSIZE, "datagram is larger than a buffer"},
    {HQQ_ERROR_TIMEOUT, ETIMEDOUT, "deadline passed"},
    {HQQ_ERROR_WOULD_BLOCK, EAGAIN, "operation would have to wait"},
    {HQQ_ERROR_TRUNCATED, EMSGSIZE, "datagram was longer than the caller's buffer"},
    {HQQ_ERROR_CLOSED, EPIPE, "link is closed"},
    {HQQ_ERROR_PEER_DIED, ECONNRESET, "peer process died"},
    {HQQ_ERROR_INIT_DIED, EOWNERDEAD, "primary died while it initialized the region"},
    {HQQ_ERROR_BUSY, EBUSY, "end is held by a live process"},
    {HQQ_ERROR_BAD_MAGIC, EPROTO, "memory is not an HQQ region"},
    {HQQ_ERROR_VERSION, EPROTONOSUPPORT, "region is of another major version"},
    {HQQ_ERROR_PAGE_SIZE, EPROTONOSUPPORT, "region was made with another page size"},
    {HQQ_ERROR_UNSEALED, EPERM, "memory can shrink under its users"},
    {HQQ_ERROR_FORKED, ECHILD, "link belongs to the parent process"},
    {HQQ_ERROR_REMOTE, EREMOTEIO, "peer answered the call with an error"},
    {HQQ_ERROR_CANCELED, ECANCELED, "call was given up"},
    {HQQ_ERROR_AUTH, EBADMSG, "keys differ, or a packet was tampered with"},
    {HQQ_ERROR_ABORTED, ECONNABORTED, "peer gave the message up"},
    {HQQ_ERROR_TOO_MANY_MESSAGES, ENOBUFS, "too many messages are arriving at once"},
    {HQQ_ERROR_TOO_MANY_BYTES, ENOBUFS, "messages take too much memory"},
    {HQQ_ERROR_TOO_MANY_CONNECTIONS, EMFILE, "too many connections"},
    {HQQ_ERROR_TOO_MANY_CALLS, EAGAIN, "too many calls under way"},
};

/* The index of a kind in the table, or -1. */
static int find_kind(int result)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if ((int)kinds[i].kind == result)
            return (int)i;
    }
    return -1;
}

/* NULL for a number that is no errno value. Unlike strerror(), without locale and without a buffer. */
static const char *errno_text(int number)
{
#ifdef HAVE_STRERRORDESC
    return strerrordesc_np(number);
#else
    (void)number;
    return "system error";
#endif
}

const char *hqq_strerror(int result)
{
    int index = find_kind(result);
    const char *text = index >= 0 ? kinds[index].text : NULL;
    if (result < 0 && result >= -ERRNO_MAX)
        text = errno_text(-result);
    return text ? text : "unknown error";
}

int hqq_error_to_errno(int result)
{
    int index = find_kind(result);
    if (index >= 0)
        return kinds[index].errno_value;
    return result < 0 && result >= -ERRNO_MAX ? -result : EPROTO;
}
