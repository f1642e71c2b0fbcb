/*
 * The slow half of claiming: what happens when the ring has no slot for us. Waits, looks after the peer, and counts
 * why a call came back with nothing.
 */
#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/packets.h"

/* ---- The peer -------------------------------------------------------------------------------------------------- */

void hqq_link_wake_everybody(struct hqq_link *link)
{
    hqq_bell_ring_all(link->rx_data);
    hqq_bell_ring_all(link->rx_space);
    hqq_bell_ring_all(link->tx_data);
    hqq_bell_ring_all(link->tx_space);
    hqq_link_knock(link, link->rx_data);
    hqq_link_knock(link, link->tx_space);
    hqq_link_knock(link, link->tx_data);
    hqq_link_knock(link, link->rx_space);
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
    if (hqq_is_due(now, checked, link->peer_check_ns) && hqq_cas_acq_rel(&link->checked_ns, &checked, now))
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

/* ---- Waiting --------------------------------------------------------------------------------------------------- */

/* One direction of a link, for the code that is the same for both. */
struct side {
    struct hqq_wait wait;
    struct hqq_ring *ring;
    hqq_atomic_u64 *timeouts;
    uint64_t timeout_ns;
};

struct hqq_wait hqq_link_wait(struct hqq_link *link, enum hqq_wait_for what)
{
    bool reads = what == HQQ_WAIT_DATA;
    return (struct hqq_wait){
        .what = what,
        .ring = reads ? &link->rx : &link->tx,
        .answers = reads ? &link->tx : &link->rx,
        .bell = reads ? link->rx_data : link->tx_space,
        .spin = reads ? &link->read_spin : &link->write_spin,
        .own_cpu = &link->own_end->cpu,
        .peer_cpu = &link->peer_end->cpu,
        .is_light = &link->peer_end->is_light,
        .until_ns = HQQ_FOREVER,
        .deadline_ns = reads ? &link->read_deadline_ns : &link->write_deadline_ns,
        .check_ns = link->peer_check_ns,
        .checked_ns = &link->checked_ns,
        .interrupted = reads ? reading_interrupted : writing_interrupted,
        .check_peer = check_peer,
        .arg = link,
    };
}

static struct side side_of(struct hqq_link *link, enum hqq_wait_for what)
{
    bool reads = what == HQQ_WAIT_DATA;
    return (struct side){
        .wait = hqq_link_wait(link, what),
        .ring = reads ? &link->rx : &link->tx,
        .timeouts = reads ? &link->counts.read_timeouts : &link->counts.write_timeouts,
        .timeout_ns = hqq_load_relaxed(reads ? &link->read_timeout_ns : &link->write_timeout_ns),
    };
}

static uint64_t claim(const struct side *side, struct hqq_call *call, uint64_t want)
{
    call->count = side->wait.what == HQQ_WAIT_DATA ? hqq_ring_claim_read(side->ring, want, &call->position)
                                                   : hqq_ring_claim_write(side->ring, want, &call->position);
    return call->count;
}

static uint64_t until(const struct side *side, struct hqq_call *call, uint64_t now)
{
    if (call->until_ns == 0)
        call->until_ns = hqq_deadline_after(now, side->timeout_ns);
    return call->until_ns;
}

/* Counts why a call came back with nothing, and ends it. */
static int give_up(struct hqq_link *link, const struct side *side, struct hqq_call *call, int result)
{
    if (result == HQQ_ERROR_TIMEOUT || result == HQQ_ERROR_WOULD_BLOCK)
        hqq_add_relaxed(side->timeouts, 1);
    else
        hqq_link_fail(link, result);
    if (side->wait.what == HQQ_WAIT_DATA)
        hqq_link_end_read(link, call);
    else
        hqq_link_end_write(link, call);
    return result;
}

static int claim_without_waiting(struct hqq_link *link, const struct side *side, struct hqq_call *call, uint64_t want)
{
    check_peer_now_and_then(link);
    int result = side->wait.interrupted(link);
    /* Once more, as what was published before the peer left, or was just recovered, comes first. */
    if (claim(side, call, want) != 0)
        return 0;
    return give_up(link, side, call, result != 0 ? result : HQQ_ERROR_WOULD_BLOCK);
}

static int claim_waiting(struct hqq_link *link, struct side *side, struct hqq_call *call, uint64_t want)
{
    side->wait.until_ns = until(side, call, hqq_clock_ns());
    for (;;) {
        int result = hqq_wait_run(&side->wait, &call->has_slept);
        if (side->wait.what == HQQ_WAIT_SPACE && result != 0 && result != HQQ_ERROR_TIMEOUT)
            return give_up(link, side, call, result); /* the slots that a peer frees as it goes are of no use */
        if (claim(side, call, want) != 0)
            return 0;
        if (result == 0) /* another thread was faster, or a hostile peer plays with us */
            result = hqq_wait_is_late(&side->wait) ? HQQ_ERROR_TIMEOUT : hqq_link_guard(link);
        if (result != 0)
            return give_up(link, side, call, result);
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

static int claim_slow(struct hqq_link *link, struct side *side, struct hqq_call *call, uint64_t want)
{
    if (!call->may_wait || side->timeout_ns == 0)
        return claim_without_waiting(link, side, call, want);
    if (!call->has_waited)
        hqq_link_enter(link);
    call->has_waited = true;
    return claim_waiting(link, side, call, want);
}

int hqq_link_claim_write_slow(struct hqq_link *link, struct hqq_call *call, uint64_t want)
{
    struct side side = side_of(link, HQQ_WAIT_SPACE);
    int result = writing_interrupted(link);
    if (result != 0)
        return give_up(link, &side, call, result);
    hqq_ring_note_full(&link->tx);
    return claim_slow(link, &side, call, want);
}

int hqq_link_claim_read_slow(struct hqq_link *link, struct hqq_call *call, uint64_t want)
{
    struct side side = side_of(link, HQQ_WAIT_DATA);
    return claim_slow(link, &side, call, want);
}

int hqq_link_await_room(struct hqq_link *link, uint64_t room, uint64_t until_ns)
{
    struct side side = side_of(link, HQQ_WAIT_SPACE);
    struct hqq_call call = {.may_wait = true, .has_waited = true};
    int result = writing_interrupted(link);
    if (result != 0)
        return result;
    side.wait.room = room;
    side.wait.until_ns = until_ns;
    hqq_link_enter(link);
    result = hqq_wait_run(&side.wait, &call.has_slept);
    hqq_link_end_write(link, &call);
    return result;
}

/* ---- Ends and deadlines of calls ------------------------------------------------------------------------------- */

uint64_t hqq_link_read_until(struct hqq_link *link, struct hqq_call *call, uint64_t now)
{
    struct side side = side_of(link, HQQ_WAIT_DATA);
    uint64_t own = until(&side, call, now);
    uint64_t moving = hqq_load_relaxed(&link->read_deadline_ns);
    return own < moving ? own : moving;
}

int hqq_link_may_read_on(struct hqq_link *link, struct hqq_call *call)
{
    struct side side = side_of(link, HQQ_WAIT_DATA);
    if (!call->may_wait || side.timeout_ns == 0)
        return give_up(link, &side, call, HQQ_ERROR_WOULD_BLOCK);
    uint64_t now = hqq_clock_ns();
    return now < hqq_link_read_until(link, call, now) ? 0 : give_up(link, &side, call, HQQ_ERROR_TIMEOUT);
}

void hqq_link_pass_on_write(struct hqq_link *link, struct hqq_call *call)
{
    if (call->has_slept && hqq_bell_pass_on(link->tx_space, &link->peer_end->is_light) &&
        hqq_ring_is_writable(&link->tx))
        hqq_bell_ring(link->tx_space, 1);
    call->has_slept = false;
}

/* With the peer's end shut, who takes the last datagram makes it the end of the link for the readers that still
 * sleep. */
void hqq_link_pass_on_read(struct hqq_link *link, struct hqq_call *call)
{
    if (call->has_slept && hqq_bell_pass_on(link->rx_data, &link->peer_end->is_light) &&
        (hqq_ring_is_readable(&link->rx) || hqq_link_writers_gone(link) != 0))
        hqq_bell_ring(link->rx_data, 1);
    call->has_slept = false;
}

void hqq_link_end_write_slow(struct hqq_link *link, struct hqq_call *call)
{
    hqq_link_pass_on_write(link, call);
    hqq_link_leave(link);
}

void hqq_link_end_read_slow(struct hqq_link *link, struct hqq_call *call)
{
    hqq_link_pass_on_read(link, call);
    hqq_link_leave(link);
}
