#include "socket/fork.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <hqq/link.h>

#include "base/thread.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "socket/doorbell.h"
#include "socket/epoll.h"
#include "socket/init.h"
#include "socket/kernel.h"
#include "socket/named.h"
#include "socket/receive.h"
#include "socket/rendezvous.h"
#include "socket/route.h"

/* ---- Memory that copies share ---------------------------------------------------------------------------------- */

#define SHARED_COUNT 1024

hqq_atomic_u64 hqq_fork_count;

static hqq_atomic_pointer shared_pool;
static hqq_atomic_u32 shared_used[SHARED_COUNT]; /* 0, or in which epoch it was taken */
static hqq_atomic_u32 shared_epoch = 1;          /* moves with each fork, and with each pool */

static struct hqq_shared *pool(void)
{
    void *address = hqq_load_pointer_acquire(&shared_pool);
    if (address)
        return address;
    if (hqq_sys.mmap(&address, SHARED_COUNT * sizeof(struct hqq_shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1) != 0)
        return NULL;
    if (!hqq_cas_pointer_release(&shared_pool, NULL, address)) {
        hqq_sys.munmap(address, SHARED_COUNT * sizeof(struct hqq_shared));
        address = hqq_load_pointer_acquire(&shared_pool);
    }
    return address;
}

/* What it makes from now on a child does not share with its parent, so it has a pool of its own. So has a process that
 * has used its pool up: places that copies use stay theirs. */
static void begin_new_pool(void)
{
    hqq_add32_relaxed(&shared_epoch, 1);
    hqq_store_pointer_release(&shared_pool, NULL);
    memset(shared_used, 0, sizeof(shared_used));
}

static struct hqq_shared *take_place(void)
{
    struct hqq_shared *shared = pool();
    uint32_t epoch = hqq_load32_relaxed(&shared_epoch);
    for (int i = 0; shared && i < SHARED_COUNT; i++) {
        if (hqq_load32_relaxed(&shared_used[i]) == 0 && hqq_cas32_acquire(&shared_used[i], 0, epoch)) {
            hqq_store_relaxed(&shared[i].receiver, HQQ_PROCESS_UNKNOWN);
            hqq_store32_relaxed(&shared[i].is_contested, 0);
            return &shared[i];
        }
    }
    return NULL;
}

struct hqq_shared *hqq_shared_take(void)
{
    struct hqq_shared *shared = take_place();
    if (!shared) {
        begin_new_pool();
        shared = take_place();
    }
    return shared;
}

/* A place is used again unless there was a fork since it was taken: then a copy may use it. */
void hqq_shared_return(struct hqq_shared *shared)
{
    struct hqq_shared *first = hqq_load_pointer_acquire(&shared_pool);
    if (shared && shared >= first && shared < first + SHARED_COUNT)
        hqq_cas32_relaxed(&shared_used[shared - first], hqq_load32_relaxed(&shared_epoch), 0);
}

/* ---- Who receives ---------------------------------------------------------------------------------------------- */

/* The process that received so far has gone: what its links hold is ours. */
static void take_over(struct hqq_endpoint *endpoint)
{
    if (endpoint->pairs)
        hqq_log(HQQ_LOG_INFO, "receiving is taken over from a process that has gone");
    for (struct hqq_pair *pair = endpoint->pairs; pair; pair = pair->next) {
        hqq_store_relaxed(&pair->own->owner, pair->may_compare ? hqq_process_self() : HQQ_PROCESS_UNKNOWN);
        hqq_store32_release(&pair->own->door,
                            hqq_load32_relaxed(&endpoint->park) != 0 ? HQQ_DOOR_PARKED : HQQ_DOOR_AWAKE);
        pair->generation = hqq_process_generation();
        hqq_doorbell_activate(endpoint, pair);
    }
    endpoint->head_is_data = false;
    endpoint->is_parked = hqq_load32_relaxed(&endpoint->park) != 0;
}

/* Another process receives too: nobody has links. What the inherited ones hold is read by whoever comes first. */
void hqq_fork_share(struct hqq_endpoint *endpoint)
{
    hqq_log(HQQ_LOG_INFO, "several processes receive on one socket: the kernel serves it");
    if (endpoint->shared)
        hqq_store32_relaxed(&endpoint->shared->is_contested, 1);
    hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_SHARED);
    hqq_receive_park(endpoint, HQQ_PARK_SHARED);
}

void hqq_fork_receives(struct hqq_endpoint *endpoint)
{
    struct hqq_shared *shared = endpoint->shared;
    if (!shared || endpoint->is_receiver)
        return;
    uint64_t self = hqq_process_self();
    uint64_t receiver = hqq_load_relaxed(&shared->receiver);
    if (self == HQQ_PROCESS_UNKNOWN) { /* nobody can be told from anybody: alone until a fork, never after */
        if (hqq_load_relaxed(&hqq_fork_count) != 0 || endpoint->is_inherited) {
            hqq_store32_relaxed(&endpoint->may_meet_tokens, 1);
            hqq_fork_share(endpoint);
        }
        return;
    }
    if (receiver == self) {
        endpoint->is_receiver = true;
    } else if (receiver == HQQ_PROCESS_UNKNOWN || hqq_process_is_dead(receiver)) {
        if (hqq_cas_acq_rel(&shared->receiver, &receiver, self)) {
            endpoint->is_receiver = true;
            take_over(endpoint);
        }
    } else if (!(hqq_load32_relaxed(&endpoint->park) & HQQ_PARK_SHARED)) {
        hqq_store32_relaxed(&endpoint->may_meet_tokens, 1);
        hqq_fork_share(endpoint);
    }
}

bool hqq_fork_may_receive_alone(struct hqq_endpoint *endpoint)
{
    struct hqq_shared *shared = endpoint->shared;
    if (!shared)
        return true;
    if (hqq_load32_relaxed(&shared->is_contested) != 0) {
        if (!(hqq_load32_relaxed(&endpoint->park) & HQQ_PARK_SHARED))
            hqq_fork_share(endpoint);
        return false;
    }
    return true;
}

/* Enough for the other process to wake up and find the token; what nobody knows must not go round for ever. Counted anew
 * once none was passed on for a while. */
#define PASSED_ON_MOST 128
#define QUIET_NS (100 * HQQ_NS_PER_MS)

static bool may_pass_on(struct hqq_endpoint *endpoint)
{
    uint64_t now = hqq_clock_ns();
    if (hqq_is_due(now, endpoint->passed_on_ns, QUIET_NS))
        endpoint->passed_on = 0;
    if (endpoint->passed_on == PASSED_ON_MOST)
        return false;
    endpoint->passed_on++;
    endpoint->passed_on_ns = now;
    return true;
}

void hqq_fork_pass_token_on(struct hqq_endpoint *endpoint, int fd, const struct hqq_token *token)
{
    struct hqq_shared *shared = endpoint->shared;
    if (!shared || hqq_load32_relaxed(&shared->is_contested) == 0 || endpoint->is_receiver ||
        endpoint->name_length == 0 || hqq_process_is_dead(hqq_load_relaxed(&shared->receiver)) ||
        !may_pass_on(endpoint))
        return;
    hqq_kernel_sendto(fd, token, sizeof(*token), (const struct sockaddr *)(const void *)&endpoint->name,
                      endpoint->name_length);
    hqq_sys.sched_yield();
}

/* ---- The fork -------------------------------------------------------------------------------------------------- */

/* Where the process's own number is kept, to tell a vfork child: it has another one, and the same memory. */
static hqq_atomic_u32 known_pid;

hqq_atomic_u32 hqq_fork_vfork_thread;

/* The child shares the thread's storage, and the thread sleeps until the child is gone. */
bool hqq_fork_is_vfork_child_slow(void)
{
    bool is_child = hqq_fork_is_borrowed();
    if (!is_child && hqq_load32_relaxed(&hqq_fork_vfork_thread) == hqq_thread_self())
        hqq_store32_relaxed(&hqq_fork_vfork_thread, 0);
    return is_child;
}

bool hqq_fork_is_borrowed(void)
{
    uint32_t pid = (uint32_t)hqq_libc.syscall(SYS_getpid);
    uint32_t known = hqq_load32_relaxed(&known_pid);
    bool is_borrowed = known != 0 && pid != known && hqq_process_is_generation(hqq_load_relaxed(&hqq_fork_generation));
    if (is_borrowed)
        hqq_store32_relaxed(&hqq_fork_vfork_thread, hqq_thread_self());
    return is_borrowed;
}

hqq_atomic_u64 hqq_fork_generation;

void hqq_fork_remember(void)
{
    hqq_store32_relaxed(&known_pid, (uint32_t)hqq_libc.syscall(SYS_getpid));
    hqq_store_relaxed(&hqq_fork_generation, hqq_process_generation());
}

void hqq_socket_fork_prepare(void)
{
    hqq_add_relaxed(&hqq_fork_count, 1);
    hqq_add32_relaxed(&shared_epoch, 1);
    hqq_endpoint_lock_registry();
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0) {
            hqq_lock_take(&endpoint->receive_lock);
            hqq_lock_take(&endpoint->send_lock);
        }
    }
}

void hqq_socket_fork_parent(void)
{
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0) {
            if (hqq_process_self() == HQQ_PROCESS_UNKNOWN && endpoint->shared)
                hqq_fork_share(endpoint);
            hqq_lock_give(&endpoint->send_lock);
            hqq_lock_give(&endpoint->receive_lock);
        }
    }
    hqq_endpoint_unlock_registry();
}

/* Sending starts afresh; receiving waits for the first receive. The parent's regions are left alone. */
static void adjust_to_child(struct hqq_endpoint *endpoint)
{
    struct hqq_route *peer = endpoint->peer;
    bool was_connected = peer != NULL;
    struct sockaddr_un name = was_connected ? peer->name : (struct sockaddr_un){0};
    socklen_t length = was_connected ? peer->name_length : 0;

    /* A reply's pair is held by the receiving side too, and stays. */
    hqq_route_end_all(endpoint, false);
    struct hqq_pair *offered = hqq_swap_pointer_acq_rel(&endpoint->offered, NULL);
    while (offered) {
        struct hqq_pair *next = offered->next;
        hqq_pair_drop(offered);
        offered = next;
    }
    if (was_connected)
        endpoint->peer = hqq_route_connect(endpoint, (const struct sockaddr *)(const void *)&name, length);
    endpoint->generation = hqq_process_generation();
    endpoint->is_receiver = false;
    endpoint->is_inherited = true;
    endpoint->head_is_data = false;
    hqq_store32_relaxed(&endpoint->counters->reason, HQQ_SOCKET_NO_TRAFFIC);
}

void hqq_socket_fork_child(void)
{
    hqq_endpoint_reset_locks();
    begin_new_pool();
    hqq_epoll_reset_locks();
    hqq_named_reset_lock();
    hqq_named_epoll_reset_lock();
    hqq_fork_remember();
    hqq_counters_head(); /* its own, at the same addresses */
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0)
            adjust_to_child(endpoint);
    }
}

void hqq_fork_noticed(void)
{
    if (!hqq_process_is_generation(hqq_load_relaxed(&hqq_fork_generation)))
        hqq_socket_fork_child();
}
