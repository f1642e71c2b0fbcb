/* The end of a link: shutting it down, and giving back what it held. */
#include <talloc.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/state.h"

int hqq_link_shutdown(struct hqq_link *link)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    hqq_store32_relaxed(&link->shut, 1);
    hqq_end_shut(link->own_end);
    hqq_link_wake_everybody(link); /* after a fence: who is not found asleep by it finds the link shut */
    return 0;
}

/* The threads that wait have been woken and are on their way out. */
static void wait_until_alone(struct hqq_link *link)
{
    uint32_t inside;
    while ((inside = hqq_load32_acquire(&link->inside)) != 0) /* edge L1 */
        hqq_sys.futex_wait(&link->inside, inside, hqq_deadline_after(hqq_clock_ns(), 10 * HQQ_NS_PER_MS));
}

void hqq_link_close(struct hqq_link *link)
{
    if (!link)
        return;
    if (hqq_link_shutdown(link) == 0) {
        wait_until_alone(link);
        /* The name first: while the end is held nobody takes the object for stale and replaces it. */
        if (link->owns_name)
            (void)hqq_shm_unlink_mapping(link->name, &link->mapping);
        const struct hqq_end_view view = hqq_link_own_end(link);
        hqq_end_leave(&view, hqq_link_holds_slots(link));
        hqq_link_wake_everybody(link);
    }
    /* A forked child comes here at once: the region, the name and the lock are its parent's. */
    if (link->mapping.base)
        hqq_shm_unmap(&link->mapping);
    talloc_free(link->block);
}
