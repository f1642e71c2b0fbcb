/*
 * The calls that send and receive: each becomes one message of sendmsg(2) or recvmsg(2). A descriptor that is none of
 * ours goes to libc by the first branch.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "endpoint/life.h"
#include "endpoint/passed.h"
#include "platform/clock.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/libc.h"
#include "socket/face.h"
#include "socket/lookup.h"
#include "socket/options.h"

/*
 * The calls are cancellation points also where a ring serves them: at their beginning, before anything is done. Within a batch only the
 * first one is.
 */
static ssize_t send_message(struct hqq_object *object, int fd, const struct msghdr *message, int flags, bool is_first)
{
    if (is_first)
        pthread_testcancel();
    return hqq_face_size(object->ops->send(object, fd, message, flags));
}

static ssize_t receive_message(struct hqq_object *object, int fd, struct msghdr *message, int flags, bool is_first)
{
    if (is_first)
        pthread_testcancel();
    return hqq_face_size(object->ops->receive(object, fd, message, flags));
}

/* ---- Sending --------------------------------------------------------------------------------------------------- */

ssize_t hqq_sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *address,
                   socklen_t address_length)
{
    struct hqq_object *object = hqq_lookup_sender(fd, address, address_length);
    if (!object || (address && address_length > object->ops->address_max))
        return hqq_libc.sendto(fd, data, length, flags, address, address_length);
    length = hqq_within_a_call(length);
    union {
        const void *in;
        void *out;
    } constless = {.in = data}, address_of = {.in = address};
    struct iovec part = {.iov_base = constless.out, .iov_len = length};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_name = address_of.out, .msg_namelen = address ? address_length : 0};
    return send_message(object, fd, &message, flags, true);
}

ssize_t hqq_send(int fd, const void *data, size_t length, int flags)
{
    if (!hqq_lookup_server(fd))
        return hqq_libc.send(fd, data, length, flags);
    return hqq_sendto(fd, data, length, flags, NULL, 0);
}

ssize_t hqq_write(int fd, const void *data, size_t length)
{
    if (!hqq_lookup_server(fd) || hqq_is_bad_range(data, length))
        return hqq_libc.write(fd, data, length);
    return hqq_sendto(fd, data, length, 0, NULL, 0);
}

static bool is_readable_header(const struct msghdr *message)
{
    return !hqq_is_unreadable(message, sizeof(*message));
}

/* False: the kernel's, whatever it sends. */
static bool may_be_served(int fd)
{
    if (hqq_fd_get(fd) == NULL && hqq_start())
        hqq_adopt_unknown(fd);
    const struct hqq_object *object = hqq_fd_get(fd);
    return object && object != &hqq_fd_plain;
}

/* A message of a descriptor that is none of ours is the kernel's to read first: it may lie anywhere. */
static ssize_t send_elsewhere(int fd, const struct msghdr *message, int flags)
{
    ssize_t result = hqq_libc.sendmsg(fd, message, flags);
    if (result >= 0 && hqq_endpoint_first() && message->msg_controllen != 0 && !hqq_ownership_is_borrowed())
        hqq_passed_see(message);
    return result;
}

static ssize_t send_next(int fd, const struct msghdr *message, int flags, bool is_first)
{
    if (!may_be_served(fd) || !is_readable_header(message))
        return send_elsewhere(fd, message, flags);
    struct hqq_object *object = hqq_lookup_sender(fd, message->msg_name, message->msg_namelen);
    if (!object)
        return send_elsewhere(fd, message, flags);
    if (message->msg_name && message->msg_namelen > object->ops->address_max)
        return hqq_libc.sendmsg(fd, message, flags);
    return send_message(object, fd, message, flags, is_first);
}

ssize_t hqq_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return send_next(fd, message, flags, true);
}

ssize_t hqq_writev(int fd, const struct iovec *parts, int count)
{
    struct hqq_object *object = hqq_lookup_server(fd);
    size_t length = 0;
    if (!object || count < 0 || count > IOV_MAX || hqq_ownership_is_vfork_child() ||
        !hqq_vector_length(parts, (size_t)count, &length) || length == 0) /* writev(2) of nothing sends nothing */
        return hqq_libc.writev(fd, parts, count);
    union {
        const struct iovec *in;
        struct iovec *out;
    } constless = {.in = parts};
    struct msghdr message = {.msg_iov = constless.out, .msg_iovlen = (size_t)count};
    return send_message(object, fd, &message, 0, true);
}

ssize_t hqq_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!hqq_lookup_server(fd) || offset != -1 || flags != 0)
        return hqq_libc.pwritev2(fd, parts, count, offset, flags);
    return hqq_writev(fd, parts, count);
}

/* As in the kernel a datagram whose length can't be told has gone all the same. */
static bool note_length(struct mmsghdr *message, ssize_t result)
{
    unsigned length = (unsigned)result;
    bool is_noted = hqq_app_write(&message->msg_len, &length, sizeof(length));
    if (!is_noted)
        errno = EFAULT;
    return is_noted;
}

/* The kernel's rules: at most UIO_MAXIOV messages; an error after the first is told by the count alone. */
int hqq_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    if (!may_be_served(fd) || count == 0 || hqq_is_unreadable(messages, sizeof(*messages)) ||
        !hqq_lookup_sender(fd, messages->msg_hdr.msg_name, messages->msg_hdr.msg_namelen)) {
        int result = hqq_libc.sendmmsg(fd, messages, count, flags);
        for (int i = 0; i < result && hqq_endpoint_first() && !hqq_ownership_is_borrowed(); i++) {
            if (messages[i].msg_hdr.msg_controllen != 0)
                hqq_passed_see(&messages[i].msg_hdr);
        }
        return result;
    }
    unsigned sent = 0;
    if (count > IOV_MAX)
        count = IOV_MAX;
    int saved = errno;
    while (sent < count) {
        ssize_t result = send_next(fd, &messages[sent].msg_hdr, flags, sent == 0);
        if (result < 0 || !note_length(&messages[sent], result))
            break;
        sent++;
    }
    if (sent == 0)
        return -1;
    errno = saved;
    return (int)sent;
}

/* ---- Receiving ------------------------------------------------------------------------------------------------- */

static ssize_t receive(struct hqq_object *object, int fd, void *data, size_t capacity, int flags)
{
    struct iovec part = {.iov_base = data, .iov_len = hqq_within_a_call(capacity)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_flags = HQQ_FLAGS_UNWANTED};
    return receive_message(object, fd, &message, flags, true);
}

ssize_t hqq_recv(int fd, void *data, size_t capacity, int flags)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object)
        return hqq_libc.recv(fd, data, capacity, flags);
    return receive(object, fd, data, capacity, flags);
}

/* What is wrong with where the length of an address is: the kernel finds that out once it has taken the datagram. */
static int error_of_length(const socklen_t *length)
{
    if (hqq_is_unreadable(length, sizeof(*length)))
        return -EFAULT;
    return *length > INT_MAX ? -EINVAL : 0;
}

ssize_t hqq_recvfrom(int fd, void *data, size_t capacity, int flags, struct sockaddr *address,
                     socklen_t *address_length)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object)
        return hqq_libc.recvfrom(fd, data, capacity, flags, address, address_length);
    if (!address)
        return receive(object, fd, data, capacity, flags);
    int error = error_of_length(address_length);
    struct iovec part = {.iov_base = data, .iov_len = hqq_within_a_call(capacity)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_flags = HQQ_FLAGS_UNWANTED,
                             .msg_name = error == 0 ? address : NULL,
                             .msg_namelen = error == 0 ? *address_length : 0};
    ssize_t result = receive_message(object, fd, &message, flags, true);
    if (result >= 0 && error != 0)
        return hqq_face_size(error);
    if (result >= 0 && !hqq_app_write(address_length, &message.msg_namelen, sizeof(*address_length)))
        return hqq_face_size(-EFAULT);
    return result;
}

static ssize_t receive_next(int fd, struct msghdr *message, int flags, bool is_first)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object || !is_readable_header(message) || message->msg_namelen > INT_MAX)
        return hqq_libc.recvmsg(fd, message, flags);
    struct msghdr copy = *message; /* untouched on failure */
    ssize_t result = receive_message(object, fd, &copy, flags, is_first);
    if (result >= 0) {
        if (!hqq_app_write(&message->msg_flags, &copy.msg_flags, sizeof(copy.msg_flags)))
            return hqq_face_size(-EFAULT);
        if (message->msg_name)
            message->msg_namelen = copy.msg_namelen;
        message->msg_controllen = copy.msg_controllen;
        hqq_options_see_received(message);
    }
    return result;
}

ssize_t hqq_recvmsg(int fd, struct msghdr *message, int flags)
{
    return receive_next(fd, message, flags, true);
}

ssize_t hqq_read(int fd, void *data, size_t capacity)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object || hqq_is_bad_range(data, capacity))
        return hqq_libc.read(fd, data, capacity);
    if (capacity == 0) /* read(2) of nothing takes no datagram */
        return 0;
    return receive(object, fd, data, capacity, 0);
}

static ssize_t read_parts(int fd, const struct iovec *parts, int count, int flags)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object || count < 0 || count > IOV_MAX)
        return hqq_libc.readv(fd, parts, count);
    union {
        const struct iovec *in;
        struct iovec *out;
    } constless = {.in = parts};
    size_t capacity;
    struct msghdr message = {.msg_iov = constless.out, .msg_iovlen = (size_t)count};
    if (hqq_vector_length(parts, (size_t)count, &capacity) && capacity == 0)
        return 0;
    return receive_message(object, fd, &message, flags, true);
}

ssize_t hqq_readv(int fd, const struct iovec *parts, int count)
{
    return read_parts(fd, parts, count, 0);
}

ssize_t hqq_preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    if (!hqq_lookup_receiver(fd) || offset != -1 || (flags & ~RWF_NOWAIT) != 0)
        return hqq_libc.preadv2(fd, parts, count, offset, flags);
    return read_parts(fd, parts, count, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

/* The end of a time-out as the kernel has it: none begins in the past, and one that does not fit is the last second. */
static struct timespec end_of(const struct timespec *timeout)
{
    const time_t last = (time_t)((UINT64_C(1) << (8 * sizeof(time_t) - 1)) - 1);
    struct timespec end = hqq_timespec(hqq_clock_ns());
    if (timeout->tv_sec == 0 && timeout->tv_nsec == 0)
        return (struct timespec){0};
    end.tv_nsec += timeout->tv_nsec;
    time_t carry = end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    if (__builtin_add_overflow(end.tv_sec, carry, &end.tv_sec) ||
        __builtin_add_overflow(end.tv_sec, timeout->tv_sec, &end.tv_sec))
        return (struct timespec){.tv_sec = last};
    return end;
}

/* What is left until then; nothing, once it has passed. */
static struct timespec rest_until(const struct timespec *end)
{
    const struct timespec now = hqq_timespec(hqq_clock_ns());
    struct timespec rest = {.tv_sec = end->tv_sec - now.tv_sec, .tv_nsec = end->tv_nsec - now.tv_nsec};
    if (rest.tv_nsec < 0) {
        rest.tv_nsec += 1000000000;
        rest.tv_sec--;
    }
    if (rest.tv_sec < 0)
        rest = (struct timespec){0};
    return rest;
}

/* The kernel looks at the time-out only after each datagram, and tells what is left of it when it is done. It keeps an error that
 * comes after the first datagram for the socket's next call; here such a call finds it again, or does not. */
int hqq_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    struct hqq_object *object = hqq_lookup_receiver(fd);
    if (!object || count == 0 || hqq_is_unreadable(messages, sizeof(*messages)))
        return hqq_libc.recvmmsg(fd, messages, count, flags, timeout);
    if (timeout && hqq_is_unreadable(timeout, sizeof(*timeout)))
        return hqq_face(-EFAULT);
    if (timeout && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)) {
        errno = EINVAL;
        return -1;
    }
    struct timespec end = {0}, rest = {0};
    unsigned received = 0;
    int saved = errno;
    if (timeout)
        end = end_of(timeout);
    if (count > IOV_MAX)
        count = IOV_MAX;
    while (received < count) {
        /* Under a filter the rest may be the kernel's, by another call. */
        if (received != 0 && hqq_filter_is_set() && !hqq_lookup_receiver(fd))
            break;
        ssize_t result = receive_next(fd, &messages[received].msg_hdr, flags & ~MSG_WAITFORONE, received == 0);
        if (result < 0 || !note_length(&messages[received], result))
            break;
        received++;
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (timeout) {
            rest = rest_until(&end);
            if (rest.tv_sec == 0 && rest.tv_nsec == 0)
                break;
        }
        if (messages[received - 1].msg_hdr.msg_flags & MSG_OOB)
            break;
    }
    if (received == 0)
        return -1;
    if (timeout && !hqq_app_write(timeout, &rest, sizeof(rest)))
        return hqq_face(-EFAULT);
    errno = saved;
    return (int)received;
}
