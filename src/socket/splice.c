#include "socket/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <hqq/socket.h>

#include "endpoint/endpoint.h"
#include "endpoint/kernel_queue.h"
#include "platform/sys.h"
#include "runtime/filter.h"
#include "runtime/handlers.h"
#include "runtime/libc.h"
#include "socket/init.h"
#include "socket/lookup.h"

/* Pages of its own, which the pipe takes over as they are. */
struct pages {
    void *start;
    size_t length;
};

static void unmap(void *argument)
{
    const struct pages *pages = argument;
    hqq_sys.munmap(pages->start, pages->length);
}

/* A datagram of ours may go there. *waits: as the pipe's own flags say too. */
static bool is_pipe_for_writing(int to, bool *waits)
{
    struct stat status;
    int flags = hqq_libc.fcntl(to, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || hqq_sys.fstat(to, &status) != 0 || !S_ISFIFO(status.st_mode))
        return false;
    *waits = *waits && (flags & O_NONBLOCK) == 0;
    return true;
}

/* 0, -EAGAIN, -EINTR; -EPIPE: nobody reads. */
static int wait_for_room(int to, bool waits)
{
    uint32_t handlers = hqq_load32_relaxed(&hqq_handlers_interrupting);
    struct pollfd room = {.fd = to, .events = POLLOUT};
    for (;;) {
        int ready = hqq_libc.poll(&room, 1, waits ? -1 : 0);
        if (ready > 0)
            return room.revents & POLLOUT && !(room.revents & POLLERR) ? 0 : -EPIPE;
        if (ready == 0)
            return -EAGAIN;
        if (errno != EINTR || hqq_load32_relaxed(&hqq_handlers_interrupting) != handlers)
            return -errno;
    }
}

/* As much as there is room for. */
static ssize_t hand_over(int to, const struct pages *pages, size_t length)
{
    const struct iovec part = {pages->start, length};
    ssize_t result;
    do
        result = hqq_libc.syscall(SYS_vmsplice, to, &part, 1L, 0L);
    while (result < 0 && errno == EINTR); /* it is taken, and must not be lost */
    return result;
}

/* False: there is no memory for it. */
static bool map(int to, size_t length, struct pages *ret_pages)
{
    int capacity = hqq_libc.fcntl(to, F_GETPIPE_SZ);
    ret_pages->length = capacity > 0 && (size_t)capacity < length ? (size_t)capacity : length;
    return hqq_sys.mmap(&ret_pages->start, ret_pages->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                        -1) == 0;
}

static ssize_t move(int from, int to, struct pages *pages)
{
    ssize_t moved;
    pthread_cleanup_push(unmap, pages);
    moved = hqq_read(from, pages->start, pages->length);
    if (moved > 0)
        moved = hand_over(to, pages, (size_t)moved);
    pthread_cleanup_pop(1);
    return moved;
}

/* There is no memory: a process that locks its own may have used its allowance up. False: what waits is in the kernel's
 * queue. */
static bool is_out_of_reach(int from)
{
    hqq_socket_demote(from);
    const struct hqq_endpoint *endpoint = hqq_endpoint_find(from);
    return endpoint && hqq_load32_relaxed(&endpoint->is_busy) != 0 &&
           (!endpoint->are_rings_last || hqq_kernel_queue_is_empty(from));
}

bool hqq_splice_to_pipe(int from, int to, size_t length, bool waits, ssize_t *ret_result)
{
    int saved = errno;
    if (hqq_filter_is_set())
        hqq_socket_demote(from);
    if (length == 0 || hqq_filter_is_set() || !hqq_lookup_receiver(from) || !hqq_endpoint_find(from) ||
        !is_pipe_for_writing(to, &waits)) {
        errno = saved;
        return false;
    }
    struct pages pages;
    int result = wait_for_room(to, waits);
    if (result == 0 && !map(to, length, &pages))
        result = is_out_of_reach(from) ? -ENOMEM : -EPIPE;
    errno = saved;
    if (result == 0) {
        *ret_result = move(from, to, &pages);
    } else {
        errno = result == -EPIPE ? saved : -result;
        *ret_result = -1;
    }
    return result != -EPIPE;
}
