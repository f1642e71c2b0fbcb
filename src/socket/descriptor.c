/*
 * The life of a descriptor: made, named, connected, shut down, closed. The kernel does each of these; what this process
 * knows of the socket follows.
 */
#include "socket/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stddef.h>
#include <sys/resource.h>

#include <hqq/socket.h>

#include "endpoint/adopt.h"
#include "endpoint/ownership.h"
#include "hqqsock/named.h"
#include "runtime/config.h"
#include "runtime/fdtable.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "runtime/reserved.h"
#include "runtime/started.h"
#include "socket/epoll_life.h"
#include "socket/epoll_tree.h"
#include "socket/face.h"

void hqq_descriptor_created(int fd)
{
    if (!hqq_fd_is_known(fd) || hqq_ownership_is_borrowed())
        return;
    hqq_epoll_life_forget(fd);
    hqq_descriptor_leave(fd, false);
}

/* ---- Making, naming -------------------------------------------------------------------------------------------- */

static int make_named(int type, int protocol)
{
    struct hqq_named *named;
    int fd = hqq_named_make(type, protocol, &named);
    if (fd >= 0) {
        hqq_descriptor_created(fd);
        hqq_named_list(fd, named);
    }
    return fd;
}

int hqq_socket(int domain, int type, int protocol)
{
    hqq_start();
    if (__builtin_expect(domain == AF_HQQ, 0))
        return hqq_face(make_named(type, protocol));
    int fd = hqq_libc.socket(domain, type, protocol);
    if (fd < 0)
        return fd;
    hqq_descriptor_created(fd);
    bool is_candidate = domain == AF_UNIX && (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_DGRAM;
    if (is_candidate && hqq_config_is_enabled())
        hqq_adopt_mark_candidate(fd);
    return fd;
}

int hqq_socketpair(int domain, int type, int protocol, int fds[2])
{
    int result = hqq_libc.socketpair(domain, type, protocol, fds);
    if (result == 0 && hqq_start()) {
        for (int i = 0; i < 2; i++)
            hqq_descriptor_created(fds[i]);
    }
    return result;
}

int hqq_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->bind)
        return hqq_face(object->ops->bind(object, fd, address, length));
    int result = hqq_libc.bind(fd, address, length);
    if (result == 0 && hqq_start()) {
        hqq_adopt_bound(fd);
        hqq_epoll_tree_settle_all();
    }
    return result;
}

int hqq_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->connect)
        return hqq_face(object->ops->connect(object, fd, address, length));
    int result = hqq_libc.connect(fd, address, length);
    if (result == 0 && hqq_start() && length >= sizeof(sa_family_t) && length <= sizeof(struct sockaddr_un) &&
        hqq_config_is_enabled()) {
        hqq_adopt_connected(fd, address, length);
        hqq_epoll_tree_settle_all();
    }
    return result;
}

int hqq_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->get_name)
        return hqq_face(object->ops->get_name(object, fd, false, address, length));
    return hqq_libc.getsockname(fd, address, length);
}

int hqq_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->get_name)
        return hqq_face(object->ops->get_name(object, fd, true, address, length));
    return hqq_libc.getpeername(fd, address, length);
}

int hqq_shutdown(int fd, int how)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->shutdown)
        return hqq_face(object->ops->shutdown(object, fd, how));
    return hqq_libc.shutdown(fd, how);
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

void hqq_descriptor_leave(int fd, bool is_closing)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->leave)
        object->ops->leave(object, fd, is_closing);
    else
        hqq_fd_set(fd, NULL);
}

/* Apps that close what they do not know find our own descriptors free. */
int hqq_close(int fd)
{
    bool is_known = hqq_fd_is_known(fd);
    if (__builtin_expect(hqq_reserved_is(fd), 0) && !hqq_ownership_is_borrowed()) {
        errno = EBADF;
        return -1;
    }
    if (__builtin_expect(is_known, 0) && !hqq_ownership_is_borrowed()) {
        hqq_epoll_life_forget(fd);
        hqq_descriptor_leave(fd, true);
    }
    return hqq_libc.close(fd);
}

/* Closes [first, last] but for ours, run by run. */
static int close_around(unsigned first, unsigned last, int flags)
{
    unsigned at = first;
    for (unsigned fd = first; fd <= last && fd < HQQ_RESERVED_MAX; fd++) {
        if (!hqq_reserved_is((int)fd))
            continue;
        if (fd > at && hqq_libc.close_range(at, fd - 1, flags) != 0)
            return -1;
        at = fd + 1;
    }
    return at <= last ? hqq_libc.close_range(at, last, flags) : 0;
}

int hqq_close_range(unsigned first, unsigned last, int flags)
{
    if (first > last || ((unsigned)flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 ||
        hqq_ownership_is_borrowed())
        return hqq_libc.close_range(first, last, flags);
    if (!((unsigned)flags & CLOSE_RANGE_CLOEXEC)) {
        int from = first < HQQ_FD_MAX ? (int)first : HQQ_FD_MAX;
        for (int fd = hqq_fd_next(from); fd >= 0 && (unsigned)fd <= last; fd = hqq_fd_next(fd + 1)) {
            hqq_epoll_life_forget(fd);
            hqq_descriptor_leave(fd, true);
        }
    }
    return close_around(first, last, flags);
}

void hqq_closefrom(int first)
{
    if (hqq_close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0) != 0)
        hqq_libc.closefrom(first);
}

/* A number may lie beyond a limit that was lowered since it was given out. */
static bool is_within_limit(int wanted)
{
    struct rlimit limit;
    return hqq_filter_is_set() || getrlimit(RLIMIT_NOFILE, &limit) != 0 || (rlim_t)wanted < limit.rlim_cur;
}

/* A dup2() that will fail must not forget what it would have replaced. */
void hqq_descriptor_leave_if_valid(int fd, int wanted)
{
    if (!hqq_fd_is_known(wanted))
        return;
    int saved = errno;
    if (hqq_libc.fcntl(fd, F_GETFD) >= 0 && is_within_limit(wanted)) {
        hqq_epoll_life_forget(wanted);
        hqq_descriptor_leave(wanted, true);
    }
    errno = saved;
}

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

int hqq_socket_status(int fd, struct hqq_socket_status *ret_status)
{
    struct hqq_socket_status status = {.reason = HQQ_SOCKET_NOT_OURS};
    if (hqq_libc.fcntl(fd, F_GETFD) < 0)
        return -1;
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->status)
        object->ops->status(object, fd, &status);
    else if (hqq_start() && hqq_adopt_is_unconfigured(fd))
        status.reason = HQQ_SOCKET_NOT_CONFIGURED;
    *ret_status = status;
    return 0;
}
