#include "endpoint/shared.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/thread.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

hqq_atomic_u64 hqq_ownership_copies;

/* ---- Memory that copies share ---------------------------------------------------------------------------------- */

#define SHARED_COUNT 1024

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
void hqq_shared_begin_pool(void)
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
            memset(&shared[i], 0, sizeof(shared[i]));
            return &shared[i];
        }
    }
    return NULL;
}

struct hqq_shared *hqq_shared_take(void)
{
    struct hqq_shared *shared = take_place();
    if (!shared) {
        hqq_shared_begin_pool();
        shared = take_place();
    }
    return shared;
}

/* A place is used again unless there was a fork since it was taken: then a copy may use it. */
void hqq_shared_return(struct hqq_shared *shared)
{
    struct hqq_shared *first = hqq_load_pointer_acquire(&shared_pool);
    if (shared && shared >= first && shared < first + SHARED_COUNT)
        /* release: with the acquire in take_place(). */
        hqq_cas32_release(&shared_used[shared - first], hqq_load32_relaxed(&shared_epoch), 0);
}

void hqq_shared_expect_copy(void)
{
    hqq_add_relaxed(&hqq_ownership_copies, 1);
    hqq_add32_relaxed(&shared_epoch, 1);
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
    if (sender == self)
        return true;
    return (sender == HQQ_PROCESS_UNKNOWN || hqq_process_is_dead(sender)) &&
           hqq_cas_acq_rel(&shared->sender, &sender, self);
}

void hqq_ownership_release(struct hqq_endpoint *endpoint)
{
    uint64_t self = hqq_process_self();
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
