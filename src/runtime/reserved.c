#include "runtime/reserved.h"

#include <errno.h>
#include <sys/syscall.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/atomic.h"
#include "platform/sys.h"
#include "runtime/counters.h"
#include "runtime/libc.h"

#define FROM 900

/* What is known of a number. The inode tells ours from what the program has made at this number after it closed ours by a
 * raw system call. */
struct place {
    hqq_atomic_u64 inode; /* 0: not reserved */
    hqq_atomic_pointer holder, guard;
};

/* Often under a lock: no cancellation point, unlike close(). */
static void close_quietly(int fd)
{
    hqq_libc.syscall(SYS_close, fd);
}

static struct place places[HQQ_RESERVED_MAX];

static uint64_t inode_of(int fd)
{
    struct stat status;
    return hqq_sys.fstat(fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static struct place *place_of(int fd)
{
    return fd >= 0 && fd < HQQ_RESERVED_MAX ? &places[fd] : NULL;
}

/* Where the numbers end early, near that end; where there are hardly any, nowhere. */
static int first_number(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > FROM + 64)
        return FROM;
    return limit.rlim_cur > 128 ? (int)limit.rlim_cur - 64 : -1;
}

/* A copy of fd at a number of ours, or -EMFILE. */
static int copy(int fd)
{
    int from = first_number();
    int copied = from < 0 ? -1 : hqq_libc.fcntl(fd, F_DUPFD_CLOEXEC, from);
    if (copied >= HQQ_RESERVED_MAX) {
        close_quietly(copied);
        copied = -1;
    }
    return copied >= 0 ? copied : -EMFILE;
}

/* The inode comes last: with it the number is ours, and has a holder. */
static void enter(int fd, int *holder, struct hqq_lock *guard)
{
    struct place *place = &places[fd];
    hqq_store_pointer_release(&place->guard, guard);
    hqq_store_pointer_release(&place->holder, holder);
    hqq_store_release(&place->inode, inode_of(fd));
}

static void forget(int fd)
{
    hqq_store_relaxed(&places[fd].inode, 0);
    hqq_store_pointer_release(&places[fd].holder, NULL);
}

int hqq_reserved_take(int fd, int *holder, struct hqq_lock *guard)
{
    if (fd < 0)
        return fd;
    int saved = errno;
    int number = copy(fd);
    close_quietly(fd);
    if (number >= 0) {
        *holder = number;
        enter(number, holder, guard);
    }
    errno = saved;
    return number;
}

bool hqq_reserved_is(int fd)
{
    struct place *place = place_of(fd);
    uint64_t inode = place ? hqq_load_acquire(&place->inode) : 0; /* with the release in enter() */
    if (__builtin_expect(inode == 0, 1))
        return fd >= 0 && fd == hqq_counters_fd();
    if (inode_of(fd) == inode)
        return true;
    forget(fd);
    return false;
}

void hqq_reserved_close(int *holder)
{
    int fd = *holder;
    const struct place *place = place_of(fd);
    *holder = -1;
    if (!place || hqq_load_relaxed(&place->inode) == 0 || !hqq_reserved_is(fd))
        return;
    forget(fd);
    close_quietly(fd);
}

/* Where the guard is this thread's own, a signal handler has interrupted its holder: the frame below may use the old
 * number once more, but nobody does after it. */
static void move(int fd, struct place *place)
{
    int *holder = hqq_load_pointer_acquire(&place->holder);
    struct hqq_lock *guard = hqq_load_pointer_acquire(&place->guard);
    bool is_taken = holder && hqq_lock_take(guard);
    bool is_held = holder && hqq_load_pointer_acquire(&place->holder) == holder && *holder == fd;
    int moved = is_held ? copy(fd) : -1;
    if (moved >= 0)
        enter(moved, holder, guard);
    if (is_held)
        *holder = moved >= 0 ? moved : -1;
    forget(fd);
    if (is_taken)
        hqq_lock_give(guard);
}

void hqq_reserved_make_way(int fd)
{
    if (__builtin_expect(!hqq_reserved_is(fd), 1))
        return;
    int saved = errno;
    struct place *place = place_of(fd);
    if (fd == hqq_counters_fd())
        hqq_counters_move_fd(copy(fd));
    else if (place)
        move(fd, place);
    errno = saved;
}
