/*
 * A peer that writes garbage into the region. Modes: "still", where some words are wrong and stay so, so that a seed
 * repeats a run exactly; "calls", where another process goes on changing words while threads make calls; "flood", where
 * it publishes what is to be dropped, faster than it is dropped; "attach", where it attacks who attaches.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <hqq/error.h>

#include "hostile/attack.h"
#include "hostile/victim.h"

/* A hostile peer can give the same slot to two threads of its victim, which then write to it at once. That harms nobody,
 * but ThreadSanitizer is right to call it a race. */
#ifdef HQQ_UNDER_TSAN
#define THREADS 1u
#else
#define THREADS 2u
#endif
#define STALL_NS (15 * HEAVY_S)
#define ROUND_NS (100 * HEAVY_MS)
#define FLOOD_NS (3 * HEAVY_S * HEAVY_SLOWNESS + HEAVY_S / 2)
#define ROUND_CALLS 40u

struct shape {
    uint64_t count, size;
};
static const struct shape shapes[] = {{2, 8}, {4, 64}, {16, 256}, {64, 128}};

/* What victim and attacker share beside the region. */
struct control {
    _Atomic int tactic; /* the attacker's */
};

struct field {
    struct shape shape;
    size_t bytes;
    void *base;
    struct control *control;
    uint64_t seed;
};

struct figures {
    uint64_t rounds, calls, done, longest_ns;
};

static struct hqq_link *shown;

static void dump(void *arg)
{
    const struct field *field = arg;
    fprintf(stderr, "  %llu slots of %llu bytes, tactic %d\n", (unsigned long long)field->shape.count,
            (unsigned long long)field->shape.size, (int)field->control->tactic);
    heavy_dump_link("victim", shown);
}

static struct field field_new(uint64_t seed)
{
    struct heavy_random random = heavy_random(seed, 7);
    struct field field = {.shape = shapes[heavy_below(&random, sizeof(shapes) / sizeof(shapes[0]))], .seed = seed};
    heavy_expect("layout_size", hqq_layout_size(field.shape.count, field.shape.size, &field.bytes), 0);
    field.base = heavy_shared(field.bytes);
    field.control = heavy_shared(sizeof(*field.control));
    return field;
}

static void field_delete(struct field *field)
{
    heavy_on_failure(NULL, NULL);
    shown = NULL;
    heavy_shared_free(field->base, field->bytes);
    heavy_shared_free(field->control, sizeof(*field->control));
}

static struct victim victim_of(const struct field *field, uint64_t stream)
{
    return (struct victim){
        .base = field->base,
        .bytes = field->bytes,
        .count = field->shape.count,
        .size = field->shape.size,
        .random = heavy_random(field->seed, stream),
    };
}

/* An honest region, and an end of it. */
static struct hqq_link *open_fresh(const struct field *field)
{
    struct heavy_random random = heavy_random(field->seed, 11);
    const struct hqq_link_config config = {
        .buffer_count = field->shape.count,
        .buffer_size = field->shape.size,
        .spin_ns = heavy_one_in(&random, 2) ? HQQ_SPIN_NEVER : 0,
        .peer_check_ns = HEAVY_MS,
        .role = HQQ_ROLE_PRIMARY,
    };
    struct hqq_link *link;
    memset(field->base, 0, field->bytes);
    heavy_expect("attach", hqq_link_attach(field->base, field->bytes, &config, &link), 0);
    victim_hurry(link);
    return link;
}

static void add(struct figures *figures, const struct victim *victim)
{
    figures->calls += victim->calls;
    figures->done += victim->done;
    figures->longest_ns = victim->longest_ns > figures->longest_ns ? victim->longest_ns : figures->longest_ns;
}

/* ---- Still --------------------------------------------------------------------------------------------------------
 * */

static void run_still(uint64_t seed, struct figures *figures)
{
    struct field field = field_new(seed);
    struct attack attack = attack_new(field.base, field.shape.count, field.shape.size, seed, 1);
    struct victim victim = victim_of(&field, 2);
    heavy_on_failure(dump, &field);
    heavy_watch_begin(&heavy_steps, STALL_NS);
    shown = victim.link = open_fresh(&field);
    for (unsigned i = 0; i < ROUND_CALLS; i++) {
        for (uint64_t words = heavy_below(&attack.random, 3); words > 0; words--)
            attack_once(&attack);
        victim_call(&victim);
    }
    shown = NULL;
    victim_close(&victim);
    /* Once more, to what is left of it. */
    victim.link = victim_attach(&victim);
    if (victim.link) {
        victim_call(&victim);
        victim_close(&victim);
    }
    heavy_watch_end();
    add(figures, &victim);
    field_delete(&field);
}

/* ---- In motion ----------------------------------------------------------------------------------------------------
 * */

/* Keeps to one tactic, or to none: ATTACK_TACTICS. */
static _Noreturn void be_attacker(const struct field *field, enum attack_tactic only)
{
    struct attack attack = attack_new(field->base, field->shape.count, field->shape.size, field->seed, 3);
    for (;;) {
        int tactic = (int)heavy_below(&attack.random, ATTACK_TACTICS);
        if (heavy_one_in(&attack.random, 4))
            tactic = ATTACK_ANYWHERE;
        if (only != ATTACK_TACTICS)
            tactic = (int)only;
        atomic_store(&field->control->tactic, tactic);
        uint64_t until = hqq_clock_ns() + heavy_below(&attack.random, 10 * HEAVY_MS);
        while (hqq_clock_ns() < until)
            attack_by(&attack, (enum attack_tactic)tactic);
    }
}

static pid_t start_attacker(const struct field *field, enum attack_tactic only)
{
    pid_t attacker = heavy_fork();
    if (attacker == 0)
        be_attacker(field, only);
    return attacker;
}

static void stop_attacker(pid_t attacker)
{
    kill(attacker, SIGKILL);
    int status = heavy_reap(attacker);
    if (status != 128 + SIGKILL)
        heavy_fail("the attacker ended with status %d", status);
}

struct caller {
    struct victim victim;
    uint64_t until_ns;
    pthread_t thread;
};

static void *call_on(void *arg)
{
    struct caller *caller = arg;
    while (hqq_clock_ns() < caller->until_ns)
        victim_call(&caller->victim);
    return NULL;
}

/* Threads make calls while one tactic, or each by turns, is used against them. */
static void stand(uint64_t seed, struct figures *figures, enum attack_tactic tactic, bool is_slow, uint64_t time_ns)
{
    struct field field = field_new(seed);
    struct caller callers[THREADS];
    heavy_on_failure(dump, &field);
    struct hqq_link *link = shown = open_fresh(&field);
    pid_t attacker = start_attacker(&field, tactic);
    if (is_slow)
        heavy_points_delay(seed, 2);
    heavy_watch_begin(&heavy_steps, STALL_NS);
    for (unsigned i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.victim = victim_of(&field, 20 + i), .until_ns = hqq_clock_ns() + time_ns};
        callers[i].victim.link = link;
        if (pthread_create(&callers[i].thread, NULL, call_on, &callers[i]) != 0)
            heavy_fail("no thread");
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(callers[i].thread, NULL);
    shown = NULL;
    victim_close(&callers[0].victim);
    heavy_watch_end();
    heavy_points_clear();
    stop_attacker(attacker);
    for (unsigned i = 0; i < THREADS; i++)
        add(figures, &callers[i].victim);
    field_delete(&field);
}

static void run_calls(uint64_t seed, struct figures *figures)
{
    stand(seed, figures, ATTACK_TACTICS, seed % 3 == 0, ROUND_NS);
}

/* The victim is slow, so there always is something more to drop; for far longer than a call takes. One that goes on for as long
 * as there is something has no end, as the attacker is stopped last. */
static void run_flood(uint64_t seed, struct figures *figures)
{
    enum attack_tactic tactic = seed % 2 == 0 ? ATTACK_TOMBSTONES : ATTACK_INVALID;
    stand(seed, figures, tactic, true, FLOOD_NS);
}

static void run_attach(uint64_t seed, struct figures *figures)
{
    struct field field = field_new(seed);
    struct victim victim = victim_of(&field, 40);
    heavy_on_failure(dump, &field);
    hqq_link_close(open_fresh(&field));
    uint64_t region[16];
    memcpy(region, field.base, sizeof(region));
    pid_t attacker = start_attacker(&field, ATTACK_TACTICS);
    heavy_watch_begin(&heavy_steps, STALL_NS);
    uint64_t until = hqq_clock_ns() + ROUND_NS;
    while (hqq_clock_ns() < until) {
        /* Else nothing would ever be right again in what is looked at first. */
        if (heavy_one_in(&victim.random, 2))
            memcpy(field.base, region, sizeof(region));
        victim.count = field.shape.count;
        victim.size = field.shape.size;
        victim.link = victim_attach(&victim);
        if (!victim.link || victim.size > VICTIM_SIZE_MAX) {
            hqq_link_close(victim.link);
            continue;
        }
        for (int i = 0; i < 4; i++)
            victim_call(&victim);
        victim_close(&victim);
    }
    heavy_watch_end();
    stop_attacker(attacker);
    add(figures, &victim);
    field_delete(&field);
}

/* ---- Modes --------------------------------------------------------------------------------------------------------
 * */

static const struct {
    const char *name;
    void (*run)(uint64_t seed, struct figures *figures);
} modes[] = {
    {"still", run_still},
    {"calls", run_calls},
    {"flood", run_flood},
    {"attach", run_attach},
};

int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 2);
    bool found = false;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (options->mode && strcmp(options->mode, modes[i].name) != 0)
            continue;
        found = true;
        struct figures figures = {0};
        uint64_t end = hqq_clock_ns() + options->seconds * HEAVY_S;
        do {
            heavy_name_mode(modes[i].name, options->seed + figures.rounds);
            modes[i].run(options->seed + figures.rounds, &figures);
            figures.rounds++;
        } while (hqq_clock_ns() < end);
        heavy_say("ok    %s: %llu rounds, %llu calls, %llu with success, the longest %llu us", modes[i].name,
                  (unsigned long long)figures.rounds, (unsigned long long)figures.calls,
                  (unsigned long long)figures.done, (unsigned long long)(figures.longest_ns / 1000));
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
