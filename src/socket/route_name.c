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
    bool is_there = statx(AT_FDCWD, path, 0, HQQ_INODE_MASK, &status) == 0;
    errno = saved;
    struct hqq_inode inode = is_there ? hqq_inode_of(&status) : (struct hqq_inode){0};
    return is_there && hqq_inode_is_same(&inode, &route->inode);
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

/* Paths that the process holds open: others need hidden descriptors, too. */
#define HELD_MAX 64

static hqq_atomic_u32 held;

static int open_path(const struct hqq_route *route)
{
    char path[sizeof(route->name.sun_path) + 1];
    path_of(route, path);
    int saved = errno;
    int fd = hqq_libc.open(path, O_PATH | O_CLOEXEC);
    int result = fd < 0 ? -errno : fd;
    errno = saved;
    return result;
}

/* Where many are held, each token opens the path for itself, as long as births tell its inode from one that has taken
 * its number. */
int hqq_route_hold_path(struct hqq_route *route)
{
    if (route->is_connected || !hqq_route_is_path(route) || route->path_fd >= 0)
        return 0;
    if (hqq_load32_relaxed(&held) >= HELD_MAX)
        return 0;
    int fd = open_path(route);
    if (fd < 0)
        return fd;
    int hidden = hqq_hide_descriptor(fd);
    if (hidden >= 0)
        hqq_add32_relaxed(&held, 1);
    route->path_fd = hidden >= 0 ? hidden : -1;
    return 0;
}

void hqq_route_let_path_go(struct hqq_route *route)
{
    if (route->path_fd >= 0)
        hqq_sub32_relaxed(&held, 1);
    hqq_close_hidden(route->path_fd);
    route->path_fd = -1;
}

/* The path, opened for one token. -ECONNREFUSED: it leads elsewhere; -ENOBUFS: not now. */
static int lend_path(const struct hqq_route *route)
{
    struct statx status;
    int fd = route->inode.born_ns != 0 ? open_path(route) : -ENOBUFS;
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR ? -ECONNREFUSED : -ENOBUFS;
    int saved = errno;
    bool is_known = statx(fd, "", AT_EMPTY_PATH, HQQ_INODE_MASK, &status) == 0;
    struct hqq_inode inode = is_known ? hqq_inode_of(&status) : (struct hqq_inode){0};
    if (!hqq_inode_is_same(&inode, &route->inode)) {
        hqq_libc.close(fd);
        fd = -ECONNREFUSED;
    }
    errno = saved;
    return fd;
}

int hqq_route_target(const struct hqq_route *route, struct hqq_target *ret_target)
{
    struct hqq_target target = {.lent = -1};
    if (!route->is_connected && hqq_route_is_path(route)) {
        int fd = route->path_fd >= 0 ? route->path_fd : lend_path(route);
        if (fd < 0)
            return fd;
        target.lent = fd != route->path_fd ? fd : -1;
        target.name.sun_family = AF_UNIX;
        snprintf(target.name.sun_path, sizeof(target.name.sun_path), "/proc/self/fd/%d", fd);
        target.length = sizeof(target.name);
    } else if (!route->is_connected) {
        target.name = route->name;
        target.length = route->name_length;
    }
    *ret_target = target;
    return 0;
}

void hqq_route_target_done(struct hqq_target *target)
{
    int saved = errno;
    if (target->lent >= 0)
        hqq_libc.close(target->lent);
    target->lent = -1;
    errno = saved;
}

int hqq_route_send_token(struct hqq_endpoint *endpoint, struct hqq_route *route, int fd, enum hqq_token_kind kind,
                         uint64_t value)
{
    struct hqq_token token = hqq_token_make(route->pair->id, kind, value);
    struct hqq_target target;
    int result = hqq_route_target(route, &target);
    if (result != 0)
        return result;
    hqq_pair_note_cpu(route->pair);
    HQQ_POINT("socket.token");
    long sent = hqq_kernel_sendto(fd, &token, sizeof(token), hqq_target_address(&target), target.length);
    hqq_route_target_done(&target);
    if (sent >= 0 && kind == HQQ_TOKEN_BELL)
        hqq_count_own(&endpoint->counters->bells, 1);
    return sent < 0 ? (int)sent : 0;
}
