#include "support/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "layout/layout.h"
#include "platform/clock.h"
#include "platform/shm.h"
#include "ring/produce.h"

/* So seldom that no look at the peer wakes a sleeper whom nobody else has woken. */
#define PEER_CHECK_NS (3600 * HQQ_NS_PER_S)

static void give_up(const char *what, int result)
{
    fprintf(stderr, "%s: %s\n", what, hqq_strerror(result));
    abort();
}

struct region region_new(size_t length)
{
    size_t page = hqq_page_size();
    struct region region = {.length = (length + page - 1) / page * page};
    unsigned char *fence =
        mmap(NULL, region.length + 2 * page, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fence == MAP_FAILED || mprotect(fence + page, region.length, PROT_READ | PROT_WRITE) != 0) {
        perror("memory for a region");
        abort();
    }
    region.base = fence + page;
    return region;
}

struct region region_for(uint64_t buffer_count, uint64_t buffer_size)
{
    uint64_t bytes = 0;
    int result = hqq_layout_size(buffer_count, buffer_size, &bytes);
    if (result != 0)
        give_up("layout of a region", result);
    return region_new(bytes);
}

void region_delete(struct region *region)
{
    size_t page = hqq_page_size();
    munmap((unsigned char *)region->base - page, region->length + 2 * page);
    *region = (struct region){0};
}

hqq_atomic_u64 *region_word(const struct region *region, size_t offset)
{
    return (hqq_atomic_u64 *)(void *)((unsigned char *)region->base + offset);
}

struct hqq_extension *region_extension(const struct region *region)
{
    return (struct hqq_extension *)(void *)((unsigned char *)region->base + HQQ_EXTENSION_OFFSET);
}

struct hqq_ring region_ring(const struct region *region, uint64_t buffer_count, uint64_t buffer_size, int index)
{
    struct hqq_layout layout;
    struct hqq_ring ring;
    int result = hqq_layout_compute(buffer_count, buffer_size, hqq_page_size(), &layout);
    if (result != 0 || layout.bytes > region->length)
        give_up("view of a ring", result);
    hqq_ring_view(&ring, region->base, &layout, index);
    return ring;
}

int region_create_named(const char *name, mode_t mode, size_t length, struct hqq_mapping *ret_mapping)
{
    struct hqq_unnamed unnamed;
    int result = hqq_shm_create_unnamed(name, mode, length, &unnamed);
    if (result != 0)
        return result;
    result = hqq_shm_give_name(&unnamed, name);
    if (result != 0)
        hqq_shm_discard(&unnamed);
    else
        *ret_mapping = unnamed.mapping;
    return result;
}

struct pair pair_open(uint64_t buffer_count, uint64_t buffer_size)
{
    const struct hqq_link_config config = {.buffer_count = buffer_count, .buffer_size = buffer_size};
    return pair_open_with(&config);
}

struct pair pair_open_with(const struct hqq_link_config *config)
{
    struct pair pair = {.region = region_for(config->buffer_count, config->buffer_size)};
    struct hqq_link_config own = *config;
    if (own.peer_check_ns == 0)
        own.peer_check_ns = PEER_CHECK_NS;
    own.role = HQQ_ROLE_PRIMARY;
    int result = hqq_link_attach(pair.region.base, pair.region.length, &own, &pair.primary);
    if (result != 0)
        give_up("the primary end", result);
    own.role = HQQ_ROLE_SECONDARY;
    result = hqq_link_attach(pair.region.base, pair.region.length, &own, &pair.secondary);
    if (result != 0)
        give_up("the secondary end", result);
    return pair;
}

struct hqq_ring pair_ring(const struct pair *pair, int index)
{
    return region_ring(&pair->region, hqq_link_buffer_count(pair->primary), hqq_link_buffer_size(pair->primary), index);
}

void pair_publish(const struct pair *pair, int index, const struct hqq_packet *packet)
{
    struct hqq_ring ring = pair_ring(pair, index);
    uint64_t position = 0;
    if (hqq_ring_claim_write(&ring, 1, &position) != 1)
        give_up("a slot for a packet", HQQ_ERROR_WOULD_BLOCK);
    hqq_packet_store(hqq_ring_packet(&ring, position), packet);
    hqq_ring_publish(&ring, position);
}

void pair_close(struct pair *pair)
{
    hqq_link_close(pair->secondary);
    hqq_link_close(pair->primary);
    region_delete(&pair->region);
}
