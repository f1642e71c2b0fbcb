/* A process of a troupe: makes the calls that it is asked for. */
#include "differential/differential.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    if (number == SIGPIPE)
        signals++;
}

static call_function *const calls[STEP_KINDS] = {
#define X(name, ...) [STEP_##name] = call_##name,
    STEPS(X)
#undef X
};

/* The child is the actor of the number that is asked for. */
void call_fork(const struct step *step, struct result *result)
{
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        actor_run(stage, step->arg[0]);
    }
    result_set(result, child > 0 ? 0 : -1);
    while (child > 0 && atomic_load(&stage->box[step->arg[0]].pid) == 0)
        usleep(100);
}

static void perform(struct box *box)
{
    struct result *result = &box->result;
    memset(result, 0, sizeof(*result));
    signals = 0;
    errno = 0;
    if (box->step.is_asleep)
        atomic_store(&box->is_inside, 1);
    calls[box->step.kind](&box->step, result);
    atomic_store(&box->is_inside, 0);
    result->signals = (uint32_t)signals;
}

_Noreturn void actor_run(struct stage *the_stage, int number)
{
    bool is_first = stage == NULL;
    stage = the_stage;
    self = number;
    if (is_first) {
        memset(slots, 0xff, sizeof(slots));
        struct sigaction action = {.sa_handler = count_signal};
        sigaction(SIGPIPE, &action, NULL);
        sigaction(SIGUSR1, &action, NULL);
    }
    struct box *box = &stage->box[number];
    atomic_store(&box->pid, getpid());
    for (;;) {
        uint32_t seen;
        while ((seen = atomic_load(&box->state)) != BOX_ASKED)
            syscall(SYS_futex, &box->state, FUTEX_WAIT, seen, NULL, NULL, 0);
        perform(box);
        atomic_store(&box->state, BOX_DONE);
        syscall(SYS_futex, &box->state, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}
