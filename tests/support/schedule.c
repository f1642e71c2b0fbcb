#include "support/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES (128 * 1024)
#define CHOICES_MOST 512
#define STEPS_MOST 4096

enum condition {
    ACTOR_READY,
    ACTOR_WAITS,
    ACTOR_FINISHED,
};

static struct actor {
    ucontext_t context;
    enum condition condition;
    bool (*is_ready)(void);
    unsigned char stack[STACK_BYTES] __attribute__((aligned(16)));
} actors[SCHEDULE_ACTORS];

static const struct schedule *current;
static ucontext_t scheduler;
static int running = -1, actor_count;
static const char *failure;

/* The choices of this run, and those that were made before it. */
static struct {
    unsigned taken, options;
} choices[CHOICES_MOST];
static unsigned choice_count, choice_at;

static struct {
    int actor;
    const char *label;
} steps[STEPS_MOST];
static unsigned step_count;

static void note_step(const char *label)
{
    if (step_count == STEPS_MOST) {
        failure = "it does not end";
        return;
    }
    steps[step_count].actor = running;
    steps[step_count++].label = label;
}

static unsigned choose(unsigned options)
{
    if (options < 2 || failure)
        return 0;
    if (choice_at == choice_count) {
        if (choice_count == CHOICES_MOST) {
            failure = "there are too many choices";
            return 0;
        }
        choices[choice_count].taken = 0;
        choices[choice_count++].options = options;
    } else if (choices[choice_at].options != options) {
        failure = "the same choices led elsewhere: an actor is not deterministic";
        return 0;
    }
    return choices[choice_at++].taken;
}

static void give_way(void)
{
    swapcontext(&actors[running].context, &scheduler);
}

void schedule_step(const char *label)
{
    if (running < 0)
        return;
    note_step(label);
    give_way();
}

void schedule_wait(const char *label, bool (*is_ready)(void))
{
    note_step(label);
    actors[running].condition = ACTOR_WAITS;
    actors[running].is_ready = is_ready;
    give_way();
    actors[running].condition = ACTOR_READY;
}

bool schedule_choose(const char *label)
{
    bool is_chosen = choose(2) != 0;
    if (is_chosen)
        note_step(label);
    return is_chosen;
}

void schedule_fail(const char *what)
{
    if (!failure)
        failure = what;
}

int schedule_actor(void)
{
    return running;
}

static void run_actor(void)
{
    current->actor[running]();
    actors[running].condition = ACTOR_FINISHED;
    give_way();
}

static bool may_run(int actor)
{
    return actors[actor].condition == ACTOR_READY ||
           (actors[actor].condition == ACTOR_WAITS && actors[actor].is_ready());
}

/* Who goes on: the one that ran last if it can, else any; -1: nobody can. */
static int choose_actor(int last, int *preemptions)
{
    int able[SCHEDULE_ACTORS];
    unsigned count = 0;
    bool goes_on = last >= 0 && may_run(last);
    if (goes_on)
        able[count++] = last;
    for (int i = 0; i < actor_count; i++) {
        if (i != last && may_run(i) && !(goes_on && *preemptions == 0))
            able[count++] = i;
    }
    if (count == 0)
        return -1;
    unsigned chosen = choose(count);
    if (goes_on && chosen != 0 && *preemptions > 0)
        --*preemptions;
    return able[chosen];
}

/* Nothing goes on from the context that getcontext() takes: it is made into another one. */
static __attribute__((noinline)) void prepare(struct actor *actor)
{
    actor->condition = ACTOR_READY;
    getcontext(&actor->context);
    actor->context.uc_stack.ss_sp = actor->stack;
    actor->context.uc_stack.ss_size = STACK_BYTES;
    actor->context.uc_link = NULL;
    makecontext(&actor->context, run_actor, 0);
}

static void run_once(void)
{
    int preemptions = current->preemptions, last = -1;
    choice_at = step_count = 0;
    failure = NULL;
    current->reset();
    for (int i = 0; i < actor_count; i++)
        prepare(&actors[i]);
    while (!failure && (last = choose_actor(last, &preemptions)) >= 0) {
        running = last;
        swapcontext(&scheduler, &actors[last].context);
        running = -1;
    }
    bool have_finished = true;
    for (int i = 0; i < actor_count; i++)
        have_finished &= actors[i].condition == ACTOR_FINISHED;
    if (!failure)
        failure = current->check(have_finished);
}

/* The next way: the last choice that has another option takes it. */
static bool next_way(void)
{
    while (choice_count > 0) {
        if (++choices[choice_count - 1].taken < choices[choice_count - 1].options)
            return true;
        choice_count--;
    }
    return false;
}

static void print_run(uint64_t runs)
{
    fprintf(stderr, "interleaving %llu: %s\n", (unsigned long long)runs, failure);
    for (unsigned i = 0; i < step_count; i++)
        fprintf(stderr, "  %*s%d %s\n", 24 * steps[i].actor, "", steps[i].actor, steps[i].label);
}

uint64_t schedule_explore(const struct schedule *schedule)
{
    uint64_t runs = 0;
    current = schedule;
    choice_count = 0;
    for (actor_count = 0; actor_count < SCHEDULE_ACTORS && schedule->actor[actor_count]; actor_count++)
        ;
    do {
        runs++;
        run_once();
        if (failure) {
            print_run(runs);
            return 0;
        }
    } while (next_way());
    return runs;
}
