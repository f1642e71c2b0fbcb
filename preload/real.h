/*
 * What lies behind the hooks: the functions of libc, or of another preloaded library, that our exported names hide.
 *
 * The table starts with versions that are bare system calls (raw.h), so a hook works before our constructor ran, in
 * an allocator's first call or in the dynamic linker: no dlsym, no memory, no stdio, no lock. What cannot be had that
 * way (fopen() and its like, which allocate themselves) resolves the table when it is first called. From the
 * constructor on the table holds the real functions, so that cancellation and other libraries' hooks work; a name
 * that this libc lacks keeps its bare version.
 *
 * A thread that looks while the table is filled finds the one or the other; both do.
 */
#ifndef HQQ_PRELOAD_REAL_H
#define HQQ_PRELOAD_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <aio.h>

#include "base/atomic.h"
#include "socket/libc.h"

/* Where a file's offset has 64 bits anyway, open64() and open() are one function, and so are the others of their kind:
 * the table has the plain ones only. */
_Static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "the large-file names must be the plain ones");

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
};

extern struct hqq_real hqq_real;

/* Fills the table; once more does no harm. Preserves errno; leaves dlerror() with nothing to tell. */
void hqq_real_resolve(void);

/* 1 once the constructor is done: only then do hooks call functions of the socket layer. */
extern hqq_atomic_u32 hqq_preload_ready;

static inline bool hqq_preload_is_ready(void)
{
    /* Acquire: a thread older than our constructor is to find the tables filled. Pairs with the constructor's store. */
    return __builtin_expect(hqq_load32_acquire(&hqq_preload_ready) != 0, 1);
}

#endif
