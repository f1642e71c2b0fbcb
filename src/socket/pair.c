#include "socket/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/extension.h"
#include "layout/layout.h"
#include "layout/superblock.h"
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "socket/alive.h"
#include "socket/pool.h"
#include "socket/spin.h"

/* The largest region that is accepted from a peer: what the largest configuration makes, and some. */
#define LARGEST_REGION (UINT64_C(1) << 30)

/* How long memory may have been locked before it is noticed. */
#define LOCKED_LOOK_NS (1 * HQQ_NS_PER_MS)

static struct hqq_pair_block *block_of(const struct hqq_mapping *mapping)
{
    return (void *)((unsigned char *)mapping->base + HQQ_PAIR_BLOCK_OFFSET);
}

static struct hqq_pool pool = HQQ_POOL(struct hqq_pair);

/* A process that locks its memory would have every page of a region at once, and pay for it. */
static bool look_up_locked(void)
{
    char text[2048];
    int fd = hqq_sys.open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t length = hqq_sys.read(fd, text, sizeof(text) - 1);
    hqq_sys.close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *locked = strstr(text, "VmLck:");
    return locked && strtoul(locked + strlen("VmLck:"), NULL, 10) != 0;
}

/* Looked up anew only now and then: a crowd of peers comes at once, and to read /proc costs more than all else. */
static bool is_memory_locked(void)
{
    static hqq_atomic_u64 looked_ns;
    static hqq_atomic_u32 was_locked;
    uint64_t now = hqq_clock_ns();
    uint64_t looked = hqq_load_relaxed(&looked_ns);
    if (looked == 0 || hqq_is_due(now, looked, LOCKED_LOOK_NS)) {
        hqq_store32_relaxed(&was_locked, look_up_locked());
        hqq_store_relaxed(&looked_ns, now);
    }
    return hqq_load32_relaxed(&was_locked) != 0;
}

/* hqq_process_namespace(), which stays the same as long as the process does. */
static uint64_t own_namespace(void)
{
    static hqq_atomic_u64 known, known_generation;
    uint64_t generation = hqq_load_acquire(&known_generation);
    if (generation != 0 && hqq_process_is_generation(generation))
        return hqq_load_relaxed(&known);
    uint64_t namespace = hqq_process_namespace();
    if (namespace != 0) {
        hqq_store_relaxed(&known, namespace);
        hqq_store_release(&known_generation, hqq_process_generation()); /* with the acquire above */
    }
    return namespace;
}

/* A new pair for a mapping, which it takes over on success. index: 0 the offerer, 1 the other. */
static struct hqq_pair *view(const struct hqq_mapping *mapping, const struct hqq_layout *layout, int index)
{
    struct hqq_pair *pair = hqq_pool_take(&pool);
    if (!pair)
        return NULL;
    struct hqq_pair_block *block = block_of(mapping);
    hqq_ring_view(&pair->tx, mapping->base, layout, index);
    hqq_ring_view(&pair->rx, mapping->base, layout, 1 - index);
    pair->own = &block->side[index];
    pair->peer = &block->side[1 - index];
    pair->id = (struct hqq_pair_id){{hqq_load_relaxed(&block->id[0]), hqq_load_relaxed(&block->id[1])}};
    pair->generation = hqq_process_generation();
    pair->mapping = *mapping;
    pair->is_attached = index == 1;
    pair->since_ns = hqq_clock_ns();
    uint64_t namespace = own_namespace();
    pair->may_compare = namespace != 0 && hqq_load_relaxed(&block->namespace) == namespace;
    hqq_store32_relaxed(&pair->references, index == 0 ? 2 : 1); /* an offerer has a route for it already */
    if (pair->may_compare)
        hqq_store_relaxed(&pair->own->owner, hqq_process_self());
    hqq_store32_relaxed(&pair->own->can_barrier, hqq_barrier_register());
    hqq_pair_note_cpu(pair);
    return pair;
}

static void format(const struct hqq_mapping *mapping, const struct hqq_layout *layout, struct hqq_pair_id id)
{
    void *base = mapping->base;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, base, layout, i);
        hqq_ring_format(&ring, true);
    }
    hqq_superblock_claim(base);
    hqq_extension_format(base, own_namespace(), hqq_process_self());
    struct hqq_pair_block *block = block_of(mapping);
    hqq_store_relaxed(&block->namespace, own_namespace());
    hqq_store_relaxed(&block->id[0], id.word[0]);
    hqq_store_relaxed(&block->id[1], id.word[1]);
    hqq_store_relaxed(&block->magic, HQQ_PAIR_MAGIC);
    hqq_superblock_publish(base, layout);
}

int hqq_pair_create(const struct hqq_rule *rule, int *ret_fd, struct hqq_pair **ret_pair)
{
    struct hqq_layout layout;
    struct hqq_mapping mapping;
    struct hqq_pair_id id;
    int fd;
    if (is_memory_locked())
        return -EPERM;
    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
        return -EAGAIN;
    int result = hqq_layout_compute(rule->slots, rule->slot_size, hqq_page_size(), &layout);
    if (result == 0)
        result = hqq_shm_create_sparse_memfd(layout.bytes, &fd, &mapping);
    if (result != 0)
        return result;
    format(&mapping, &layout, id);
    struct hqq_pair *pair = view(&mapping, &layout, 0);
    if (!pair) {
        hqq_shm_unmap(&mapping);
        hqq_sys.close(fd);
        return -ENOMEM;
    }
    *ret_fd = fd;
    *ret_pair = pair;
    return 0;
}

int hqq_pair_attach(int fd, struct hqq_pair **ret_pair)
{
    struct hqq_mapping mapping;
    struct hqq_layout layout;
    int error = HQQ_ERROR_FAILED_INIT;
    struct stat status;
    if (is_memory_locked())
        return -EPERM;
    int seals = hqq_sys.get_seals(fd); /* first: of anything but a memfd fstat() might not return */
    if (seals < 0)
        return HQQ_ERROR_UNSEALED;
    int result = hqq_sys.fstat(fd, &status);
    if (result == 0 && (status.st_size < 0 || (uint64_t)status.st_size > LARGEST_REGION))
        result = HQQ_ERROR_INVALID_SIZE;
    if (result == 0)
        result = hqq_shm_map_memfd(fd, &mapping);
    if (result != 0)
        return result;
    const struct hqq_attach_wish wish = {
        .page_size = hqq_page_size(),
        .memory_bytes = mapping.length,
    };
    if (hqq_superblock_look(mapping.base, &wish, &layout, &error) != HQQ_ATTACH_READY)
        goto fail;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, mapping.base, &layout, i);
        if (!hqq_ring_is_valid(&ring))
            goto fail;
    }
    error = HQQ_ERROR_BAD_MAGIC;
    if (hqq_load_relaxed(&block_of(&mapping)->magic) != HQQ_PAIR_MAGIC)
        goto fail;
    struct hqq_pair *pair = view(&mapping, &layout, 1);
    error = -ENOMEM;
    if (!pair)
        goto fail;
    *ret_pair = pair;
    return 0;
fail:
    hqq_shm_unmap(&mapping);
    return error;
}

void hqq_pair_drop(struct hqq_pair *pair)
{
    /* acq_rel by the release of each and the fence of the last: nobody touches the mapping after it is gone. */
    if (hqq_sub32_release(&pair->references, 1) != 1)
        return;
    hqq_fence_acquire();
    hqq_shm_unmap(&pair->mapping);
    hqq_pool_return(&pool, pair);
}

void hqq_pair_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}

bool hqq_pair_peer_is_missing(const struct hqq_pair *pair)
{
    uint64_t owner = hqq_load_relaxed(&pair->peer->owner);
    return pair->may_compare && owner != HQQ_PROCESS_UNKNOWN && hqq_process_is_missing(owner);
}

bool hqq_pair_peer_was_missing(const struct hqq_pair *pair, uint64_t ticks)
{
    uint64_t owner = hqq_load_relaxed(&pair->peer->owner);
    return pair->may_compare && owner != HQQ_PROCESS_UNKNOWN && hqq_alive_is_missing(owner, ticks);
}

bool hqq_pair_peer_has_left(const struct hqq_pair *pair)
{
    return hqq_door_kind(hqq_load32_acquire(&pair->peer->door)) == HQQ_DOOR_CLOSED ||
           hqq_pair_peer_was_missing(pair, hqq_ticks());
}

bool hqq_pair_peer_is_dead(const struct hqq_pair *pair)
{
    uint64_t owner = hqq_load_relaxed(&pair->peer->owner);
    return pair->may_compare && owner != HQQ_PROCESS_UNKNOWN && hqq_process_is_dead(owner);
}
