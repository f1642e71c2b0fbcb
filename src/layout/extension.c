#include "layout/extension.h"

#include "platform/process.h"
#include "platform/sys.h"

static struct hqq_extension *extension_of(void *page)
{
    return (struct hqq_extension *)((unsigned char *)page + HQQ_EXTENSION_OFFSET);
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
        hqq_store32_relaxed(&extension->end[i].reserved, 0);
        hqq_store32_relaxed(&extension->ring[i].data.sequence, 0);
        hqq_store32_relaxed(&extension->ring[i].data.sleepers, 0);
        hqq_store32_relaxed(&extension->ring[i].space.sequence, 0);
        hqq_store32_relaxed(&extension->ring[i].space.sleepers, 0);
    }
    hqq_store_release(&extension->magic, HQQ_EXTENSION_MAGIC); /* edge X1: with every load of magic that finds it */
    return extension;
}

/* Somebody else is setting the block up, which takes a few stores: gives it the time of a few scheduler turns. */
static uint64_t wait_until_set_up(const struct hqq_extension *extension)
{
    uint64_t magic = HQQ_EXTENSION_SETTING;
    for (int i = 0; i < 1000 && magic == HQQ_EXTENSION_SETTING; i++) {
        hqq_sys.sched_yield();
        magic = hqq_load_acquire(&extension->magic); /* edge X1 */
    }
    return magic;
}

struct hqq_extension *hqq_extension_find(void *page, uint64_t pid_namespace)
{
    struct hqq_extension *extension = extension_of(page);
    uint64_t magic = 0;
    if (hqq_cas_acq_rel(&extension->magic, &magic, HQQ_EXTENSION_SETTING)) {
        return hqq_extension_format(page, pid_namespace, HQQ_PROCESS_UNKNOWN);
    }
    if (magic == HQQ_EXTENSION_SETTING)
        magic = wait_until_set_up(extension);
    if (magic != HQQ_EXTENSION_MAGIC || hqq_load_relaxed(&extension->flags) != 0)
        return NULL;
    return extension;
}

uint64_t hqq_extension_initializer(const void *page, uint64_t pid_namespace)
{
    const struct hqq_extension *extension =
        (const struct hqq_extension *)((const unsigned char *)page + HQQ_EXTENSION_OFFSET);
    if (hqq_load_acquire(&extension->magic) != HQQ_EXTENSION_MAGIC) /* edge X1 */
        return HQQ_PROCESS_UNKNOWN;
    if (pid_namespace == 0 || hqq_load_relaxed(&extension->pid_namespace) != pid_namespace)
        return HQQ_PROCESS_UNKNOWN;
    return hqq_load_relaxed(&extension->initializer);
}
