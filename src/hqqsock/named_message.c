/*
 * Datagrams of sockets of AF_HQQ: each is one slot of the link, filled from or copied to the app's vectors in place. A
 * datagram that is longer than the app's buffer is cut, as datagrams are, and its rest is gone.
 */
#include <errno.h>
#include <limits.h>

#include "standard/poll.h"
#include "standard/state.h"
#include "runtime/cursor.h"
#include "hqqsock/named.h"
#include "hqqsock/named_wait.h"

/* What means something here, or nothing anywhere. */
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CONFIRM | MSG_DONTROUTE | MSG_EOR)
#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_CMSG_CLOEXEC)

/* The bytes of a vector, or -errno as the kernel says it. */
static int measure(const struct msghdr *message, size_t *ret_length)
{
    if (message->msg_iovlen > IOV_MAX)
        return -EMSGSIZE;
    return hqq_vector_length(message->msg_iov, message->msg_iovlen, ret_length) ? 0 : -EFAULT;
}

/* ---- Sending --------------------------------------------------------------------------------------------------- */

/* What is wrong with a datagram whatever the ring holds. */
static int check_sending(const struct hqq_named *named, struct hqq_link *link, const struct msghdr *message,
                         size_t length)
{
    if (!link)
        return -ENOTCONN;
    if (message->msg_controllen != 0)
        return -EOPNOTSUPP;
    if (hqq_load32_relaxed(&named->shut) & HQQ_NAMED_SHUT_WRITING)
        return -EPIPE;
    if (length > hqq_link_buffer_size(link))
        return -EMSGSIZE;
    if (message->msg_name && message->msg_namelen != 0)
        return hqq_named_check_address(link, message->msg_name, message->msg_namelen);
    return 0;
}

/* The protocol has no empty datagram: as in the original, nothing is sent, and that is no error where a send would
 * not be one. */
static int send_nothing(const struct hqq_named *named, const struct hqq_link *link)
{
    int result = hqq_link_guard(link);
    if (result == 0)
        result = hqq_link_peer_gone(link);
    return result != 0 ? hqq_named_error(named, result) : 0;
}

static int send_one(struct hqq_named *named, int fd, const struct msghdr *message, size_t length, int flags)
{
    struct hqq_link *link = hqq_named_link(named);
    struct hqq_cursor cursor = {.part = message->msg_iov, .parts = message->msg_iovlen};
    struct hqq_named_wait wait;
    struct hqq_slot slot;
    hqq_named_wait_begin(&wait, named, fd, HQQ_WAIT_SPACE, flags);
    int result;
    while ((result = hqq_link_try_reserve(link, &slot)) == HQQ_ERROR_WOULD_BLOCK) {
        int waited = hqq_named_wait(&wait);
        if (waited != 0)
            return waited == -ESHUTDOWN ? -EPIPE : waited;
    }
    hqq_named_wait_end(&wait);
    if (result != 0)
        return hqq_named_error(named, result);
    if (!hqq_cursor_copy_from(&cursor, slot.data, length)) {
        (void)hqq_link_abort(link, &slot, 0);
        return -EFAULT;
    }
    (void)hqq_link_commit(link, &slot, length);
    return 0;
}

ssize_t hqq_named_send(void *object, int fd, const struct msghdr *message, int flags)
{
    size_t length;
    if (flags & ~SEND_FLAGS)
        return -EOPNOTSUPP;
    int result = measure(message, &length);
    if (result != 0)
        return result;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    result = check_sending(named, hqq_named_link(named), message, length);
    if (result == 0)
        result = length != 0 ? send_one(named, fd, message, length, flags) : send_nothing(named, hqq_named_link(named));
    hqq_named_drop(named);
    return result != 0 ? result : (ssize_t)length;
}

/* ---- Receiving ------------------------------------------------------------------------------------------------- */

/* One receive: where the datagram goes, and what came. */
struct taking {
    struct msghdr *message;
    size_t copied, length;
};

/* Also as a look of hqq_link_peek_with(), which may come more than once. */
static int copy_out(const void *data, size_t length, void *arg)
{
    struct taking *taking = arg;
    struct hqq_cursor cursor = {.part = taking->message->msg_iov, .parts = taking->message->msg_iovlen};
    taking->copied = hqq_cursor_copy_to(&cursor, data, length);
    taking->length = length;
    return 0;
}

static int take(struct hqq_link *link, struct taking *taking)
{
    struct hqq_slot slot;
    int result = hqq_link_try_borrow(link, &slot);
    if (result != 0)
        return result;
    copy_out(slot.data, slot.length, taking);
    (void)hqq_link_release(link, &slot);
    return 0;
}

/* Nothing more comes once this end was shut down for reading. */
static bool is_end(const struct hqq_named *named, int result)
{
    return (result == HQQ_ERROR_WOULD_BLOCK || result == HQQ_ERROR_CLOSED) &&
           (hqq_load32_relaxed(&named->shut) & HQQ_NAMED_SHUT_READING) != 0 &&
           hqq_load32_acquire(&named->is_closed) == 0;
}

static int receive_one(struct hqq_named *named, int fd, struct taking *taking, int flags)
{
    struct hqq_link *link = hqq_named_link(named);
    struct hqq_named_wait wait;
    size_t length;
    hqq_named_wait_begin(&wait, named, fd, HQQ_WAIT_DATA, flags);
    int result;
    for (;;) {
        result = flags & MSG_PEEK ? hqq_link_peek_with(link, copy_out, taking, &length) : take(link, taking);
        if (is_end(named, result)) {
            taking->copied = taking->length = 0;
            return 0;
        }
        if (result != HQQ_ERROR_WOULD_BLOCK)
            break;
        int waited = hqq_named_wait(&wait);
        if (waited != 0 && waited != -ESHUTDOWN)
            return waited;
    }
    hqq_named_wait_end(&wait);
    return result != 0 ? hqq_named_error(named, result) : 0;
}

/* False: a bad address. */
static bool fill_in(const struct taking *taking, const struct hqq_link *link, int flags)
{
    struct msghdr *message = taking->message;
    if (taking->copied == HQQ_CURSOR_FAULT ||
        (message->msg_name && !hqq_named_tell(link, message->msg_name, &message->msg_namelen)))
        return false;
    message->msg_controllen = 0;
    message->msg_flags = (taking->copied < taking->length ? MSG_TRUNC : 0) | (flags & MSG_CMSG_CLOEXEC);
    return true;
}

ssize_t hqq_named_receive(void *object, int fd, struct msghdr *message, int flags)
{
    struct taking taking = {.message = message};
    size_t capacity;
    if (flags & ~RECEIVE_FLAGS)
        return -EOPNOTSUPP;
    int result = measure(message, &capacity);
    if (result != 0)
        return result;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    struct hqq_link *link = hqq_named_link(named);
    result = link ? receive_one(named, fd, &taking, flags) : -ENOTCONN;
    if (result == 0) {
        if (!fill_in(&taking, link, flags))
            result = -EFAULT;
        if (hqq_load32_acquire(&named->is_closed) == 0)
            hqq_named_settle(named, fd, false);
    }
    hqq_named_drop(named);
    if (result != 0)
        return result;
    return (ssize_t)(flags & MSG_TRUNC ? taking.length : taking.copied);
}
