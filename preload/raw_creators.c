/* Bare versions of the calls that make descriptors. */
#include "preload/raw.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "preload/raw_call.h"

int hqq_raw_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t); /* where there is none, the kernel ignores it */
    va_end(list);
    return (int)hqq_raw_settle(SYS_openat, (const long[6]){AT_FDCWD, (long)path, flags, (long)mode});
}

int hqq_raw_openat(int folder, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return (int)hqq_raw_settle(SYS_openat, (const long[6]){folder, (long)path, flags, (long)mode});
}

int hqq_raw_creat(const char *path, mode_t mode)
{
    return (int)hqq_raw_settle(SYS_openat,
                               (const long[6]){AT_FDCWD, (long)path, O_CREAT | O_WRONLY | O_TRUNC, (long)mode});
}

int hqq_raw_open_2(const char *path, int flags)
{
    return (int)hqq_raw_settle(SYS_openat, (const long[6]){AT_FDCWD, (long)path, flags});
}

int hqq_raw_openat_2(int folder, const char *path, int flags)
{
    return (int)hqq_raw_settle(SYS_openat, (const long[6]){folder, (long)path, flags});
}

int hqq_raw_open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    return (int)hqq_raw_settle(SYS_open_by_handle_at, (const long[6]){mount, (long)handle, flags});
}

int hqq_raw_pipe(int fds[2])
{
    return (int)hqq_raw_settle(SYS_pipe2, (const long[6]){(long)fds});
}

int hqq_raw_pipe2(int fds[2], int flags)
{
    return (int)hqq_raw_settle(SYS_pipe2, (const long[6]){(long)fds, flags});
}

int hqq_raw_eventfd(unsigned value, int flags)
{
    return (int)hqq_raw_settle(SYS_eventfd2, (const long[6]){(long)value, flags});
}

int hqq_raw_epoll_create1(int flags)
{
    return (int)hqq_raw_settle(SYS_epoll_create1, (const long[6]){flags});
}

int hqq_raw_timerfd_create(clockid_t clock, int flags)
{
    return (int)hqq_raw_settle(SYS_timerfd_create, (const long[6]){clock, flags});
}

int hqq_raw_signalfd(int fd, const sigset_t *mask, int flags)
{
    return (int)hqq_raw_settle(SYS_signalfd4, (const long[6]){fd, (long)mask, HQQ_RAW_SIGSET, flags});
}

int hqq_raw_inotify_init(void)
{
    return (int)hqq_raw_settle(SYS_inotify_init1, (const long[6]){0});
}

int hqq_raw_inotify_init1(int flags)
{
    return (int)hqq_raw_settle(SYS_inotify_init1, (const long[6]){flags});
}

int hqq_raw_fanotify_init(unsigned flags, unsigned event_flags)
{
    return (int)hqq_raw_settle(SYS_fanotify_init, (const long[6]){(long)flags, (long)event_flags});
}

int hqq_raw_memfd_create(const char *name, unsigned flags)
{
    return (int)hqq_raw_settle(SYS_memfd_create, (const long[6]){(long)name, (long)flags});
}

int hqq_raw_pidfd_open(pid_t pid, unsigned flags)
{
    return (int)hqq_raw_settle(SYS_pidfd_open, (const long[6]){pid, (long)flags});
}

int hqq_raw_pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    return (int)hqq_raw_settle(SYS_pidfd_getfd, (const long[6]){pidfd, fd, (long)flags});
}

int hqq_raw_epoll_create(int size)
{
    if (size > 0)
        return hqq_raw_epoll_create1(0);
    errno = EINVAL;
    return -1;
}
