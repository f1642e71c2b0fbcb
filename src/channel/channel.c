#include "channel/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "channel/window.h"
#include "layout/extension.h"
#include "layout/layout.h"
#include "layout/superblock.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "runtime/budget.h"
#include "runtime/memlock.h"
#include "runtime/pool.h"

/* The largest region that is accepted from a peer: what the largest configuration makes, and some. */
#define LARGEST_REGION (UINT64_C(1) << 30)

/* How long memory may have been locked before it is noticed. */
#define LOCKED_LOOK_NS (1 * HQQ_NS_PER_MS)

static struct hqq_pool pool = HQQ_POOL(struct hqq_channel);

static struct hqq_channel_block *block_of(const struct hqq_mapping *mapping)
{
    return (void *)((unsigned char *)mapping->base + HQQ_CHANNEL_BLOCK_OFFSET);
}

/* A process that locks its memory would have every page of a region at once, and pay for it. */
static bool look_up_locked(void)
{
    enum { KEPT = 32 }; /* of what was read before: the line may lie across two reads */
    char text[KEPT + 512 + 1] = "";
    size_t length = 0;
    ssize_t got;
    const char *locked = NULL;
    int fd = hqq_sys.open("/proc/self/status", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    while (!locked && (got = hqq_sys.read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
        length += (size_t)got;
        text[length] = '\0';
        locked = strstr(text, "VmLck:");
        if (!locked || !strchr(locked, '\n')) {
            locked = NULL;
            size_t kept = length < KEPT ? length : KEPT;
            memmove(text, text + length - kept, kept);
            length = kept;
        }
    }
    hqq_sys.close(fd);
    return locked && strtoul(locked + strlen("VmLck:"), NULL, 10) != 0;
}

/* Looked up anew only now and then: a crowd of peers comes at once, and to read /proc costs more than all else. */
static bool is_memory_locked(void)
{
    static hqq_atomic_u64 looked_ns;
    static hqq_atomic_u32 was_locked;
    if (hqq_memory_is_locked())
        return true;
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

/* A new channel for a mapping, which it takes over on success. index: 0 the offerer, 1 the other. */
static struct hqq_channel *view(const struct hqq_mapping *mapping, const struct hqq_layout *layout, int index)
{
    struct hqq_channel *channel = hqq_pool_take(&pool);
    if (!channel)
        return NULL;
    struct hqq_channel_block *block = block_of(mapping);
    hqq_ring_view(&channel->tx, mapping->base, layout, index);
    hqq_ring_view(&channel->rx, mapping->base, layout, 1 - index);
    channel->own = &block->side[index];
    channel->peer = &block->side[1 - index];
    channel->id = hqq_load_relaxed(&block->id);
    channel->generation = hqq_process_generation();
    channel->mapping = *mapping;
    channel->is_attached = index == 1;
    channel->since_ns = hqq_clock_ns();
    uint64_t namespace = own_namespace();
    channel->may_compare = namespace != 0 && hqq_load_relaxed(&block->namespace) == namespace;
    hqq_store32_relaxed(&channel->references, 1);
    if (channel->may_compare)
        hqq_store_relaxed(&channel->own->owner, hqq_process_self());
    hqq_window_open(&channel->tx);
    hqq_channel_note_cpu(channel);
    return channel;
}

static void format(const struct hqq_mapping *mapping, const struct hqq_layout *layout, uint64_t id)
{
    void *base = mapping->base;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, base, layout, i);
        hqq_ring_format(&ring, true);
    }
    hqq_superblock_claim(base);
    hqq_extension_format(base, own_namespace(), hqq_process_self());
    struct hqq_channel_block *block = block_of(mapping);
    hqq_store_relaxed(&block->namespace, own_namespace());
    hqq_store_relaxed(&block->id, id);
    hqq_store_relaxed(&block->magic, HQQ_CHANNEL_MAGIC);
    hqq_superblock_publish(base, layout);
}

/* ---- Budget ----------------------------------------------------------------------------------------------------- */

/* A channel is made no larger than one part in so many of what is left, down to the least: few are large, many small. */
#define SHARE 12
#define LEAST_SLOTS 32
#define LEAST_SLOT_SIZE 512

static uint64_t halved(uint64_t value, uint64_t least)
{
    return value / 2 < least ? value : value / 2;
}

/* The largest layout that the rule and what is left allow. Half a slot size may not be a multiple of 8. */
static int fit(const struct hqq_rule *rule, uint64_t left, struct hqq_layout *ret_layout)
{
    uint64_t slots = rule->slots, size = rule->slot_size;
    for (;;) {
        int result = hqq_layout_compute(slots, size, hqq_page_size(), ret_layout);
        if (result != 0 || ret_layout->bytes <= left / SHARE)
            return result;
        uint64_t fewer = halved(slots, LEAST_SLOTS);
        uint64_t smaller = fewer == slots ? halved(size, LEAST_SLOT_SIZE) & ~UINT64_C(7) : size;
        if (fewer == slots && smaller == size)
            return ret_layout->bytes <= left ? 0 : -ENOBUFS;
        slots = fewer;
        size = smaller;
    }
}

bool hqq_channel_has_room(const struct hqq_rule *rule)
{
    struct hqq_layout layout;
    return fit(rule, hqq_budget_left(rule->memory), &layout) != -ENOBUFS;
}

bool hqq_channel_charge_replies(struct hqq_channel *channel, const struct hqq_rule *rule)
{
    const uint64_t bytes = channel->mapping.length / 2;
    if (!channel->is_attached || hqq_load_relaxed(&channel->charged) != 0)
        return true;
    if (!hqq_budget_take(rule->memory, bytes))
        return false;
    hqq_store_relaxed(&channel->charged, bytes);
    return true;
}

/* ---- Making and mapping ------------------------------------------------------------------------------------------- */

int hqq_channel_create(const struct hqq_rule *rule, int *ret_fd, struct hqq_channel **ret_channel)
{
    struct hqq_layout layout;
    struct hqq_mapping mapping;
    uint64_t id;
    int fd;
    if (is_memory_locked())
        return -ENOMEM;
    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
        return -EAGAIN;
    int result = fit(rule, hqq_budget_left(rule->memory), &layout);
    if (result == 0 && !hqq_budget_take(rule->memory, layout.bytes))
        result = -ENOBUFS;
    if (result != 0)
        return result;
    result = hqq_shm_create_sparse_memfd(layout.bytes, &fd, &mapping);
    if (result != 0) {
        hqq_budget_give(layout.bytes);
        return result;
    }
    format(&mapping, &layout, id);
    struct hqq_channel *channel = view(&mapping, &layout, 0);
    if (!channel) {
        hqq_shm_unmap(&mapping);
        hqq_sys.close(fd);
        hqq_budget_give(layout.bytes);
        return -ENOMEM;
    }
    hqq_store_relaxed(&channel->charged, layout.bytes);
    *ret_fd = fd;
    *ret_channel = channel;
    return 0;
}

/* What was mapped is a region with valid rings, a block of this version, and no more slots than positions can tell. */
static int check(const struct hqq_mapping *mapping, struct hqq_layout *ret_layout)
{
    int error = HQQ_ERROR_FAILED_INIT;
    const struct hqq_attach_wish wish = {
        .page_size = hqq_page_size(),
        .memory_bytes = mapping->length,
    };
    if (hqq_superblock_look(mapping->base, &wish, ret_layout, &error) != HQQ_ATTACH_READY)
        return error;
    if (ret_layout->buffer_count > HQQ_CHANNEL_SLOTS_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, mapping->base, ret_layout, i);
        if (!hqq_ring_is_valid(&ring))
            return HQQ_ERROR_FAILED_INIT;
    }
    return hqq_load_relaxed(&block_of(mapping)->magic) == HQQ_CHANNEL_MAGIC ? 0 : HQQ_ERROR_VERSION;
}

int hqq_channel_attach(int fd, struct hqq_channel **ret_channel)
{
    struct hqq_mapping mapping;
    struct hqq_layout layout;
    struct stat status;
    if (is_memory_locked())
        return -ENOMEM;
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
    result = check(&mapping, &layout);
    struct hqq_channel *channel = result == 0 ? view(&mapping, &layout, 1) : NULL;
    if (!channel) {
        hqq_shm_unmap(&mapping);
        return result != 0 ? result : -ENOMEM;
    }
    *ret_channel = channel;
    return 0;
}

void hqq_channel_drop(struct hqq_channel *channel)
{
    /* acq_rel by the release of each and the fence of the last: nobody touches the mapping after it is gone. */
    if (hqq_sub32_release(&channel->references, 1) != 1)
        return;
    hqq_fence_acquire();
    hqq_shm_unmap(&channel->mapping);
    hqq_budget_give(hqq_load_relaxed(&channel->charged));
    hqq_pool_return(&pool, channel);
}

void hqq_channel_reset_lock(void)
{
    hqq_lock_reset(&pool.lock);
}
