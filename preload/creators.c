/*
 * Hooks: what makes descriptors that are no sockets of ours. Close may have been called where hooks don't see it, so the
 * socket layer is told that the number is another's now. (Sockets and duplicates it makes itself.) Streams are in
 * stream.c.
 */
#include "preload/hook.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- open() and its kind: the mode is handed on, whether it is there or not ------------------------------------- */

HQQ_EXPORT int open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.libc.open(path, flags, mode));
}

HQQ_EXPORT int open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.libc.open(path, flags, mode));
}

HQQ_EXPORT int __open(const char *path, int flags, ...);
HQQ_EXPORT int __open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.libc.open(path, flags, mode));
}

HQQ_EXPORT int __open64(const char *path, int flags, ...);
HQQ_EXPORT int __open64(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.libc.open(path, flags, mode));
}

HQQ_EXPORT int openat(int folder, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.openat(folder, path, flags, mode));
}

HQQ_EXPORT int openat64(int folder, const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    mode_t mode = va_arg(list, mode_t);
    va_end(list);
    return hqq_hook_created(hqq_real.openat(folder, path, flags, mode));
}

HQQ_EXPORT int __open_2(const char *path, int flags);
HQQ_EXPORT int __open_2(const char *path, int flags)
{
    return hqq_hook_created(hqq_real.open_2(path, flags));
}

HQQ_EXPORT int __open64_2(const char *path, int flags);
HQQ_EXPORT int __open64_2(const char *path, int flags)
{
    return hqq_hook_created(hqq_real.open_2(path, flags));
}

HQQ_EXPORT int __openat_2(int folder, const char *path, int flags);
HQQ_EXPORT int __openat_2(int folder, const char *path, int flags)
{
    return hqq_hook_created(hqq_real.openat_2(folder, path, flags));
}

HQQ_EXPORT int __openat64_2(int folder, const char *path, int flags);
HQQ_EXPORT int __openat64_2(int folder, const char *path, int flags)
{
    return hqq_hook_created(hqq_real.openat_2(folder, path, flags));
}

HQQ_EXPORT int creat(const char *path, mode_t mode)
{
    return hqq_hook_created(hqq_real.creat(path, mode));
}

HQQ_EXPORT int creat64(const char *path, mode_t mode)
{
    return hqq_hook_created(hqq_real.creat(path, mode));
}

HQQ_EXPORT int open_by_handle_at(int mount, struct file_handle *handle, int flags)
{
    return hqq_hook_created(hqq_real.open_by_handle_at(mount, handle, flags));
}

HQQ_EXPORT int shm_open(const char *name, int flags, mode_t mode)
{
    return hqq_hook_created(hqq_real.shm_open(name, flags, mode));
}

HQQ_EXPORT int posix_openpt(int flags)
{
    return hqq_hook_created(hqq_real.posix_openpt(flags));
}

HQQ_EXPORT int mkstemp(char *template)
{
    return hqq_hook_created(hqq_real.mkstemp(template));
}

HQQ_EXPORT int mkstemp64(char *template)
{
    return hqq_hook_created(hqq_real.mkstemp(template));
}

HQQ_EXPORT int mkostemp(char *template, int flags)
{
    return hqq_hook_created(hqq_real.mkostemp(template, flags));
}

HQQ_EXPORT int mkostemp64(char *template, int flags)
{
    return hqq_hook_created(hqq_real.mkostemp(template, flags));
}

HQQ_EXPORT int mkstemps(char *template, int suffix)
{
    return hqq_hook_created(hqq_real.mkstemps(template, suffix));
}

HQQ_EXPORT int mkstemps64(char *template, int suffix)
{
    return hqq_hook_created(hqq_real.mkstemps(template, suffix));
}

HQQ_EXPORT int mkostemps(char *template, int suffix, int flags)
{
    return hqq_hook_created(hqq_real.mkostemps(template, suffix, flags));
}

HQQ_EXPORT int mkostemps64(char *template, int suffix, int flags)
{
    return hqq_hook_created(hqq_real.mkostemps(template, suffix, flags));
}

/* ---- Descriptors that are no files ---------------------------------------------------------------------------- */

HQQ_EXPORT int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return hqq_hook_created(hqq_real.accept(fd, address, length));
}

HQQ_EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return hqq_hook_created(hqq_real.libc.accept4(fd, address, length, flags));
}

static int created_pair(int result, const int fds[2])
{
    if (result == 0) {
        hqq_hook_created(fds[0]);
        hqq_hook_created(fds[1]);
    }
    return result;
}

HQQ_EXPORT int pipe(int fds[2])
{
    return created_pair(hqq_real.pipe(fds), fds);
}

HQQ_EXPORT int __pipe(int fds[2]);
HQQ_EXPORT int __pipe(int fds[2])
{
    return created_pair(hqq_real.pipe(fds), fds);
}

HQQ_EXPORT int pipe2(int fds[2], int flags)
{
    return created_pair(hqq_real.pipe2(fds, flags), fds);
}

HQQ_EXPORT int eventfd(unsigned value, int flags)
{
    return hqq_hook_created(hqq_real.eventfd(value, flags));
}

HQQ_EXPORT int epoll_create(int size)
{
    return hqq_hook_created_set(hqq_real.epoll_create(size));
}

HQQ_EXPORT int epoll_create1(int flags)
{
    return hqq_hook_created_set(hqq_real.epoll_create1(flags));
}

HQQ_EXPORT int timerfd_create(clockid_t clock, int flags)
{
    return hqq_hook_created(hqq_real.timerfd_create(clock, flags));
}

HQQ_EXPORT int signalfd(int fd, const sigset_t *mask, int flags)
{
    return hqq_hook_created(hqq_real.signalfd(fd, mask, flags));
}

HQQ_EXPORT int inotify_init(void)
{
    return hqq_hook_created(hqq_real.inotify_init());
}

HQQ_EXPORT int inotify_init1(int flags)
{
    return hqq_hook_created(hqq_real.inotify_init1(flags));
}

HQQ_EXPORT int fanotify_init(unsigned flags, unsigned event_flags)
{
    return hqq_hook_created(hqq_real.fanotify_init(flags, event_flags));
}

HQQ_EXPORT int memfd_create(const char *name, unsigned flags)
{
    return hqq_hook_created(hqq_real.memfd_create(name, flags));
}

HQQ_EXPORT int pidfd_open(pid_t pid, unsigned flags);
HQQ_EXPORT int pidfd_open(pid_t pid, unsigned flags)
{
    return hqq_hook_created(hqq_real.pidfd_open(pid, flags));
}

HQQ_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags);
HQQ_EXPORT int pidfd_getfd(int pidfd, int fd, unsigned flags)
{
    return hqq_hook_fetched(hqq_real.pidfd_getfd(pidfd, fd, flags));
}
