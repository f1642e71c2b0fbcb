/*
 * To be preloaded beside the hooks: an allocator that makes hooked calls in its first malloc() and in its constructor,
 * which run before the constructor of the hooks. A call that does not do what it should ends the program by a trap, as
 * nothing else can be relied upon. Memory is never given back.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <hqq/export.h>

/* How often the calls were made. Looked for by test_early.c. */
HQQ_EXPORT extern int early_first_malloc, early_constructor;
int early_first_malloc, early_constructor;

static void must(bool is_so)
{
    if (!is_so)
        __builtin_trap();
}

/* Open, read, write, wait, control, duplicate and close, all before there is a table of real functions. */
static void make_calls(void)
{
    char data[4] = {1};
    struct iovec part = {.iov_base = data, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct epoll_event event = {.events = EPOLLIN};
    struct timeval no_time = {0};
    struct timespec none = {0};
    fd_set set;
    int fds[2];
    int saved = errno;

    errno = EXDEV;
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    must(zero >= 0);
    must(read(zero, data, sizeof(data)) == sizeof(data) && data[0] == 0);
    must(readv(zero, &part, 1) == 1);
    must(fcntl(zero, F_GETFD) == FD_CLOEXEC);
    must(dup2(zero, zero) == zero);
    must(close(zero) == 0);
    must(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0);
    must(send(fds[0], "a", 1, 0) == 1 && sendmsg(fds[0], &message, 0) == 1 && write(fds[0], "c", 1) == 1);
    struct pollfd wait = {.fd = fds[1], .events = POLLIN};
    must(poll(&wait, 1, 1000) == 1 && wait.revents == POLLIN);
    must(ppoll(&wait, 1, &none, NULL) == 1);
    FD_ZERO(&set);
    FD_SET(fds[1], &set);
    must(select(fds[1] + 1, &set, NULL, NULL, &no_time) == 1);
    must(pselect(fds[1] + 1, &set, NULL, NULL, &none, NULL) == 1);
    int epoll = epoll_create1(0);
    must(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fds[1], &event) == 0);
    must(epoll_wait(epoll, &event, 1, -1) == 1);
    must(recv(fds[1], data, 1, 0) == 1 && data[0] == 'a');
    must(recvmsg(fds[1], &message, 0) == 1);
    must(syscall(SYS_read, fds[1], data, sizeof(data)) == 1 && data[0] == 'c');
    must(errno == EXDEV);
    must(recvfrom(fds[1], data, 1, MSG_DONTWAIT, NULL, NULL) == -1 && errno == EAGAIN);
    must(syscall(SYS_close, epoll) == 0 && close(fds[0]) == 0 &&
         close_range((unsigned)fds[1], (unsigned)fds[1], 0) == 0);
    must(close(fds[1]) == -1 && errno == EBADF);
    must(open("/no/such", O_RDONLY) == -1 && errno == ENOENT);
    errno = saved;
}

static _Alignas(16) unsigned char memory[64 << 20];
static size_t used;

static void *take(size_t alignment, size_t size)
{
    if (early_first_malloc == 0) {
        early_first_malloc = 1;
        make_calls();
    }
    /* A block is preceded by its size. */
    size_t extra = alignment > 16 ? alignment : 16;
    size_t asked = size + 2 * extra;
    size_t start = __atomic_fetch_add(&used, (asked + 15) & ~(size_t)15, __ATOMIC_RELAXED);
    must(start + asked < sizeof(memory));
    uintptr_t address = ((uintptr_t)&memory[start] + extra + extra - 1) & ~(uintptr_t)(extra - 1);
    unsigned char *block = &memory[start] + (address - (uintptr_t)&memory[start]);
    memcpy(block - sizeof(size), &size, sizeof(size));
    return block;
}

HQQ_EXPORT void *malloc(size_t size)
{
    return take(16, size);
}

HQQ_EXPORT void free(void *block)
{
    (void)block;
}

HQQ_EXPORT void *calloc(size_t count, size_t size)
{
    return take(16, count * size); /* fresh memory is zero */
}

HQQ_EXPORT void *realloc(void *block, size_t size)
{
    size_t before = 0;
    void *moved = take(16, size);
    if (block != NULL) {
        memcpy(&before, (unsigned char *)block - sizeof(before), sizeof(before));
        memcpy(moved, block, before < size ? before : size);
    }
    return moved;
}

HQQ_EXPORT void *memalign(size_t alignment, size_t size);
HQQ_EXPORT void *memalign(size_t alignment, size_t size)
{
    return take(alignment, size);
}

HQQ_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return take(alignment, size);
}

HQQ_EXPORT int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
    *ret_block = take(alignment, size);
    return 0;
}

/* A constructor may use streams too. */
__attribute__((constructor)) static void construct(void)
{
    make_calls();
    FILE *zero = fopen("/dev/zero", "r");
    must(zero != NULL && fgetc(zero) == 0 && fclose(zero) == 0);
    early_constructor = 1;
}
