#include "socket/epoll_nudge.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "endpoint/ready.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "runtime/reserved.h"
#include "socket/epoll_member.h"

/* A descriptor that is readable for good, of which an event wakes who sleeps in a set. */
static int nudge_fd = -1;
static struct hqq_lock nudge_lock;
#define NUDGE_DATA ((uint64_t)(uintptr_t)&nudge_fd)

static int nudging_descriptor(void)
{
    bool has_lock = hqq_lock_take(&nudge_lock);
    if (has_lock && (nudge_fd < 0 || !hqq_reserved_is(nudge_fd)) && !hqq_filter_is_set()) {
        nudge_fd = -1;
        hqq_reserved_take(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), &nudge_fd, &nudge_lock);
    }
    if (has_lock)
        hqq_lock_give(&nudge_lock);
    return nudge_fd;
}

bool hqq_epoll_nudge_is(const struct epoll_event *event)
{
    return event->data.u64 == NUDGE_DATA;
}

void hqq_epoll_nudge_found(struct hqq_epoll_set *set, int epoll)
{
    int saved = errno;
    if (hqq_load32_acquire(&set->is_nudged) == 0)
        return;
    hqq_store32_relaxed(&set->is_nudged, 0);
    hqq_libc.epoll_ctl(epoll, EPOLL_CTL_DEL, nudge_fd, NULL);
    errno = saved;
}

void hqq_epoll_nudge_begin(struct hqq_epoll_set *set, int epoll)
{
    struct epoll_event ours = {.events = EPOLLIN | EPOLLET, .data.u64 = NUDGE_DATA};
    int saved = errno, fd = nudging_descriptor();
    hqq_store32_release(&set->is_nudged, 1);
    if (fd >= 0 && hqq_libc.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ours) != 0 && errno == EEXIST)
        hqq_libc.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &ours);
    errno = saved;
}

void hqq_epoll_nudge(struct hqq_epoll_set *set, int epoll, struct hqq_endpoint *endpoint,
                     const struct epoll_event *event)
{
    hqq_fence_full(); /* edge E1: with a thread that begins to wait, which counts itself, then looks at busy */
    if ((hqq_load32_relaxed(&set->waiters) == 0 && hqq_load32_relaxed(&set->is_polled) == 0) ||
        hqq_ready_arm(endpoint, NULL) || !(event->events & HQQ_EPOLL_READABLE))
        return;
    hqq_epoll_nudge_begin(set, epoll);
}

void hqq_epoll_nudge_reset_lock(void)
{
    hqq_lock_reset(&nudge_lock);
}
