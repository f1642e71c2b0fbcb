#include "ring/wait.h"

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"

#define SPIN_SHORTEST_NS (1 * HQQ_NS_PER_US)
#define SPINS_PER_CLOCK_LOOK 16
#define YIELDS 3

/* Timed looks at a ring whose peer does not ring: from the first to the last of these, doubling. */
#define LOOK_FIRST_NS (50 * HQQ_NS_PER_US)
#define LOOK_LAST_NS (1 * HQQ_NS_PER_MS)

/*
 * Interrupt mitigation, as network drivers do it. Two sides that work in the same few slots take each line from one
 * another once a message. A side that has caught up waits this long for the other to get ahead: a writer whenever the
 * ring is full; a reader only in a stream, which is many short dry spells with nothing written by itself between
 * them, so that round trips are never delayed.
 */
#define MITIGATION_NS (2 * HQQ_NS_PER_US)
#define STREAK_OF_A_STREAM 8

void hqq_spin_init(struct hqq_spin *spin, uint64_t longest_ns)
{
    *spin = (struct hqq_spin){.longest_ns = longest_ns == HQQ_SPIN_NEVER ? 0 : longest_ns};
    hqq_store_relaxed(&spin->budget_ns, spin->longest_ns);
    hqq_store32_relaxed(&spin->alone, hqq_sys.cpu_count() == 1);
}

static bool is_ready(const struct hqq_wait *wait)
{
    if (wait->what == HQQ_WAIT_DATA)
        return hqq_ring_is_readable(wait->ring);
    return wait->room > 1 ? hqq_ring_is_writable_ahead(wait->ring, wait->room) : hqq_ring_is_writable(wait->ring);
}

static uint64_t deadline_of(const struct hqq_wait *wait)
{
    uint64_t moving = hqq_load_relaxed(wait->deadline_ns);
    return moving < wait->until_ns ? moving : wait->until_ns;
}

bool hqq_wait_is_late(const struct hqq_wait *wait)
{
    return hqq_clock_ns() >= deadline_of(wait);
}

static bool is_check_due(const struct hqq_wait *wait, uint64_t now)
{
    return hqq_is_due(now, hqq_load_relaxed(wait->checked_ns), wait->check_ns);
}

/* Lets the other side get ahead: returns when it has, or after the mitigation time. */
static void let_get_ahead(const struct hqq_wait *wait, uint64_t now)
{
    uint64_t until = now + MITIGATION_NS;
    uint64_t half = wait->ring->count / 2;
    do {
        for (int i = 0; i < SPINS_PER_CLOCK_LOOK; i++)
            hqq_cpu_pause();
        if (wait->what == HQQ_WAIT_SPACE && hqq_ring_is_writable_ahead(wait->ring, half))
            return;
    } while (hqq_clock_ns() < until);
}

/* True if the peer is streaming to us, and we are merely faster. */
static bool is_stream(const struct hqq_wait *wait)
{
    if (wait->what == HQQ_WAIT_SPACE)
        return true;
    uint64_t answered = hqq_load_relaxed(hqq_ring_w(wait->answers));
    if (answered != hqq_load_relaxed(&wait->spin->answered)) {
        hqq_store_relaxed(&wait->spin->answered, answered);
        hqq_store32_relaxed(&wait->spin->streak, 0);
        return false;
    }
    return hqq_load32_relaxed(&wait->spin->streak) >= STREAK_OF_A_STREAM;
}

/* True if the other side probably runs on another processor. */
static bool is_apart(const struct hqq_wait *wait)
{
    uint32_t own = (uint32_t)hqq_sys.cpu_now() + 1;
    uint32_t peer = hqq_load32_relaxed(wait->peer_cpu);
    if (hqq_load32_relaxed(wait->own_cpu) != own)
        hqq_store32_relaxed(wait->own_cpu, own);
    return peer != 0 ? peer != own : !hqq_load32_relaxed(&wait->spin->alone);
}

/* Fetches what the caller is about to touch: the packet's line for writing, as releasing the slot is a store to it. */
static void prefetch_found(const struct hqq_wait *wait)
{
    if (wait->what == HQQ_WAIT_DATA) {
        uint64_t position = hqq_load_relaxed(hqq_ring_r(wait->ring));
        hqq_prefetch_write(hqq_ring_packet(wait->ring, position));
        hqq_prefetch_read(hqq_ring_buffer(wait->ring, position));
    }
}

/* Looks again and again for the budget. *ret_now is the last time that was read, so that a wait that ends soon costs
 * one look at the clock. */
static bool spin(const struct hqq_wait *wait, uint64_t *ret_now)
{
    uint64_t budget = hqq_load_relaxed(&wait->spin->budget_ns);
    if (budget == 0 || !is_apart(wait))
        return false;
    uint64_t budget_ends = hqq_deadline_after(*ret_now, budget);
    uint64_t until;
    if (is_stream(wait))
        let_get_ahead(wait, *ret_now);
    do {
        for (int i = 0; i < SPINS_PER_CLOCK_LOOK; i++) {
            if (is_ready(wait)) {
                prefetch_found(wait);
                return true;
            }
            hqq_cpu_pause();
        }
        if (wait->interrupted(wait->arg))
            return false;
        *ret_now = hqq_clock_ns();
        uint64_t deadline = deadline_of(wait);
        until = budget_ends < deadline ? budget_ends : deadline;
    } while (*ret_now < until && !is_check_due(wait, *ret_now));
    return false;
}

static bool yield(const struct hqq_wait *wait)
{
    for (int i = 0; wait->spin->longest_ns != 0 && i < YIELDS; i++) {
        hqq_sys.sched_yield();
        if (is_ready(wait))
            return true;
    }
    return false;
}

/* Spinning pays where the wait ends before the longest spin would: half as long where it did not, full length where
 * it did. */
static void learn(const struct hqq_wait *wait, uint64_t took)
{
    struct hqq_spin *spin = wait->spin;
    if (spin->longest_ns == 0)
        return;
    uint64_t budget = hqq_load_relaxed(&spin->budget_ns);
    if (took <= spin->longest_ns)
        budget = spin->longest_ns;
    else if (budget / 2 >= SPIN_SHORTEST_NS)
        budget /= 2;
    if (budget != hqq_load_relaxed(&spin->budget_ns))
        hqq_store_relaxed(&spin->budget_ns, budget);

    uint32_t streak = hqq_load32_relaxed(&spin->streak);
    if (took > 2 * MITIGATION_NS)
        streak = 0;
    else if (streak < STREAK_OF_A_STREAM)
        streak++;
    if (streak != hqq_load32_relaxed(&spin->streak))
        hqq_store32_relaxed(&spin->streak, streak);
}

/* Looks at the peer if it is time. Returns until when this thread may sleep before the next look. */
static uint64_t check_peer(const struct hqq_wait *wait, uint64_t now, bool is_unheard, uint64_t *look_ns)
{
    bool is_due = is_check_due(wait, now);
    if (is_due)
        hqq_store_relaxed(wait->checked_ns, now);
    if (wait->check_peer(wait->arg, is_due) == HQQ_WAIT_PEER_RINGS && !is_unheard)
        return hqq_deadline_after(hqq_load_relaxed(wait->checked_ns), wait->check_ns);
    uint64_t limit = now + *look_ns;
    *look_ns = *look_ns * 2 < LOOK_LAST_NS ? *look_ns * 2 : LOOK_LAST_NS;
    return limit;
}

/* Why not to sleep, now that the bell is armed: whoever changes one of these rings it afterwards. 0 to sleep. */
static int why_awake(const struct hqq_wait *wait, uint64_t now, uint64_t deadline)
{
    int result = wait->interrupted(wait->arg);
    if (result == 0 && now >= deadline)
        result = HQQ_ERROR_TIMEOUT;
    return result;
}

/* Sleeps, and looks again and again, until the wait is over. */
static int sleep_until_over(const struct hqq_wait *wait)
{
    uint64_t look_ns = LOOK_FIRST_NS;
    for (;;) {
        struct hqq_bell_arming arming = hqq_bell_arm(wait->bell, wait->is_light);
        uint64_t now = hqq_clock_ns();
        uint64_t deadline = deadline_of(wait);
        uint64_t limit = check_peer(wait, now, arming.is_unheard, &look_ns);
        bool is_found = is_ready(wait);
        int result = is_found ? 0 : why_awake(wait, now, deadline);
        if (!is_found && result == 0) {
            hqq_add_relaxed(&wait->spin->sleeps, 1);
            hqq_bell_sleep(wait->bell, arming.sequence, limit < deadline ? limit : deadline);
            is_found = is_ready(wait);
        }
        hqq_bell_disarm(wait->bell);
        if (is_found || result != 0)
            return result;
    }
}

bool hqq_wait_spin(const struct hqq_wait *wait)
{
    uint64_t now = hqq_clock_ns();
    hqq_add_relaxed(&wait->spin->waits, 1);
    return spin(wait, &now) || yield(wait);
}

void hqq_wait_learn(const struct hqq_wait *wait, uint64_t took_ns)
{
    learn(wait, took_ns);
}

uint64_t hqq_wait_arm(const struct hqq_wait *wait, uint64_t *look_ns)
{
    if (*look_ns == 0)
        *look_ns = LOOK_FIRST_NS;
    struct hqq_bell_arming arming = hqq_bell_arm(wait->bell, wait->is_light);
    hqq_add_relaxed(&wait->spin->sleeps, 1);
    return check_peer(wait, hqq_clock_ns(), arming.is_unheard, look_ns);
}

int hqq_wait_run(const struct hqq_wait *wait, bool *ret_slept)
{
    uint64_t start = hqq_clock_ns();
    uint64_t now = start;
    int result = 0;

    hqq_add_relaxed(&wait->spin->waits, 1);
    if (!spin(wait, &now) && !yield(wait)) {
        *ret_slept = true;
        result = sleep_until_over(wait);
        now = hqq_clock_ns();
    }
    learn(wait, now - start);
    return result;
}
