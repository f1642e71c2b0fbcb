#include "support/child.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/point.h"
#include "platform/process.h"
#include "support/region.h"

int child_run(int (*run)(void *arg), void *arg)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(run(arg));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct fatal_run {
    int (*run)(void *arg);
    void *arg;
    const char *label;
};

static const char *fatal_label;

static void die_at_label(const char *label)
{
    if (strcmp(label, fatal_label) == 0)
        raise(SIGKILL);
}

static int run_until_label(void *arg)
{
    const struct fatal_run *fatal = arg;
    fatal_label = fatal->label;
    hqq_point_hook = die_at_label;
    return fatal->run(fatal->arg);
}

bool child_dies_at(const char *label, int (*run)(void *arg), void *arg)
{
    struct fatal_run fatal = {.run = run, .arg = arg, .label = label};
    return child_run(run_until_label, &fatal) == 128 + SIGKILL;
}

static int tell_identity(void *arg)
{
    hqq_store_relaxed(arg, hqq_process_self());
    return 0;
}

uint64_t child_dead_identity(void)
{
    struct region shared = region_new(sizeof(hqq_atomic_u64));
    int status = child_run(tell_identity, shared.base);
    uint64_t identity = hqq_load_relaxed(shared.base);
    region_delete(&shared);
    if (status != 0 || !hqq_process_is_dead(identity)) {
        fputs("no child that is known to be dead\n", stderr);
        abort();
    }
    return identity;
}
