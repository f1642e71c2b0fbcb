/*
 * What lies behind the hooks: the functions of libc, or of another preloaded library, that our exported names hide.
 *
 * The table starts with versions that are bare system calls (raw.h), so a hook works before our constructor ran, in
 * an allocator's first call or in the dynamic linker: no dlsym, no memory, no stdio, no lock. What cannot be had that
 * way (fopen() and its like, which allocate themselves, and all that is rarely called so early) resolves the table when it
 * is first called. From the
 * constructor on the table holds the real functions, so that cancellation and other libraries' hooks work; a name
 * that this libc lacks keeps its bare version.
 *
 * A thread that looks while the table is filled finds the one or the other; both do.
 */
#ifndef HQQ_PRELOAD_REAL_H
#define HQQ_PRELOAD_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <aio.h>

#include "base/atomic.h"
#include "runtime/libc.h"

/* Where a file's offset has 64 bits anyway, open64() and open() are one function, and so are the others of their kind:
 * the table has the plain ones only. */
_Static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "the large-file names must be the plain ones");

/* Entries that have the name of their function, and none before the table is filled: HQQ_REAL() fills it then. What jumps,
 * what handles signals, and what changes names, identity and limits; none of it is called by allocators. */
#define HQQ_REAL_LATE(X)                                                                                               \
    X(void, longjmp, (jmp_buf, int))                                                                                   \
    X(void, _longjmp, (jmp_buf, int))                                                                                  \
    X(void, siglongjmp, (sigjmp_buf, int))                                                                             \
    X(void, __longjmp_chk, (jmp_buf, int))                                                                             \
    X(int, sigaction, (int, const struct sigaction *, struct sigaction *))                                             \
    X(hqq_real_handler *, signal, (int, hqq_real_handler *))                                                           \
    X(hqq_real_handler *, sysv_signal, (int, hqq_real_handler *))                                                      \
    X(hqq_real_handler *, sigset, (int, hqq_real_handler *))                                                           \
    X(int, siginterrupt, (int, int))                                                                                   \
    X(int, rename, (const char *, const char *))                                                                       \
    X(int, renameat, (int, const char *, int, const char *))                                                           \
    X(int, renameat2, (int, const char *, int, const char *, unsigned))                                                \
    X(int, link, (const char *, const char *))                                                                         \
    X(int, linkat, (int, const char *, int, const char *, int))                                                        \
    X(int, symlink, (const char *, const char *))                                                                      \
    X(int, symlinkat, (const char *, int, const char *))                                                               \
    X(int, unlink, (const char *))                                                                                     \
    X(int, unlinkat, (int, const char *, int))                                                                         \
    X(int, remove, (const char *))                                                                                     \
    X(int, mount, (const char *, const char *, const char *, unsigned long, const void *))                             \
    X(int, umount, (const char *))                                                                                     \
    X(int, umount2, (const char *, int))                                                                               \
    X(int, chroot, (const char *))                                                                                     \
    X(int, pivot_root, (const char *, const char *))                                                                   \
    X(int, setns, (int, int))                                                                                          \
    X(int, unshare, (int))                                                                                             \
    X(int, setuid, (uid_t))                                                                                            \
    X(int, seteuid, (uid_t))                                                                                           \
    X(int, setreuid, (uid_t, uid_t))                                                                                   \
    X(int, setresuid, (uid_t, uid_t, uid_t))                                                                           \
    X(int, setgid, (gid_t))                                                                                            \
    X(int, setegid, (gid_t))                                                                                           \
    X(int, setregid, (gid_t, gid_t))                                                                                   \
    X(int, setresgid, (gid_t, gid_t, gid_t))                                                                           \
    X(int, setgroups, (size_t, const gid_t *))                                                                         \
    X(int, initgroups, (const char *, gid_t))                                                                          \
    X(int, setfsuid, (uid_t))                                                                                          \
    X(int, setfsgid, (gid_t))                                                                                          \
    X(int, capset, (void *, const void *))                                                                             \
    X(int, prctl, (int, ...))                                                                                          \
    X(int, chmod, (const char *, mode_t))                                                                              \
    X(int, fchmod, (int, mode_t))                                                                                      \
    X(int, fchmodat, (int, const char *, mode_t, int))                                                                 \
    X(int, lchmod, (const char *, mode_t))                                                                             \
    X(int, chown, (const char *, uid_t, gid_t))                                                                        \
    X(int, fchown, (int, uid_t, gid_t))                                                                                \
    X(int, lchown, (const char *, uid_t, gid_t))                                                                       \
    X(int, fchownat, (int, const char *, uid_t, gid_t, int))                                                           \
    X(int, chdir, (const char *))                                                                                      \
    X(int, fchdir, (int))                                                                                              \
    X(int, mlockall, (int))                                                                                            \
    X(int, munlockall, (void))                                                                                         \
    X(int, posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t *, int, int))                                 \
    X(int, system, (const char *))                                                                                     \
    X(int, fclose, (FILE *))                                                                                           \
    X(FILE *, popen, (const char *, const char *))                                                                     \
    X(int, pclose, (FILE *))

typedef void hqq_real_handler(int signal);

struct hqq_real {
    struct hqq_libc libc; /* those that the socket layer stands on */

    int (*open_2)(const char *, int);
    int (*openat)(int, const char *, int, ...);
    int (*openat_2)(int, const char *, int);
    int (*creat)(const char *, mode_t);
    int (*open_by_handle_at)(int, struct file_handle *, int);
    int (*accept)(int, struct sockaddr *, socklen_t *);
    int (*pipe)(int[2]);
    int (*pipe2)(int[2], int);
    int (*eventfd)(unsigned, int);
    int (*epoll_create)(int);
    int (*epoll_create1)(int);
    int (*timerfd_create)(clockid_t, int);
    int (*signalfd)(int, const sigset_t *, int);
    int (*inotify_init)(void);
    int (*inotify_init1)(int);
    int (*fanotify_init)(unsigned, unsigned);
    int (*memfd_create)(const char *, unsigned);
    int (*pidfd_open)(pid_t, unsigned);
    int (*pidfd_getfd)(int, int, unsigned);

    FILE *(*fopen)(const char *, const char *);
    FILE *(*freopen)(const char *, const char *, FILE *);
    FILE *(*fdopen)(int, const char *);
    FILE *(*tmpfile)(void);
    DIR *(*opendir)(const char *);
    int (*mkstemp)(char *);
    int (*mkostemp)(char *, int);
    int (*mkstemps)(char *, int);
    int (*mkostemps)(char *, int, int);
    int (*shm_open)(const char *, int, mode_t);
    int (*posix_openpt)(int);

    ssize_t (*sendfile)(int, int, off_t *, size_t);
    ssize_t (*splice)(int, off_t *, int, off_t *, size_t, unsigned);
    ssize_t (*tee)(int, int, size_t, unsigned);
    int (*aio_read)(struct aiocb *);
    int (*aio_write)(struct aiocb *);
    int (*lio_listio)(int, struct aiocb *const[], int, struct sigevent *);

    void (*exit_at_once)(int); /* _exit() */
    int (*execve)(const char *, char *const[], char *const[]);
    int (*execvpe)(const char *, char *const[], char *const[]);
    int (*execveat)(int, const char *, char *const[], char *const[], int);
    int (*fexecve)(int, char *const[], char *const[]);
    int (*posix_spawn)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                       char *const[], char *const[]);
    int (*posix_spawnp)(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
                        char *const[], char *const[]);

#define HQQ_REAL_MEMBER(type, name, arguments) type(*name) arguments;
    HQQ_REAL_LATE(HQQ_REAL_MEMBER)
#undef HQQ_REAL_MEMBER
};

extern struct hqq_real hqq_real;

/* Fills the table; once more does no harm. Preserves errno; leaves dlerror() with nothing to tell. */
void hqq_real_resolve(void);

/* The function behind a late entry. */
#define HQQ_REAL(name) (*(hqq_real.name ? hqq_real.name : (hqq_real_resolve(), hqq_real.name)))

/* 1 once the constructor is done: only then do hooks call functions of the socket layer. */
extern hqq_atomic_u32 hqq_preload_ready;

static inline bool hqq_preload_is_ready(void)
{
    /* Acquire: a thread older than our constructor is to find the tables filled. Pairs with the constructor's store. */
    return __builtin_expect(hqq_load32_acquire(&hqq_preload_ready) != 0, 1);
}

#endif
