/* Bare versions of the calls on any descriptor, of syscall() and of _exit(). */
#include "preload/raw.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "preload/raw_call.h"

ssize_t hqq_raw_write(int fd, const void *data, size_t length)
{
    return hqq_raw_settle(SYS_write, (const long[6]){fd, (long)data, (long)length});
}

ssize_t hqq_raw_writev(int fd, const struct iovec *parts, int count)
{
    return hqq_raw_settle(SYS_writev, (const long[6]){fd, (long)parts, count});
}

ssize_t hqq_raw_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_raw_settle(SYS_pwritev2, (const long[6]){fd, (long)parts, count, offset, 0, flags});
}

ssize_t hqq_raw_read(int fd, void *data, size_t capacity)
{
    return hqq_raw_settle(SYS_read, (const long[6]){fd, (long)data, (long)capacity});
}

ssize_t hqq_raw_readv(int fd, const struct iovec *parts, int count)
{
    return hqq_raw_settle(SYS_readv, (const long[6]){fd, (long)parts, count});
}

ssize_t hqq_raw_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    return hqq_raw_settle(SYS_preadv2, (const long[6]){fd, (long)parts, count, offset, 0, flags});
}

ssize_t hqq_raw_sendfile(int to, int from, off_t *offset, size_t length)
{
    return hqq_raw_settle(SYS_sendfile, (const long[6]){to, from, (long)offset, (long)length});
}

ssize_t hqq_raw_splice(int from, off_t *from_offset, int to, off_t *to_offset, size_t length, unsigned flags)
{
    return hqq_raw_settle(SYS_splice,
                          (const long[6]){from, (long)from_offset, to, (long)to_offset, (long)length, (long)flags});
}

ssize_t hqq_raw_tee(int from, int to, size_t length, unsigned flags)
{
    return hqq_raw_settle(SYS_tee, (const long[6]){from, to, (long)length, (long)flags});
}

int hqq_raw_close(int fd)
{
    return (int)hqq_raw_settle(SYS_close, (const long[6]){fd});
}

int hqq_raw_close_range(unsigned first, unsigned last, int flags)
{
    return (int)hqq_raw_settle(SYS_close_range, (const long[6]){(long)first, (long)last, flags});
}

int hqq_raw_dup(int fd)
{
    return (int)hqq_raw_settle(SYS_dup, (const long[6]){fd});
}

int hqq_raw_dup3(int fd, int wanted, int flags)
{
    return (int)hqq_raw_settle(SYS_dup3, (const long[6]){fd, wanted, flags});
}

/* Linux has close_range() since 5.9; an older kernel leaves the descriptors open. */
void hqq_raw_closefrom(int first)
{
    int saved = errno;
    hqq_raw_close_range(first < 0 ? 0 : (unsigned)first, ~0U, 0);
    errno = saved;
}

int hqq_raw_dup2(int fd, int wanted)
{
    if (fd == wanted)
        return hqq_raw_fcntl(fd, F_GETFD) < 0 ? -1 : fd;
    return hqq_raw_dup3(fd, wanted, 0);
}

int hqq_raw_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long); /* where there is none, the kernel ignores it */
    va_end(list);
    return (int)hqq_raw_settle(SYS_fcntl, (const long[6]){fd, command, argument});
}

int hqq_raw_ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    long argument = va_arg(list, long);
    va_end(list);
    return (int)hqq_raw_settle(SYS_ioctl, (const long[6]){fd, (long)request, argument});
}

long hqq_raw_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
    return hqq_raw_settle(number, arguments);
}

void hqq_raw_exit(int status)
{
    for (;;)
        hqq_raw_call(SYS_exit_group, (const long[6]){status});
}

int hqq_raw_execve(const char *path, char *const arguments[], char *const environment[])
{
    return (int)hqq_raw_settle(SYS_execve, (const long[6]){(long)path, (long)arguments, (long)environment});
}

int hqq_raw_execveat(int folder, const char *path, char *const arguments[], char *const environment[], int flags)
{
    return (int)hqq_raw_settle(SYS_execveat,
                               (const long[6]){folder, (long)path, (long)arguments, (long)environment, flags});
}
