#include "socket/watch.h"

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "socket/adopt.h"
#include "socket/doorbell.h"
#include "socket/fork.h"
#include "socket/receive.h"
#include "socket/spin.h"

void hqq_watch_add(struct hqq_watch *watch, int fd, uint32_t tag)
{
    struct hqq_endpoint *endpoint = hqq_endpoint_find(fd);
    if (__builtin_expect(!endpoint, 1))
        return;
    if (!hqq_endpoint_is_own(endpoint))
        hqq_fork_noticed();
    if (watch->count == HQQ_WATCHES) {
        hqq_endpoint_demote(endpoint, fd);
        return;
    }
    watch->at[watch->count].endpoint = endpoint;
    watch->at[watch->count].fd = fd;
    watch->at[watch->count].tag = tag;
    watch->at[watch->count].is_ready = false;
    watch->at[watch->count].is_asleep = false;
    watch->at[watch->count].is_edge = false;
    watch->at[watch->count].has_active = false;
    watch->count++;
    watch->has_any_link |= endpoint->offered != NULL || hqq_load32_relaxed(&endpoint->may_meet_tokens);
}

static bool is_same_as_before(const struct hqq_watch *watch, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (watch->at[i].endpoint == watch->at[index].endpoint)
            return true;
    }
    return false;
}

bool hqq_watch_is_ready(struct hqq_watch *watch, size_t index)
{
    struct hqq_endpoint *endpoint = watch->at[index].endpoint;
    int fd = watch->at[index].fd;
    bool is_ready = true; /* in doubt a receive is to find out */
    if (!hqq_lock_take(&endpoint->receive_lock))
        return is_ready;
    if (hqq_endpoint_is_live(endpoint, fd) && !hqq_load32_relaxed(&endpoint->is_kernel_only)) {
        hqq_store32_relaxed(&endpoint->is_ours_only, 1);
        if (!endpoint->is_receiver)
            hqq_fork_receives(endpoint);
        hqq_doorbell_enter(endpoint);
        is_ready = hqq_receive_is_ready(endpoint, fd);
    }
    hqq_lock_give(&endpoint->receive_lock);
    return is_ready;
}

/* Rings alone: a look at the kernel's queue is the kernel's own poll. */
static bool glance(struct hqq_watch *watch, size_t index)
{
    struct hqq_endpoint *endpoint = watch->at[index].endpoint;
    bool is_ready = false;
    if (hqq_lock_take(&endpoint->receive_lock)) {
        is_ready = hqq_receive_glance(endpoint);
        watch->at[index].has_active = endpoint->active != NULL;
        hqq_lock_give(&endpoint->receive_lock);
    }
    return is_ready;
}

static bool has_news(struct hqq_watch *watch, size_t index)
{
    struct hqq_endpoint *endpoint = watch->at[index].endpoint;
    bool has = false;
    if (hqq_lock_take(&endpoint->receive_lock)) {
        has = hqq_receive_has_news(endpoint);
        watch->at[index].has_active = endpoint->active != NULL;
        hqq_lock_give(&endpoint->receive_lock);
    }
    return has;
}

size_t hqq_watch_look(struct hqq_watch *watch)
{
    size_t count = 0;
    for (size_t i = 0; i < watch->count && watch->has_any_link; i++) {
        watch->at[i].is_ready =
            watch->at[i].is_edge ? has_news(watch, i) : glance(watch, i) && hqq_watch_is_ready(watch, i);
        count += watch->at[i].is_ready;
    }
    return count;
}

bool hqq_watch_spin(struct hqq_watch *watch)
{
    uint64_t budget = 0;
    struct hqq_endpoint *own = NULL;
    if (!watch->has_any_link || watch->count > 8)
        return false;
    for (size_t i = 0; i < watch->count; i++) {
        struct hqq_endpoint *endpoint = watch->at[i].endpoint;
        if (watch->at[i].has_active && endpoint->rule->spin_ns != 0 &&
            hqq_load_relaxed(&endpoint->spin_budget_ns) >= budget) {
            budget = hqq_load_relaxed(&endpoint->spin_budget_ns);
            own = endpoint;
        }
    }
    if (!own)
        return false;
    bool alone = false;
    if (hqq_lock_take(&own->receive_lock)) {
        const struct hqq_pair *pair = own->current ? own->current : own->active;
        alone = pair && hqq_spin_is_in_the_way(pair);
        hqq_lock_give(&own->receive_lock);
    }
    uint64_t start = hqq_clock_ns();
    uint64_t shortest = 1 * HQQ_NS_PER_US;
    if (budget < shortest)
        budget = shortest;
    int yields = 4;
    do {
        for (int k = 0; k < 16; k++) {
            for (size_t i = 0; i < watch->count; i++) {
                if (watch->at[i].has_active && !watch->at[i].is_edge && glance(watch, i)) {
                    hqq_store_relaxed(&own->spin_budget_ns, own->rule->spin_ns);
                    return true;
                }
            }
            if (alone) {
                hqq_sys.sched_yield();
                if (yields-- == 0)
                    return false;
            } else {
                hqq_cpu_pause();
            }
        }
    } while (hqq_clock_ns() - start < budget);
    hqq_store_relaxed(&own->spin_budget_ns, budget / 2);
    return false;
}

void hqq_watch_wake(void *argument)
{
    struct hqq_watch *watch = argument;
    uint64_t slept_ns = watch->asleep_ns != 0 ? hqq_clock_ns() - watch->asleep_ns : 0;
    for (size_t i = 0; i < watch->count; i++) {
        if (!watch->at[i].is_asleep)
            continue;
        hqq_doorbell_leave_sleep(watch->at[i].endpoint);
        if (watch->asleep_ns != 0)
            hqq_spin_learn(watch->at[i].endpoint, slept_ns);
        watch->at[i].is_asleep = false;
    }
    watch->asleep_ns = 0;
}

bool hqq_watch_arm(struct hqq_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        struct hqq_endpoint *endpoint = watch->at[i].endpoint;
        if (is_same_as_before(watch, i) || !hqq_lock_take(&endpoint->receive_lock))
            continue;
        bool may_sleep = true;
        if (hqq_endpoint_is_live(endpoint, watch->at[i].fd)) {
            hqq_doorbell_enter(endpoint);
            if (watch->at[i].is_edge) {
                hqq_doorbell_arm(endpoint);
                may_sleep = !hqq_receive_has_news(endpoint);
            } else if (endpoint->pairs || endpoint->offered)
                may_sleep = hqq_load32_relaxed(&endpoint->is_kernel_only) || hqq_receive_arm(endpoint, watch->at[i].fd);
            if (may_sleep) {
                hqq_doorbell_enter_sleep(endpoint);
                watch->at[i].is_asleep = true;
            }
        }
        hqq_lock_give(&endpoint->receive_lock);
        if (!may_sleep) {
            watch->at[i].is_ready = true; /* a token that told so is gone, so the kernel may not say it again */
            hqq_watch_wake(watch);
            return false;
        }
    }
    if (watch->has_any_link)
        watch->asleep_ns = hqq_clock_ns();
    return true;
}
