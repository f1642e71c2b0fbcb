/*
 * Bad addresses in the program's calls: the first handler of SIGSEGV and SIGBUS is ours. A fault of a guarded access
 * (platform/guard.h) ends there; any other one is the program's, as if we were not there: its own function, behind a
 * trampoline (signal.c), or the default, which ends the process at the same instruction.
 *
 * A program that ignores or blocks these signals has the kernel's answer to a fault: it ends.
 */
#include "preload/fault.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/guard.h"
#include "preload/real.h"

bool hqq_fault_repair(int signal, void *context)
{
    return (signal == SIGSEGV || signal == SIGBUS) && hqq_guard_repair(context);
}

/* In place of SIG_DFL. Back in the code the instruction faults again; a signal that somebody sent is sent again. */
void hqq_fault_default(int signal, siginfo_t *info, void *context)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    if (hqq_fault_repair(signal, context))
        return;
    HQQ_REAL(sigaction)(signal, &by_default, NULL);
    if (info->si_code <= 0)
        hqq_libc.syscall(SYS_tgkill, hqq_libc.syscall(SYS_getpid), hqq_libc.syscall(SYS_gettid), signal);
}

void hqq_fault_begin(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS};
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        struct sigaction action;
        if (sigaction(signals[i], NULL, &action) == 0)
            sigaction(signals[i], &action, NULL); /* now by the hook */
    }
}
