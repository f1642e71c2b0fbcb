#include "endpoint/scheduler.h"

#include <hqq/link.h>

#include "base/point.h"
#include "base/thread.h"
#include "channel/handshake.h"
#include "channel/liveness.h"
#include "endpoint/destinations.h"
#include "platform/clock.h"
#include "platform/trace.h"

/* Datagrams from one ring before the next has its turn. */
#define BURST 32

/* Channels that are looked at for a wish to come in, with each datagram from the kernel. */
#define WANTED_LOOKS 2

/* Channels that are looked at in one reaping, and how often. */
#define REAPED 8
#define REAP_NS (10 * HQQ_NS_PER_MS)

/* How often a new offer has all of them looked at. */
#define REAP_ALL_NS (100 * HQQ_NS_PER_MS)

/* An offer that was never validated does not stay for ever. */
#define VALIDATION_NS (10 * HQQ_NS_PER_S)

/* Datagrams that are looked at for a challenge that comes late: more than a queue of the kernel's holds. */
#define LATE_KEYS 1024

/* ---- Lists ------------------------------------------------------------------------------------------------------ */

/* The sets that the endpoint is a member of count those of their members that are busy. */
static void update_busy(struct hqq_endpoint *endpoint)
{
    uint32_t is_busy = endpoint->busy != NULL;
    if (hqq_load32_relaxed(&endpoint->is_busy) == is_busy)
        return;
    hqq_store32_relaxed(&endpoint->is_busy, is_busy);
    for (struct hqq_membership *member = endpoint->memberships; member; member = member->endpoint_next)
        hqq_add32_relaxed(member->busy, is_busy ? 1 : UINT32_MAX);
}

void hqq_scheduler_link(struct hqq_endpoint *endpoint, struct hqq_membership *membership)
{
    membership->endpoint_next = endpoint->memberships;
    endpoint->memberships = membership;
    hqq_add32_relaxed(membership->busy, hqq_load32_relaxed(&endpoint->is_busy));
}

void hqq_scheduler_unlink(struct hqq_endpoint *endpoint, struct hqq_membership *membership)
{
    for (struct hqq_membership **at = &endpoint->memberships; *at; at = &(*at)->endpoint_next) {
        if (*at == membership) {
            *at = membership->endpoint_next;
            hqq_sub32_relaxed(membership->busy, hqq_load32_relaxed(&endpoint->is_busy));
            return;
        }
    }
}

/* A handler of the holder keeps off the lists meanwhile. */
static void begin_change(struct hqq_endpoint *endpoint)
{
    endpoint->changing++;
    endpoint->list_changes++;
    hqq_fence_compiler();
}

static void end_change(struct hqq_endpoint *endpoint)
{
    hqq_fence_compiler();
    endpoint->changing--;
}

static void note_position(const struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    if (channel->noted_for != endpoint->head_number) {
        channel->noted_for = endpoint->head_number;
        channel->noted_position = hqq_rx_bound(channel);
    }
}

void hqq_scheduler_make_busy(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    if (channel->is_busy)
        return;
    if (endpoint->head_is_noted)
        note_position(endpoint, channel);
    begin_change(endpoint);
    struct hqq_channel *first = endpoint->busy;
    channel->is_busy = true;
    channel->busy_next = first ? first : channel;
    channel->busy_previous = first ? first->busy_previous : channel;
    channel->busy_previous->busy_next = channel;
    channel->busy_next->busy_previous = channel;
    if (!first)
        endpoint->busy = channel;
    update_busy(endpoint);
    end_change(endpoint);
}

static void make_idle(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    if (!channel->is_busy)
        return;
    begin_change(endpoint);
    struct hqq_channel *next = channel->busy_next != channel ? channel->busy_next : NULL;
    channel->busy_previous->busy_next = channel->busy_next;
    channel->busy_next->busy_previous = channel->busy_previous;
    channel->is_busy = false;
    if (endpoint->busy == channel)
        endpoint->busy = next;
    if (endpoint->current == channel) {
        endpoint->current = NULL;
        endpoint->waiting = channel; /* the last busy one: most likely the next */
    }
    update_busy(endpoint);
    end_change(endpoint);
}

static bool awaits_challenge(const struct hqq_channel *channel)
{
    return channel->is_attached && !channel->is_validated;
}

/* The peer may have sent its challenge, or another one, before it could know. */
void hqq_scheduler_expect_no_more(struct hqq_endpoint *endpoint)
{
    hqq_sub32_relaxed(&endpoint->unvalidated_count, 1);
    hqq_store32_relaxed(&endpoint->keys_expected, LATE_KEYS);
}

static void link_last(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    channel->next = NULL;
    channel->previous = endpoint->channels_last;
    if (endpoint->channels_last)
        endpoint->channels_last->next = channel;
    else
        endpoint->channels = channel;
    endpoint->channels_last = channel;
}

static void unlink_from_list(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    if (channel->previous)
        channel->previous->next = channel->next;
    else
        endpoint->channels = channel->next;
    if (channel->next)
        channel->next->previous = channel->previous;
    else
        endpoint->channels_last = channel->previous;
}

void hqq_scheduler_add(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    link_last(endpoint, channel);
    hqq_identity_tell(channel, &endpoint->identity);
    hqq_add32_relaxed(&endpoint->channel_count, 1);
    if (awaits_challenge(channel))
        hqq_add32_relaxed(&endpoint->unvalidated_count, 1);
}

void hqq_scheduler_remove(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    begin_change(endpoint);
    make_idle(endpoint, channel);
    if (endpoint->waiting == channel)
        endpoint->waiting = NULL;
    unlink_from_list(endpoint, channel);
    hqq_sub32_relaxed(&endpoint->channel_count, 1);
    if (awaits_challenge(channel))
        hqq_scheduler_expect_no_more(endpoint);
    end_change(endpoint);
    if (endpoint->frame) { /* a receive of this thread's is under way, perhaps below this handler */
        channel->next = endpoint->buried;
        endpoint->buried = channel;
    } else {
        hqq_channel_drop(channel);
    }
}

void hqq_scheduler_drop_buried(struct hqq_endpoint *endpoint)
{
    while (endpoint->buried) {
        struct hqq_channel *channel = endpoint->buried;
        endpoint->buried = channel->next;
        hqq_channel_drop(channel);
    }
}

/* A channel serves both directions: where the receiving one ends, replies end too. */
void hqq_scheduler_end(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    hqq_rx_stop(channel, HQQ_CLOSED);
    hqq_store32_release(&channel->is_given_up, 1); /* edge D8 */
    if (hqq_lock_take(&endpoint->send_lock)) {
        hqq_destinations_forget_channel(endpoint, channel);
        hqq_lock_give(&endpoint->send_lock);
    }
    hqq_scheduler_remove(endpoint, channel);
}

void hqq_scheduler_end_all(struct hqq_endpoint *endpoint, bool is_own)
{
    while (endpoint->channels) {
        if (is_own)
            hqq_scheduler_end(endpoint, endpoint->channels);
        else
            hqq_scheduler_remove(endpoint, endpoint->channels);
    }
    endpoint->head_is_noted = false;
}

void hqq_scheduler_stop_all(struct hqq_endpoint *endpoint, enum hqq_notify state)
{
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next) {
        if (state != HQQ_SUSPENDED || hqq_channel_own_state(channel) != HQQ_HANDOFF) /* which says more */
            hqq_rx_stop(channel, state);
        if (hqq_handshake_is_proved(channel) && hqq_rx_has_data(channel))
            hqq_scheduler_make_busy(endpoint, channel);
        else
            make_idle(endpoint, channel);
    }
}

/* ---- Looking --------------------------------------------------------------------------------------------------- */

static hqq_atomic_u32 blind_waits;

void hqq_scheduler_count_blind_wait(bool is_asleep)
{
    hqq_add32_relaxed(&blind_waits, is_asleep ? 1 : UINT32_MAX);
    hqq_fence_full(); /* edge E1 */
}

/* True if a thread may be asleep on the socket, and would not see what is published in a ring. */
static bool is_slept_on(const struct hqq_endpoint *endpoint)
{
    if (hqq_load32_relaxed(&endpoint->in_kernel) != 0 || hqq_load32_relaxed(&blind_waits) != 0)
        return true;
    for (const struct hqq_membership *member = endpoint->memberships; member; member = member->endpoint_next) {
        if (hqq_load32_relaxed(member->waiters) != 0)
            return true;
    }
    return false;
}

static bool may_poll(const struct hqq_endpoint *endpoint)
{
    return hqq_endpoint_mode(endpoint) == HQQ_MODE_ACCELERATED && hqq_load32_relaxed(&endpoint->is_intercepted) != 0 &&
           hqq_bet_is_hot(&endpoint->bet) && !is_slept_on(endpoint);
}

void hqq_scheduler_poll(struct hqq_endpoint *endpoint)
{
    struct hqq_channel *channel = endpoint->busy;
    if (!may_poll(endpoint))
        return;
    for (struct hqq_channel *first = channel; channel; channel = hqq_scheduler_after(channel, first))
        hqq_rx_poll(channel);
}

/*
 * Beside a thread that enters the kernel unseen: it counts itself, then looks at is_busy; here is_busy is set, then the count is
 * looked at. One of the two sees the other (edge E1).
 */
static void begin_to_poll(struct hqq_endpoint *endpoint, struct hqq_channel *channel)
{
    hqq_scheduler_make_busy(endpoint, channel);
    hqq_fence_full();
    if (is_slept_on(endpoint) || !hqq_rx_poll(channel)) {
        if (!hqq_rx_has_data(channel))
            make_idle(endpoint, channel);
        return;
    }
    HQQ_POINT("endpoint.polling");
}

void hqq_scheduler_find_wanted(struct hqq_endpoint *endpoint)
{
    struct hqq_channel *channel = endpoint->waiting ? endpoint->waiting : endpoint->channels;
    if (!may_poll(endpoint))
        return;
    for (int i = 0; i < WANTED_LOOKS && channel; i++) {
        if (!channel->is_busy && hqq_rx_is_wanted(channel) && hqq_handshake_is_proved(channel))
            begin_to_poll(endpoint, channel);
        channel = channel->next ? channel->next : endpoint->channels;
        endpoint->waiting = channel;
    }
}

bool hqq_scheduler_has_data(const struct hqq_endpoint *endpoint)
{
    struct hqq_channel *first = endpoint->current ? endpoint->current : endpoint->busy;
    struct hqq_channel *channel = first;
    while (channel) {
        if (hqq_rx_has_data(channel))
            return true;
        channel = hqq_scheduler_after(channel, first);
    }
    return false;
}

/* True if it goes before the datagram at the head of the kernel's queue. The position is noted when the ring is first looked at
 * after that datagram was seen, and kept. */
static bool is_before_head(const struct hqq_endpoint *endpoint, struct hqq_channel *channel, uint64_t position)
{
    if (!endpoint->head_is_noted)
        return true;
    note_position(endpoint, channel);
    return hqq_ring_distance(position, channel->noted_position) < 0;
}

void hqq_scheduler_fix_head(const struct hqq_endpoint *endpoint)
{
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first))
        note_position(endpoint, channel);
}

struct hqq_channel *hqq_scheduler_next(struct hqq_endpoint *endpoint, struct hqq_datagram *ret_datagram)
{
    struct hqq_channel *first = endpoint->current ? endpoint->current : endpoint->busy;
    if (__builtin_expect(endpoint->burst >= BURST, 0) && first) {
        first = first->busy_next;
        endpoint->burst = 0;
    }
    struct hqq_channel *channel = first;
    while (channel) {
        enum hqq_rx_look look = hqq_rx_peek(channel, ret_datagram);
        if (__builtin_expect(look == HQQ_RX_DATA, 1) && is_before_head(endpoint, channel, ret_datagram->position)) {
            if (channel != endpoint->current)
                endpoint->burst = 0;
            endpoint->current = channel;
            return channel;
        }
        if (__builtin_expect(look == HQQ_RX_BROKEN, 0)) {
            hqq_log(HQQ_LOG_WARN, "a peer wrote what no peer writes: its channel is closed");
            hqq_scheduler_end(endpoint, channel);
            first = channel = endpoint->busy; /* from the beginning; not by a call, as there may be thousands */
            continue;
        }
        channel = hqq_scheduler_after(channel, first);
    }
    return NULL;
}

/* ---- Arming ---------------------------------------------------------------------------------------------------- */

/* Counts what the rings have got since the last look. */
static void count_arrivals(struct hqq_endpoint *endpoint)
{
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first)) {
        uint64_t r = hqq_load_relaxed(hqq_ring_r(&channel->rx));
        uint64_t bound = hqq_rx_bound(channel);
        if (hqq_ring_distance(channel->arrived_up_to, r) < 0)
            channel->arrived_up_to = r;
        if (hqq_ring_distance(bound, channel->arrived_up_to) > 0) {
            endpoint->arrivals += bound - channel->arrived_up_to;
            channel->arrived_up_to = bound;
        }
    }
}

bool hqq_scheduler_has_news(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    count_arrivals(endpoint);
    return edge->reported != endpoint->arrivals && hqq_scheduler_has_data(endpoint);
}

void hqq_scheduler_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge)
{
    count_arrivals(endpoint);
    edge->reported = endpoint->arrivals;
}

void hqq_scheduler_forget_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge)
{
    edge->reported = endpoint->arrivals - 1;
}

/* What is not looked at must not say POLLING, nor must anything while the thread sleeps: a handler that received since it was armed
 * may have polled it. False: one does, or the handler has changed the circle. */
static bool make_empty_ones_idle(struct hqq_endpoint *endpoint)
{
    bool is_armed = true;
    struct hqq_channel *channel = endpoint->busy;
    struct hqq_channel *last = channel ? channel->busy_previous : NULL;
    while (channel) {
        struct hqq_channel *next = channel != last ? channel->busy_next : NULL;
        bool has_data = hqq_rx_has_data(channel);
        uint32_t changes = endpoint->list_changes + !has_data;
        if (!has_data)
            make_idle(endpoint, channel);
        if (__builtin_expect(endpoint->list_changes != changes, 0))
            return false;
        if (__builtin_expect(hqq_channel_own_state(channel) == HQQ_POLLING, 0)) {
            hqq_scheduler_make_busy(endpoint, channel);
            is_armed = false;
        }
        channel = next;
    }
    return is_armed;
}

bool hqq_scheduler_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    bool is_quiet = true;
    uint32_t changes = endpoint->list_changes;
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first))
        is_quiet &= hqq_rx_arm(channel);
    is_quiet = is_quiet && !(edge ? hqq_scheduler_has_news(endpoint, edge) : hqq_scheduler_has_data(endpoint));
    return is_quiet && endpoint->list_changes == changes && make_empty_ones_idle(endpoint);
}

void hqq_scheduler_interrupt(struct hqq_endpoint *endpoint)
{
    if (endpoint->changing != 0) /* then it is the lists that were interrupted, and no move */
        return;
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first))
        hqq_rx_interrupt(channel);
}

/* ---- The drain ------------------------------------------------------------------------------------------------- */

bool hqq_scheduler_is_wanted(const struct hqq_endpoint *endpoint)
{
    const struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first)) {
        if (hqq_rx_is_wanted(channel))
            return true;
    }
    return false;
}

/* Of this thread, which make its notes differ; and those of handlers that interrupted it come after its own. */
static __thread uint32_t notes __attribute__((tls_model("initial-exec")));

uint64_t hqq_scheduler_note_requests(struct hqq_endpoint *endpoint)
{
    endpoint->note = (uint64_t)hqq_thread_self() << 32 | ++notes;
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first))
        hqq_rx_note_request(channel);
    hqq_fence_acquire(); /* the requests were read before the queue is looked at */
    return endpoint->note;
}

void hqq_scheduler_acknowledge(struct hqq_endpoint *endpoint, uint64_t from, uint64_t to)
{
    if (from == 0 || endpoint->note < from || endpoint->note > to)
        return;
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first))
        hqq_rx_acknowledge(channel);
}

void hqq_scheduler_show_progress(struct hqq_endpoint *endpoint)
{
    struct hqq_channel *first = endpoint->busy, *channel = first;
    for (; channel; channel = hqq_scheduler_after(channel, first)) {
        if (hqq_rx_is_wanted(channel))
            hqq_rx_show_progress(channel);
    }
}

/* ---- The end ---------------------------------------------------------------------------------------------------- */

static bool is_over(struct hqq_channel *channel)
{
    if (awaits_challenge(channel) && hqq_is_due(hqq_clock_ns(), channel->since_ns, VALIDATION_NS))
        return true;
    bool is_closed = hqq_load32_acquire(&channel->is_given_up) != 0 || /* edge D8 */
                     hqq_channel_own_state(channel) == HQQ_CLOSED || hqq_liveness_has_left(channel);
    return is_closed && !hqq_rx_has_data(channel);
}

void hqq_scheduler_reap(struct hqq_endpoint *endpoint, bool is_due)
{
    uint64_t now = hqq_clock_ns();
    if (!endpoint->channels || (!is_due && !hqq_is_due(now, endpoint->reaped_ns, REAP_NS)))
        return;
    endpoint->reaped_ns = now;
    uint32_t most = REAPED;
    if (is_due && hqq_is_due(now, endpoint->reaped_all_ns, REAP_ALL_NS)) { /* a crowd may have gone since */
        endpoint->reaped_all_ns = now;
        most = hqq_load32_relaxed(&endpoint->channel_count);
    }
    for (uint32_t i = 0; i < most && endpoint->channels; i++) {
        struct hqq_channel *channel = endpoint->channels;
        bool is_last = channel == endpoint->channels_last;
        if (is_over(channel)) {
            hqq_scheduler_end(endpoint, channel);
        } else if (!is_last) { /* to the end, so that each has its turn */
            unlink_from_list(endpoint, channel);
            link_last(endpoint, channel);
        }
        if (is_last)
            break;
    }
}
