#include "support/waiting.h"

#include <string.h>

#include <hqq/link.h>

#include "ring/produce.h"

struct waiting waiting;

static int interrupted(void *arg)
{
    (void)arg;
    waiting.looks++;
    if (waiting.on_look)
        waiting.on_look(waiting.looks);
    return waiting.interruption;
}

static enum hqq_wait_peer check_peer(void *arg, bool is_due)
{
    (void)arg;
    waiting.checks++;
    waiting.due_checks += is_due;
    return waiting.peer;
}

static int sleep_by_script(const void *word, uint32_t expected, uint64_t deadline_ns)
{
    (void)word;
    (void)expected;
    if (waiting.sleeps < WAITING_LOG) {
        waiting.sleep_began[waiting.sleeps] = hqq_clock_ns();
        waiting.sleep_deadline[waiting.sleeps] = deadline_ns;
    }
    waiting.sleeps++;
    if (waiting.act)
        waiting.act(waiting.sleeps);
    return 0;
}

static int yield_by_script(void)
{
    waiting.yields++;
    if (waiting.on_yield)
        waiting.on_yield(waiting.yields);
    return 0;
}

int waiting_set_up(void **state)
{
    (void)state;
    memset(&waiting, 0, sizeof(waiting));
    waiting.real = hqq_sys;
    hqq_sys.futex_wait = sleep_by_script;
    hqq_sys.sched_yield = yield_by_script;
    waiting.plain = plain_ring_new(WAITING_COUNT, 8);
    waiting.answers = plain_ring_new(WAITING_COUNT, 8);
    waiting.peer = HQQ_WAIT_PEER_RINGS;
    hqq_store_relaxed(&waiting.deadline, HQQ_FOREVER);
    hqq_store_relaxed(&waiting.checked, hqq_clock_ns());
    hqq_spin_init(&waiting.spin, HQQ_SPIN_NEVER);
    waiting.wait = (struct hqq_wait){
        .what = HQQ_WAIT_DATA,
        .ring = &waiting.plain.ring,
        .answers = &waiting.answers.ring,
        .bell = &waiting.bell,
        .spin = &waiting.spin,
        .own_cpu = &waiting.own_cpu,
        .peer_cpu = &waiting.peer_cpu,
        .is_light = &waiting.is_light,
        .until_ns = waiting_later(),
        .deadline_ns = &waiting.deadline,
        .check_ns = UINT64_MAX,
        .checked_ns = &waiting.checked,
        .interrupted = interrupted,
        .check_peer = check_peer,
    };
    return 0;
}

int waiting_tear_down(void **state)
{
    (void)state;
    hqq_sys = waiting.real;
    hqq_point_hook = NULL;
    plain_ring_delete(&waiting.plain);
    plain_ring_delete(&waiting.answers);
    return hqq_load32_relaxed(&waiting.bell.sleepers) == 0 ? 0 : -1;
}

int waiting_run(void)
{
    return hqq_wait_run(&waiting.wait, &waiting.slept);
}

void waiting_publish(void)
{
    uint64_t position = 0;
    if (hqq_ring_claim_write(&waiting.plain.ring, 1, &position) == 1)
        hqq_ring_publish(&waiting.plain.ring, position);
}

uint64_t waiting_later(void)
{
    return hqq_clock_ns() + 3600 * HQQ_NS_PER_S;
}
