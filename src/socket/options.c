/*
 * Options, and the calls that change a descriptor's state: the kernel does them, and what matters for serving the
 * socket is remembered.
 */
#include "socket/options.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "platform/clock.h"
#include "socket/adopt.h"
#include "socket/descriptor.h"
#include "socket/doorbell.h"
#include "socket/endpoint.h"
#include "socket/face.h"
#include "socket/fork.h"
#include "socket/gather.h"
#include "socket/init.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/receive.h"
#include "socket/route.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

/* ---- Ancillary data -------------------------------------------------------------------------------------------- */

/* Calls see() for each descriptor in the control data. */
static void each_descriptor(const struct msghdr *message, void (*see)(int fd))
{
    struct msghdr copy = *message;
    if (hqq_is_bad_address(copy.msg_control, copy.msg_controllen))
        return;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header; header = CMSG_NXTHDR(&copy, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0))
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            see(fd);
        }
    }
}

static void see_passed(int fd)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && hqq_lock_take(&endpoint->receive_lock)) {
        hqq_receive_park(endpoint, HQQ_PARK_SHARED);
        hqq_doorbell_hand_over(endpoint);
        hqq_receive_is_ready(endpoint, fd); /* takes the tokens out that nobody else would know */
        hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_SHARED);
        hqq_lock_give(&endpoint->receive_lock);
    }
}

void hqq_options_see_passed(const struct msghdr *message)
{
    each_descriptor(message, see_passed);
}

void hqq_options_see_received(const struct msghdr *message)
{
    if (__builtin_expect(message->msg_controllen != 0, 0))
        each_descriptor(message, hqq_socket_created);
}

/* ---- Socket options -------------------------------------------------------------------------------------------- */

/* What they add to a datagram is the kernel's to say; and a sender that asks for credentials gets a name with its next
 * datagram. */
static const int kernels[] = {SO_PASSCRED, SO_PASSSEC, SO_PASSPIDFD, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TIMESTAMPING};

#define KERNELS_COUNT (sizeof(kernels) / sizeof(kernels[0]))

static bool is_kernels(int option)
{
    for (size_t i = 0; i < KERNELS_COUNT; i++) {
        if (kernels[i] == option)
            return true;
    }
    return false;
}

bool hqq_options_has_kernels(int fd)
{
    for (size_t i = 0; i < KERNELS_COUNT; i++) {
        int value = 0;
        socklen_t length = sizeof(value);
        if (hqq_libc.getsockopt(fd, SOL_SOCKET, kernels[i], &value, &length) == 0 && value != 0)
            return true;
    }
    return false;
}

bool hqq_options_has_kernels_only(int fd)
{
    int offset = -1;
    socklen_t length = sizeof(offset), filters = 0;
    return (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &length) == 0 && offset >= 0) ||
           (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &filters) == 0 && filters != 0);
}

/* An option took effect: is the socket one that rings can serve still? */
static void note_option(struct hqq_endpoint *endpoint, int fd, int option)
{
    if (option == SO_RCVTIMEO)
        hqq_endpoint_note_timeout(endpoint, fd);
    else if (option == SO_SNDBUF || option == SO_SNDBUFFORCE)
        hqq_endpoint_note_buffer(endpoint, fd);
    if (!is_kernels(option))
        return;
    hqq_endpoint_demote(endpoint, fd);
    if (hqq_lock_take(&endpoint->send_lock)) {
        endpoint->is_send_plain = true;
        hqq_route_forget_all(endpoint);
        hqq_lock_give(&endpoint->send_lock);
    }
}

/* Options after which each look of ours at the queue would show. */
static bool is_for_kernel_only(int level, int option)
{
    return level == SOL_SOCKET && (option == SO_PEEK_OFF || option == SO_ATTACH_FILTER || option == SO_ATTACH_BPF);
}

int hqq_setsockopt(int fd, int level, int option, const void *value, socklen_t length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_set_option(fd, level, option, value, length));
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint && is_for_kernel_only(level, option) && !hqq_fork_is_borrowed())
        hqq_endpoint_give_to_kernel(endpoint, fd);
    int result = hqq_libc.setsockopt(fd, level, option, value, length);
    if (result == 0 && endpoint && level == SOL_SOCKET && !hqq_fork_is_borrowed()) {
        int saved = errno;
        note_option(endpoint, fd, option);
        errno = saved;
    }
    return result;
}

int hqq_getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_get_option(fd, level, option, value, length));
    return hqq_libc.getsockopt(fd, level, option, value, length);
}

/* ---- fcntl, ioctl ---------------------------------------------------------------------------------------------- */

static void note_flags(struct hqq_endpoint *endpoint, int fd, int flags)
{
    hqq_store32_relaxed(&endpoint->is_nonblocking, (flags & O_NONBLOCK) != 0);
    if (flags & O_ASYNC)
        hqq_endpoint_demote(endpoint, fd);
}

static void note_duplicate(int fd, int duplicate)
{
    int saved = errno;
    if (hqq_fork_is_borrowed())
        return;
    hqq_socket_created(duplicate);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (endpoint)
        hqq_endpoint_share(endpoint, duplicate);
    else if (hqq_is_named(fd))
        hqq_named_share(fd, duplicate);
    errno = saved;
}

int hqq_fcntl(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *); /* an int or a pointer: what the caller put there is passed on */
    va_end(arguments);
    int result = hqq_libc.fcntl(fd, command, argument);
    if (result < 0)
        return result;
    if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) {
        note_duplicate(fd, result);
    } else if (command == F_SETFL) {
        struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
        if (endpoint && !hqq_fork_is_borrowed())
            note_flags(endpoint, fd, (int)(intptr_t)argument);
        else if (hqq_is_named(fd))
            hqq_named_note_flags(fd, (int)(intptr_t)argument);
    }
    return result;
}

/* The next datagram's length, whichever way it came. */
static int next_length(struct hqq_endpoint *endpoint, int fd, int *ret_length)
{
    if (!hqq_lock_take(&endpoint->receive_lock))
        return hqq_libc.ioctl(fd, FIONREAD, ret_length);
    size_t length = hqq_receive_next_length(endpoint, fd);
    hqq_lock_give(&endpoint->receive_lock);
    *ret_length = (int)length;
    return 0;
}

int hqq_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (hqq_is_named(fd))
        return hqq_face(hqq_named_ioctl(fd, request, argument));
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (__builtin_expect(endpoint != NULL, 0)) {
        if (request == FIONREAD && endpoint->pairs && !hqq_is_bad_address(argument, sizeof(int)))
            return next_length(endpoint, fd, argument);
        if (request == SIOCOUTQ && !hqq_is_bad_address(argument, sizeof(int))) {
            int result = hqq_libc.ioctl(fd, request, argument);
            if (result == 0)
                *(int *)argument = hqq_route_unread(endpoint, *(int *)argument);
            return result;
        }
    }
    int result = hqq_libc.ioctl(fd, request, argument);
    if (result == 0 && endpoint && (request == FIONBIO || request == FIOASYNC) && !hqq_fork_is_borrowed()) {
        int saved = errno;
        int flags = hqq_libc.fcntl(fd, F_GETFL);
        if (flags >= 0)
            note_flags(endpoint, fd, flags);
        errno = saved;
    }
    return result;
}

/* ---- Duplicates ------------------------------------------------------------------------------------------------ */

int hqq_dup(int fd)
{
    int duplicate = hqq_libc.dup(fd);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}

/* wanted is about to become a duplicate of fd. */
static void make_way(int fd, int wanted)
{
    hqq_descriptor_make_way(wanted);
    if (!hqq_fork_is_borrowed())
        hqq_endpoint_leave_if_valid(fd, wanted);
}

int hqq_dup3(int fd, int wanted, int flags)
{
    if (fd == wanted) /* an error, which the kernel is to tell */
        return hqq_libc.dup3(fd, wanted, flags);
    make_way(fd, wanted);
    int duplicate = hqq_libc.dup3(fd, wanted, flags);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}

int hqq_dup2(int fd, int wanted)
{
    if (fd == wanted)
        return hqq_libc.dup2(fd, wanted);
    make_way(fd, wanted);
    int duplicate = hqq_libc.dup2(fd, wanted);
    if (duplicate >= 0)
        note_duplicate(fd, duplicate);
    return duplicate;
}
