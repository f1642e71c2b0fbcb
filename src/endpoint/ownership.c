#include "endpoint/ownership.h"

#include <errno.h>
#include <fcntl.h>

#include <hqq/link.h>

#include "channel/handshake.h"
#include "channel/rx.h"
#include "endpoint/destinations.h"
#include "endpoint/life.h"
#include "endpoint/modes.h"
#include "endpoint/scheduler.h"
#include "endpoint/validation.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

/* What another process may have changed unseen is asked of the kernel so often. */
#define REFRESH_NS (1 * HQQ_NS_PER_MS)

/* After so many sends that were another process's to publish it is asked whether that is there still. */
#define OWNER_ASKED 64

/* ---- Who receives ---------------------------------------------------------------------------------------------- */

/* The process that received so far has gone: what its channels hold is ours. */
static void take_over(struct hqq_endpoint *endpoint)
{
    if (endpoint->channels)
        hqq_log(HQQ_LOG_INFO, "receiving is taken over from a process that has gone");
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next) {
        hqq_store_relaxed(&channel->own->owner, channel->may_compare ? hqq_process_self() : HQQ_PROCESS_UNKNOWN);
        channel->generation = hqq_process_generation();
        hqq_rx_recover(channel);
        hqq_rx_stop(channel, HQQ_SUSPENDED);
        if (hqq_handshake_is_proved(channel) && hqq_rx_has_data(channel))
            hqq_scheduler_make_busy(endpoint, channel);
    }
    endpoint->head_is_noted = false;
}

void hqq_ownership_contest(struct hqq_endpoint *endpoint)
{
    hqq_log(HQQ_LOG_INFO, "several processes receive on one socket: the kernel serves it");
    if (endpoint->shared)
        hqq_store32_relaxed(&endpoint->shared->is_contested, 1);
    for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
        channel->is_shared = true;
    /* Not SUSPENDED: what the rings hold is older than what either process finds in the kernel's queue from now on. */
    hqq_scheduler_stop_all(endpoint, HQQ_HANDOFF);
    if (hqq_endpoint_mode(endpoint) == HQQ_MODE_ACCELERATED || hqq_endpoint_mode(endpoint) == HQQ_MODE_FOREIGN)
        hqq_mode_add_foreign(endpoint, HQQ_FOREIGN_SHARED);
}

/* Under the receive lock. */
static void note_receiver(struct hqq_endpoint *endpoint)
{
    struct hqq_shared *shared = endpoint->shared;
    if (hqq_load32_relaxed(&endpoint->is_receiver) != 0)
        return;
    if (!shared) {
        hqq_store32_relaxed(&endpoint->is_receiver, 1);
        return;
    }
    uint64_t self = hqq_process_self();
    uint64_t receiver = hqq_load_relaxed(&shared->receiver);
    if (self == HQQ_PROCESS_UNKNOWN) { /* nobody can be told from anybody: alone until there is a copy, never after */
        hqq_store32_relaxed(&endpoint->is_receiver, 1);
        if (hqq_load_relaxed(&hqq_ownership_copies) != 0 || endpoint->is_inherited)
            hqq_ownership_contest(endpoint);
    } else if (receiver == self) {
        hqq_store32_relaxed(&endpoint->is_receiver, 1);
    } else if (receiver == HQQ_PROCESS_UNKNOWN || hqq_process_is_dead(receiver)) {
        if (hqq_cas_acq_rel(&shared->receiver, &receiver, self)) {
            hqq_store32_relaxed(&endpoint->is_receiver, 1);
            take_over(endpoint);
        }
    } else if (!(hqq_load32_relaxed(&endpoint->foreign) & HQQ_FOREIGN_SHARED)) {
        hqq_ownership_contest(endpoint);
    }
}

void hqq_ownership_receives(struct hqq_endpoint *endpoint)
{
    bool has_lock = hqq_endpoint_begin_change(endpoint);
    if (has_lock)
        note_receiver(endpoint);
    hqq_endpoint_end_change(endpoint, has_lock);
}

/* Another process has received, or changed what belongs to the socket: status flags of a socket that came from
 * elsewhere, for which nothing is shared, are asked for. */
void hqq_ownership_refresh_slow(struct hqq_endpoint *endpoint, int fd)
{
    struct hqq_shared *shared = endpoint->shared;
    if (!shared)
        return;
    bool is_news = hqq_load32_relaxed(&shared->is_contested) != 0 &&
                   !(hqq_load32_relaxed(&endpoint->foreign) & HQQ_FOREIGN_SHARED);
    if (__builtin_expect(is_news, 0)) {
        bool has_lock = hqq_endpoint_begin_change(endpoint);
        hqq_ownership_contest(endpoint);
        hqq_endpoint_end_change(endpoint, has_lock);
    }
    uint64_t now = hqq_clock_ns();
    if (endpoint->is_inherited && !hqq_filter_is_set() && hqq_is_due(now, endpoint->refreshed_ns, REFRESH_NS)) {
        endpoint->refreshed_ns = now;
        int saved = errno;
        int flags = hqq_libc.fcntl(fd, F_GETFL);
        if (flags >= 0)
            hqq_store32_relaxed(&shared->is_nonblocking, (flags & O_NONBLOCK) != 0);
        errno = saved;
    }
}

/* ---- Who publishes --------------------------------------------------------------------------------------------- */

bool hqq_ownership_may_publish_slow(struct hqq_endpoint *endpoint)
{
    struct hqq_shared *shared = endpoint->shared;
    uint64_t changes = hqq_load_relaxed(&shared->changes);
    if (changes != endpoint->seen_changes) {
        endpoint->seen_changes = changes;
        hqq_destinations_forget_all(endpoint);
    }
    uint64_t sends = hqq_load_relaxed(&shared->kernel_sends);
    if (sends != endpoint->folded_sends) {
        hqq_destinations_request_drain(endpoint, sends - endpoint->folded_sends);
        endpoint->folded_sends = sends;
    }
    uint64_t sender = hqq_load_relaxed(&shared->sender);
    if (sender == HQQ_PROCESS_UNKNOWN || sender == endpoint->publisher) /* who claims it first has it */
        return true;
    return (++endpoint->owner_asked & (OWNER_ASKED - 1)) == 0 && hqq_ownership_claim(endpoint);
}

/* ---- The fork -------------------------------------------------------------------------------------------------- */

/*
 * Locks taken here are the ones given back after the fork: a handler may fork while its thread holds some already.
 * Another thread that holds one may itself be stopped in a handler that forks, so nobody waits for long; what can't be
 * had in time is the kernel's in the child.
 */
#define FORK_WAIT_NS (10 * HQQ_NS_PER_MS)

static bool take_for_fork(struct hqq_lock *lock, uint64_t until_ns)
{
    while (!hqq_lock_try(lock)) {
        if (hqq_lock_is_mine(lock) || hqq_clock_ns() >= until_ns)
            return false;
        hqq_sys.sched_yield();
    }
    return true;
}

void hqq_ownership_fork_prepare(void)
{
    hqq_add_relaxed(&hqq_ownership_copies, 1);
    uint64_t until = hqq_clock_ns() + FORK_WAIT_NS;
    if (!hqq_endpoint_lock_registry(until))
        return; /* another fork is under way: its child, and ours, find out for themselves */
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        endpoint->has_fork_locks = 0;
        if (hqq_load32_relaxed(&endpoint->is_live) == 0)
            continue;
        endpoint->has_fork_locks |= take_for_fork(&endpoint->receive_lock, until) ? HQQ_FORK_HAS_RECEIVE : 0;
        endpoint->has_fork_locks |= take_for_fork(&endpoint->send_lock, until) ? HQQ_FORK_HAS_SEND : 0;
        if (endpoint->shared && hqq_shared_hold(endpoint->shared, endpoint->shared_take)) /* for the child */
            endpoint->has_fork_locks |= HQQ_FORK_HAS_PLACE;
        for (struct hqq_channel *channel = endpoint->channels; channel; channel = channel->next)
            channel->is_shared = true;
    }
}

void hqq_ownership_fork_parent(void)
{
    if (!hqq_endpoint_has_registry())
        return;
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_process_self() == HQQ_PROCESS_UNKNOWN && (endpoint->has_fork_locks & HQQ_FORK_HAS_RECEIVE))
            hqq_ownership_contest(endpoint);
        if (endpoint->has_fork_locks & HQQ_FORK_HAS_SEND)
            hqq_lock_give(&endpoint->send_lock);
        if (endpoint->has_fork_locks & HQQ_FORK_HAS_RECEIVE)
            hqq_lock_give(&endpoint->receive_lock);
        endpoint->has_fork_locks = 0;
    }
    hqq_endpoint_unlock_registry();
}

/* Sending starts afresh; receiving waits for the first receive. The parent's regions are left alone. */
static void adjust_to_child(struct hqq_endpoint *endpoint)
{
    hqq_destinations_inherit(endpoint);
    hqq_validation_drop_offered(endpoint, false);
    endpoint->generation = hqq_process_generation();
    endpoint->publisher = HQQ_PROCESS_UNKNOWN;
    hqq_store32_relaxed(&endpoint->is_receiver, 0);
    endpoint->is_inherited = true;
    endpoint->head_is_noted = false;
    hqq_store32_relaxed(&endpoint->in_kernel, 0);
    hqq_endpoint_set_reason(endpoint, HQQ_SOCKET_NO_TRAFFIC);
}

/* True if the lock was taken for the fork, or nobody had it: what it guards is whole. */
static bool make_free(struct hqq_lock *lock, bool was_taken_for_fork)
{
    bool is_whole = was_taken_for_fork || hqq_load32_relaxed(&lock->word) == 0;
    hqq_lock_reset(lock);
    return is_whole;
}

/* The place is held for the child; by itself, if no handler saw the fork. */
static void hold_place(struct hqq_endpoint *endpoint, bool is_held)
{
    if (!is_held && endpoint->shared_generation != hqq_process_generation() && endpoint->shared &&
        !hqq_shared_hold(endpoint->shared, endpoint->shared_take))
        endpoint->shared = NULL;
    endpoint->shared_generation = hqq_process_generation();
}

/* What the thread that forked held before, in code that its handler interrupted, it holds still, and gives back
 * itself: the endpoint is adjusted later (hqq_ownership_noticed()). What another thread held may be torn: the socket
 * is the kernel's from now on. */
static void adjust(struct hqq_endpoint *endpoint)
{
    uint32_t has = endpoint->has_fork_locks;
    bool is_mine = (!(has & HQQ_FORK_HAS_RECEIVE) && hqq_lock_is_mine(&endpoint->receive_lock)) ||
                   (!(has & HQQ_FORK_HAS_SEND) && hqq_lock_is_mine(&endpoint->send_lock));
    endpoint->has_fork_locks = 0;
    hold_place(endpoint, (has & HQQ_FORK_HAS_PLACE) != 0);
    if (is_mine) {
        if (has & HQQ_FORK_HAS_RECEIVE)
            hqq_lock_reset(&endpoint->receive_lock);
        if (has & HQQ_FORK_HAS_SEND)
            hqq_lock_reset(&endpoint->send_lock);
        return;
    }
    bool is_whole = make_free(&endpoint->receive_lock, (has & HQQ_FORK_HAS_RECEIVE) != 0);
    is_whole = make_free(&endpoint->send_lock, (has & HQQ_FORK_HAS_SEND) != 0) && is_whole;
    endpoint->frame = NULL;
    if (is_whole)
        adjust_to_child(endpoint);
    else
        hqq_endpoint_abandon(endpoint);
}

void hqq_ownership_fork_child(void)
{
    hqq_endpoint_reset_locks();
    hqq_shared_begin_pool();
    hqq_ownership_remember();
    hqq_counters_head(); /* its own, at the same addresses */
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0)
            adjust(endpoint);
    }
}

/* ---- The end of a copy ------------------------------------------------------------------------------------------- */

void hqq_ownership_leave(void)
{
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0 && endpoint->is_inherited)
            hqq_shared_leave(endpoint);
    }
    hqq_shared_leave_kept();
}

void hqq_ownership_stay(void)
{
    hqq_shared_stay_kept();
    for (struct hqq_endpoint *endpoint = hqq_endpoint_first(); endpoint; endpoint = endpoint->next) {
        if (hqq_load32_relaxed(&endpoint->is_live) != 0 && endpoint->is_inherited && hqq_endpoint_is_own(endpoint))
            hold_place(endpoint, false);
    }
}

/* A fork that no handler saw; or an endpoint that was in use when a handler forked, and is no more. */
void hqq_ownership_noticed(struct hqq_endpoint *endpoint)
{
    if (!hqq_shared_is_remembered())
        hqq_ownership_fork_child();
    if (!hqq_endpoint_is_own(endpoint) && !hqq_lock_is_mine(&endpoint->receive_lock) &&
        !hqq_lock_is_mine(&endpoint->send_lock))
        adjust(endpoint);
}
