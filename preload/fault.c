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
#include <ucontext.h>
#include <unistd.h>

#include "platform/guard.h"
#include "preload/real.h"
#include "runtime/filter.h"

bool hqq_fault_repair(int signal, void *context)
{
    return (signal == SIGSEGV || signal == SIGBUS) && hqq_guard_repair(context);
}

/* The signal once more, with what came with it, and by default: so the process ends, or does not, as it would have. Under a filter no
 * call is made. */
static bool send_again(int signal, siginfo_t *info)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    return !hqq_filter_is_set() && HQQ_REAL(sigaction)(signal, &by_default, NULL) == 0 &&
           hqq_libc.syscall(SYS_rt_tgsigqueueinfo, hqq_libc.syscall(SYS_getpid), hqq_libc.syscall(SYS_gettid), signal,
                            info) == 0;
}

/* In place of SIG_DFL. Else the instruction faults again with the signal blocked, which ends the process too. */
void hqq_fault_default(int signal, siginfo_t *info, void *context)
{
    if (hqq_fault_repair(signal, context) || send_again(signal, info))
        return;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, signal);
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
