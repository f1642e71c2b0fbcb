#include "standard/poll.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/state.h"

/* ---- Knocking -------------------------------------------------------------------------------------------------- */

/* An abstract name, which leaves no file behind: "hqq/1/knock/DEVICE-INODE-ROLE", in hexadecimal. */
static bool address_of(const struct hqq_link *link, enum hqq_role role, struct sockaddr_un *ret_address,
                       socklen_t *ret_length)
{
    if (link->mapping.inode == 0)
        return false;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(ret_address->sun_path + 1, sizeof(ret_address->sun_path) - 1, "hqq/1/knock/%llx-%llx-%d",
                          (unsigned long long)link->mapping.device, (unsigned long long)link->mapping.inode, (int)role);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    return true;
}

bool hqq_link_knock_address(const struct hqq_link *link, struct sockaddr_un *ret_address, socklen_t *ret_length)
{
    return address_of(link, link->role, ret_address, ret_length);
}

void hqq_link_knock(const struct hqq_link *link, struct hqq_bell *bell)
{
    struct sockaddr_un address;
    socklen_t length;
    /* Ordered after what is to be told by the fence in the ring, or by the swap that found the bell armed. */
    if (__builtin_expect(hqq_load32_relaxed(&bell->is_polled) == 0, 1))
        return;
    bool is_own = bell == link->rx_data || bell == link->tx_space;
    enum hqq_role other = link->role == HQQ_ROLE_PRIMARY ? HQQ_ROLE_SECONDARY : HQQ_ROLE_PRIMARY;
    if (!address_of(link, is_own ? link->role : other, &address, &length))
        return;
    int result = hqq_sys.knock(&address, length);
    if (result == 0 || result == -EAGAIN || result == -ECONNREFUSED)
        return; /* a full queue is readable already; nor is there anybody to wake where nobody has the address */
    /* Who sleeps in a poll of its own looks after nothing: the next that is published is to try again. A swap, not a
     * store: whoever arms the bell after it must see, edge B2, what all earlier ringers have published. */
    (void)hqq_swap32_acq_rel(&bell->armed, 1);
}

void hqq_link_rung(struct hqq_link *link, struct hqq_bell *bell)
{
    hqq_add_relaxed(&link->counts.wakeups_sent, 1);
    hqq_link_knock(link, bell);
}

void hqq_link_set_polled(struct hqq_link *link, bool is_polled)
{
    if (hqq_link_guard(link) == HQQ_ERROR_FORKED)
        return;
    /* edge B2: before the swap that arms the bell, so whoever finds it armed finds this. */
    hqq_store32_relaxed(&link->rx_data->is_polled, is_polled);
    hqq_store32_relaxed(&link->tx_space->is_polled, is_polled);
}

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

static struct hqq_bell *bell_of(const struct hqq_link *link, enum hqq_wait_for what)
{
    return what == HQQ_WAIT_DATA ? link->rx_data : link->tx_space;
}

bool hqq_link_is_ready(struct hqq_link *link, enum hqq_wait_for what)
{
    size_t length;
    if (what == HQQ_WAIT_DATA)
        return hqq_link_peek(link, &length) != HQQ_ERROR_WOULD_BLOCK;
    return hqq_ring_is_writable(&link->tx) || hqq_link_guard(link) != 0 || hqq_link_peer_gone(link) != 0;
}

bool hqq_link_spin(struct hqq_link *link, enum hqq_wait_for what)
{
    struct hqq_wait wait = hqq_link_wait(link, what);
    return hqq_wait_spin(&wait);
}

void hqq_link_learn(struct hqq_link *link, enum hqq_wait_for what, uint64_t start_ns)
{
    struct hqq_wait wait = hqq_link_wait(link, what);
    hqq_wait_learn(&wait, hqq_clock_ns() - start_ns);
}

uint64_t hqq_link_arm(struct hqq_link *link, enum hqq_wait_for what, uint64_t *look_ns)
{
    struct hqq_wait wait = hqq_link_wait(link, what);
    return hqq_wait_arm(&wait, look_ns);
}

void hqq_link_disarm(struct hqq_link *link, enum hqq_wait_for what)
{
    hqq_bell_disarm(bell_of(link, what));
}

bool hqq_link_is_armed(const struct hqq_link *link, enum hqq_wait_for what)
{
    return hqq_load32_relaxed(&bell_of(link, what)->armed) != 0;
}
