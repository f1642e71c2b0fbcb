/*
 * Opening: from memory to a link. Whoever finds the region empty formats it; everybody else waits until it is ready.
 * Then this process takes its end, freeing what a holder that died had left claimed. Nothing is kept of an attempt
 * that fails.
 */
#include "standard/open.h"

#include <errno.h>
#include <string.h>

#include <talloc.h>

#include "layout/superblock.h"
#include "platform/barrier.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/state.h"

#define DEFAULT_ATTACH_TIMEOUT_NS (1 * HQQ_NS_PER_S)
#define DEFAULT_SPIN_NS (20 * HQQ_NS_PER_US)
#define DEFAULT_PEER_CHECK_NS (100 * HQQ_NS_PER_MS)

#define ATTACH_LOOK_FIRST_NS (20 * HQQ_NS_PER_US)
#define ATTACH_LOOK_LAST_NS (1 * HQQ_NS_PER_MS)

/* ---- Configuration --------------------------------------------------------------------------------------------- */

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value != 0 ? value : fallback;
}

int hqq_config_complete_attaching(const struct hqq_link_config *config, struct hqq_link_config *ret_config)
{
    struct hqq_link_config complete = HQQ_LINK_CONFIG_INIT;
    if (config)
        complete = *config;
    if (complete.role > HQQ_ROLE_SECONDARY || complete.reserved != 0 ||
        (complete.flags & ~(uint32_t)(HQQ_LINK_STREAM_READ | HQQ_LINK_REPLACE_STALE)) != 0 ||
        (complete.mode & ~UINT32_C(0777)) != 0)
        return HQQ_ERROR_INVALID_OP;
    if (complete.large_threshold > HQQ_LAYOUT_BYTES_MAX)
        return HQQ_ERROR_INVALID_SIZE;

    struct hqq_layout layout;
    int result =
        hqq_layout_compute(or_default(complete.buffer_count, HQQ_DEFAULT_BUFFER_COUNT),
                           or_default(complete.buffer_size, HQQ_DEFAULT_BUFFER_SIZE), hqq_page_size(), &layout);
    if (result != 0)
        return result;
    complete.attach_timeout_ns = or_default(complete.attach_timeout_ns, DEFAULT_ATTACH_TIMEOUT_NS);
    complete.spin_ns = or_default(complete.spin_ns, DEFAULT_SPIN_NS);
    complete.peer_check_ns = or_default(complete.peer_check_ns, DEFAULT_PEER_CHECK_NS);
    complete.mode = complete.mode != 0 ? complete.mode : 0600;
    *ret_config = complete;
    return 0;
}

int hqq_config_complete(const struct hqq_link_config *config, struct hqq_link_config *ret_config,
                        struct hqq_layout *ret_layout)
{
    struct hqq_link_config complete;
    int result = hqq_config_complete_attaching(config, &complete);
    if (result != 0)
        return result;
    complete.buffer_count = or_default(complete.buffer_count, HQQ_DEFAULT_BUFFER_COUNT);
    complete.buffer_size = or_default(complete.buffer_size, HQQ_DEFAULT_BUFFER_SIZE);
    result = hqq_layout_compute(complete.buffer_count, complete.buffer_size, hqq_page_size(), ret_layout);
    if (result == 0)
        *ret_config = complete;
    return result;
}

/* ---- The region ------------------------------------------------------------------------------------------------ */

/* What an attempt has come to know. */
struct attempt {
    const struct hqq_open *open;
    struct hqq_layout layout;
    uint64_t pid_namespace;
    uint64_t self; /* this process; UNKNOWN if nobody could check it */
    bool is_light; /* this process can ring bells without a fence */
    bool is_primary;
    bool is_formatter; /* we made the region, and hold its primary end since */
};

/* The end is ours before anybody can find the region ready, so that our death is noticed from then on. */
static void format_region(struct attempt *attempt)
{
    void *base = attempt->open->mapping.base;
    struct hqq_extension *extension = hqq_extension_format(base, attempt->pid_namespace, attempt->self);
    hqq_end_hold(&extension->end[0], attempt->self, attempt->is_light);
    HQQ_POINT("superblock.identified");
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        struct hqq_ring ring;
        hqq_ring_view(&ring, base, &attempt->layout, i);
        hqq_ring_format(&ring, attempt->open->is_fresh);
    }
    hqq_superblock_publish(base, &attempt->layout);
    attempt->is_primary = attempt->is_formatter = true;
}

/* Computes what we would make of the region if it is empty, and says whether we may. */
static int check_claimable(struct attempt *attempt)
{
    struct hqq_link_config config;
    int result = hqq_config_complete(&attempt->open->config, &config, &attempt->layout);
    if (result != 0)
        return result;
    return attempt->layout.bytes <= attempt->open->mapping.length ? 0 : HQQ_ERROR_MEMORY_SMALL;
}

/* Makes the region if it is still empty. -EAGAIN if somebody else was quicker. */
static int try_to_format(struct attempt *attempt)
{
    int result = check_claimable(attempt);
    if (result != 0)
        return result;
    if (!hqq_superblock_claim(attempt->open->mapping.base))
        return -EAGAIN;
    format_region(attempt);
    return 0;
}

/* One look. -EAGAIN: look again later. */
static int try_to_settle(struct attempt *attempt, const struct hqq_attach_wish *wish)
{
    const struct hqq_open *open = attempt->open;
    int error = 0;
    switch (hqq_superblock_look(open->mapping.base, wish, &attempt->layout, &error)) {
    case HQQ_ATTACH_READY:
        attempt->is_primary = open->config.role == HQQ_ROLE_PRIMARY;
        return 0;
    case HQQ_ATTACH_MISMATCH:
        return error;
    case HQQ_ATTACH_INIT_DIED:
        return HQQ_ERROR_INIT_DIED;
    case HQQ_ATTACH_EMPTY:
        return open->must_exist ? -EAGAIN : try_to_format(attempt);
    case HQQ_ATTACH_INITIALIZING:
    default:
        return -EAGAIN;
    }
}

/* Waits a little longer each time. False if the deadline has passed. */
static bool pause_until(uint64_t deadline_ns, uint64_t *pause_ns)
{
    uint64_t now = hqq_clock_ns();
    if (now >= deadline_ns)
        return false;
    hqq_sys.sleep_until(now + *pause_ns < deadline_ns ? now + *pause_ns : deadline_ns);
    *pause_ns = *pause_ns * 2 < ATTACH_LOOK_LAST_NS ? *pause_ns * 2 : ATTACH_LOOK_LAST_NS;
    return true;
}

/* Until the region is agreed on. */
static int settle_region(struct attempt *attempt)
{
    const struct hqq_open *open = attempt->open;
    const struct hqq_attach_wish wish = {
        .buffer_count = open->config.buffer_count,
        .buffer_size = open->config.buffer_size,
        .page_size = hqq_page_size(),
        .memory_bytes = open->mapping.length,
        .pid_namespace = attempt->pid_namespace,
    };
    uint64_t pause_ns = ATTACH_LOOK_FIRST_NS;
    int result;
    while ((result = try_to_settle(attempt, &wish)) == -EAGAIN) {
        if (!pause_until(open->deadline_ns, &pause_ns))
            return HQQ_ERROR_FAILED_INIT;
    }
    return result;
}

/* ---- The link -------------------------------------------------------------------------------------------------- */

/* talloc aligns less than a link wants. */
static struct hqq_link *allocate(void)
{
    size_t alignment = alignof(struct hqq_link);
    void *block = talloc_zero_size(NULL, sizeof(struct hqq_link) + alignment);
    if (!block)
        return NULL;
    talloc_set_name_const(block, "struct hqq_link");
    size_t past = (uintptr_t)block % alignment;
    struct hqq_link *link = (void *)((unsigned char *)block + (past != 0 ? alignment - past : 0));
    link->block = block;
    return link;
}

static void configure(struct hqq_link *link, const struct hqq_open *open)
{
    const struct hqq_link_config *config = &open->config;
    hqq_store_relaxed(&link->read_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&link->write_deadline_ns, HQQ_FOREVER);
    hqq_store_relaxed(&link->read_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&link->write_timeout_ns, HQQ_FOREVER);
    hqq_store_relaxed(&link->large_threshold, or_default(config->large_threshold, link->tx.buffer_size));
    hqq_store_relaxed(&link->checked_ns, hqq_clock_ns());
    link->peer_check_ns = config->peer_check_ns;
    link->is_stream_read = (config->flags & HQQ_LINK_STREAM_READ) != 0;
    hqq_spin_init(&link->read_spin, config->spin_ns);
    hqq_spin_init(&link->write_spin, config->spin_ns);
    memcpy(link->name, open->name, strnlen(open->name, sizeof(link->name) - 1));
    if (open->owns_mapping)
        link->mapping = open->mapping;
}

static void view_region(struct hqq_link *link, const struct attempt *attempt)
{
    void *base = attempt->open->mapping.base;
    int writes = attempt->is_primary ? 0 : 1;
    int reads = 1 - writes;
    hqq_ring_view(&link->tx, base, &attempt->layout, writes);
    hqq_ring_view(&link->rx, base, &attempt->layout, reads);
    link->first_copy = hqq_load_relaxed(hqq_ring_w(&link->tx));
    link->role = attempt->is_primary ? HQQ_ROLE_PRIMARY : HQQ_ROLE_SECONDARY;

    struct hqq_extension *extension = hqq_extension_find(base, attempt->pid_namespace, attempt->open->deadline_ns);
    if (!extension)
        extension = &link->stand_in;
    else if (hqq_load_relaxed(&extension->pid_namespace) == attempt->pid_namespace)
        link->identity = attempt->self;
    link->own_end = &extension->end[writes];
    link->peer_end = &extension->end[reads];
    link->tx_data = &extension->ring[writes].data;
    link->tx_space = &extension->ring[writes].space;
    link->rx_data = &extension->ring[reads].data;
    link->rx_space = &extension->ring[reads].space;
}

static int take_end(struct hqq_link *link, uint64_t deadline_ns)
{
    const struct hqq_end_view view = hqq_link_own_end(link);
    uint64_t pause_ns = ATTACH_LOOK_FIRST_NS;
    uint64_t recovered;
    int result;
    while ((result = hqq_end_claim(&view, link->identity, link->is_light, &recovered)) == -EAGAIN) {
        hqq_add_relaxed(&link->counts.slots_recovered, recovered);
        if (!pause_until(deadline_ns, &pause_ns))
            return HQQ_ERROR_BUSY;
    }
    if (result != 0)
        return result;
    hqq_add_relaxed(&link->counts.slots_recovered, recovered);
    link->first_copy = hqq_load_relaxed(hqq_ring_w(&link->tx));
    /* A peer that took us for absent, or for dead, or for not light, looks again. */
    hqq_link_wake_everybody(link);
    return 0;
}

/* Who this process is, for others to check. Fails only for want of a descriptor or of memory, which may be passing. */
static int identify(struct attempt *attempt)
{
    attempt->pid_namespace = hqq_process_namespace();
    attempt->self = attempt->pid_namespace != 0 ? hqq_process_self() : HQQ_PROCESS_UNKNOWN;
    return attempt->self == HQQ_PROCESS_UNKNOWN ? hqq_process_why_unknown() : 0;
}

int hqq_link_build(const struct hqq_open *open, struct hqq_link **ret_link)
{
    struct attempt attempt = {.open = open, .is_light = hqq_barrier_register()};
    uint64_t generation = hqq_process_generation();
    struct hqq_link *link = generation != 0 ? allocate() : NULL;
    if (!link)
        return -ENOMEM;

    int result = identify(&attempt);
    if (result == 0)
        result = settle_region(&attempt);
    if (result != 0)
        goto fail;
    link->generation = generation;
    link->is_light = attempt.is_light;
    view_region(link, &attempt);
    if (!attempt.is_formatter)
        result = hqq_ring_is_valid(&link->tx) && hqq_ring_is_valid(&link->rx) ? take_end(link, open->deadline_ns)
                                                                              : HQQ_ERROR_BAD_MAGIC;
    if (result != 0)
        goto fail;
    configure(link, open);
    *ret_link = link;
    return 0;

fail:
    talloc_free(link->block);
    return result;
}

int hqq_link_attach(void *base, size_t length, const struct hqq_link_config *config, struct hqq_link **ret_link)
{
    struct hqq_open open = {.mapping = {.base = base, .length = length}, .name = ""};
    int result = hqq_config_complete_attaching(config, &open.config);
    if (result != 0)
        return result;
    uint64_t page = hqq_page_size();
    if (base == NULL || (uintptr_t)base % page != 0)
        return HQQ_ERROR_MEMORY_ALIGN;
    if (length < page)
        return HQQ_ERROR_MEMORY_SMALL;
    open.must_exist = open.config.role == HQQ_ROLE_SECONDARY;
    open.deadline_ns = hqq_deadline_after(hqq_clock_ns(), open.config.attach_timeout_ns);
    return hqq_link_build(&open, ret_link);
}
