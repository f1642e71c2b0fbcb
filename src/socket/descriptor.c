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

#include "socket/adopt.h"
#include "socket/doorbell.h"
#include "socket/endpoint.h"
#include "socket/epoll.h"
#include "socket/face.h"
#include "socket/fork.h"
#include "socket/init.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/receive.h"
#include "socket/rendezvous.h"
#include "socket/route.h"
#include "socket/start.h"

/* ---- Making, naming -------------------------------------------------------------------------------------------- */

int hqq_socket(int domain, int type, int protocol)
{
    hqq_start();
    if (__builtin_expect(domain == AF_HQQ, 0))
        return hqq_face(hqq_named_make(type, protocol));
    int fd = hqq_libc.socket(domain, type, protocol);
    if (fd < 0)
        return fd;
    hqq_socket_created(fd);
    bool is_candidate = domain == AF_UNIX && (type & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == SOCK_DGRAM;
    if (is_candidate && (unsigned)fd < HQQ_TABLE_SIZE && hqq_config_is_enabled())
        hqq_cas_pointer_release(&hqq_table[fd], NULL, HQQ_TABLE_CANDIDATE);
    return fd;
}

int hqq_socketpair(int domain, int type, int protocol, int fds[2])
{
    int result = hqq_libc.socketpair(domain, type, protocol, fds);
    if (result == 0 && hqq_start()) {
        for (int i = 0; i < 2; i++)
            hqq_socket_created(fds[i]);
    }
    return result;
}

int hqq_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_bind(fd, address, length));
    int result = hqq_libc.bind(fd, address, length);
    if (result == 0 && hqq_start())
        hqq_adopt_bound(fd);
    return result;
}

int hqq_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_connect(fd, address, length));
    int result = hqq_libc.connect(fd, address, length);
    if (result == 0 && hqq_start() && length >= sizeof(sa_family_t) && length <= sizeof(struct sockaddr_un) &&
        hqq_config_is_enabled())
        hqq_adopt_connected(fd, address, length);
    return result;
}

int hqq_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_name(fd, false, address, length));
    return hqq_libc.getsockname(fd, address, length);
}

int hqq_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_name(fd, true, address, length));
    return hqq_libc.getpeername(fd, address, length);
}

int hqq_shutdown(int fd, int how)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_shutdown(fd, how));
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    int result = hqq_libc.shutdown(fd, how);
    if (result != 0 || !endpoint || hqq_fork_is_borrowed())
        return result;
    if (how != SHUT_WR) /* at once: a thread that this has woken may be looking for what is not there */
        hqq_store32_relaxed(&endpoint->is_kernel_only, HQQ_KERNEL_ONLY_SHUT);
    if (hqq_lock_take(&endpoint->receive_lock)) {
        if (how != SHUT_RD && hqq_lock_take(&endpoint->send_lock)) {
            endpoint->is_send_plain = true;
            hqq_route_forget_all(endpoint);
            hqq_lock_give(&endpoint->send_lock);
        }
        if (how != SHUT_WR) /* rings first, then what the kernel says: end of file to who waits */
            hqq_doorbell_close(endpoint);
        hqq_lock_give(&endpoint->receive_lock);
    }
    return result;
}

/* ---- Closing --------------------------------------------------------------------------------------------------- */

/* Apps that close what they do not know find our own descriptors free. */
int hqq_close(int fd)
{
    bool is_known = (unsigned)fd < HQQ_TABLE_SIZE && (hqq_table_get(fd) != NULL || hqq_epoll_knows(fd));
    if (__builtin_expect(hqq_is_hidden_descriptor(fd), 0) && !hqq_fork_is_borrowed()) {
        errno = EBADF;
        return -1;
    }
    if (__builtin_expect(is_known, 0) && !hqq_fork_is_borrowed()) {
        hqq_epoll_forget(fd);
        hqq_endpoint_leave(fd, true);
    }
    return hqq_libc.close(fd);
}

/* Closes [first, last] but for ours, run by run. */
static int close_around(unsigned first, unsigned last, int flags)
{
    unsigned at = first;
    for (unsigned fd = first; fd <= last && fd < HQQ_HIDDEN_MAX; fd++) {
        if (!hqq_is_hidden_descriptor((int)fd))
            continue;
        if (fd > at && hqq_libc.close_range(at, fd - 1, flags) != 0)
            return -1;
        at = fd + 1;
    }
    return at <= last ? hqq_libc.close_range(at, last, flags) : 0;
}

int hqq_close_range(unsigned first, unsigned last, int flags)
{
    if (first > last || ((unsigned)flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0 || hqq_fork_is_borrowed())
        return hqq_libc.close_range(first, last, flags);
    if (!((unsigned)flags & CLOSE_RANGE_CLOEXEC)) {
        for (unsigned fd = first; fd <= last && fd < HQQ_TABLE_SIZE; fd++) {
            hqq_epoll_forget((int)fd);
            if (hqq_table_get((int)fd) != NULL)
                hqq_endpoint_leave((int)fd, true);
        }
    }
    return close_around(first, last, flags);
}

void hqq_closefrom(int first)
{
    if (hqq_close_range(first < 0 ? 0 : (unsigned)first, UINT_MAX, 0) != 0)
        hqq_libc.closefrom(first);
}

void hqq_descriptor_make_way(int wanted)
{
    if (__builtin_expect(!hqq_is_hidden_descriptor(wanted), 1) || hqq_fork_is_borrowed())
        return;
    int moved = hqq_hide_descriptor(hqq_libc.fcntl(wanted, F_DUPFD_CLOEXEC, 0));
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_lock_take(&endpoint->receive_lock)) {
            if (endpoint->listener == wanted)
                endpoint->listener = moved;
            if (endpoint->ghost == wanted)
                endpoint->ghost = moved;
            for (int i = 0; i < HQQ_CALLERS; i++) {
                if (endpoint->caller[i] == wanted)
                    endpoint->caller[i] = moved;
            }
            if (hqq_lock_take(&endpoint->send_lock)) {
                hqq_route_move_descriptor(endpoint, wanted, moved);
                hqq_lock_give(&endpoint->send_lock);
            }
            hqq_lock_give(&endpoint->receive_lock);
        }
    }
    hqq_unhide_descriptor(wanted);
}

/* A dup2() that will fail must not forget what it would have replaced. */
void hqq_endpoint_leave_if_valid(int fd, int wanted)
{
    if ((unsigned)wanted >= HQQ_TABLE_SIZE || (hqq_table_get(wanted) == NULL && !hqq_epoll_knows(wanted)))
        return;
    int saved = errno;
    if (hqq_libc.fcntl(fd, F_GETFD) >= 0) {
        hqq_epoll_forget(wanted);
        hqq_endpoint_leave(wanted, true);
    }
    errno = saved;
}

/* ---- Asking ---------------------------------------------------------------------------------------------------- */

int hqq_socket_status(int fd, struct hqq_socket_status *ret_status)
{
    struct hqq_socket_status status = {.reason = HQQ_SOCKET_NOT_OURS};
    if (hqq_libc.fcntl(fd, F_GETFD) < 0)
        return -1;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint) {
        const struct hqq_counters *counters = endpoint->counters;
        status.reason = (enum hqq_socket_reason)hqq_load32_relaxed(&counters->reason);
        uint32_t sending = hqq_load32_relaxed(&counters->links);
        status.links = sending > endpoint->pair_count ? sending : endpoint->pair_count;
        status.sent_ring = hqq_load_relaxed(&counters->sent_ring);
        status.sent_kernel = hqq_load_relaxed(&counters->sent_kernel);
        status.received_ring = hqq_load_relaxed(&counters->received_ring);
        status.received_kernel = hqq_load_relaxed(&counters->received_kernel);
    }
    if (hqq_is_named(fd))
        hqq_named_status(fd, &status);
    else if (!endpoint && hqq_adopt_is_unconfigured(fd))
        status.reason = HQQ_SOCKET_NOT_CONFIGURED;
    *ret_status = status;
    return 0;
}
