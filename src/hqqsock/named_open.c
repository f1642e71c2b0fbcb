/*
 * From a socket of AF_HQQ to its link: names, bind, connect, and what is set before. The link's end is claimed by
 * hqq_link_create() or hqq_link_open(), which say what can go wrong; here that becomes an errno of sockets.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "platform/clock.h"
#include "platform/process.h"
#include "platform/shm.h"
#include "standard/poll.h"
#include "runtime/cursor.h"
#include "runtime/libc.h"
#include "hqqsock/named.h"
#include "hqqsock/named_wait.h"

#define NAME_OFFSET offsetof(struct sockaddr_hqq, shqq_name)

_Static_assert(HQQ_NAME_MAX == HQQ_SHM_NAME_MAX, "a name is that of an object in /dev/shm");

/* ---- Names ----------------------------------------------------------------------------------------------------- */

/* The name that an address holds: it ends at its NUL, or with the address. 0 or -errno. */
static int name_of(const struct sockaddr *address, socklen_t length, char name[static HQQ_NAME_MAX + 1])
{
    if (length < sizeof(sa_family_t) || length > sizeof(struct sockaddr_hqq))
        return -EINVAL;
    if (!address || hqq_is_unreadable(address, length))
        return -EFAULT;
    if (address->sa_family != AF_HQQ)
        return -EAFNOSUPPORT;
    const char *bytes = ((const struct sockaddr_hqq *)(const void *)address)->shqq_name;
    size_t count = length > NAME_OFFSET ? strnlen(bytes, length - NAME_OFFSET) : 0;
    if (count > HQQ_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, bytes, count);
    name[count] = '\0';
    return count != 0 ? 0 : -EINVAL;
}

static const char *without_slash(const char *name)
{
    return name[0] == '/' ? name + 1 : name;
}

int hqq_named_check_address(const struct hqq_link *link, const struct sockaddr *address, socklen_t length)
{
    char name[HQQ_NAME_MAX + 1];
    struct hqq_address remote;
    int result = name_of(address, length, name);
    if (result != 0)
        return result;
    hqq_link_remote_address(link, &remote);
    return strcmp(without_slash(name), remote.name) == 0 ? 0 : -ENOTCONN;
}

bool hqq_named_tell(const struct hqq_link *link, struct sockaddr *address, socklen_t *length)
{
    struct sockaddr_hqq whole = {.shqq_family = AF_HQQ};
    socklen_t bytes = NAME_OFFSET;
    if (link) {
        struct hqq_address own;
        hqq_link_local_address(link, &own);
        size_t count = strnlen(own.name, HQQ_NAME_MAX);
        memcpy(whole.shqq_name, own.name, count);
        bytes += (socklen_t)count + 1;
    }
    bool is_told = hqq_app_write(address, &whole, bytes < *length ? bytes : *length);
    *length = bytes;
    return is_told;
}

int hqq_named_get_name(void *object, int fd, bool of_peer, struct sockaddr *address, socklen_t *length)
{
    if (!length || hqq_is_unreadable(length, sizeof(*length)) || hqq_is_unreadable(address, *length))
        return -EFAULT;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    struct hqq_link *link = hqq_named_link(named);
    int result = of_peer && !link ? -ENOTCONN : 0;
    if (result == 0 && !hqq_named_tell(link, address, length))
        result = -EFAULT;
    hqq_named_drop(named);
    return result;
}

/* ---- Opening --------------------------------------------------------------------------------------------------- */

/* The socket gets its link, and its descriptor the knocking address. Where another one has that, a child of an earlier
 * holder of the end perhaps, sleeps are short. */
static void install(struct hqq_named *named, int fd, struct hqq_link *link)
{
    struct sockaddr_un address;
    socklen_t length;
    named->generation = hqq_process_generation();
    hqq_store_pointer_release(&named->link, link);
    if (hqq_link_knock_address(link, &address, &length) &&
        hqq_libc.bind(fd, (const struct sockaddr *)(const void *)&address, length) == 0) {
        hqq_store32_relaxed(&named->is_heard, 1);
        hqq_link_set_polled(link, true);
        hqq_named_settle(named, fd, true);
    }
    hqq_store32_release(&named->state, HQQ_NAMED_OPEN);
}

static int bind_error(int result)
{
    return result == -EEXIST || result == HQQ_ERROR_BUSY ? -EADDRINUSE : -hqq_error_to_errno(result);
}

static int connect_error(int result, bool may_wait)
{
    switch (result) {
    case HQQ_ERROR_BUSY: /* another process is the secondary */
        return -EADDRINUSE;
    case HQQ_ERROR_MEMORY_SMALL: /* its creator has not made it ready */
    case HQQ_ERROR_FAILED_INIT:
        return may_wait ? -ETIMEDOUT : -EAGAIN;
    case HQQ_ERROR_INIT_DIED:
        return -ECONNREFUSED;
    default:
        return -hqq_error_to_errno(result);
    }
}

static int create(const struct hqq_named *named, const char *name, struct hqq_link **ret_link)
{
    const struct hqq_link_config config = {
        .buffer_count = hqq_load_relaxed(&named->buffer_count),
        .buffer_size = hqq_load_relaxed(&named->buffer_size),
        .mode = (uint32_t)hqq_load_relaxed(&named->mode),
        .flags = hqq_load_relaxed(&named->replaces) != 0 ? HQQ_LINK_REPLACE_STALE : 0,
    };
    int result = hqq_link_create(name, &config, ret_link);
    return result != 0 ? bind_error(result) : 0;
}

/* A region whose primary has gone is no better than none. */
static int reach(const struct hqq_named *named, const char *name, struct hqq_link **ret_link)
{
    bool may_wait = hqq_load32_relaxed(&named->is_nonblocking) == 0;
    uint64_t timeout = hqq_load_relaxed(&named->send_timeout_ns);
    const struct hqq_link_config config = {
        .attach_timeout_ns = !may_wait                ? 1
                             : timeout != HQQ_FOREVER ? timeout
                                                      : 0,
    };
    enum hqq_peer peer;
    struct hqq_link *link;
    int result = hqq_link_open(name, &config, &link);
    if (result != 0)
        return connect_error(result, may_wait);
    result = hqq_link_check_peer(link, &peer);
    if (result == 0 && (peer == HQQ_PEER_DIED || peer == HQQ_PEER_CLOSED)) {
        hqq_link_close(link);
        return -ECONNREFUSED;
    }
    *ret_link = link;
    return 0;
}

static int open_link(void *object, int fd, const struct sockaddr *address, socklen_t length, bool creates)
{
    char name[HQQ_NAME_MAX + 1];
    struct hqq_link *link = NULL;
    int result = name_of(address, length, name);
    if (result != 0)
        return result;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    if (!hqq_cas32_acquire(&named->state, HQQ_NAMED_NEW, HQQ_NAMED_OPENING)) {
        result = creates ? -EINVAL : -EISCONN;
    } else {
        result = creates ? create(named, name, &link) : reach(named, name, &link);
        /* Closed while this waited: fd may be another's by now. A close after this look is seen by later calls only. */
        if (result == 0 && hqq_load32_acquire(&named->is_closed) != 0) {
            hqq_link_close(link);
            result = -EBADF;
        }
        if (result == 0)
            install(named, fd, link);
        else
            hqq_store32_release(&named->state, HQQ_NAMED_NEW);
    }
    hqq_named_drop(named);
    return result;
}

int hqq_named_bind(void *object, int fd, const struct sockaddr *address, socklen_t length)
{
    return open_link(object, fd, address, length, true);
}

int hqq_named_connect(void *object, int fd, const struct sockaddr *address, socklen_t length)
{
    return open_link(object, fd, address, length, false);
}

/* ---- Shutting down --------------------------------------------------------------------------------------------- */

/* An end of a link has one state for both directions, so the peer is told once both are shut. */
int hqq_named_shutdown(void *object, int fd, int how)
{
    if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
        return -EINVAL;
    struct hqq_named *named = object;
    if (!hqq_named_enter(named, fd))
        return -EBADF;
    struct hqq_link *link = hqq_named_link(named);
    int result = link ? 0 : -ENOTCONN;
    if (link) {
        uint32_t bits = how == SHUT_RD   ? HQQ_NAMED_SHUT_READING
                        : how == SHUT_WR ? HQQ_NAMED_SHUT_WRITING
                                         : HQQ_NAMED_SHUT_READING | HQQ_NAMED_SHUT_WRITING;
        uint32_t shut = hqq_or32_relaxed(&named->shut, bits) | bits;
        if (shut == (HQQ_NAMED_SHUT_READING | HQQ_NAMED_SHUT_WRITING))
            result = -hqq_error_to_errno(hqq_link_shutdown(link));
        hqq_named_knock(named);
    }
    hqq_named_drop(named);
    return result;
}
