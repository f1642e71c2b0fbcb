/* The table of real functions: its first content, and where each entry comes from. Relies on dlsym() alone. */
#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "preload/next.h"
#include "preload/raw.h"

/* First calls of what needs the real function. Every libc has these, so none comes back here. */

static FILE *late_fopen(const char *path, const char *mode)
{
    hqq_real_resolve();
    return hqq_real.fopen(path, mode);
}

static FILE *late_freopen(const char *path, const char *mode, FILE *stream)
{
    hqq_real_resolve();
    return hqq_real.freopen(path, mode, stream);
}

static FILE *late_fdopen(int fd, const char *mode)
{
    hqq_real_resolve();
    return hqq_real.fdopen(fd, mode);
}

static FILE *late_tmpfile(void)
{
    hqq_real_resolve();
    return hqq_real.tmpfile();
}

static DIR *late_opendir(const char *path)
{
    hqq_real_resolve();
    return hqq_real.opendir(path);
}

static int late_mkstemp(char *template)
{
    hqq_real_resolve();
    return hqq_real.mkstemp(template);
}

static int late_mkostemp(char *template, int flags)
{
    hqq_real_resolve();
    return hqq_real.mkostemp(template, flags);
}

static int late_mkstemps(char *template, int suffix)
{
    hqq_real_resolve();
    return hqq_real.mkstemps(template, suffix);
}

static int late_mkostemps(char *template, int suffix, int flags)
{
    hqq_real_resolve();
    return hqq_real.mkostemps(template, suffix, flags);
}

static int late_shm_open(const char *name, int flags, mode_t mode)
{
    hqq_real_resolve();
    return hqq_real.shm_open(name, flags, mode);
}

static int late_posix_openpt(int flags)
{
    hqq_real_resolve();
    return hqq_real.posix_openpt(flags);
}

static int late_aio_read(struct aiocb *operation)
{
    hqq_real_resolve();
    return hqq_real.aio_read(operation);
}

static int late_aio_write(struct aiocb *operation)
{
    hqq_real_resolve();
    return hqq_real.aio_write(operation);
}

static int late_lio_listio(int mode, struct aiocb *const list[], int count, struct sigevent *event)
{
    hqq_real_resolve();
    return hqq_real.lio_listio(mode, list, count, event);
}

struct hqq_real hqq_real = {
    .libc =
        {
            .socket = hqq_raw_socket,
            .socketpair = hqq_raw_socketpair,
            .bind = hqq_raw_bind,
            .listen = hqq_raw_listen,
            .accept4 = hqq_raw_accept4,
            .connect = hqq_raw_connect,
            .shutdown = hqq_raw_shutdown,
            .getsockname = hqq_raw_getsockname,
            .getpeername = hqq_raw_getpeername,
            .getsockopt = hqq_raw_getsockopt,
            .setsockopt = hqq_raw_setsockopt,
            .send = hqq_raw_send,
            .sendto = hqq_raw_sendto,
            .sendmsg = hqq_raw_sendmsg,
            .sendmmsg = hqq_raw_sendmmsg,
            .write = hqq_raw_write,
            .writev = hqq_raw_writev,
            .pwritev2 = hqq_raw_pwritev2,
            .recv = hqq_raw_recv,
            .recvfrom = hqq_raw_recvfrom,
            .recvmsg = hqq_raw_recvmsg,
            .recvmmsg = hqq_raw_recvmmsg,
            .read = hqq_raw_read,
            .readv = hqq_raw_readv,
            .preadv2 = hqq_raw_preadv2,
            .poll = hqq_raw_poll,
            .ppoll = hqq_raw_ppoll,
            .select = hqq_raw_select,
            .pselect = hqq_raw_pselect,
            .epoll_ctl = hqq_raw_epoll_ctl,
            .epoll_wait = hqq_raw_epoll_wait,
            .epoll_pwait = hqq_raw_epoll_pwait,
            .epoll_pwait2 = hqq_raw_epoll_pwait2,
            .close = hqq_raw_close,
            .close_range = hqq_raw_close_range,
            .closefrom = hqq_raw_closefrom,
            .dup = hqq_raw_dup,
            .dup2 = hqq_raw_dup2,
            .dup3 = hqq_raw_dup3,
            .fcntl = hqq_raw_fcntl,
            .ioctl = hqq_raw_ioctl,
            .open = hqq_raw_open,
            .syscall = hqq_raw_syscall,
        },
    .open_2 = hqq_raw_open_2,
    .openat = hqq_raw_openat,
    .openat_2 = hqq_raw_openat_2,
    .creat = hqq_raw_creat,
    .open_by_handle_at = hqq_raw_open_by_handle_at,
    .accept = hqq_raw_accept,
    .pipe = hqq_raw_pipe,
    .pipe2 = hqq_raw_pipe2,
    .eventfd = hqq_raw_eventfd,
    .epoll_create = hqq_raw_epoll_create,
    .epoll_create1 = hqq_raw_epoll_create1,
    .timerfd_create = hqq_raw_timerfd_create,
    .signalfd = hqq_raw_signalfd,
    .inotify_init = hqq_raw_inotify_init,
    .inotify_init1 = hqq_raw_inotify_init1,
    .fanotify_init = hqq_raw_fanotify_init,
    .memfd_create = hqq_raw_memfd_create,
    .pidfd_open = hqq_raw_pidfd_open,
    .pidfd_getfd = hqq_raw_pidfd_getfd,
    .fopen = late_fopen,
    .freopen = late_freopen,
    .fdopen = late_fdopen,
    .tmpfile = late_tmpfile,
    .opendir = late_opendir,
    .mkstemp = late_mkstemp,
    .mkostemp = late_mkostemp,
    .mkstemps = late_mkstemps,
    .mkostemps = late_mkostemps,
    .shm_open = late_shm_open,
    .posix_openpt = late_posix_openpt,
    .sendfile = hqq_raw_sendfile,
    .splice = hqq_raw_splice,
    .tee = hqq_raw_tee,
    .aio_read = late_aio_read,
    .aio_write = late_aio_write,
    .lio_listio = late_lio_listio,
    .exit_at_once = hqq_raw_exit,
    .execve = hqq_raw_execve,
    .execveat = hqq_raw_execveat,
};

struct entry {
    const char *name;
    size_t offset;
};

/* The name of each entry's function in libc. */
static const struct entry entries[] = {
    {"socket", offsetof(struct hqq_real, libc.socket)},
    {"socketpair", offsetof(struct hqq_real, libc.socketpair)},
    {"bind", offsetof(struct hqq_real, libc.bind)},
    {"listen", offsetof(struct hqq_real, libc.listen)},
    {"accept4", offsetof(struct hqq_real, libc.accept4)},
    {"connect", offsetof(struct hqq_real, libc.connect)},
    {"shutdown", offsetof(struct hqq_real, libc.shutdown)},
    {"getsockname", offsetof(struct hqq_real, libc.getsockname)},
    {"getpeername", offsetof(struct hqq_real, libc.getpeername)},
    {"getsockopt", offsetof(struct hqq_real, libc.getsockopt)},
    {"setsockopt", offsetof(struct hqq_real, libc.setsockopt)},
    {"send", offsetof(struct hqq_real, libc.send)},
    {"sendto", offsetof(struct hqq_real, libc.sendto)},
    {"sendmsg", offsetof(struct hqq_real, libc.sendmsg)},
    {"sendmmsg", offsetof(struct hqq_real, libc.sendmmsg)},
    {"write", offsetof(struct hqq_real, libc.write)},
    {"writev", offsetof(struct hqq_real, libc.writev)},
    {"pwritev2", offsetof(struct hqq_real, libc.pwritev2)},
    {"recv", offsetof(struct hqq_real, libc.recv)},
    {"recvfrom", offsetof(struct hqq_real, libc.recvfrom)},
    {"recvmsg", offsetof(struct hqq_real, libc.recvmsg)},
    {"recvmmsg", offsetof(struct hqq_real, libc.recvmmsg)},
    {"read", offsetof(struct hqq_real, libc.read)},
    {"readv", offsetof(struct hqq_real, libc.readv)},
    {"preadv2", offsetof(struct hqq_real, libc.preadv2)},
    {"poll", offsetof(struct hqq_real, libc.poll)},
    {"ppoll", offsetof(struct hqq_real, libc.ppoll)},
    {"select", offsetof(struct hqq_real, libc.select)},
    {"pselect", offsetof(struct hqq_real, libc.pselect)},
    {"epoll_ctl", offsetof(struct hqq_real, libc.epoll_ctl)},
    {"epoll_wait", offsetof(struct hqq_real, libc.epoll_wait)},
    {"epoll_pwait", offsetof(struct hqq_real, libc.epoll_pwait)},
    {"epoll_pwait2", offsetof(struct hqq_real, libc.epoll_pwait2)},
    {"close", offsetof(struct hqq_real, libc.close)},
    {"close_range", offsetof(struct hqq_real, libc.close_range)},
    {"closefrom", offsetof(struct hqq_real, libc.closefrom)},
    {"dup", offsetof(struct hqq_real, libc.dup)},
    {"dup2", offsetof(struct hqq_real, libc.dup2)},
    {"dup3", offsetof(struct hqq_real, libc.dup3)},
    {"fcntl", offsetof(struct hqq_real, libc.fcntl)},
    {"ioctl", offsetof(struct hqq_real, libc.ioctl)},
    {"open", offsetof(struct hqq_real, libc.open)},
    {"syscall", offsetof(struct hqq_real, libc.syscall)},
    {"__open_2", offsetof(struct hqq_real, open_2)},
    {"openat", offsetof(struct hqq_real, openat)},
    {"__openat_2", offsetof(struct hqq_real, openat_2)},
    {"creat", offsetof(struct hqq_real, creat)},
    {"open_by_handle_at", offsetof(struct hqq_real, open_by_handle_at)},
    {"accept", offsetof(struct hqq_real, accept)},
    {"pipe", offsetof(struct hqq_real, pipe)},
    {"pipe2", offsetof(struct hqq_real, pipe2)},
    {"eventfd", offsetof(struct hqq_real, eventfd)},
    {"epoll_create", offsetof(struct hqq_real, epoll_create)},
    {"epoll_create1", offsetof(struct hqq_real, epoll_create1)},
    {"timerfd_create", offsetof(struct hqq_real, timerfd_create)},
    {"signalfd", offsetof(struct hqq_real, signalfd)},
    {"inotify_init", offsetof(struct hqq_real, inotify_init)},
    {"inotify_init1", offsetof(struct hqq_real, inotify_init1)},
    {"fanotify_init", offsetof(struct hqq_real, fanotify_init)},
    {"memfd_create", offsetof(struct hqq_real, memfd_create)},
    {"pidfd_open", offsetof(struct hqq_real, pidfd_open)},
    {"pidfd_getfd", offsetof(struct hqq_real, pidfd_getfd)},
    {"fopen", offsetof(struct hqq_real, fopen)},
    {"freopen", offsetof(struct hqq_real, freopen)},
    {"fdopen", offsetof(struct hqq_real, fdopen)},
    {"tmpfile", offsetof(struct hqq_real, tmpfile)},
    {"opendir", offsetof(struct hqq_real, opendir)},
    {"mkstemp", offsetof(struct hqq_real, mkstemp)},
    {"mkostemp", offsetof(struct hqq_real, mkostemp)},
    {"mkstemps", offsetof(struct hqq_real, mkstemps)},
    {"mkostemps", offsetof(struct hqq_real, mkostemps)},
    {"shm_open", offsetof(struct hqq_real, shm_open)},
    {"posix_openpt", offsetof(struct hqq_real, posix_openpt)},
    {"sendfile", offsetof(struct hqq_real, sendfile)},
    {"splice", offsetof(struct hqq_real, splice)},
    {"tee", offsetof(struct hqq_real, tee)},
    {"aio_read", offsetof(struct hqq_real, aio_read)},
    {"aio_write", offsetof(struct hqq_real, aio_write)},
    {"lio_listio", offsetof(struct hqq_real, lio_listio)},
    {"_exit", offsetof(struct hqq_real, exit_at_once)},
    {"execve", offsetof(struct hqq_real, execve)},
    {"execvpe", offsetof(struct hqq_real, execvpe)},
    {"execveat", offsetof(struct hqq_real, execveat)},
    {"fexecve", offsetof(struct hqq_real, fexecve)},
    {"posix_spawn", offsetof(struct hqq_real, posix_spawn)},
    {"posix_spawnp", offsetof(struct hqq_real, posix_spawnp)},
};

#define LATE_ENTRY(type, name, arguments) {#name, offsetof(struct hqq_real, name)},
static const struct entry late_entries[] = {HQQ_REAL_LATE(LATE_ENTRY)};

/* Puts the next definition of a function after ours into its entry, by memcpy, as ISO C has no cast for it. */
static void resolve(const char *name, size_t offset)
{
    void *found = hqq_next(name);
    if (found != NULL)
        memcpy((char *)&hqq_real + offset, &found, sizeof(found));
}

void hqq_real_resolve(void)
{
    int saved = errno;
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        resolve(entries[i].name, entries[i].offset);
    for (size_t i = 0; i < sizeof(late_entries) / sizeof(late_entries[0]); i++)
        resolve(late_entries[i].name, late_entries[i].offset);
    dlerror(); /* forgets what was not found */
    errno = saved;
}
