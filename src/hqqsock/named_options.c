/*
 * Options of sockets of AF_HQQ. What shapes the link is kept for bind; time-outs are the kernel's to check and to tell,
 * and noted; everything else is the kernel's, of the socket that gets the knocks.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include "platform/clock.h"
#include "ring/ring.h"
#include "runtime/cursor.h"
#include "runtime/libc.h"
#include "hqqsock/named.h"

/* ---- SOL_HQQ --------------------------------------------------------------------------------------------------- */

static hqq_atomic_u64 *place_of(struct hqq_named *named, int option)
{
    switch (option) {
    case HQQ_SO_BUFFER_COUNT:
        return &named->buffer_count;
    case HQQ_SO_BUFFER_SIZE:
        return &named->buffer_size;
    case HQQ_SO_MODE:
        return &named->mode;
    case HQQ_SO_REPLACE_STALE:
        return &named->replaces;
    default:
        return NULL;
    }
}

/* A shape that no region can have is told here, and not by bind. */
static bool is_possible(int option, uint64_t value)
{
    uint64_t bytes;
    switch (option) {
    case HQQ_SO_BUFFER_COUNT:
        return hqq_layout_size(value, HQQ_DEFAULT_BUFFER_SIZE, &bytes) == 0;
    case HQQ_SO_BUFFER_SIZE:
        return hqq_layout_size(HQQ_DEFAULT_BUFFER_COUNT, value, &bytes) == 0;
    case HQQ_SO_MODE:
        return value != 0 && value <= 0777;
    default:
        return true;
    }
}

static int set_own(struct hqq_named *named, int option, const void *value, socklen_t length)
{
    uint64_t number;
    hqq_atomic_u64 *place = place_of(named, option);
    if (!place)
        return -ENOPROTOOPT;
    if (length != sizeof(number))
        return -EINVAL;
    if (hqq_is_unreadable(value, length))
        return -EFAULT;
    memcpy(&number, value, sizeof(number));
    if (!is_possible(option, number))
        return -EINVAL;
    if (hqq_load32_acquire(&named->state) != HQQ_NAMED_NEW)
        return -EISCONN;
    hqq_store_relaxed(place, number);
    return 0;
}

/* What is set; once there is a link, what that has. */
static uint64_t number_of(struct hqq_named *named, int option)
{
    const struct hqq_link *link = hqq_named_link(named);
    uint64_t set = hqq_load_relaxed(place_of(named, option));
    switch (option) {
    case HQQ_SO_BUFFER_COUNT:
        return link ? hqq_link_buffer_count(link) : set != 0 ? set : HQQ_DEFAULT_BUFFER_COUNT;
    case HQQ_SO_BUFFER_SIZE:
        return link ? hqq_link_buffer_size(link) : set != 0 ? set : HQQ_DEFAULT_BUFFER_SIZE;
    case HQQ_SO_MODE:
        return set != 0 ? set : 0600;
    default:
        return set;
    }
}

static int get_own(struct hqq_named *named, int option, void *value, socklen_t *length)
{
    if (!place_of(named, option))
        return -ENOPROTOOPT;
    if (*length < sizeof(uint64_t))
        return -EINVAL;
    uint64_t number = number_of(named, option);
    memcpy(value, &number, sizeof(number));
    *length = sizeof(number);
    return 0;
}

/* ---- The kernel's ---------------------------------------------------------------------------------------------- */

static void note_timeout(hqq_atomic_u64 *timeout, int fd, int option)
{
    struct timeval value = {0};
    socklen_t length = sizeof(value);
    uint64_t ns = HQQ_FOREVER;
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && (value.tv_sec != 0 || value.tv_usec != 0))
        ns = (uint64_t)value.tv_sec * HQQ_NS_PER_S + (uint64_t)value.tv_usec * HQQ_NS_PER_US;
    hqq_store_relaxed(timeout, ns);
}

static int set_kernels(struct hqq_named *named, int fd, int level, int option, const void *value, socklen_t length)
{
    if (hqq_libc.setsockopt(fd, level, option, value, length) != 0)
        return -errno;
    if (level == SOL_SOCKET && option == SO_RCVTIMEO)
        note_timeout(&named->receive_timeout_ns, fd, option);
    else if (level == SOL_SOCKET && option == SO_SNDTIMEO)
        note_timeout(&named->send_timeout_ns, fd, option);
    return 0;
}

int hqq_named_set_option(void *object, int fd, int level, int option, const void *value, socklen_t length)
{
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    int result =
        level == SOL_HQQ ? set_own(named, option, value, length) : set_kernels(named, fd, level, option, value, length);
    hqq_named_drop(named);
    return result;
}

int hqq_named_get_option(void *object, int fd, int level, int option, void *value, socklen_t *length)
{
    bool is_domain = level == SOL_SOCKET && option == SO_DOMAIN;
    if (level != SOL_HQQ && !is_domain)
        return hqq_libc.getsockopt(fd, level, option, value, length) != 0 ? -errno : 0;
    if (hqq_is_unreadable(length, sizeof(*length)) || hqq_is_unreadable(value, *length))
        return -EFAULT;
    if (is_domain) {
        int domain = AF_HQQ;
        socklen_t room = *length < sizeof(domain) ? *length : sizeof(domain);
        memcpy(value, &domain, room);
        *length = room;
        return 0;
    }
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    int result = get_own(named, option, value, length);
    hqq_named_drop(named);
    return result;
}

/* ---- fcntl, ioctl ---------------------------------------------------------------------------------------------- */

void hqq_named_note_flags(void *object, int fd, int flags)
{
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return;
    hqq_store32_relaxed(&named->is_nonblocking, (flags & O_NONBLOCK) != 0);
    hqq_named_drop(named);
}

/* FIONREAD: the length of the next datagram. SIOCOUTQ: what the peer has not taken, slots counted whole. */
static int count_of(struct hqq_link *link, unsigned long request)
{
    size_t length = 0;
    struct hqq_link_stats stats;
    if (!link)
        return 0;
    if (request == FIONREAD) {
        if (hqq_link_peek(link, &length) != 0)
            length = 0;
        return (int)(length < INT_MAX ? length : INT_MAX);
    }
    hqq_link_get_stats(link, &stats);
    uint64_t bytes = stats.write_depth * hqq_link_buffer_size(link);
    return (int)(bytes < INT_MAX ? bytes : INT_MAX);
}

int hqq_named_ioctl(void *object, int fd, unsigned long request, void *argument)
{
    if (request != FIONREAD && request != SIOCOUTQ) {
        if (hqq_libc.ioctl(fd, request, argument) < 0)
            return -errno;
        if (request == FIONBIO)
            hqq_named_note_flags(object, fd, hqq_libc.fcntl(fd, F_GETFL));
        return 0;
    }
    if (hqq_is_unreadable(argument, sizeof(int)))
        return -EFAULT;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    *(int *)argument = count_of(hqq_named_link(named), request);
    hqq_named_drop(named);
    return 0;
}
