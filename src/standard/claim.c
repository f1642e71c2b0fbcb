/*
 * The slow half of claiming: what happens when the ring has no slot for us. Waits, looks after the peer, and counts
 * why a call came back with nothing.
 */
#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/state.h"

/* ---- The peer -----------------------------------------------------------------------------------------------------
 * */

void hqq_link_wake_everybody(struct hqq_link *link)
{
    hqq_bell_wake_all(link->rx_data);
    hqq_bell_wake_all(link->rx_space);
    hqq_bell_wake_all(link->tx_data);
    hqq_bell_wake_all(link->tx_space);
}

bool hqq_link_recover_peer(struct hqq_link *link)
{
    const struct hqq_end_view view = {
        .end = link->peer_end,
        .produces = &link->rx,
        .consumes = &link->tx,
        .bells = {link->rx_space, link->tx_data},
    };
    uint64_t recovered;
    if (!hqq_end_recover(&view, link->identity, &recovered))
        return false;
    hqq_add_relaxed(&link->counts.peer_deaths, 1);
    hqq_add_relaxed(&link->counts.slots_recovered, recovered);
    hqq_link_wake_everybody(link);
    return true;
}

static enum hqq_wait_peer check_peer(void *arg, bool is_due)
{
    struct hqq_link *link = arg;
    if (is_due)
        hqq_link_recover_peer(link);
    return hqq_end_state(hqq_load_relaxed(&link->peer_end->owner)) == HQQ_END_NONE ? HQQ_WAIT_PEER_SILENT
                                                                                   : HQQ_WAIT_PEER_RINGS;
}

/* For calls that may not wait, which would never find out: looks at the peer if nobody has for peer_check_ns. */
static void check_peer_now_and_then(struct hqq_link *link)
{
    uint64_t now = hqq_clock_ns();
    uint64_t checked = hqq_load_relaxed(&link->checked_ns);
    if (now - checked >= link->peer_check_ns && hqq_cas_acq_rel(&link->checked_ns, &checked, now))
        hqq_link_recover_peer(link);
}

static int writing_interrupted(void *arg)
{
    const struct hqq_link *link = arg;
    int result = hqq_link_guard(link);
    return result != 0 ? result : hqq_link_peer_gone(link);
}

static int reading_interrupted(void *arg)
{
    const struct hqq_link *link = arg;
    int result = hqq_link_guard(link);
    return result != 0 ? result : hqq_link_writers_gone(link);
}

/* ---- Waiting ------------------------------------------------------------------------------------------------------
 * */

/* One direction of a link, for the code that is the same for both. */
struct side {
    struct hqq_wait wait;
    struct hqq_ring *ring;
    hqq_atomic_u64 *timeouts;
    uint64_t timeout_ns;
};

static struct side side_of(struct hqq_link *link, enum hqq_wait_for what)
{
    bool reads = what == HQQ_WAIT_DATA;
    return (struct side){
        .wait =
            {
                .what = what,
                .ring = reads ? &link->rx : &link->tx,
                .answers = reads ? &link->tx : &link->rx,
                .bell = reads ? link->rx_data : link->tx_space,
                .spin = reads ? &link->read_spin : &link->write_spin,
                .own_cpu = &link->own_end->cpu,
                .peer_cpu = &link->peer_end->cpu,
                .deadline_ns = reads ? &link->read_deadline_ns : &link->write_deadline_ns,
                .check_ns = link->peer_check_ns,
                .interrupted = reads ? reading_interrupted : writing_interrupted,
                .check_peer = check_peer,
                .arg = link,
            },
        .ring = reads ? &link->rx : &link->tx,
        .timeouts = reads ? &link->counts.read_timeouts : &link->counts.write_timeouts,
        .timeout_ns = hqq_load_relaxed(reads ? &link->read_timeout_ns : &link->write_timeout_ns),
    };
}

static uint64_t claim(const struct side *side, uint64_t want, uint64_t *ret_position)
{
    return side->wait.what == HQQ_WAIT_DATA ? hqq_ring_claim_read(side->ring, want, ret_position)
                                            : hqq_ring_claim_write(side->ring, want, ret_position);
}

static int claim_without_waiting(struct hqq_link *link, const struct side *side, uint64_t want,
                                 struct hqq_claim *ret_claim)
{
    check_peer_now_and_then(link);
    int result = side->wait.interrupted(link);
    /* Once more, as what was published before the peer left, or was just recovered, comes first. */
    ret_claim->count = claim(side, want, &ret_claim->position);
    if (ret_claim->count != 0)
        return 0;
    if (result != 0)
        return hqq_link_fail(link, result);
    hqq_add_relaxed(side->timeouts, 1);
    return HQQ_ERROR_WOULD_BLOCK;
}

static int claim_waiting(struct hqq_link *link, struct side *side, uint64_t want, struct hqq_claim *ret_claim)
{
    side->wait.until_ns = hqq_deadline_after(hqq_clock_ns(), side->timeout_ns);
    for (;;) {
        int result = hqq_wait_run(&side->wait, &ret_claim->slept);
        ret_claim->count = claim(side, want, &ret_claim->position);
        if (ret_claim->count != 0)
            return 0;
        if (result == 0) /* another thread was faster, or a hostile peer plays with us */
            result = hqq_wait_is_late(&side->wait) ? HQQ_ERROR_TIMEOUT : hqq_link_guard(link);
        if (result == HQQ_ERROR_TIMEOUT)
            hqq_add_relaxed(side->timeouts, 1);
        else if (result != 0)
            hqq_link_fail(link, result);
        if (result != 0)
            return result;
    }
}

void hqq_link_enter(struct hqq_link *link)
{
    hqq_add32_relaxed(&link->inside, 1);
}

/* hqq_link_close() waits for the last one out, and then frees the link: nothing of it may be read after the
 * subtraction. Waking an address where nobody waits any more does no harm. */
void hqq_link_leave(struct hqq_link *link)
{
    bool is_shut = hqq_load32_relaxed(&link->shut) != 0;
    hqq_atomic_u32 *inside = &link->inside;
    hqq_sub32_release(inside, 1); /* edge L1: with the load in hqq_link_close() */
    if (is_shut)
        hqq_sys.futex_wake(inside, 1);
}

static int claim_slow(struct hqq_link *link, enum hqq_wait_for what, uint64_t want, bool may_wait,
                      struct hqq_claim *ret_claim)
{
    struct side side = side_of(link, what);
    if (!may_wait || side.timeout_ns == 0)
        return claim_without_waiting(link, &side, want, ret_claim);

    hqq_link_enter(link);
    ret_claim->waited = true;
    int result = claim_waiting(link, &side, want, ret_claim);
    if (result != 0)
        hqq_link_leave(link);
    return result;
}

int hqq_link_claim_write_slow(struct hqq_link *link, uint64_t want, bool may_wait, struct hqq_claim *ret_claim)
{
    return claim_slow(link, HQQ_WAIT_SPACE, want, may_wait, ret_claim);
}

int hqq_link_claim_read_slow(struct hqq_link *link, uint64_t want, bool may_wait, struct hqq_claim *ret_claim)
{
    return claim_slow(link, HQQ_WAIT_DATA, want, may_wait, ret_claim);
}

void hqq_link_end_write_slow(struct hqq_link *link, const struct hqq_claim *claim)
{
    if (claim->slept && hqq_ring_is_writable(&link->tx))
        hqq_bell_ring(link->tx_space, 1);
    hqq_link_leave(link);
}

void hqq_link_end_read_slow(struct hqq_link *link, const struct hqq_claim *claim)
{
    if (claim->slept && hqq_ring_is_readable(&link->rx))
        hqq_bell_ring(link->rx_data, 1);
    hqq_link_leave(link);
}
