#include "endpoint/ready.h"

#include "endpoint/entered.h"
#include "endpoint/kernel_queue.h"
#include "endpoint/scheduler.h"
#include "runtime/filter.h"

__thread bool hqq_ready_has_slept __attribute__((tls_model("initial-exec")));

uint64_t hqq_ready_note_requests(struct hqq_endpoint *endpoint)
{
    struct hqq_entered entered;
    uint64_t note = 0;
    hqq_entered_begin(&entered, endpoint);
    if (!hqq_entered_is_in_change(&entered))
        note = hqq_scheduler_note_requests(endpoint);
    hqq_entered_end(&entered);
    return note;
}

void hqq_ready_acknowledge(struct hqq_endpoint *endpoint, uint64_t from, uint64_t to)
{
    struct hqq_entered entered;
    hqq_entered_begin(&entered, endpoint);
    if (!hqq_entered_is_in_change(&entered))
        hqq_scheduler_acknowledge(endpoint, from, to);
    hqq_entered_end(&entered);
}

/* Under a filter: what the rings hold is taken still, without a look at the kernel's queue. */
static void leave_to_kernel(struct hqq_endpoint *endpoint)
{
    hqq_scheduler_stop_all(endpoint, HQQ_SUSPENDED); /* those that hold something stay busy */
    endpoint->head_is_noted = false;
    endpoint->since_kernel_poll = 0;
}

bool hqq_ready_has_data_slow(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    struct hqq_entered entered;
    bool is_ready = false;
    hqq_entered_begin(&entered, endpoint);
    if (!hqq_entered_is_in_change(&entered)) {
        if (hqq_filter_is_set())
            leave_to_kernel(endpoint);
        else
            hqq_scheduler_poll(endpoint);
        is_ready = edge ? hqq_scheduler_has_news(endpoint, edge) : hqq_scheduler_has_data(endpoint);
    }
    hqq_entered_end(&entered);
    return is_ready;
}

bool hqq_ready_arm(struct hqq_endpoint *endpoint, const struct hqq_membership *edge)
{
    struct hqq_entered entered;
    hqq_entered_begin(&entered, endpoint);
    bool may_sleep = hqq_entered_is_in_change(&entered) || hqq_scheduler_arm(endpoint, edge);
    if (may_sleep)
        hqq_bet_sleep(&endpoint->bet);
    hqq_entered_end(&entered);
    return may_sleep;
}

bool hqq_ready_sleep(struct hqq_endpoint *endpoint)
{
    hqq_kernel_queue_enter(endpoint);
    if (hqq_load32_relaxed(&endpoint->is_busy) == 0 || hqq_ready_arm(endpoint, NULL))
        return true;
    hqq_kernel_queue_leave(endpoint);
    return false;
}

void hqq_ready_wake(struct hqq_endpoint *endpoint)
{
    hqq_kernel_queue_leave(endpoint);
}

void hqq_ready_report(struct hqq_endpoint *endpoint, struct hqq_membership *edge)
{
    struct hqq_entered entered;
    hqq_entered_begin(&entered, endpoint);
    if (!hqq_entered_is_in_change(&entered))
        hqq_scheduler_report(endpoint, edge);
    hqq_entered_end(&entered);
}

bool hqq_ready_is_kernels(struct hqq_endpoint *endpoint)
{
    return !hqq_ready_has_data(endpoint, NULL);
}

/* ---- Spins ------------------------------------------------------------------------------------------------------- */

uint64_t hqq_ready_stake(struct hqq_endpoint *endpoint, bool *ret_shares_cpu)
{
    const struct hqq_channel *channel = endpoint->current ? endpoint->current : endpoint->busy;
    uint64_t stake = channel ? hqq_bet_stake(&endpoint->bet, endpoint->rule->spin_ns) : 0;
    if (stake != 0)
        *ret_shares_cpu = hqq_channel_shares_cpu(channel);
    return stake;
}

uint64_t hqq_ready_begin_spin(struct hqq_endpoint *endpoint, bool *ret_shares_cpu)
{
    struct hqq_entered entered;
    hqq_entered_begin(&entered, endpoint);
    uint64_t stake = hqq_entered_is_in_change(&entered) ? 0 : hqq_ready_stake(endpoint, ret_shares_cpu);
    hqq_entered_end(&entered);
    return stake;
}

void hqq_ready_end_spin(struct hqq_endpoint *endpoint, bool is_won, uint64_t ticks)
{
    struct hqq_entered entered;
    hqq_entered_begin(&entered, endpoint);
    hqq_ready_count_spin(endpoint, is_won, ticks);
    hqq_entered_end(&entered);
}
