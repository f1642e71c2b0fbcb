#include "tools/run/launch.h"

#include <errno.h>
#include <signal.h>
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

/* What may be sent to end a program, or to tell it something. */
static const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1,
                                SIGUSR2, SIGALRM, SIGCONT, SIGWINCH, SIGXCPU};

/* Takes signals one by one, where they can do no harm. Those of the terminal, and of the kernel, the child gets itself;
 * others were meant for it. */
static void wait_for(pid_t child, const sigset_t *awaited, int *ret_status)
{
    siginfo_t info;
    while (waitpid(child, ret_status, WNOHANG) == 0) {
        int number = sigwaitinfo(awaited, &info);
        if (number > 0 && number != SIGCHLD && info.si_code <= 0 && info.si_pid != child)
            kill(child, number);
    }
}

/* Signals are blocked from before the fork; what was sent before the child is there is passed on all the same. An
 * ignored SIGCHLD, which would hide the child's end from this process, is still the child's to inherit. */
int run_child(const char *path, char **command, int *ret_status)
{
    sigset_t awaited, before;
    struct sigaction ends, usual;
    memset(&usual, 0, sizeof(usual));
    usual.sa_handler = SIG_DFL;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGCHLD);
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigaddset(&awaited, forwarded[i]);
    sigprocmask(SIG_BLOCK, &awaited, &before);
    sigaction(SIGCHLD, &usual, &ends);

    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGCHLD, &ends, NULL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        _exit(run_exec(path, command));
    }
    if (child < 0)
        return -errno;
    wait_for(child, &awaited, ret_status);
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
