/* What a link is, who is at the other end, and the PacketConn model's addresses. */
#include <string.h>

#include "standard/state.h"

enum hqq_role hqq_link_role(const struct hqq_link *link)
{
    return link->role;
}

uint64_t hqq_link_buffer_count(const struct hqq_link *link)
{
    return link->tx.count;
}

uint64_t hqq_link_buffer_size(const struct hqq_link *link)
{
    return link->tx.buffer_size;
}

uint64_t hqq_link_large_threshold(const struct hqq_link *link)
{
    return hqq_load_relaxed(&link->large_threshold);
}

int hqq_link_set_large_threshold(struct hqq_link *link, uint64_t bytes)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    if (bytes == 0 || bytes > HQQ_LAYOUT_BYTES_MAX)
        return HQQ_ERROR_INVALID_SIZE;
    hqq_store_relaxed(&link->large_threshold, bytes);
    return 0;
}

/* ---- The peer -------------------------------------------------------------------------------------------------- */

enum hqq_peer hqq_link_peer(const struct hqq_link *link)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_PEER_UNKNOWN;
    switch (hqq_end_state(hqq_load_acquire(&link->peer_end->owner))) { /* edges E1, E2 */
    case HQQ_END_ALIVE:
    case HQQ_END_RECOVERING:
        return HQQ_PEER_ALIVE;
    case HQQ_END_SHUT:
    case HQQ_END_CLOSED:
        return HQQ_PEER_CLOSED;
    case HQQ_END_DEAD:
        return HQQ_PEER_DIED;
    case HQQ_END_NONE:
    default:
        return HQQ_PEER_UNKNOWN;
    }
}

int hqq_link_check_peer(struct hqq_link *link, enum hqq_peer *ret_peer)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return HQQ_ERROR_FORKED;
    hqq_link_recover_peer(link);
    *ret_peer = hqq_link_peer(link);
    return 0;
}

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

static void address_of(const struct hqq_link *link, enum hqq_role role, struct hqq_address *ret_address)
{
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->role = role;
    memcpy(ret_address->name, link->name, strnlen(link->name, sizeof(ret_address->name) - 1));
}

void hqq_link_local_address(const struct hqq_link *link, struct hqq_address *ret_address)
{
    address_of(link, link->role, ret_address);
}

void hqq_link_remote_address(const struct hqq_link *link, struct hqq_address *ret_address)
{
    enum hqq_role remote = link->role == HQQ_ROLE_PRIMARY ? HQQ_ROLE_SECONDARY : HQQ_ROLE_PRIMARY;
    address_of(link, remote, ret_address);
}

int hqq_link_read_from(struct hqq_link *link, void *data, size_t capacity, size_t *ret_length,
                       struct hqq_address *ret_from)
{
    struct hqq_address remote;
    hqq_link_remote_address(link, &remote); /* now: once the read has ended the link may have been closed */
    int result = hqq_link_read(link, data, capacity, ret_length);
    if ((result == 0 || result == HQQ_ERROR_TRUNCATED) && ret_from)
        *ret_from = remote;
    return result;
}

int hqq_link_write_to(struct hqq_link *link, const void *data, size_t length, const struct hqq_address *to)
{
    struct hqq_address remote;
    int result = hqq_link_guard(link);
    hqq_link_remote_address(link, &remote);
    if (result == 0 && to && (to->role != remote.role || strncmp(to->name, remote.name, sizeof(remote.name)) != 0))
        result = HQQ_ERROR_CONN_NOT_FOUND;
    return result != 0 ? hqq_link_fail(link, result) : hqq_link_write(link, data, length);
}
