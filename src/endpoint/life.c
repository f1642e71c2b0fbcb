#include "endpoint/life.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <hqq/link.h>

#include "endpoint/destinations.h"
#include "endpoint/modes.h"
#include "endpoint/scheduler.h"
#include "endpoint/shared.h"
#include "endpoint/socket_options.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "runtime/libc.h"
#include "runtime/pool.h"

#define COOKIE_BUCKETS 1024

/* Guards the lists of endpoints, and which descriptors lead to which. */
static struct hqq_lock registry;
static struct hqq_endpoint *free_endpoints;
static struct hqq_endpoint *all_endpoints;
static struct hqq_endpoint *by_cookie[COOKIE_BUCKETS];

bool hqq_endpoint_waits_are_intercepted;

/* ---- Making ----------------------------------------------------------------------------------------------------- */

static struct hqq_pool pool = HQQ_POOL(struct hqq_endpoint);

static struct hqq_endpoint *allocate(void)
{
    struct hqq_endpoint *endpoint = free_endpoints;
    if (endpoint) {
        free_endpoints = endpoint->next_free;
        return endpoint;
    }
    endpoint = hqq_pool_take(&pool);
    if (!endpoint)
        return NULL;
    endpoint->object.ops = &hqq_endpoint_ops;
    endpoint->next = all_endpoints;
    __atomic_store_n(&all_endpoints, endpoint, __ATOMIC_RELEASE); /* looked at without the lock too */
    return endpoint;
}

/* unix(7) sends datagrams up to the send buffer's size but for 32 bytes. */
void hqq_endpoint_note_buffer(struct hqq_endpoint *endpoint, int fd)
{
    int size = 0;
    socklen_t length = sizeof(size);
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0 || size < 32)
        size = 32;
    hqq_store_relaxed(&endpoint->longest, (uint64_t)size - 32);
    if (endpoint->shared)
        hqq_store_relaxed(&endpoint->shared->longest, (uint64_t)size - 32);
}

static uint64_t socket_inode_of(int fd)
{
    struct stat status;
    return hqq_sys.fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof(cookie);
    return hqq_libc.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

static bool has_name(int fd)
{
    struct sockaddr_un name;
    socklen_t length = sizeof(name);
    return hqq_libc.getsockname(fd, (struct sockaddr *)(void *)&name, &length) == 0 &&
           length > offsetof(struct sockaddr_un, sun_path);
}

/* Options and flags that were set before the socket was known. */
static void note_state(struct hqq_endpoint *endpoint, int fd)
{
    int flags = hqq_libc.fcntl(fd, F_GETFL);
    uint32_t foreign = flags >= 0 && (flags & O_ASYNC) != 0 ? HQQ_FOREIGN_SIGNAL : 0;
    if (endpoint->shared)
        hqq_store32_relaxed(&endpoint->shared->is_nonblocking, flags >= 0 && (flags & O_NONBLOCK) != 0);
    uint32_t options = hqq_socket_options_kernels(fd);
    hqq_store32_relaxed(&endpoint->options, options);
    if (options != 0) {
        foreign |= HQQ_FOREIGN_OPTION;
        endpoint->is_send_plain = true;
    }
    hqq_store32_relaxed(&endpoint->foreign, foreign);
    enum hqq_mode mode = hqq_socket_options_forbid_looks(fd) ? HQQ_MODE_KERNEL
                         : foreign != 0                      ? HQQ_MODE_FOREIGN
                                                             : HQQ_MODE_ACCELERATED;
    hqq_store32_relaxed(&endpoint->mode, mode);
    hqq_endpoint_set_reason(endpoint, mode != HQQ_MODE_ACCELERATED ? HQQ_SOCKET_OPTION : HQQ_SOCKET_NO_TRAFFIC);
}

/* Everything but what survives reuse: the locks, which losers of a race with close() may be trying to take, and threads that are in
 * the kernel for a socket that was closed. */
static void begin(struct hqq_endpoint *endpoint, int fd, uint64_t cookie, const struct hqq_rule *rule)
{
    endpoint->generation = hqq_process_generation();
    endpoint->cookie = cookie;
    endpoint->identity = (struct hqq_identity){.socket = socket_inode_of(fd)};
    endpoint->rule = rule;
    endpoint->counters = hqq_counters_take();
    bool is_inherited = false;
    endpoint->shared = hqq_shared_take_kept(cookie, &endpoint->shared_take, &is_inherited);
    if (!endpoint->shared)
        endpoint->shared = hqq_shared_take(&endpoint->shared_take);
    endpoint->shared_generation = endpoint->generation;
    endpoint->publisher = HQQ_PROCESS_UNKNOWN;
    hqq_store32_relaxed(&endpoint->descriptors, 1);
    hqq_store32_relaxed(&endpoint->is_intercepted, hqq_endpoint_waits_are_intercepted);
    hqq_store32_relaxed(&endpoint->is_given, 0);
    hqq_store32_relaxed(&endpoint->has_deadlines, 0);
    hqq_store_relaxed(&endpoint->read_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&endpoint->write_deadline_ns, HQQ_FOREVER);
    hqq_store32_relaxed(&endpoint->is_busy, 0);
    hqq_store_pointer_release(&endpoint->offered, NULL);
    endpoint->channels = endpoint->channels_last = endpoint->busy = endpoint->current = endpoint->waiting = NULL;
    hqq_store32_relaxed(&endpoint->channel_count, 0);
    hqq_store32_relaxed(&endpoint->unvalidated_count, 0);
    hqq_store32_relaxed(&endpoint->keys_expected, 0);
    endpoint->since_kernel_poll = endpoint->burst = endpoint->pops = 0;
    endpoint->head_is_noted = endpoint->are_rings_last = false;
    endpoint->is_inherited = is_inherited;
    endpoint->is_listen_refused = false;
    hqq_store32_relaxed(&endpoint->is_receiver, 0);
    hqq_bet_begin(&endpoint->bet, rule->polling);
    endpoint->listener = -1;
    for (int i = 0; i < HQQ_PENDING; i++)
        endpoint->pending[i] = -1;
    hqq_store_relaxed(&endpoint->looked_ticks, 0);
    endpoint->memberships = NULL;
    endpoint->buried = NULL;
    endpoint->changing = 0;
    endpoint->name_length = 0;
    endpoint->was_named = has_name(fd);
    endpoint->peer = endpoint->last = NULL;
    endpoint->is_connected = endpoint->is_send_plain = false;
    endpoint->peer_sum = 0;
    memset(endpoint->bucket, 0, sizeof(endpoint->bucket));
    endpoint->replies = NULL;
    endpoint->destination_count = 0;
    endpoint->folded_sends = endpoint->seen_changes = 0;
    hqq_endpoint_note_buffer(endpoint, fd);
    hqq_store_relaxed(&endpoint->counters->cookie, cookie);
    hqq_store32_relaxed(&endpoint->counters->fd, (uint32_t)fd);
    note_state(endpoint, fd);
}

static struct hqq_endpoint *find_cookie(uint64_t cookie)
{
    struct hqq_endpoint *endpoint = by_cookie[cookie % COOKIE_BUCKETS];
    while (endpoint && endpoint->cookie != cookie)
        endpoint = endpoint->cookie_next;
    return cookie != 0 ? endpoint : NULL;
}

static struct hqq_endpoint *make(int fd, const struct hqq_rule *rule)
{
    uint64_t cookie = cookie_of(fd);
    struct hqq_endpoint *endpoint = find_cookie(cookie);
    if (endpoint) { /* by another number, which was inherited too */
        hqq_add32_relaxed(&endpoint->descriptors, 1);
    } else {
        endpoint = allocate();
        if (!endpoint)
            return NULL;
        begin(endpoint, fd, cookie, rule);
        endpoint->cookie_next = by_cookie[cookie % COOKIE_BUCKETS];
        by_cookie[cookie % COOKIE_BUCKETS] = endpoint;
        hqq_store32_relaxed(&endpoint->is_live, 1);
    }
    hqq_fd_set(fd, endpoint);
    return endpoint;
}

struct hqq_endpoint *hqq_endpoint_make(int fd, const struct hqq_rule *rule)
{
    if (!hqq_fd_prepare(fd) || !hqq_lock_take(&registry))
        return NULL;
    int saved = errno;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (!endpoint)
        endpoint = make(fd, rule);
    errno = saved;
    hqq_lock_give(&registry);
    return endpoint;
}

struct hqq_endpoint *hqq_endpoint_of_cookie(uint64_t cookie)
{
    if (!hqq_lock_take(&registry))
        return NULL;
    struct hqq_endpoint *endpoint = find_cookie(cookie);
    hqq_lock_give(&registry);
    return endpoint;
}

void hqq_endpoint_share(struct hqq_endpoint *endpoint, int fd)
{
    if (!hqq_fd_prepare(fd)) { /* reads by that number will not be seen */
        hqq_endpoint_make_foreign(endpoint, HQQ_FOREIGN_WAITER);
        return;
    }
    if (!hqq_lock_take(&registry))
        return;
    hqq_add32_relaxed(&endpoint->descriptors, 1);
    hqq_fd_set(fd, endpoint);
    hqq_lock_give(&registry);
}

/* ---- Ending ------------------------------------------------------------------------------------------------------ */

static void forget_cookie(struct hqq_endpoint *endpoint)
{
    struct hqq_endpoint **at = &by_cookie[endpoint->cookie % COOKIE_BUCKETS];
    while (*at && *at != endpoint)
        at = &(*at)->cookie_next;
    if (*at)
        *at = endpoint->cookie_next;
}

/* Ends everything that the endpoint holds. What was not read is sent again by its senders, if the socket lives on elsewhere. is_own:
 * false in a child, which leaves what others see alone. */
static void end(struct hqq_endpoint *endpoint, bool is_own)
{
    bool has_receive = hqq_endpoint_begin_change(endpoint);
    bool has_send = hqq_lock_take(&endpoint->send_lock);
    hqq_store32_relaxed(&endpoint->is_live, 0);
    is_own = is_own && (!endpoint->is_inherited || hqq_load32_relaxed(&endpoint->is_receiver) != 0);
    if (is_own)
        hqq_scheduler_stop_all(endpoint, HQQ_HANDOFF);
    if (has_send) /* else a send that this handler has interrupted is at work on them: they are let be, and lost */
        hqq_destinations_end_all(endpoint, is_own);
    endpoint->is_lost = !has_send;
    hqq_validation_drop_offered(endpoint, is_own);
    while (endpoint->channels)
        hqq_scheduler_remove(endpoint, endpoint->channels);
    while (endpoint->memberships)
        hqq_scheduler_unlink(endpoint, endpoint->memberships);
    hqq_validation_end(endpoint, is_own);
    hqq_shared_leave(endpoint);
    endpoint->shared = NULL;
    hqq_counters_end(endpoint->counters);
    if (has_send)
        hqq_lock_give(&endpoint->send_lock);
    hqq_endpoint_end_change(endpoint, has_receive);
}

void hqq_endpoint_leave(struct hqq_endpoint *endpoint, int fd)
{
    int saved = errno;
    bool is_last = false;
    if (!hqq_lock_take(&registry))
        return;
    if (hqq_fd_get(fd) == &endpoint->object) {
        hqq_fd_set(fd, NULL);
        is_last = hqq_sub32_relaxed(&endpoint->descriptors, 1) == 1;
    }
    if (is_last)
        forget_cookie(endpoint);
    hqq_lock_give(&registry);
    if (is_last) {
        end(endpoint, hqq_endpoint_is_own(endpoint));
        /* One that a thread is still in the kernel for, or a handler's frame below still works on, is never used again. */
        if (hqq_load32_relaxed(&endpoint->in_kernel) == 0 && !endpoint->frame && !endpoint->is_lost &&
            hqq_lock_take(&registry)) {
            endpoint->next_free = free_endpoints;
            free_endpoints = endpoint;
            hqq_lock_give(&registry);
        }
    }
    errno = saved;
}

/* ---- Changes ----------------------------------------------------------------------------------------------------- */

void hqq_endpoint_make_foreign(struct hqq_endpoint *endpoint, enum hqq_foreign why)
{
    bool is_new = hqq_endpoint_begin_change(endpoint);
    hqq_mode_add_foreign(endpoint, why);
    hqq_endpoint_end_change(endpoint, is_new);
}

void hqq_endpoint_give_to_kernel(struct hqq_endpoint *endpoint)
{
    bool is_new = hqq_endpoint_begin_change(endpoint);
    hqq_mode_set(endpoint, HQQ_MODE_KERNEL);
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_OPTION);
    hqq_endpoint_end_change(endpoint, is_new);
}

/* ---- All of them -------------------------------------------------------------------------------------------------- */

struct hqq_endpoint *hqq_endpoint_first(void)
{
    return __atomic_load_n(&all_endpoints, __ATOMIC_ACQUIRE);
}

static bool has_registry_for_fork;

bool hqq_endpoint_lock_registry(uint64_t until_ns)
{
    while (!hqq_lock_try(&registry)) {
        if (hqq_lock_is_mine(&registry) || hqq_clock_ns() >= until_ns)
            return false;
        hqq_sys.sched_yield();
    }
    has_registry_for_fork = true;
    return true;
}

bool hqq_endpoint_has_registry(void)
{
    return has_registry_for_fork && hqq_lock_is_mine(&registry);
}

void hqq_endpoint_unlock_registry(void)
{
    has_registry_for_fork = false;
    hqq_lock_give(&registry);
}

void hqq_endpoint_abandon(struct hqq_endpoint *endpoint)
{
    for (int fd = hqq_fd_next(0); fd >= 0; fd = hqq_fd_next(fd + 1)) {
        if (hqq_fd_get(fd) == &endpoint->object)
            hqq_fd_set(fd, &hqq_fd_plain);
    }
    hqq_store32_relaxed(&endpoint->is_live, 0);
}

void hqq_endpoint_reset_locks(void)
{
    hqq_lock_reset(&registry);
    has_registry_for_fork = false;
    hqq_lock_reset(&pool.lock);
    hqq_channel_reset_lock();
}
