#include "endpoint/adopt.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "channel/rendezvous.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/ownership.h"
#include "endpoint/scheduler.h"
#include "endpoint/shared.h"
#include "platform/trace.h"
#include "runtime/cursor.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

static hqq_atomic_u32 has_candidates, has_copies;

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    return hqq_libc.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

/* The endpoint of a candidate, and of the copies that were made of its descriptor. */
static struct hqq_endpoint *make(int fd, const struct hqq_rule *rule)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_make(fd, rule);
    if (!endpoint || endpoint->cookie == 0 || hqq_load32_relaxed(&has_copies) == 0)
        return endpoint;
    for (int copy = hqq_fd_next(0); copy >= 0; copy = hqq_fd_next(copy + 1)) {
        if (hqq_adopt_may_become(hqq_fd_get(copy)) && cookie_of(copy) == endpoint->cookie)
            hqq_endpoint_make(copy, rule);
    }
    return endpoint;
}

bool hqq_adopt_is_candidate(int fd)
{
    int domain = 0, type = 0;
    socklen_t length = sizeof(int);
    return hqq_libc.getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX &&
           hqq_libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM;
}

/* A name as configuration and routes want it. False: it has none. */
static bool get_name(int fd, bool of_peer, struct sockaddr_un *name, socklen_t *length)
{
    *length = sizeof(*name);
    memset(name, 0, sizeof(*name));
    struct sockaddr *address = (struct sockaddr *)(void *)name;
    int result = of_peer ? hqq_libc.getpeername(fd, address, length) : hqq_libc.getsockname(fd, address, length);
    return result == 0 && *length > offsetof(struct sockaddr_un, sun_path) && *length <= sizeof(*name);
}

uint64_t hqq_adopt_peer_sum(int fd)
{
    struct sockaddr_un name;
    socklen_t length;
    uint64_t sum = UINT64_C(14695981039346656037);
    if (!get_name(fd, true, &name, &length))
        return 0;
    for (socklen_t i = 0; i < length; i++)
        sum = (sum ^ ((const unsigned char *)&name)[i]) * UINT64_C(1099511628211);
    return sum | 1;
}

static void note_name(char to[HQQ_COUNTERS_NAME], hqq_atomic_u32 *to_length, const struct sockaddr_un *name,
                      socklen_t length)
{
    size_t bytes = length - offsetof(struct sockaddr_un, sun_path);
    if (name->sun_path[0] != '\0')
        bytes = strnlen(name->sun_path, bytes);
    if (bytes > HQQ_COUNTERS_NAME)
        bytes = HQQ_COUNTERS_NAME;
    memcpy(to, name->sun_path, bytes);
    hqq_store32_relaxed(to_length, (uint32_t)bytes);
}

/* ---- Names that it got ----------------------------------------------------------------------------------------- */

static void note_own_name(struct hqq_endpoint *endpoint, const struct sockaddr_un *name, socklen_t length,
                          const struct hqq_rule *rule)
{
    struct hqq_place place;
    endpoint->name = *name;
    endpoint->name_length = length;
    if (hqq_rendezvous_place(rule, name, length, -1, &place) == 0)
        endpoint->identity.file = place.inode;
}

/* Its peers knew it as unnamed: their channels end. */
static void note_bound(struct hqq_endpoint *endpoint, const struct sockaddr_un *name, socklen_t length,
                       const struct hqq_rule *rule)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (endpoint->name_length == 0) {
        bool has_send = hqq_lock_take(&endpoint->send_lock);
        const struct hqq_inode peer = endpoint->peer ? endpoint->peer->inode : (struct hqq_inode){0};
        hqq_destinations_forget_all(endpoint);
        if (endpoint->peer) /* a connection leads where it led */
            endpoint->peer->inode = peer;
        hqq_ownership_note_change(endpoint);
        if (has_send)
            hqq_lock_give(&endpoint->send_lock);
        hqq_scheduler_stop_all(endpoint, HQQ_CLOSED);
        note_own_name(endpoint, name, length, rule ? rule : endpoint->rule);
        note_name(endpoint->counters->bound, &endpoint->counters->bound_length, name, length);
        if (rule) {
            endpoint->rule = rule;
            hqq_bet_begin(&endpoint->bet, rule->polling);
        }
    }
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_adopt_bound(int fd)
{
    struct sockaddr_un name;
    socklen_t length;
    int saved = errno;
    if (!hqq_config_is_enabled() || hqq_ownership_is_borrowed() || !hqq_adopt_is_candidate(fd) ||
        !get_name(fd, false, &name, &length)) {
        errno = saved;
        return;
    }
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    const struct hqq_rule *rule = hqq_config_match((const struct sockaddr *)(const void *)&name, length);
    if (!endpoint && rule)
        endpoint = make(fd, rule);
    if (endpoint)
        note_bound(endpoint, &name, length, rule);
    errno = saved;
}

/* Of a path that was looked at; of any other peer it is not known. */
static struct hqq_inode inode_of(const struct hqq_destination *peer)
{
    return peer && hqq_destination_is_path(peer) ? peer->inode : (struct hqq_inode){0};
}

/* To the address, or, where that is NULL, to nobody. True if the peer is the one that it was: a receiver may have
 * several paths, so inodes tell, where they can. With both locks. */
static bool connect_again(struct hqq_endpoint *endpoint, const struct sockaddr *address, socklen_t length)
{
    const struct hqq_inode before = inode_of(endpoint->peer);
    bool has_same_name = address && endpoint->peer && hqq_destination_is_to(endpoint->peer, address, length);
    hqq_destinations_disconnect(endpoint);
    endpoint->is_connected = address != NULL;
    if (address)
        endpoint->peer = hqq_destinations_connect(endpoint, address, length);
    if (hqq_inode_is_known(&before) && endpoint->peer && hqq_destination_is_path(endpoint->peer))
        return hqq_inode_is_same(&before, &endpoint->peer->inode);
    return has_same_name;
}

/* The kernel delivers from the new peer alone now, and has thrown away what an old one sent. address NULL:
 * dissolved. */
static void note_connected(struct hqq_endpoint *endpoint, int fd, const struct sockaddr *address, socklen_t length)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    bool has_send = hqq_lock_take(&endpoint->send_lock);
    bool was_connected = endpoint->is_connected;
    bool is_same = connect_again(endpoint, address, length);
    endpoint->peer_sum = address ? hqq_adopt_peer_sum(fd) : 0;
    if (endpoint->peer)
        note_name(endpoint->counters->peer, &endpoint->counters->peer_length, &endpoint->peer->name,
                  endpoint->peer->name_length);
    hqq_ownership_note_change(endpoint);
    if (has_send)
        hqq_lock_give(&endpoint->send_lock);
    if (was_connected && !is_same)
        hqq_scheduler_end_all(endpoint, true);
    else if (!is_same)
        hqq_scheduler_stop_all(endpoint, HQQ_CLOSED);
    endpoint->head_is_noted = false;
    hqq_endpoint_end_change(endpoint, has_lock);
}

void hqq_adopt_connected(int fd, const struct sockaddr *address, socklen_t length)
{
    int saved = errno;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    bool dissolves = address->sa_family == AF_UNSPEC;
    const struct hqq_rule *rule = dissolves ? NULL : hqq_config_match(address, length);
    if (!endpoint && (!rule || hqq_ownership_is_borrowed() || !hqq_adopt_is_candidate(fd))) {
        errno = saved;
        return;
    }
    if (!endpoint)
        endpoint = make(fd, rule);
    if (endpoint)
        note_connected(endpoint, fd, dissolves ? NULL : address, length);
    errno = saved;
}

/* ---- Descriptors from elsewhere -------------------------------------------------------------------------------- */

bool hqq_adopt_has_candidates(void)
{
    return hqq_load32_relaxed(&has_candidates) != 0;
}

void hqq_adopt_mark_candidate(int fd)
{
    if (hqq_fd_replace(fd, NULL, &hqq_adopt_candidate))
        hqq_store32_relaxed(&has_candidates, 1);
}

/* A copy of a candidate becomes what that becomes. */
static void share_candidate(void *object, int fd, int duplicate)
{
    (void)fd;
    hqq_store32_relaxed(&has_copies, 1);
    if (hqq_fd_prepare(duplicate))
        hqq_fd_set(duplicate, object);
}

static const struct hqq_ops mark_ops = {
    .family = HQQ_FAMILY_NONE, .adopt = hqq_adopt_for_address, .share = share_candidate};

struct hqq_object hqq_adopt_candidate = {.ops = &mark_ops}, hqq_adopt_sent_once = {.ops = &mark_ops};

/* What is sent elsewhere stays the kernel's, at no cost; and a socket that is connected nowhere may be later on. */
static ssize_t send_forked(void *object, int fd, const struct msghdr *message, int flags)
{
    bool has_name = message->msg_name && message->msg_namelen != 0;
    bool may_match = !has_name || (!hqq_is_unreadable(message->msg_name, message->msg_namelen) &&
                                   message->msg_namelen > offsetof(struct sockaddr_un, sun_path) &&
                                   message->msg_namelen <= sizeof(struct sockaddr_un) &&
                                   hqq_config_match(message->msg_name, message->msg_namelen));
    if (may_match && !hqq_filter_is_set() && hqq_fd_replace(fd, object, NULL)) {
        struct hqq_object *known = hqq_adopt_unknown(fd);
        if (!known && has_name)
            known = hqq_adopt_for_address(fd, message->msg_name, message->msg_namelen);
        if (known)
            return known->ops->send(known, fd, message, flags);
    }
    ssize_t result = hqq_libc.sendmsg(fd, message, flags);
    if (result >= 0)
        return result;
    int error = errno;
    if (error == ENOTCONN)
        hqq_fd_replace(fd, &hqq_adopt_candidate, object);
    return -error;
}

static const struct hqq_ops forked_ops = {.family = HQQ_FAMILY_NONE,
                                          .address_max = sizeof(struct sockaddr_un),
                                          .send = send_forked,
                                          .share = share_candidate};

struct hqq_object hqq_adopt_forked = {.ops = &forked_ops};

void hqq_adopt_fork_prepare(void)
{
    int saved = errno;
    if (!hqq_adopt_has_candidates() || !hqq_endpoint_has_registry() || hqq_filter_is_set())
        return;
    hqq_shared_begin_keeping();
    for (int fd = hqq_fd_next(0); fd >= 0; fd = hqq_fd_next(fd + 1)) {
        struct hqq_object *object = hqq_fd_get(fd);
        if (!hqq_adopt_may_become(object) && object != &hqq_adopt_sent_once)
            continue;
        uint64_t cookie = cookie_of(fd);
        if (cookie != 0 && hqq_shared_keep(cookie))
            hqq_fd_replace(fd, object, &hqq_adopt_forked);
    }
    hqq_shared_end_keeping();
    errno = saved;
}

struct hqq_object *hqq_adopt_unknown(int fd)
{
    struct sockaddr_un name;
    socklen_t length;
    if (!hqq_config_is_enabled() || (unsigned)fd >= HQQ_FD_MAX || hqq_filter_is_set() || hqq_ownership_is_borrowed())
        return NULL;
    int saved = errno;
    struct hqq_endpoint *endpoint = NULL;
    int type;
    socklen_t type_length = sizeof(type);
    int result = hqq_libc.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length);
    if (result != 0 && errno == EBADF) {
        errno = saved;
        return NULL;
    }
    bool is_candidate = hqq_adopt_is_candidate(fd);
    if (is_candidate && get_name(fd, false, &name, &length) &&
        hqq_config_match((const struct sockaddr *)(const void *)&name, length))
        hqq_adopt_bound(fd);
    endpoint = hqq_endpoint_find(fd);
    if (endpoint) {
        endpoint->is_inherited = true; /* others may hold it too: what they may change is asked for */
        hqq_add_relaxed(&hqq_ownership_copies, 1);
        hqq_log(HQQ_LOG_INFO, "descriptor %d, which came from elsewhere, is adopted", fd);
    }
    if (is_candidate && get_name(fd, true, &name, &length)) {
        hqq_adopt_connected(fd, (const struct sockaddr *)(const void *)&name, length);
        endpoint = hqq_endpoint_find(fd);
    }
    if (!endpoint)
        is_candidate ? hqq_adopt_mark_candidate(fd) : (void)hqq_fd_replace(fd, NULL, &hqq_fd_plain);
    errno = saved;
    return endpoint ? &endpoint->object : NULL;
}

/* The number of another process's socket is the kernel's: what that one does is not seen. */
void hqq_adopt_fetched(int fd)
{
    int saved = errno;
    if (hqq_config_is_enabled() && !hqq_filter_is_set() && !hqq_ownership_is_borrowed() && hqq_adopt_is_candidate(fd)) {
        uint64_t cookie = cookie_of(fd);
        struct hqq_endpoint *endpoint = hqq_endpoint_of_cookie(cookie);
        struct hqq_object *own = endpoint ? &endpoint->object : NULL;
        int copy = own ? fd : hqq_fd_next(0);
        for (; !own && copy >= 0; copy = hqq_fd_next(copy + 1)) {
            struct hqq_object *object = hqq_fd_get(copy);
            if (object && object->ops->share == share_candidate && cookie_of(copy) == cookie)
                own = object;
        }
        if (own)
            own->ops->share(own, fd, fd);
        else
            hqq_fd_replace(fd, NULL, &hqq_fd_plain);
    }
    errno = saved;
}

bool hqq_adopt_is_unconfigured(int fd)
{
    struct sockaddr_un name;
    socklen_t length;
    int saved = errno;
    bool has_name = false, is_configured = false;
    bool is_candidate = hqq_adopt_is_candidate(fd);
    for (int of_peer = 0; of_peer < 2 && is_candidate; of_peer++) {
        if (!get_name(fd, of_peer != 0, &name, &length))
            continue;
        has_name = true;
        is_configured |= hqq_config_match((const struct sockaddr *)(const void *)&name, length) != NULL;
    }
    errno = saved;
    return has_name && !is_configured;
}

struct hqq_object *hqq_adopt_for_address(int fd, const struct sockaddr *address, socklen_t length)
{
    if (!hqq_config_is_enabled() || (unsigned)fd >= HQQ_FD_MAX)
        return NULL;
    if (hqq_fd_get(fd) == NULL) {
        struct hqq_object *known = hqq_adopt_unknown(fd);
        if (known || hqq_fd_get(fd) != &hqq_adopt_candidate)
            return known;
    }
    if (!address || hqq_is_unreadable(address, length) || length <= offsetof(struct sockaddr_un, sun_path) ||
        length > sizeof(struct sockaddr_un) || address->sa_family != AF_UNIX)
        return NULL;
    const struct hqq_rule *rule = hqq_config_match(address, length);
    if (!rule)
        return NULL;
    if (rule->link_after != 0 && !hqq_shared_is_keeping() &&
        hqq_fd_replace(fd, &hqq_adopt_candidate, &hqq_adopt_sent_once))
        return NULL;
    if (hqq_ownership_is_borrowed())
        return NULL;
    int saved = errno;
    struct hqq_endpoint *endpoint = hqq_adopt_is_candidate(fd) ? make(fd, rule) : NULL;
    struct sockaddr_un name;
    socklen_t name_length;
    if (endpoint && get_name(fd, false, &name, &name_length)) {
        bool has_lock = hqq_endpoint_begin_change(endpoint);
        note_own_name(endpoint, &name, name_length, rule);
        note_name(endpoint->counters->bound, &endpoint->counters->bound_length, &name, name_length);
        hqq_endpoint_end_change(endpoint, has_lock);
    }
    if (endpoint && endpoint->counters->peer_length == 0)
        note_name(endpoint->counters->peer, &endpoint->counters->peer_length,
                  (const struct sockaddr_un *)(const void *)address, length);
    errno = saved;
    return endpoint ? &endpoint->object : NULL;
}
