/*
 * Entries of hqq_sys that would come back through the hooks, as bare system calls: -errno is what the kernel says. So
 * they are no cancellation points either, and work on whatever the app or another library has interposed.
 */
#include "preload/sys.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "preload/raw_call.h"

static int sys_open(const char *path, int flags, mode_t mode)
{
    return (int)hqq_raw_call(SYS_openat, (const long[6]){AT_FDCWD, (long)path, flags, (long)mode});
}

static int sys_close(int fd)
{
    return (int)hqq_raw_call(SYS_close, (const long[6]){fd});
}

static ssize_t sys_read(int fd, void *buffer, size_t size)
{
    return hqq_raw_call(SYS_read, (const long[6]){fd, (long)buffer, (long)size});
}

static int sys_memfd_create(const char *name, unsigned flags)
{
    return (int)hqq_raw_call(SYS_memfd_create, (const long[6]){(long)name, (long)flags});
}

static int sys_add_seals(int fd, int seals)
{
    return (int)hqq_raw_call(SYS_fcntl, (const long[6]){fd, F_ADD_SEALS, seals});
}

static int sys_get_seals(int fd)
{
    return (int)hqq_raw_call(SYS_fcntl, (const long[6]){fd, F_GET_SEALS});
}

static int sys_futex_wait(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    const struct timespec deadline = hqq_timespec(deadline_ns);
    long timeout = deadline_ns == HQQ_FOREVER ? 0 : (long)&deadline;
    return (int)hqq_raw_call(
        SYS_futex, (const long[6]){(long)word, FUTEX_WAIT_BITSET, (long)expected, timeout, 0, FUTEX_BITSET_MATCH_ANY});
}

static int sys_futex_wake(const void *word, int count)
{
    return (int)hqq_raw_call(SYS_futex, (const long[6]){(long)word, FUTEX_WAKE, count});
}

static int sys_membarrier(int command)
{
    return (int)hqq_raw_call(SYS_membarrier, (const long[6]){command});
}

static int sys_knock(const void *address, unsigned length)
{
    long fd = hqq_raw_call(SYS_socket, (const long[6]){AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0});
    if (fd < 0)
        return (int)fd;
    long sent = hqq_raw_call(
        SYS_sendto, (const long[6]){fd, (long)"", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (long)address, (long)length});
    sys_close((int)fd);
    return sent < 0 ? (int)sent : 0;
}

void hqq_preload_fill_sys(void)
{
    hqq_sys.open = sys_open;
    hqq_sys.close = sys_close;
    hqq_sys.read = sys_read;
    hqq_sys.memfd_create = sys_memfd_create;
    hqq_sys.add_seals = sys_add_seals;
    hqq_sys.get_seals = sys_get_seals;
    hqq_sys.futex_wait = sys_futex_wait;
    hqq_sys.futex_wake = sys_futex_wake;
    hqq_sys.membarrier = sys_membarrier;
    hqq_sys.knock = sys_knock;
}
