/*
 * The table's default entries: the libc call of that name, its error as -errno. They rely on libc alone, keep no state,
 * and never retry.
 */
#include "platform/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hqq/link.h>

#include "platform/clock.h"

/* The result of a libc call, as the table returns it; errno becomes what it was before the call. */
static int settle(int result, int saved_errno)
{
    int settled = result < 0 ? -errno : result;
    errno = saved_errno;
    return settled;
}

static int sys_open(const char *path, int flags, mode_t mode)
{
    int saved = errno;
    return settle(open(path, flags, mode), saved);
}

static int sys_close(int fd)
{
    int saved = errno;
    return settle(close(fd), saved);
}

static ssize_t sys_read(int fd, void *buffer, size_t size)
{
    int saved = errno;
    ssize_t result = read(fd, buffer, size);
    if (result < 0) {
        result = -errno;
        errno = saved;
    }
    return result;
}

static int sys_fstat(int fd, struct stat *ret_stat)
{
    int saved = errno;
    return settle(fstat(fd, ret_stat), saved);
}

static int sys_stat(const char *path, struct stat *ret_stat)
{
    int saved = errno;
    return settle(stat(path, ret_stat), saved);
}

static int sys_fstatfs(int fd, struct statfs *ret_stat)
{
    int saved = errno;
    return settle(fstatfs(fd, ret_stat), saved);
}

static int sys_fchmod(int fd, mode_t mode)
{
    int saved = errno;
    return settle(fchmod(fd, mode), saved);
}

static int sys_ftruncate(int fd, off_t length)
{
    int saved = errno;
    return settle(ftruncate(fd, length), saved);
}

/* Not posix_fallocate(), which where the filesystem can't allocate writes to every block instead. */
static int sys_fallocate(int fd, int mode, off_t offset, off_t length)
{
    int saved = errno;
    return settle(fallocate(fd, mode, offset, length), saved);
}

static int sys_link(const char *existing, const char *path)
{
    int saved = errno;
    return settle(linkat(AT_FDCWD, existing, AT_FDCWD, path, AT_SYMLINK_FOLLOW), saved);
}

static int sys_unlink(const char *path)
{
    int saved = errno;
    return settle(unlink(path), saved);
}

static int sys_flock(int fd, int operation)
{
    int saved = errno;
    return settle(flock(fd, operation), saved);
}

static int sys_memfd_create(const char *name, unsigned flags)
{
    int saved = errno;
    return settle(memfd_create(name, flags), saved);
}

static int sys_add_seals(int fd, int seals)
{
    int saved = errno;
    return settle(fcntl(fd, F_ADD_SEALS, seals), saved);
}

static int sys_get_seals(int fd)
{
    int saved = errno;
    return settle(fcntl(fd, F_GET_SEALS), saved);
}

static int sys_mmap(void **ret_address, size_t length, int protection, int flags, int fd)
{
    int saved = errno;
    void *address = mmap(NULL, length, protection, flags, fd, 0);
    if (address == MAP_FAILED)
        return settle(-1, saved);
    *ret_address = address;
    return 0;
}

static int sys_munmap(void *address, size_t length)
{
    int saved = errno;
    return settle(munmap(address, length), saved);
}

static int sys_madvise(void *address, size_t length, int advice)
{
    int saved = errno;
    return settle(madvise(address, length, advice), saved);
}

static int sys_kill(pid_t pid, int number)
{
    int saved = errno;
    return settle(kill(pid, number), saved);
}

/* FUTEX_WAIT takes a span; FUTEX_WAIT_BITSET an absolute time, on CLOCK_MONOTONIC unless told otherwise. */
static int sys_futex_wait(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    int saved = errno;
    struct timespec deadline = hqq_timespec(deadline_ns);
    const struct timespec *timeout = deadline_ns == HQQ_FOREVER ? NULL : &deadline;
    return settle((int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, timeout, NULL, FUTEX_BITSET_MATCH_ANY),
                  saved);
}

static int sys_futex_wake(const void *word, int count)
{
    int saved = errno;
    return settle((int)syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0), saved);
}

static int sys_membarrier(int command)
{
    int saved = errno;
    return settle((int)syscall(SYS_membarrier, command, 0, 0), saved);
}

/* By system calls of its own, as libc's are cancellation points, and another library may stand in front of them. */
static int sys_knock(const void *address, unsigned length)
{
    int saved = errno;
    int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -errno : 0;
    if (fd >= 0 && syscall(SYS_sendto, fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, address, length) < 0)
        result = -errno;
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = saved;
    return result;
}

static int sys_sched_yield(void)
{
    int saved = errno;
    return settle(sched_yield(), saved);
}

/* clock_nanosleep() returns its error and leaves errno alone. */
static int sys_sleep_until(uint64_t deadline_ns)
{
    struct timespec deadline = hqq_timespec(deadline_ns);
    return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
}

/* The kernel refuses a mask shorter than its own: then there are more than 4096, and how many more makes no difference. */
static int sys_cpu_count(void)
{
    cpu_set_t mask[4];
    int saved = errno;
    int result = settle(sched_getaffinity(0, sizeof(mask), mask), saved);
    if (result < 0)
        return result == -EINVAL ? CPU_SETSIZE : 1;
    int count = CPU_COUNT_S(sizeof(mask), mask);
    return count > 0 ? count : 1;
}

static int sys_cpu_now(void)
{
    int saved = errno;
    int cpu = sched_getcpu();
    errno = saved;
    return cpu >= 0 ? cpu : -1;
}

/* A limit that can't be read (a seccomp filter) counts as 0: no region is better than a SIGXFSZ. */
static uint64_t sys_file_size_limit(void)
{
    struct rlimit limit;
    int saved = errno;
    if (settle(getrlimit(RLIMIT_FSIZE, &limit), saved) < 0)
        return 0;
    return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

struct hqq_sys hqq_sys = {
    .open = sys_open,
    .close = sys_close,
    .read = sys_read,
    .fstat = sys_fstat,
    .stat = sys_stat,
    .fstatfs = sys_fstatfs,
    .fchmod = sys_fchmod,
    .ftruncate = sys_ftruncate,
    .fallocate = sys_fallocate,
    .link = sys_link,
    .unlink = sys_unlink,
    .flock = sys_flock,
    .memfd_create = sys_memfd_create,
    .add_seals = sys_add_seals,
    .get_seals = sys_get_seals,
    .mmap = sys_mmap,
    .munmap = sys_munmap,
    .madvise = sys_madvise,
    .kill = sys_kill,
    .futex_wait = sys_futex_wait,
    .futex_wake = sys_futex_wake,
    .membarrier = sys_membarrier,
    .knock = sys_knock,
    .sched_yield = sys_sched_yield,
    .sleep_until = sys_sleep_until,
    .cpu_count = sys_cpu_count,
    .cpu_now = sys_cpu_now,
    .file_size_limit = sys_file_size_limit,
};

/* ---- By these ---------------------------------------------------------------------------------------------------- */

ssize_t hqq_sys_read_file(const char *path, char *ret_text, size_t size)
{
    *ret_text = '\0';
    int fd = hqq_sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    ssize_t result = hqq_sys.read(fd, ret_text, size - 1);
    hqq_sys.close(fd);
    ret_text[result > 0 ? result : 0] = '\0';
    return result;
}
