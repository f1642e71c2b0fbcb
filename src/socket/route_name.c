#include "socket/route_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/point.h"
#include "socket/kernel.h"
#include "socket/rendezvous.h"

static void path_of(const struct hqq_route *route, char path[static sizeof(route->name.sun_path) + 1])
{
    size_t length = route->name_length - offsetof(struct sockaddr_un, sun_path);
    memcpy(path, route->name.sun_path, length);
    path[length] = '\0';
}

bool hqq_route_is_current(const struct hqq_route *route)
{
    char path[sizeof(route->name.sun_path) + 1];
    struct statx status;
    if (route->is_connected || !hqq_route_is_path(route))
        return true;
    path_of(route, path);
    int saved = errno;
    bool is_there = statx(AT_FDCWD, path, 0, STATX_INO, &status) == 0;
    errno = saved;
    return is_there && route->inode == status.stx_ino &&
           route->device == ((uint64_t)status.stx_dev_major << 32 | status.stx_dev_minor);
}

bool hqq_route_is_deserted(const struct hqq_route *route)
{
    struct hqq_place place;
    if (hqq_pair_peer_is_dead(route->pair))
        return true;
    if (route->is_reply) /* it may never have had a rendezvous */
        return false;
    if (hqq_rendezvous_place(route->rule, &route->name, route->name_length, route->path_fd, &place) != 0)
        return false;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    bool is_deserted = hqq_rendezvous_is_deserted(&place);
    pthread_setcancelstate(cancel, NULL);
    return is_deserted;
}

int hqq_route_hold_path(struct hqq_route *route)
{
    char path[sizeof(route->name.sun_path) + 1];
    if (route->is_connected || !hqq_route_is_path(route) || route->path_fd >= 0)
        return 0;
    path_of(route, path);
    int saved = errno;
    int fd = hqq_libc.open(path, O_PATH | O_CLOEXEC);
    int result = fd < 0 ? -errno : 0;
    errno = saved;
    if (result == 0) {
        fd = hqq_hide_descriptor(fd);
        route->path_fd = fd >= 0 ? fd : -1;
        result = fd >= 0 ? 0 : fd;
    }
    return result;
}

void hqq_route_let_path_go(struct hqq_route *route)
{
    hqq_close_hidden(route->path_fd);
    route->path_fd = -1;
}

const struct sockaddr *hqq_route_address(const struct hqq_route *route, struct sockaddr_un *by_inode,
                                         socklen_t *ret_length)
{
    *ret_length = 0;
    if (route->is_connected)
        return NULL;
    if (route->path_fd >= 0) {
        by_inode->sun_family = AF_UNIX;
        snprintf(by_inode->sun_path, sizeof(by_inode->sun_path), "/proc/self/fd/%d", route->path_fd);
        *ret_length = sizeof(*by_inode);
        return (const struct sockaddr *)(const void *)by_inode;
    }
    *ret_length = route->name_length;
    return (const struct sockaddr *)(const void *)&route->name;
}

int hqq_route_send_token(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd, enum hqq_token_kind kind,
                         uint64_t value)
{
    struct hqq_token token = hqq_token_make(route->pair->id, kind, value);
    struct sockaddr_un by_inode;
    socklen_t length;
    const struct sockaddr *address = hqq_route_address(route, &by_inode, &length);
    HQQ_POINT("socket.token");
    long result = hqq_kernel_sendto(fd, &token, sizeof(token), address, length);
    if (result >= 0 && kind == HQQ_TOKEN_BELL)
        hqq_count_own(&endpoint->counters->bells, 1);
    return result < 0 ? (int)result : 0;
}
