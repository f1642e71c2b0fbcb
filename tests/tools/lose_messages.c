/*
 * To be preloaded into hqq-perf: every LOSE_EACH-th message that is received is thrown away, and the next one delivered
 * in its place, so that a benchmark which does not look at its messages would not notice.
 */
#include <hqq/link.h>

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LOSE_EACH 1000

typedef ssize_t recv_fn(int fd, void *data, size_t capacity, int flags);
typedef int read_fn(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length);

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

int hqq_link_read(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length)
{
    static read_fn *next;
    static unsigned count;
    int result;

    if (next == NULL)
        find_next("hqq_link_read", &next, sizeof(next));
    result = next(link, data, capacity, ret_length);
    if (result == 0 && ++count % LOSE_EACH == 0)
        result = next(link, data, capacity, ret_length);
    return result;
}
