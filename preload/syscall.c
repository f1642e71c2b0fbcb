/*
 * Hook: syscall(). Calls on descriptors that have a function in the socket layer are routed there; all others go
 * straight to the real syscall(). No memory, no lock: allocators call this one from inside themselves.
 *
 * A bare system call is no cancellation point, so cancellation is put off while a call is routed.
 */
#include "preload/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/signal.h"
#include "preload/syscall.h"
#include "platform/clock.h"
#include "runtime/filter.h"
#include "runtime/names.h"

/* ---- Sockets, sending, receiving ------------------------------------------------------------------------------- */

static long route_socket(const long a[6])
{
    return hqq_socket((int)a[0], (int)a[1], (int)a[2]);
}

static long route_socketpair(const long a[6])
{
    return hqq_socketpair((int)a[0], (int)a[1], (int)a[2], (int *)a[3]);
}

static long route_bind(const long a[6])
{
    return hqq_bind((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
}

static long route_connect(const long a[6])
{
    return hqq_connect((int)a[0], (const struct sockaddr *)a[1], (socklen_t)a[2]);
}

static long route_shutdown(const long a[6])
{
    return hqq_shutdown((int)a[0], (int)a[1]);
}

static long route_getsockname(const long a[6])
{
    return hqq_getsockname((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
}

static long route_getpeername(const long a[6])
{
    return hqq_getpeername((int)a[0], (struct sockaddr *)a[1], (socklen_t *)a[2]);
}

static long route_getsockopt(const long a[6])
{
    return hqq_getsockopt((int)a[0], (int)a[1], (int)a[2], (void *)a[3], (socklen_t *)a[4]);
}

static long route_setsockopt(const long a[6])
{
    return hqq_setsockopt((int)a[0], (int)a[1], (int)a[2], (const void *)a[3], (socklen_t)a[4]);
}

static long route_sendto(const long a[6])
{
    return hqq_sendto((int)a[0], (const void *)a[1], (size_t)a[2], (int)a[3], (const struct sockaddr *)a[4],
                      (socklen_t)a[5]);
}

static long route_sendmsg(const long a[6])
{
    return hqq_sendmsg((int)a[0], (const struct msghdr *)a[1], (int)a[2]);
}

static long route_sendmmsg(const long a[6])
{
    return hqq_sendmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3]);
}

static long route_write(const long a[6])
{
    return hqq_write((int)a[0], (const void *)a[1], (size_t)a[2]);
}

static long route_writev(const long a[6])
{
    return hqq_writev((int)a[0], (const struct iovec *)a[1], (int)a[2]);
}

static long route_pwritev2(const long a[6])
{
    return hqq_pwritev2((int)a[0], (const struct iovec *)a[1], (int)a[2], (off_t)a[3], (int)a[5]);
}

static long route_recvfrom(const long a[6])
{
    return hqq_recvfrom((int)a[0], (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4], (socklen_t *)a[5]);
}

static long route_recvmsg(const long a[6])
{
    return hqq_recvmsg((int)a[0], (struct msghdr *)a[1], (int)a[2]);
}

static long route_recvmmsg(const long a[6])
{
    return hqq_recvmmsg((int)a[0], (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3], (struct timespec *)a[4]);
}

static long route_read(const long a[6])
{
    return hqq_read((int)a[0], (void *)a[1], (size_t)a[2]);
}

static long route_readv(const long a[6])
{
    return hqq_readv((int)a[0], (const struct iovec *)a[1], (int)a[2]);
}

static long route_preadv2(const long a[6])
{
    return hqq_preadv2((int)a[0], (const struct iovec *)a[1], (int)a[2], (off_t)a[3], (int)a[5]);
}

/* ---- Descriptors, and what the kernel does past the socket layer ----------------------------------------------- */

static long route_close(const long a[6])
{
    return hqq_close((int)a[0]);
}

static long route_close_range(const long a[6])
{
    return hqq_close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
}

static long route_dup(const long a[6])
{
    return hqq_dup((int)a[0]);
}

static long route_dup3(const long a[6])
{
    return hqq_dup3((int)a[0], (int)a[1], (int)a[2]);
}

static long route_fcntl(const long a[6])
{
    return hqq_fcntl((int)a[0], (int)a[1], a[2]);
}

static long route_ioctl(const long a[6])
{
    return hqq_ioctl((int)a[0], (unsigned long)a[1], a[2]);
}

static long route_sendfile(const long a[6])
{
    return sendfile((int)a[0], (int)a[1], (off_t *)a[2], (size_t)a[3]);
}

static long route_splice(const long a[6])
{
    return splice((int)a[0], (off_t *)a[1], (int)a[2], (off_t *)a[3], (size_t)a[4], (unsigned)a[5]);
}

static long route_tee(const long a[6])
{
    return tee((int)a[0], (int)a[1], (size_t)a[2], (unsigned)a[3]);
}

static long route_pipe2(const long a[6])
{
    return pipe2((int *)a[0], (int)a[1]);
}

static long route_prctl(const long a[6])
{
    return prctl((int)a[0], a[1], a[2], a[3], a[4]);
}

static long route_seccomp(const long a[6])
{
    bool sets = a[0] == SECCOMP_SET_MODE_STRICT || a[0] == SECCOMP_SET_MODE_FILTER;
    if (sets)
        hqq_filter_begin();
    if (a[0] == SECCOMP_SET_MODE_STRICT)
        hqq_clock_set_way(HQQ_CLOCK_STANDS_STILL);
    long result = hqq_real.libc.syscall(SYS_seccomp, a[0], a[1], a[2]);
    /* Not 0 is a listener's descriptor, or the thread that could not be made to follow: then there is no filter. */
    if (sets && (result < 0 || (result > 0 && ((unsigned long)a[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0)))
        hqq_filter_failed();
    else if (sets)
        hqq_socket_filtered();
    return result;
}

static long route_mlockall(const long a[6])
{
    return mlockall((int)a[0]);
}

static long route_munlockall(const long a[6])
{
    (void)a;
    return munlockall();
}

/* Handlers that are installed in this way are called directly, and not counted. Only what the kernel says of those that
 * came by sigaction() is made the program's; its own structure begins with the handler. */
static long route_sigaction(const long a[6])
{
    long result = hqq_real.libc.syscall(SYS_rt_sigaction, a[0], a[1], a[2], a[3]);
    if (result == 0 && a[2] != 0)
        *(void **)a[2] = hqq_signal_untrampolined(*(void **)a[2]);
    return result;
}

static long route_exit_group(const long a[6])
{
    _exit((int)a[0]);
}

#ifdef SYS_poll /* calls that newer processors lack */
static long route_dup2(const long a[6])
{
    return hqq_dup2((int)a[0], (int)a[1]);
}

static long route_pipe(const long a[6])
{
    return pipe((int *)a[0]);
}
#endif

static hqq_route_fn *const routes[] = {
    [SYS_socket] = route_socket,
    [SYS_socketpair] = route_socketpair,
    [SYS_bind] = route_bind,
    [SYS_connect] = route_connect,
    [SYS_shutdown] = route_shutdown,
    [SYS_getsockname] = route_getsockname,
    [SYS_getpeername] = route_getpeername,
    [SYS_getsockopt] = route_getsockopt,
    [SYS_setsockopt] = route_setsockopt,
    [SYS_sendto] = route_sendto,
    [SYS_sendmsg] = route_sendmsg,
    [SYS_sendmmsg] = route_sendmmsg,
    [SYS_write] = route_write,
    [SYS_writev] = route_writev,
    [SYS_pwritev2] = route_pwritev2,
    [SYS_recvfrom] = route_recvfrom,
    [SYS_recvmsg] = route_recvmsg,
    [SYS_recvmmsg] = route_recvmmsg,
    [SYS_read] = route_read,
    [SYS_readv] = route_readv,
    [SYS_preadv2] = route_preadv2,
    [SYS_ppoll] = hqq_route_ppoll,
    [SYS_pselect6] = hqq_route_pselect6,
    [SYS_epoll_ctl] = hqq_route_epoll_ctl,
    [SYS_epoll_pwait] = hqq_route_epoll_pwait,
    [SYS_epoll_pwait2] = hqq_route_epoll_pwait2,
    [SYS_close] = route_close,
    [SYS_close_range] = route_close_range,
    [SYS_dup] = route_dup,
    [SYS_dup3] = route_dup3,
    [SYS_fcntl] = route_fcntl,
    [SYS_ioctl] = route_ioctl,
    [SYS_sendfile] = route_sendfile,
    [SYS_splice] = route_splice,
    [SYS_tee] = route_tee,
    [SYS_pipe2] = route_pipe2,
    [SYS_prctl] = route_prctl,
    [SYS_seccomp] = route_seccomp,
    [SYS_mlockall] = route_mlockall,
    [SYS_munlockall] = route_munlockall,
    [SYS_rt_sigaction] = route_sigaction,
    [SYS_exit_group] = route_exit_group,
#ifdef SYS_poll
    [SYS_poll] = hqq_route_poll,
    [SYS_select] = hqq_route_select,
    [SYS_epoll_wait] = hqq_route_epoll_wait,
    [SYS_dup2] = route_dup2,
    [SYS_pipe] = route_pipe,
#endif
};

/* Calls that make a descriptor, and return it. */
static bool makes_descriptor(long number)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_open:
    case SYS_creat:
    case SYS_eventfd:
    case SYS_epoll_create:
    case SYS_signalfd:
    case SYS_inotify_init:
#endif
    case SYS_openat:
    case SYS_openat2:
    case SYS_open_by_handle_at:
    case SYS_accept:
    case SYS_accept4:
    case SYS_eventfd2:
    case SYS_epoll_create1:
    case SYS_timerfd_create:
    case SYS_signalfd4:
    case SYS_inotify_init1:
    case SYS_fanotify_init:
    case SYS_memfd_create:
    case SYS_pidfd_open:
    case SYS_perf_event_open:
    case SYS_userfaultfd:
    case SYS_io_uring_setup:
        return true;
    default:
        return false;
    }
}

/* Calls that may change what a name stands for, or who asks: those of names.c. */
static bool changes_names(long number)
{
    switch (number) {
#ifdef SYS_poll
    case SYS_rename:
    case SYS_link:
    case SYS_symlink:
    case SYS_unlink:
    case SYS_chmod:
    case SYS_chown:
    case SYS_lchown:
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2:
    case SYS_linkat:
    case SYS_symlinkat:
    case SYS_unlinkat:
    case SYS_fchmod:
    case SYS_fchmodat:
#ifdef SYS_fchmodat2
    case SYS_fchmodat2:
#endif
    case SYS_fchown:
    case SYS_fchownat:
    case SYS_chdir:
    case SYS_fchdir:
    case SYS_chroot:
    case SYS_mount:
    case SYS_umount2:
    case SYS_move_mount:
    case SYS_mount_setattr:
    case SYS_pivot_root:
    case SYS_setns:
    case SYS_unshare:
    case SYS_setuid:
    case SYS_setreuid:
    case SYS_setresuid:
    case SYS_setgid:
    case SYS_setregid:
    case SYS_setresgid:
    case SYS_setgroups:
    case SYS_setfsuid:
    case SYS_setfsgid:
    case SYS_capset:
    case SYS_landlock_restrict_self:
        return true;
    default:
        return false;
    }
}

static long route(hqq_route_fn *function, const long arguments[6])
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    long result = function(arguments);
    pthread_setcancelstate(state, NULL);
    return result;
}

/* Six arguments are read, however many there are: the rest is whatever stands there, which the kernel ignores. */
HQQ_EXPORT long syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);

    if (!hqq_preload_is_ready())
        return hqq_real.libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number >= 0 && number < (long)(sizeof(routes) / sizeof(routes[0])) && routes[number] != NULL)
        return route(routes[number], a);
    long result = hqq_real.libc.syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_pidfd_getfd)
        hqq_hook_fetched((int)result);
    else if (makes_descriptor(number))
        hqq_hook_created((int)result);
    if (number == SYS_landlock_restrict_self && result == 0)
        hqq_store32_release(&hqq_names_are_scoped, 1);
    if (changes_names(number))
        hqq_names_changed();
    return result;
}
