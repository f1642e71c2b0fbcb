/*
 * A spin: looks again and again for something, for as long as the bet allows (bet.h). A handler that runs meanwhile ends it. Where the
 * peer needs this processor it is given up a few times instead.
 */
#ifndef HQQ_ENDPOINT_SPIN_H
#define HQQ_ENDPOINT_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include <hqq/link.h>

#include "platform/sys.h"
#include "runtime/handlers.h"
#include "runtime/ticks.h"

/* How often the processor is given up. */
#define HQQ_SPIN_YIELDS 4

struct hqq_spin {
    uint64_t began, now, stake; /* in ticks */
    uint32_t handlers;
    int rounds;
    bool shares_cpu;
};

static inline struct hqq_spin hqq_spin_begin(uint64_t stake, bool shares_cpu, uint32_t handlers)
{
    uint64_t now = hqq_ticks();
    return (struct hqq_spin){.began = now, .now = now, .stake = stake, .handlers = handlers, .shares_cpu = shares_cpu};
}

/* Before each round. False: it is over, and lost. */
static inline bool hqq_spin_goes_on(struct hqq_spin *spin)
{
    if (spin->now - spin->began >= spin->stake || hqq_load32_relaxed(&hqq_handlers_run) != spin->handlers)
        return false;
    if (spin->shares_cpu && spin->rounds == HQQ_SPIN_YIELDS)
        return false;
    if (spin->shares_cpu)
        hqq_sys.sched_yield();
    spin->rounds++;
    return true;
}

/* A round: so many looks, then one at the clock. True: something is there. */
static inline __attribute__((always_inline)) bool hqq_spin_look(struct hqq_spin *spin, int looks, bool (*look)(void *),
                                                                void *of)
{
    bool is_won = false;
    for (int i = 0; i < looks && !is_won; i++) {
        is_won = look(of);
        if (!is_won && !spin->shares_cpu)
            hqq_cpu_pause();
    }
    spin->now = hqq_ticks();
    return is_won;
}

/* What it has cost: nothing, where the processor was given up. */
static inline uint64_t hqq_spin_cost(const struct hqq_spin *spin)
{
    return spin->shares_cpu ? 0 : spin->now - spin->began;
}

#endif
