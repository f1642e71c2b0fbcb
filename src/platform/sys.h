/*
 * The system calls that this library makes, as a table. Tests replace entries to make the Nth call fail; the
 * preload replaces them so that our own calls never come back through its hooks. Each entry returns its result, or
 * -errno, and preserves errno. Relies on nothing and never retries: EINTR is the caller's to repeat. close is never
 * repeated, because Linux has freed the descriptor whatever close reports.
 */
#ifndef HQQ_PLATFORM_SYS_H
#define HQQ_PLATFORM_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <time.h>

struct hqq_sys {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    ssize_t (*read)(int fd, void *buffer, size_t size);
    int (*fstat)(int fd, struct stat *ret_stat);
    int (*stat)(const char *path, struct stat *ret_stat);
    int (*fstatfs)(int fd, struct statfs *ret_stat);
    int (*fchmod)(int fd, mode_t mode);
    int (*ftruncate)(int fd, off_t length);
    int (*fallocate)(int fd, int mode, off_t offset, off_t length);
    int (*link)(const char *existing, const char *path); /* follows existing where that is a symbolic link */
    int (*unlink)(const char *path);
    int (*flock)(int fd, int operation);
    int (*memfd_create)(const char *name, unsigned flags);
    int (*add_seals)(int fd, int seals);
    int (*get_seals)(int fd);
    int (*mmap)(void **ret_address, size_t length, int protection, int flags, int fd); /* from offset 0 */
    int (*munmap)(void *address, size_t length);
    int (*madvise)(void *address, size_t length, int advice);
    int (*kill)(pid_t pid, int signal);
    /* A 32-bit word that may be shared between processes. 0 woken (or for no reason), -EAGAIN another value than
     * expected, -ETIMEDOUT, -EINTR. The deadline is absolute, CLOCK_MONOTONIC; HQQ_FOREVER is none. */
    int (*futex_wait)(const void *word, uint32_t expected, uint64_t deadline_ns);
    int (*futex_wake)(const void *word, int count); /* how many were woken */
    int (*membarrier)(int command);
    /* One byte to a datagram socket of that address, from a socket made for it; never waits. 0 or -errno. */
    int (*knock)(const void *address, unsigned length);
    int (*sched_yield)(void);
    int (*sleep_until)(uint64_t deadline_ns); /* clock_nanosleep, TIMER_ABSTIME; 0 or -EINTR */
    int (*cpu_count)(void);                   /* processors this thread may run on; 1 if that can't be told */
    int (*cpu_now)(void);                     /* the processor this thread runs on; -1 if unknown */
    uint64_t (*file_size_limit)(void);        /* RLIMIT_FSIZE, soft; UINT64_MAX for none, 0 if it can't be told */
};

extern struct hqq_sys hqq_sys;

/* By these: the beginning of a small file, such as those of /proc, read at once and ended with a NUL. Returns its length, below
 * size, or -errno; then the text is empty. */
ssize_t hqq_sys_read_file(const char *path, char *ret_text, size_t size);

#endif
