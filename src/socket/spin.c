#include "socket/spin.h"

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "socket/kernel.h"
#include "socket/receive.h"

#define SPINS_PER_CLOCK_LOOK 32
#define SHORTEST_NS (1 * HQQ_NS_PER_US)
#define YIELDS 4

/* Whatever the reader does, the lock is not held for longer. */
#define SPACE_LONGEST_NS (2 * HQQ_NS_PER_MS)

#define LONG_AGO_NS (20 * HQQ_NS_PER_US)

/* Bells that come after a longer sleep than this are cheaper than doors that are opened for nothing. */
#define CALM_NS (1 * HQQ_NS_PER_MS)

static bool is_alone(void)
{
    static hqq_atomic_u32 known; /* 0: not yet; 1: alone; 2: not. Looked up now and then, as affinity changes */
    static hqq_atomic_u64 looked_ns;
    uint64_t now = hqq_clock_ns();
    uint32_t answer = hqq_load32_relaxed(&known);
    if (answer == 0 || hqq_is_due(now, hqq_load_relaxed(&looked_ns), 10 * HQQ_NS_PER_MS)) {
        answer = hqq_sys.cpu_count() == 1 ? 1 : 2;
        hqq_store32_relaxed(&known, answer);
        hqq_store_relaxed(&looked_ns, now);
    }
    return answer == 1;
}

bool hqq_spin_is_in_the_way(const struct hqq_pair *pair)
{
    uint32_t own = hqq_pair_note_cpu(pair);
    uint32_t peer = hqq_load32_relaxed(&pair->peer->cpu);
    return peer != 0 ? peer == own : is_alone();
}

/* What the clock of ticks does in 20 us, measured once against the other clock; until then, a guess. */
uint64_t hqq_ticks_long_ago(void)
{
    static hqq_atomic_u64 known, first_ns, first_ticks;
    uint64_t answer = hqq_load_relaxed(&known);
    if (__builtin_expect(answer != 0, 1))
        return answer;
    uint64_t now = hqq_clock_ns();
    uint64_t since = hqq_load_relaxed(&first_ns);
    if (since == 0) {
        hqq_store_relaxed(&first_ticks, hqq_ticks());
        hqq_store_relaxed(&first_ns, now);
    } else if (now - since > 1 * HQQ_NS_PER_MS) {
        double per_ns = (double)(hqq_ticks() - hqq_load_relaxed(&first_ticks)) / (double)(now - since);
        answer = (uint64_t)(per_ns * (double)LONG_AGO_NS);
        hqq_store_relaxed(&known, answer != 0 ? answer : 1);
    }
#if defined(__x86_64__)
    return 40000;
#else
    return 500;
#endif
}

void hqq_spin_learn(struct hqq_endpoint *endpoint, uint64_t slept_ns)
{
    uint64_t longest = endpoint->rule->spin_ns;
    if (slept_ns < 2 * longest)
        hqq_store_relaxed(&endpoint->spin_budget_ns, longest);
    if (slept_ns > CALM_NS)
        hqq_store32_relaxed(&endpoint->woken, 0);
}

static bool give_way(struct hqq_endpoint *endpoint)
{
    for (int i = 0; i < YIELDS; i++) {
        hqq_sys.sched_yield();
        if (hqq_receive_glance(endpoint))
            return true;
    }
    return false;
}

/* With several pairs one may ring while others are looked at, and a spin is no reason to let it wait. */
static bool has_rung(const struct hqq_endpoint *endpoint, int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return endpoint->pair_count > 1 && hqq_kernel_poll_now(&ready, 1) > 0;
}

bool hqq_spin_for_data(struct hqq_endpoint *endpoint, int fd)
{
    uint64_t longest = endpoint->rule->spin_ns;
    if (!endpoint->active || longest == 0)
        return false;
    if (hqq_spin_is_in_the_way(endpoint->current ? endpoint->current : endpoint->active))
        return give_way(endpoint);
    int looks = endpoint->pair_count <= SPINS_PER_CLOCK_LOOK ? SPINS_PER_CLOCK_LOOK : 1;
    uint64_t start = hqq_clock_ns();
    uint64_t budget = hqq_load_relaxed(&endpoint->spin_budget_ns);
    if (budget < SHORTEST_NS)
        budget = SHORTEST_NS;
    do {
        for (int i = 0; i < looks; i++) {
            if (hqq_receive_glance(endpoint)) {
                hqq_count_own(&endpoint->counters->spins_won, 1);
                hqq_store_relaxed(&endpoint->spin_budget_ns, longest);
                return true;
            }
            hqq_cpu_pause();
        }
        if (has_rung(endpoint, fd))
            return true;
        if (hqq_lock_is_wanted(&endpoint->receive_lock))
            return false;
    } while (hqq_clock_ns() - start < budget);
    hqq_store_relaxed(&endpoint->spin_budget_ns, budget / 2);
    return false;
}

bool hqq_spin_for_space(struct hqq_endpoint *endpoint, struct hqq_pair *pair, uint64_t count)
{
    const struct hqq_ring *ring = &pair->tx;
    uint64_t longest = endpoint->rule->spin_ns;
    uint64_t half = ring->count / 2 > count ? ring->count / 2 : count;
    bool alone = hqq_spin_is_in_the_way(pair);
    if (longest == 0)
        return false;
    uint64_t seen_r = hqq_load_relaxed(hqq_ring_r(ring));
    uint64_t began = hqq_clock_ns();
    uint64_t start = began;
    for (;;) {
        if (alone)
            hqq_sys.sched_yield();
        for (int i = 0; i < SPINS_PER_CLOCK_LOOK && !alone; i++)
            hqq_cpu_pause();
        if (hqq_ring_is_writable_ahead(ring, half)) /* let the reader get ahead: less to and fro of each line */
            return true;
        if (hqq_door_kind(hqq_load32_relaxed(&pair->peer->door)) != HQQ_DOOR_AWAKE)
            return hqq_ring_is_writable_ahead(ring, count);
        uint64_t now = hqq_clock_ns();
        uint64_t r = hqq_load_relaxed(hqq_ring_r(ring));
        if (now - began > SPACE_LONGEST_NS || hqq_lock_is_wanted(&endpoint->send_lock))
            return hqq_ring_is_writable_ahead(ring, count);
        if (hqq_ring_distance(r, seen_r) > 0 && (uint64_t)hqq_ring_distance(r, seen_r) <= ring->count) {
            seen_r = r;
            start = now;
        } else if (now - start > longest) {
            return hqq_ring_is_writable_ahead(ring, count);
        }
    }
}
