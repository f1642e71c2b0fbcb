/*
 * What can be done with an endpoint, as the table of descriptors has it (runtime/fdtable.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <asm/ioctls.h>
#include <sys/un.h>

#include "endpoint/changes.h"
#include "endpoint/deadline.h"
#include "endpoint/destinations.h"
#include "endpoint/endpoint.h"
#include "endpoint/heap_loan.h"
#include "endpoint/life.h"
#include "endpoint/loan.h"
#include "endpoint/ownership.h"
#include "endpoint/passed.h"
#include "endpoint/ready.h"
#include "endpoint/receive.h"
#include "endpoint/send.h"
#include "runtime/cursor.h"
#include "runtime/libc.h"

static ssize_t send_message(void *object, int fd, const struct msghdr *message, int flags)
{
    if (message->msg_controllen != 0)
        hqq_passed_see(message);
    return hqq_send_message(object, fd, message, flags);
}

static ssize_t receive_message(void *object, int fd, struct msghdr *message, int flags)
{
    return hqq_receive(object, fd, message, flags);
}

static int reserve(void *object, int fd, size_t length, int flags, struct hqq_reservation *reservation)
{
    struct hqq_endpoint *endpoint = object;
    (void)flags;
    if (length > hqq_ownership_longest(endpoint))
        return -EMSGSIZE;
    return hqq_loan_reserve(endpoint, fd, length, reservation) ? 0 : hqq_heap_loan_reserve(length, reservation);
}

static int shut_down(void *object, int fd, int how)
{
    if (hqq_libc.shutdown(fd, how) != 0)
        return -errno;
    if (!hqq_ownership_is_borrowed())
        hqq_changes_shut_down(object, how);
    return 0;
}

static int set_option(void *object, int fd, int level, int option, const void *value, socklen_t length)
{
    bool is_noted = level == SOL_SOCKET && !hqq_ownership_is_borrowed();
    if (is_noted)
        hqq_changes_before_option(object, option);
    if (hqq_libc.setsockopt(fd, level, option, value, length) != 0)
        return -errno;
    if (is_noted)
        hqq_changes_after_option(object, fd, option);
    return 0;
}

static void note_flags(void *object, int fd, int flags)
{
    (void)fd;
    if (!hqq_ownership_is_borrowed())
        hqq_changes_note_flags(object, flags);
}

static int control(void *object, int fd, unsigned long request, void *argument)
{
    struct hqq_endpoint *endpoint = object;
    size_t length;
    if (request == FIONREAD && hqq_load32_relaxed(&endpoint->is_busy) != 0 &&
        hqq_receive_next_length(endpoint, fd, &length)) {
        int bytes = (int)length;
        return hqq_app_write(argument, &bytes, sizeof(bytes)) ? 0 : -EFAULT;
    }
    int result = hqq_libc.ioctl(fd, request, argument);
    if (result < 0)
        return -errno;
    if (request == SIOCOUTQ)
        *(int *)argument = hqq_destinations_unread(endpoint, *(int *)argument);
    if (request == FIONBIO || request == FIOASYNC)
        note_flags(endpoint, fd, hqq_libc.fcntl(fd, F_GETFL));
    return result;
}

static int set_deadline(void *object, int fd, bool reads, bool writes, uint64_t when_ns)
{
    (void)fd;
    return hqq_deadline_set(object, reads, writes, when_ns);
}

static void share(void *object, int fd, int duplicate)
{
    (void)fd;
    hqq_endpoint_share(object, duplicate);
}

static bool is_kernels(void *object)
{
    return hqq_ready_is_kernels(object);
}

static void pass(void *object)
{
    hqq_changes_passed(object);
}

static void leave(void *object, int fd, bool is_closing)
{
    (void)is_closing;
    hqq_endpoint_leave(object, fd);
}

static void tell_status(void *object, int fd, struct hqq_socket_status *status)
{
    const struct hqq_endpoint *endpoint = object;
    const struct hqq_counters *counters = endpoint->counters;
    (void)fd;
    status->reason = (enum hqq_socket_reason)hqq_load32_relaxed(&counters->reason);
    uint32_t sending = hqq_load32_relaxed(&counters->links);
    status->links =
        sending > hqq_load32_relaxed(&endpoint->channel_count) ? sending : hqq_load32_relaxed(&endpoint->channel_count);
    status->sent_ring = hqq_load_relaxed(&counters->sent_ring);
    status->sent_kernel = hqq_load_relaxed(&counters->sent_kernel);
    status->received_ring = hqq_load_relaxed(&counters->received_ring);
    status->received_kernel = hqq_load_relaxed(&counters->received_kernel);
}

const struct hqq_ops hqq_endpoint_ops = {
    .family = HQQ_FAMILY_UNIX,
    .address_max = sizeof(struct sockaddr_un),
    .send = send_message,
    .receive = receive_message,
    .reserve = reserve,
    .shutdown = shut_down,
    .set_option = set_option,
    .ioctl = control,
    .note_flags = note_flags,
    .set_deadline = set_deadline,
    .share = share,
    .is_kernels = is_kernels,
    .pass = pass,
    .leave = leave,
    .status = tell_status,
};
