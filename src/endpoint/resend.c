#include "endpoint/resend.h"

#include <errno.h>
#include <sys/time.h>

#include <hqq/link.h>

#include "channel/tx.h"
#include "channel/window.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/handlers.h"
#include "runtime/kernel.h"

static long send_unread(const struct hqq_destination *destination, const struct hqq_unread *unread, int fd)
{
    struct iovec parts[2];
    struct sockaddr_un name = destination->name;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = hqq_tx_parts(destination->channel, unread, parts)};
    if (!destination->is_connected) {
        message.msg_name = &name;
        message.msg_namelen = destination->name_length;
    }
    return hqq_kernel_sendmsg(fd, &message, 0);
}

/* How long what finds nobody under its name is kept: a service that is started again has it back by then. */
#define KEEP_NS (1 * HQQ_NS_PER_S)

/* The first that is unread, claimed. */
static bool claim(struct hqq_destination *destination)
{
    destination->has_unsent = destination->has_unsent || hqq_tx_claim(destination->channel, &destination->unsent);
    return destination->has_unsent;
}

static void release(struct hqq_destination *destination)
{
    hqq_tx_release(destination->channel, &destination->unsent);
    destination->has_unsent = false;
}

bool hqq_resend_give_up_queue(struct hqq_destination *destination)
{
    const struct hqq_channel *channel = destination->channel;
    uint64_t in_kernel =
        hqq_load_relaxed(&channel->own->drain_requested) - hqq_load_relaxed(&channel->peer->drain_acknowledged);
    for (uint64_t i = in_kernel; i < channel->tx.least_window && claim(destination); i++)
        release(destination);
    destination->keep_until_ns = hqq_deadline_after(hqq_clock_ns(), KEEP_NS);
    return claim(destination);
}

/* True: nobody has the name, and what is left is kept for who may have it soon. */
static bool keep(struct hqq_destination *destination, long error)
{
    if (destination->is_connected || (error != -ECONNREFUSED && error != -ENOENT))
        return false;
    if (destination->keep_until_ns == 0)
        return hqq_resend_give_up_queue(destination);
    return hqq_clock_left(destination->keep_until_ns) != 0;
}

int hqq_resend(struct hqq_endpoint *endpoint, struct hqq_destination *destination, int fd)
{
    struct hqq_channel *channel = destination->channel;
    int error = 0;
    hqq_log(HQQ_LOG_INFO, "nobody reads the ring any more: %llu slots are sent again",
            (unsigned long long)hqq_tx_depth(channel));
    for (uint64_t i = 0; i <= channel->tx.count; i++) { /* hostile or not, it ends */
        if (!claim(destination))
            break;
        long result = send_unread(destination, &destination->unsent, fd);
        if (result == -EAGAIN)
            return -EAGAIN;
        if (result < 0 && keep(destination, result))
            return (int)result;
        release(destination);
        if (result < 0) { /* there is nobody to have it: what is left is lost with its receiver */
            error = destination->is_connected ? (int)result : 0;
            break;
        }
        hqq_count_own(&endpoint->counters->resent, 1);
    }
    hqq_destination_begin_anew(endpoint, destination);
    return error;
}

int hqq_resend_judge(int fd, const struct msghdr *datagram, int flags)
{
    if (hqq_filter_is_set())
        return 0;
    switch (hqq_kernel_send_to_nobody(fd, datagram, flags)) {
    case -EOPNOTSUPP:
        return -EOPNOTSUPP;
    case -EFAULT:
        return -EFAULT;
    case -EMSGSIZE:
        return -EMSGSIZE;
    case -EINVAL:
        return -EINVAL;
    case -EBADF:
        return -EBADF;
    default:
        return 0;
    }
}

int hqq_resend_wait(int fd, uint32_t handlers, uint64_t *until_ns)
{
    if (*until_ns == 0) {
        struct timeval limit = {0};
        socklen_t length = sizeof(limit);
        hqq_libc.getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &length);
        uint64_t ns = (uint64_t)limit.tv_sec * HQQ_NS_PER_S + (uint64_t)limit.tv_usec * HQQ_NS_PER_US;
        *until_ns = ns == 0 ? HQQ_FOREVER : hqq_deadline_after(hqq_clock_ns(), ns);
    }
    if (hqq_load32_relaxed(&hqq_handlers_interrupting) != handlers)
        return -EINTR;
    if (hqq_clock_left(*until_ns) == 0)
        return -EAGAIN;
    hqq_sys.sleep_until(hqq_clock_ns() + HQQ_NS_PER_MS);
    return 0;
}
