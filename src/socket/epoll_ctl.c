/*
 * epoll_ctl: the kernel's call comes first; what it has done is noted in the set.
 */

#include <errno.h>

#include <hqq/socket.h>

#include "endpoint/ownership.h"
#include "endpoint/adopt.h"
#include "runtime/config.h"
#include "runtime/frame.h"
#include "runtime/libc.h"
#include "runtime/started.h"
#include "socket/epoll_change.h"
#include "socket/epoll_member.h"
#include "socket/epoll_nudge.h"
#include "socket/epoll_set.h"
#include "socket/epoll_tree.h"
#include "socket/face.h"

/* An epoll set says that the other one is none of its members, anything else that it is no set. */
static bool is_set(int fd, int other)
{
    return hqq_epoll_set_find(fd) ||
           (hqq_adopt_is_open(fd) && hqq_libc.epoll_ctl(fd, EPOLL_CTL_DEL, other, NULL) != 0 && errno == ENOENT);
}

static void note_change(const struct hqq_epoll_change *change)
{
    int fd = change->fd;
    struct hqq_epoll_set *inner = change->operation == EPOLL_CTL_ADD && is_set(fd, change->epoll)
                                      ? hqq_epoll_set_find_or_make(fd)
                                      : hqq_epoll_set_find(fd);
    struct hqq_epoll_set *set = change->operation == EPOLL_CTL_DEL || (!inner && !hqq_epoll_member_is_possible(fd))
                                    ? hqq_epoll_set_find(change->epoll)
                                    : hqq_epoll_set_find_or_make(change->epoll);
    if (inner)
        hqq_epoll_tree_make_polled(inner);
    if (!set)
        return;
    hqq_epoll_change_make(set, change);
    if (inner && change->operation != EPOLL_CTL_DEL)
        hqq_epoll_tree_nest(inner, fd);
    struct hqq_endpoint *endpoint = change->operation != EPOLL_CTL_DEL ? hqq_endpoint_find(fd) : NULL;
    if (endpoint && hqq_load32_relaxed(&endpoint->is_busy) != 0)
        hqq_epoll_nudge(set, change->epoll, endpoint, &change->event);
}

int hqq_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    struct hqq_object *object = hqq_fd_get(fd);
    if (object && object->ops->epoll_ctl)
        return hqq_face(object->ops->epoll_ctl(object, epoll, operation, fd, event));
    hqq_frames_recover();
    int result = hqq_libc.epoll_ctl(epoll, operation, fd, event);
    if (result != 0 || !hqq_start() || !hqq_config_is_enabled() || hqq_ownership_is_borrowed())
        return result;
    int saved = errno;
    struct hqq_epoll_change change = {.epoll = epoll, .operation = operation, .fd = fd};
    if (operation != EPOLL_CTL_DEL)
        change.event = *event;
    note_change(&change);
    errno = saved;
    return result;
}
