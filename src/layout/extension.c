#include "layout/extension.h"

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"

#define LOOK_NS (50 * HQQ_NS_PER_US)

static struct hqq_extension *extension_of(void *page)
{
    return (struct hqq_extension *)((unsigned char *)page + HQQ_EXTENSION_OFFSET);
}

static void silence(struct hqq_bell *bell)
{
    hqq_store32_relaxed(&bell->sequence, 0);
    hqq_store32_relaxed(&bell->armed, 0);
    hqq_store32_relaxed(&bell->sleepers, 0);
    hqq_store32_relaxed(&bell->is_polled, 0);
}

struct hqq_extension *hqq_extension_format(void *page, uint64_t pid_namespace, uint64_t initializer)
{
    struct hqq_extension *extension = extension_of(page);
    hqq_store_relaxed(&extension->magic, HQQ_EXTENSION_SETTING);
    hqq_store_relaxed(&extension->flags, 0);
    hqq_store_relaxed(&extension->pid_namespace, pid_namespace);
    hqq_store_relaxed(&extension->initializer, initializer);
    for (size_t i = 0; i < 4; i++)
        hqq_store_relaxed(&extension->reserved[i], 0);
    for (size_t i = 0; i < 2; i++) {
        hqq_store_relaxed(&extension->end[i].owner, 0);
        hqq_store32_relaxed(&extension->end[i].cpu, 0);
        hqq_store32_relaxed(&extension->end[i].is_light, 0);
        silence(&extension->ring[i].data);
        silence(&extension->ring[i].space);
    }
    hqq_store_release(&extension->magic, HQQ_EXTENSION_MAGIC); /* edge X1: with every load of magic that finds it */
    return extension;
}

/* Somebody else is setting the block up, which takes a few stores, unless it lost the processor or its life. */
static uint64_t wait_until_set_up(const struct hqq_extension *extension, uint64_t deadline_ns)
{
    uint64_t magic;
    while ((magic = hqq_load_acquire(&extension->magic)) == HQQ_EXTENSION_SETTING) { /* edge X1 */
        uint64_t now = hqq_clock_ns();
        if (now >= deadline_ns)
            break;
        hqq_sys.sleep_until(now + LOOK_NS);
    }
    return magic;
}

struct hqq_extension *hqq_extension_find(void *page, uint64_t pid_namespace, uint64_t deadline_ns)
{
    struct hqq_extension *extension = extension_of(page);
    uint64_t magic = 0;
    if (hqq_cas_acq_rel(&extension->magic, &magic, HQQ_EXTENSION_SETTING))
        return hqq_extension_format(page, pid_namespace, HQQ_PROCESS_UNKNOWN);
    if (wait_until_set_up(extension, deadline_ns) != HQQ_EXTENSION_MAGIC || hqq_load_relaxed(&extension->flags) != 0)
        return NULL;
    return extension;
}

const struct hqq_extension *hqq_extension_peek(const void *page)
{
    const struct hqq_extension *extension =
        (const struct hqq_extension *)((const unsigned char *)page + HQQ_EXTENSION_OFFSET);
    if (hqq_load_acquire(&extension->magic) != HQQ_EXTENSION_MAGIC) /* edge X1 */
        return NULL;
    return hqq_load_relaxed(&extension->flags) == 0 ? extension : NULL;
}

uint64_t hqq_extension_initializer(const void *page, uint64_t pid_namespace)
{
    const struct hqq_extension *extension = hqq_extension_peek(page);
    if (!extension || pid_namespace == 0 || hqq_load_relaxed(&extension->pid_namespace) != pid_namespace)
        return HQQ_PROCESS_UNKNOWN;
    return hqq_load_relaxed(&extension->initializer);
}
