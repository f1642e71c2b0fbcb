#include "tools/run/launch.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/run/options.h"

int run_exec(const char *path, char **command)
{
    execvp(path, command); /* path has a slash; what has no #! goes to the shell */
    int error = errno;
    run_complain("%s: %s", path, strerror(error));
    return error == ENOENT ? RUN_EXIT_MISSING : RUN_EXIT_CANNOT;
}

/* ---- Signals --------------------------------------------------------------------------------------------------- */

/* What may be sent to end a program, or to tell it something. */
static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1,
                                SIGUSR2, SIGALRM, SIGCONT, SIGWINCH, SIGXCPU};

static volatile pid_t child;

/* What comes from the terminal, or the kernel, the child gets itself. */
static void forward(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    (void)context;
    if (info->si_code <= 0 && child > 0 && info->si_pid != child)
        kill(child, number);
    errno = saved;
}

static void forward_all(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = forward;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigaction(forwarded[i], &action, NULL);
}

/* ---- The child ------------------------------------------------------------------------------------------------- */

/* Signals are blocked from before the fork until each process is ready for them; an ignored SIGCHLD, which would hide
 * the child's end from this process, is the child's to inherit all the same. */
int run_child(const char *path, char **command, int *ret_status)
{
    sigset_t all, before;
    struct sigaction ends, fresh;
    memset(&fresh, 0, sizeof(fresh));
    fresh.sa_handler = SIG_DFL;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    sigaction(SIGCHLD, &fresh, &ends);

    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGCHLD, &ends, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        _exit(run_exec(path, command));
    }
    if (pid < 0) {
        int error = errno;
        sigprocmask(SIG_SETMASK, &before, NULL);
        return -error;
    }
    child = pid;
    forward_all();
    /* Also those that this process was started with blocked: they may be sent to it for the child. */
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigdelset(&before, forwarded[i]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        continue;
    /* The number may be another's from now on; signals for the command come to nothing, and the report is written. */
    child = 0;
    return 0;
}

void run_end_as(int status)
{
    if (WIFSIGNALED(status)) {
        static const struct rlimit none = {0, 0};
        int number = WTERMSIG(status);
        sigset_t only;
        sigemptyset(&only);
        sigaddset(&only, number);
        setrlimit(RLIMIT_CORE, &none); /* the command left one, if one was wanted */
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        signal(number, SIG_DFL);
        raise(number); /* pending, if it is blocked */
        sigprocmask(SIG_UNBLOCK, &only, NULL);
        exit(128 + number);
    }
    exit(WEXITSTATUS(status));
}
