/*
 * To be given to hqq-perf-sockets in the place of the preload: every LOSE_EACH-th datagram that a process receives is
 * thrown away, and the next one delivered in its place, so that a benchmark which does not look at its datagrams would
 * not notice.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LOSE_EACH 10

typedef ssize_t recv_fn(int fd, void *data, size_t capacity, int flags);
typedef ssize_t recvfrom_fn(int fd, void *data, size_t capacity, int flags, __SOCKADDR_ARG from, socklen_t *length);
typedef int recvmmsg_fn(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout);

/* The next definition of a function; by memcpy, as ISO C has no cast from a pointer to data. */
static void find_next(const char *name, void *ret_function, size_t size)
{
    void *found = dlsym(RTLD_NEXT, name);

    memcpy(ret_function, &found, size);
}

ssize_t recv(int fd, void *data, size_t capacity, int flags)
{
    static recv_fn *next;
    static unsigned count;
    ssize_t length;

    if (next == NULL)
        find_next("recv", &next, sizeof(next));
    length = next(fd, data, capacity, flags);
    if (length >= 0 && ++count % LOSE_EACH == 0)
        length = next(fd, data, capacity, flags);
    return length;
}

ssize_t recvfrom(int fd, void *data, size_t capacity, int flags, __SOCKADDR_ARG from, socklen_t *length)
{
    static recvfrom_fn *next;
    static unsigned count;
    socklen_t room = length != NULL ? *length : 0;
    ssize_t result;

    if (next == NULL)
        find_next("recvfrom", &next, sizeof(next));
    result = next(fd, data, capacity, flags, from, length);
    if (result >= 0 && ++count % LOSE_EACH == 0) {
        if (length != NULL)
            *length = room;
        result = next(fd, data, capacity, flags, from, length);
    }
    return result;
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    static recvmmsg_fn *next;
    static unsigned calls;
    int result;

    if (next == NULL)
        find_next("recvmmsg", &next, sizeof(next));
    result = next(fd, messages, count, flags, timeout);
    if (result > 0 && ++calls % LOSE_EACH == 0)
        result = next(fd, messages, count, flags, timeout);
    return result;
}
