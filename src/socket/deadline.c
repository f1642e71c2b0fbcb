/*
 * Deadlines of sockets: see hqq/socket.h.
 */
#include <errno.h>
#include <fcntl.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/life.h"
#include "runtime/config.h"
#include "runtime/libc.h"
#include "socket/face.h"
#include "socket/lookup.h"

/* What serves a socket that may not have needed it: one without a name, or with one that is not configured. */
static struct hqq_object *find_or_make(int fd)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (object || !hqq_start() || hqq_ownership_is_borrowed() || !hqq_adopt_is_candidate(fd))
        return object;
    struct hqq_endpoint *endpoint = hqq_endpoint_make(fd, hqq_config_usual());
    return endpoint ? &endpoint->object : NULL;
}

static int set(int fd, bool reads, bool writes, uint64_t when_ns)
{
    int saved = errno;
    struct hqq_object *object = find_or_make(fd);
    int result = !object || !object->ops->set_deadline
                     ? (hqq_libc.fcntl(fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP)
                     : object->ops->set_deadline(object, fd, reads, writes, when_ns != 0 ? when_ns : HQQ_FOREVER);
    errno = saved;
    return hqq_face(result);
}

int hqq_set_read_deadline(int fd, uint64_t when_ns)
{
    return set(fd, true, false, when_ns);
}

int hqq_set_write_deadline(int fd, uint64_t when_ns)
{
    return set(fd, false, true, when_ns);
}

int hqq_set_deadline(int fd, uint64_t when_ns)
{
    return set(fd, true, true, when_ns);
}
