#include "endpoint/shared.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/thread.h"
#include "platform/process.h"
#include "platform/shm.h"
#include "platform/sys.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

hqq_atomic_u64 hqq_ownership_copies;

/* ---- Memory that copies share ---------------------------------------------------------------------------------- */

#define SHARED_COUNT 1024

/* holders: how often the place was taken, and how many processes have it. */
#define ONE_TAKE (UINT64_C(1) << 32)
#define PROCESSES UINT32_MAX

static hqq_atomic_pointer shared_pool;
static hqq_atomic_u32 shared_next; /* where a free place may be found */

static struct hqq_shared *pool(void)
{
    void *address = hqq_load_pointer_acquire(&shared_pool);
    if (address)
        return address;
    if (hqq_sys.mmap(&address, SHARED_COUNT * sizeof(struct hqq_shared), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1) != 0)
        return NULL;
    if (!hqq_filter_is_set())
        hqq_shm_omit_from_dumps(address, SHARED_COUNT * sizeof(struct hqq_shared));
    if (!hqq_cas_pointer_release(&shared_pool, NULL, address)) {
        hqq_sys.munmap(address, SHARED_COUNT * sizeof(struct hqq_shared));
        address = hqq_load_pointer_acquire(&shared_pool);
    }
    return address;
}

void hqq_shared_begin_pool(void)
{
    hqq_store_pointer_release(&shared_pool, NULL);
    hqq_store32_relaxed(&shared_next, 0);
}

static void clear(struct hqq_shared *shared)
{
    hqq_store_relaxed(&shared->receiver, 0);
    hqq_store_relaxed(&shared->sender, 0);
    hqq_store_relaxed(&shared->kernel_sends, 0);
    hqq_store_relaxed(&shared->changes, 0);
    hqq_store32_relaxed(&shared->is_contested, 0);
    hqq_store32_relaxed(&shared->is_nonblocking, 0);
    hqq_store32_relaxed(&shared->is_passed, 0);
}

static struct hqq_shared *take_place(uint32_t *ret_take)
{
    struct hqq_shared *first = pool();
    uint32_t next = hqq_load32_relaxed(&shared_next);
    for (uint32_t i = 0; first && i < SHARED_COUNT; i++) {
        struct hqq_shared *shared = &first[(next + i) % SHARED_COUNT];
        uint64_t holders = hqq_load_relaxed(&shared->holders);
        uint64_t taken = (holders & ~(uint64_t)PROCESSES) + ONE_TAKE + 1;
        /* acquire: with the release in hqq_shared_return(). */
        if ((holders & PROCESSES) == 0 && hqq_cas_acq_rel(&shared->holders, &holders, taken)) {
            hqq_store32_relaxed(&shared_next, next + i + 1);
            clear(shared);
            *ret_take = (uint32_t)(taken / ONE_TAKE);
            return shared;
        }
    }
    return NULL;
}

/* A process that has used its pool up begins another: places that copies use stay theirs. */
struct hqq_shared *hqq_shared_take(uint32_t *ret_take)
{
    struct hqq_shared *shared = take_place(ret_take);
    if (!shared) {
        hqq_shared_begin_pool();
        shared = take_place(ret_take);
    }
    return shared;
}

bool hqq_shared_hold(struct hqq_shared *shared, uint32_t take)
{
    uint64_t holders = hqq_load_relaxed(&shared->holders);
    while (holders / ONE_TAKE == take) {
        if (hqq_cas_acq_rel(&shared->holders, &holders, holders + 1))
            return true;
    }
    return false;
}

void hqq_shared_return(struct hqq_shared *shared, uint32_t take)
{
    struct hqq_shared *first = hqq_load_pointer_acquire(&shared_pool);
    uint64_t holders = hqq_load_relaxed(&shared->holders);
    while (holders / ONE_TAKE == take && (holders & PROCESSES) != 0) {
        if (!hqq_cas_acq_rel(&shared->holders, &holders, holders - 1))
            continue;
        if (shared >= first && shared < first + SHARED_COUNT)
            hqq_store32_relaxed(&shared_next, (uint32_t)(shared - first));
        return;
    }
}

void hqq_shared_leave(struct hqq_endpoint *endpoint)
{
    if (endpoint->shared && hqq_process_is_generation(endpoint->shared_generation))
        hqq_shared_return(endpoint->shared, endpoint->shared_take);
    endpoint->shared_generation = 0;
}

/* ---- Of sockets without an endpoint ----------------------------------------------------------------------------- */

/* More such sockets at a fork are taken to be the process's own. */
#define KEPT_COUNT 64

static struct kept {
    uint64_t cookie; /* 0: free */
    struct hqq_shared *shared;
    uint64_t generation; /* of the process that took it */
    uint32_t take;
    bool is_named, has_left;
} kept[KEPT_COUNT];

static hqq_atomic_u32 kept_count;

static struct kept *find_kept(uint64_t cookie)
{
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        if (kept[i].cookie == cookie)
            return &kept[i];
    }
    return NULL;
}

static void forget_kept(struct kept *one)
{
    one->cookie = 0;
    hqq_sub32_relaxed(&kept_count, 1);
}

void hqq_shared_begin_keeping(void)
{
    for (size_t i = 0; i < KEPT_COUNT; i++)
        kept[i].is_named = false;
}

/* Another number of a socket that was named already is not for a second child. */
bool hqq_shared_keep(uint64_t cookie)
{
    struct kept *one = find_kept(cookie);
    if (one && one->is_named)
        return true;
    if (!one) {
        struct kept new = {.cookie = cookie, .generation = hqq_process_generation()};
        one = find_kept(0);
        new.shared = one ? hqq_shared_take(&new.take) : NULL;
        if (!new.shared)
            return false;
        *one = new;
        hqq_add32_relaxed(&kept_count, 1);
    }
    one->is_named = true;
    return hqq_shared_hold(one->shared, one->take); /* for the child */
}

void hqq_shared_end_keeping(void)
{
    for (size_t i = 0; i < KEPT_COUNT; i++) {
        if (kept[i].cookie != 0 && !kept[i].is_named) {
            hqq_shared_return(kept[i].shared, kept[i].take);
            forget_kept(&kept[i]);
        }
    }
}

struct hqq_shared *hqq_shared_take_kept(uint64_t cookie, uint32_t *ret_take, bool *ret_is_inherited)
{
    struct kept *one = hqq_shared_is_keeping() && cookie != 0 ? find_kept(cookie) : NULL;
    if (!one)
        return NULL;
    *ret_take = one->take;
    *ret_is_inherited = !hqq_process_is_generation(one->generation);
    forget_kept(one);
    return one->shared;
}

bool hqq_shared_is_keeping(void)
{
    return hqq_load32_relaxed(&kept_count) != 0;
}

void hqq_shared_leave_kept(void)
{
    for (size_t i = 0; i < KEPT_COUNT && hqq_shared_is_keeping(); i++) {
        if (kept[i].cookie != 0 && !kept[i].has_left && !hqq_process_is_generation(kept[i].generation)) {
            hqq_shared_return(kept[i].shared, kept[i].take);
            kept[i].has_left = true;
        }
    }
}

void hqq_shared_stay_kept(void)
{
    for (size_t i = 0; i < KEPT_COUNT && hqq_shared_is_keeping(); i++) {
        if (kept[i].cookie == 0 || !kept[i].has_left)
            continue;
        kept[i].has_left = false;
        if (!hqq_shared_hold(kept[i].shared, kept[i].take))
            forget_kept(&kept[i]);
    }
}

/* ---- Who publishes --------------------------------------------------------------------------------------------- */

bool hqq_ownership_claim(struct hqq_endpoint *endpoint)
{
    struct hqq_shared *shared = endpoint->shared;
    uint64_t self = hqq_process_self();
    if (!shared)
        return true;
    if (self == HQQ_PROCESS_UNKNOWN)
        return hqq_load_relaxed(&hqq_ownership_copies) == 0;
    uint64_t sender = hqq_load_relaxed(&shared->sender);
    bool is_ours = sender == self || ((sender == HQQ_PROCESS_UNKNOWN || hqq_process_is_dead(sender)) &&
                                      hqq_cas_acq_rel(&shared->sender, &sender, self));
    endpoint->publisher = is_ours ? self : HQQ_PROCESS_UNKNOWN;
    return is_ours;
}

void hqq_ownership_release(struct hqq_endpoint *endpoint)
{
    uint64_t self = hqq_process_self();
    endpoint->publisher = HQQ_PROCESS_UNKNOWN;
    if (endpoint->shared && self != HQQ_PROCESS_UNKNOWN)
        hqq_cas_acq_rel(&endpoint->shared->sender, &self, HQQ_PROCESS_UNKNOWN);
}

void hqq_ownership_count_send(struct hqq_endpoint *endpoint)
{
    if (endpoint->shared)
        hqq_add_relaxed(&endpoint->shared->kernel_sends, 1);
}

void hqq_ownership_note_change(struct hqq_endpoint *endpoint)
{
    if (endpoint->shared)
        endpoint->seen_changes = hqq_add_relaxed(&endpoint->shared->changes, 1) + 1;
}

void hqq_ownership_note_passed(struct hqq_endpoint *endpoint)
{
    if (endpoint->shared)
        hqq_store32_relaxed(&endpoint->shared->is_passed, 1);
}

/* ---- The process, and vfork ------------------------------------------------------------------------------------ */

/* Where the process's own number is kept, to tell a vfork child: it has another one, and the same memory. */
static hqq_atomic_u32 known_pid;
static hqq_atomic_u64 known_generation;

hqq_atomic_u32 hqq_ownership_vfork_thread;

/* The child shares the thread's storage, and the thread sleeps until the child is gone. */
bool hqq_ownership_is_vfork_child_slow(void)
{
    bool is_child = hqq_ownership_is_borrowed();
    if (!is_child && hqq_load32_relaxed(&hqq_ownership_vfork_thread) == hqq_thread_self())
        hqq_store32_relaxed(&hqq_ownership_vfork_thread, 0);
    return is_child;
}

/* Under a filter it is not asked. */
bool hqq_ownership_is_borrowed(void)
{
    if (hqq_filter_is_set())
        return false;
    uint32_t pid = (uint32_t)hqq_libc.syscall(SYS_getpid);
    uint32_t known = hqq_load32_relaxed(&known_pid);
    bool is_borrowed = known != 0 && pid != known && hqq_process_is_generation(hqq_load_relaxed(&known_generation));
    if (is_borrowed)
        hqq_store32_relaxed(&hqq_ownership_vfork_thread, hqq_thread_self());
    return is_borrowed;
}

void hqq_ownership_remember(void)
{
    hqq_store32_relaxed(&known_pid, (uint32_t)hqq_libc.syscall(SYS_getpid));
    hqq_store_relaxed(&known_generation, hqq_process_generation());
}

bool hqq_shared_is_remembered(void)
{
    return hqq_process_is_generation(hqq_load_relaxed(&known_generation));
}
