/* Deadlines and time-outs. Whoever moves a deadline wakes the waits that it is about, for them to look at it anew. */
#include "standard/state.h"

static int set(struct hqq_link *link, hqq_atomic_u64 *deadline, struct hqq_bell *bell, uint64_t when_ns)
{
    int result = hqq_link_guard(link);
    if (result == HQQ_ERROR_FORKED)
        return result;
    /* edge B1: a sleeper is either found and woken, or reads the new deadline, which it does after arming the bell. */
    hqq_store_relaxed(deadline, when_ns);
    hqq_bell_ring_all(bell);
    return 0;
}

int hqq_link_set_read_deadline(struct hqq_link *link, uint64_t when_ns)
{
    return set(link, &link->read_deadline_ns, link->rx_data, when_ns);
}

int hqq_link_set_write_deadline(struct hqq_link *link, uint64_t when_ns)
{
    return set(link, &link->write_deadline_ns, link->tx_space, when_ns);
}

int hqq_link_set_deadline(struct hqq_link *link, uint64_t when_ns)
{
    int result = hqq_link_set_read_deadline(link, when_ns);
    return result != 0 ? result : hqq_link_set_write_deadline(link, when_ns);
}

static int set_timeout(struct hqq_link *link, hqq_atomic_u64 *timeout, uint64_t timeout_ns)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    hqq_store_relaxed(timeout, timeout_ns);
    return 0;
}

int hqq_link_set_read_timeout(struct hqq_link *link, uint64_t timeout_ns)
{
    return set_timeout(link, &link->read_timeout_ns, timeout_ns);
}

int hqq_link_set_write_timeout(struct hqq_link *link, uint64_t timeout_ns)
{
    return set_timeout(link, &link->write_timeout_ns, timeout_ns);
}
