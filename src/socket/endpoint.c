#include "socket/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/libc.h"
#include "socket/named.h"
#include "socket/options.h"
#include "socket/pool.h"
#include "socket/receive.h"
#include "socket/rendezvous.h"
#include "socket/route.h"

hqq_atomic_pointer hqq_table[HQQ_TABLE_SIZE];

/* Guards the list of free endpoints, and which descriptors lead to which. */
static struct hqq_lock registry;
static struct hqq_endpoint *free_endpoints;
static struct hqq_endpoint *all_endpoints;

void hqq_table_set(int fd, struct hqq_endpoint *endpoint)
{
    if ((unsigned)fd < HQQ_TABLE_SIZE)
        hqq_store_pointer_release(&hqq_table[fd], endpoint);
}

bool hqq_endpoint_waits_are_ours;

/* ---- Making ---------------------------------------------------------------------------------------------------- */

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
    endpoint->next = all_endpoints;
    all_endpoints = endpoint;
    return endpoint;
}

/* Linux tells a time-out of nothing, which a negative one becomes, as it tells none. */
void hqq_endpoint_note_timeout(struct hqq_endpoint *endpoint, int fd)
{
    struct timeval value = {0};
    socklen_t length = sizeof(value);
    uint64_t timeout = HQQ_FOREVER;
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, &length) == 0 &&
        (value.tv_sec != 0 || value.tv_usec != 0))
        timeout = (uint64_t)value.tv_sec * HQQ_NS_PER_S + (uint64_t)value.tv_usec * HQQ_NS_PER_US;
    hqq_store_relaxed(&endpoint->receive_timeout_ns, timeout);
}

/* unix(7) sends datagrams up to the send buffer's size but for 32 bytes. */
void hqq_endpoint_note_buffer(struct hqq_endpoint *endpoint, int fd)
{
    int size = 0;
    socklen_t length = sizeof(size);
    if (hqq_libc.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0 || size < 32)
        size = 32;
    hqq_store_relaxed(&endpoint->longest, (uint64_t)size - 32);
}

/* Options that were set before the socket was known. */
static void note_options(struct hqq_endpoint *endpoint, int fd)
{
    if (hqq_options_has_kernels(fd)) {
        hqq_or32_relaxed(&endpoint->park, HQQ_PARK_OPTION);
        endpoint->is_send_plain = true;
    }
    if (hqq_options_has_kernels_only(fd)) {
        hqq_or32_relaxed(&endpoint->park, HQQ_PARK_OPTION);
        hqq_store32_relaxed(&endpoint->is_kernel_only, 1);
    }
}

/* Everything but what survives reuse: the locks, which losers of a race with close() may be trying to take. */
static void begin(struct hqq_endpoint *endpoint, int fd, const struct hqq_rule *rule)
{
    socklen_t length = sizeof(endpoint->cookie);
    endpoint->generation = hqq_process_generation();
    endpoint->is_inherited = false;
    endpoint->rule = rule;
    endpoint->counters = hqq_counters_take();
    endpoint->cookie = 0;
    hqq_libc.getsockopt(fd, SOL_SOCKET, SO_COOKIE, &endpoint->cookie, &length);
    hqq_endpoint_note_timeout(endpoint, fd);
    int flags = hqq_libc.fcntl(fd, F_GETFL);
    hqq_store32_relaxed(&endpoint->is_nonblocking, flags >= 0 && (flags & O_NONBLOCK) != 0);
    hqq_store32_relaxed(&endpoint->park, flags >= 0 && (flags & O_ASYNC) != 0 ? HQQ_PARK_OPTION : 0);
    hqq_store32_relaxed(&endpoint->is_ours_only, hqq_endpoint_waits_are_ours);
    hqq_store32_relaxed(&endpoint->has_deadlines, 0);
    hqq_store_relaxed(&endpoint->read_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&endpoint->write_deadline_ns, HQQ_FOREVER);
    hqq_store32_relaxed(&endpoint->descriptors, 1);
    hqq_store32_relaxed(&endpoint->sleepers, 0);
    hqq_store32_relaxed(&endpoint->is_disturbed, 0);
    hqq_store32_relaxed(&endpoint->is_kernel_only, 0);
    hqq_store_pointer_release(&endpoint->offered, NULL);
    endpoint->shared = hqq_shared_take();
    endpoint->pairs = endpoint->active = endpoint->current = endpoint->swept = NULL;
    endpoint->pairs_last = endpoint->active_last = NULL;
    endpoint->unproved_count = endpoint->head_count = 0;
    hqq_store32_relaxed(&endpoint->woken, 0);
    endpoint->has_noted = false;
    memset(endpoint->by_id, 0, sizeof(endpoint->by_id));
    endpoint->pair_count = endpoint->turn = endpoint->run = endpoint->calm = 0;
    endpoint->head_is_data = endpoint->is_parked = endpoint->is_receiver = false;
    hqq_store32_relaxed(&endpoint->may_meet_tokens, 0);
    endpoint->listener = endpoint->ghost = -1;
    for (int i = 0; i < HQQ_CALLERS; i++)
        endpoint->caller[i] = -1;
    endpoint->listen_countdown = endpoint->listen_interval = 0;
    hqq_store_relaxed(&endpoint->spin_budget_ns, rule->spin_ns);
    endpoint->name_length = 0;
    endpoint->peer = endpoint->last = NULL;
    memset(endpoint->bucket, 0, sizeof(endpoint->bucket));
    memset(endpoint->replies, 0, sizeof(endpoint->replies));
    endpoint->route_count = 0;
    endpoint->is_send_plain = endpoint->is_connected = false;
    hqq_endpoint_note_buffer(endpoint, fd);
    hqq_store_relaxed(&endpoint->counters->cookie, endpoint->cookie);
    hqq_store32_relaxed(&endpoint->counters->fd, (uint32_t)fd);
    note_options(endpoint, fd);
    hqq_store32_relaxed(&endpoint->counters->reason,
                        hqq_load32_relaxed(&endpoint->park) != 0 ? HQQ_SOCKET_OPTION : HQQ_SOCKET_NO_TRAFFIC);
}

struct hqq_endpoint *hqq_endpoint_make(int fd, const struct hqq_rule *rule)
{
    if ((unsigned)fd >= HQQ_TABLE_SIZE || !hqq_lock_take(&registry))
        return NULL;
    int saved = errno;
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (!endpoint) {
        endpoint = allocate();
        if (endpoint) {
            begin(endpoint, fd, rule);
            hqq_store32_relaxed(&endpoint->is_live, 1);
            hqq_table_set(fd, endpoint);
        }
    }
    errno = saved;
    hqq_lock_give(&registry);
    return endpoint;
}

void hqq_endpoint_share(struct hqq_endpoint *endpoint, int fd)
{
    if ((unsigned)fd >= HQQ_TABLE_SIZE) {
        hqq_endpoint_demote(endpoint, -1);
        return;
    }
    if (!hqq_lock_take(&registry))
        return;
    hqq_add32_relaxed(&endpoint->descriptors, 1);
    hqq_table_set(fd, endpoint);
    hqq_lock_give(&registry);
}

/* ---- Ending ---------------------------------------------------------------------------------------------------- */

/* Ends everything that the endpoint holds. is_own: false in a child, which leaves what others see alone. */
static void end(struct hqq_endpoint *endpoint, bool is_own)
{
    bool has_receive = hqq_lock_take(&endpoint->receive_lock);
    bool has_send = hqq_lock_take(&endpoint->send_lock);
    if (has_receive && has_send) {
        hqq_store32_relaxed(&endpoint->is_live, 0);
        /* Another process may have the socket still: what is not read goes to it. */
        is_own = is_own && (!endpoint->is_inherited || endpoint->is_receiver);
        if (is_own && (hqq_load32_relaxed(&endpoint->park) & HQQ_PARK_SHARED || hqq_load_relaxed(&hqq_fork_count) != 0))
            hqq_doorbell_hand_over(endpoint);
        hqq_route_end_all(endpoint, is_own);
        hqq_receive_end_all(endpoint, is_own);
        if (endpoint->listener >= 0)
            hqq_rendezvous_close(endpoint->listener, is_own && !endpoint->is_inherited ? &endpoint->name : NULL,
                                 endpoint->rule);
        endpoint->listener = -1;
        for (int i = 0; i < HQQ_CALLERS; i++) {
            hqq_close_hidden(endpoint->caller[i]);
            endpoint->caller[i] = -1;
        }
        hqq_shared_return(endpoint->shared);
        endpoint->shared = NULL;
        hqq_counters_end(endpoint->counters);
    }
    if (has_send)
        hqq_lock_give(&endpoint->send_lock);
    if (has_receive)
        hqq_lock_give(&endpoint->receive_lock);
}

void hqq_endpoint_leave(int fd, bool is_closing)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (!endpoint) {
        if (hqq_is_named(fd))
            hqq_named_leave(fd, is_closing);
        hqq_table_set(fd, NULL);
        return;
    }
    int saved = errno;
    if (!hqq_lock_take(&registry))
        return;
    bool is_last = false;
    if (hqq_endpoint_find(fd) == endpoint) {
        hqq_table_set(fd, NULL);
        is_last = hqq_sub32_relaxed(&endpoint->descriptors, 1) == 1;
    }
    hqq_lock_give(&registry);
    if (is_last) {
        if (is_closing && hqq_load32_relaxed(&endpoint->sleepers) != 0)
            endpoint->ghost = hqq_hide_descriptor(hqq_libc.fcntl(fd, F_DUPFD_CLOEXEC, 0));
        end(endpoint, hqq_endpoint_is_own(endpoint));
        /* One that a thread still sleeps on is never used again. */
        if (hqq_load32_relaxed(&endpoint->sleepers) == 0 && hqq_lock_take(&registry)) {
            endpoint->next_free = free_endpoints;
            free_endpoints = endpoint;
            hqq_lock_give(&registry);
        }
    }
    errno = saved;
}

void hqq_endpoint_demote(struct hqq_endpoint *endpoint, int fd)
{
    hqq_or32_relaxed(&endpoint->park, HQQ_PARK_OPTION);
    if (hqq_lock_take(&endpoint->receive_lock)) {
        hqq_receive_park(endpoint, HQQ_PARK_OPTION);
        if (endpoint->pairs && fd >= 0)
            hqq_receive_is_ready(endpoint, fd); /* the last tokens */
        hqq_lock_give(&endpoint->receive_lock);
    }
    hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_OPTION);
}

void hqq_endpoint_give_to_kernel(struct hqq_endpoint *endpoint, int fd)
{
    hqq_endpoint_demote(endpoint, fd);
    if (hqq_lock_take(&endpoint->receive_lock)) {
        hqq_store32_relaxed(&endpoint->is_kernel_only, 1);
        hqq_lock_give(&endpoint->receive_lock);
    }
}

struct hqq_endpoint *hqq_endpoint_first(void)
{
    return all_endpoints;
}

void hqq_endpoint_lock_registry(void)
{
    hqq_lock_take(&registry);
}

void hqq_endpoint_unlock_registry(void)
{
    hqq_lock_give(&registry);
}

void hqq_endpoint_reset_locks(void)
{
    hqq_lock_reset(&registry);
    hqq_lock_reset(&pool.lock);
    hqq_pair_reset_lock();
    hqq_route_reset_lock();
    for (struct hqq_endpoint *endpoint = all_endpoints; endpoint; endpoint = endpoint->next) {
        hqq_lock_reset(&endpoint->receive_lock);
        hqq_lock_reset(&endpoint->send_lock);
        hqq_store32_relaxed(&endpoint->sleepers, 0);
    }
}
