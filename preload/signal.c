/*
 * Hooks: what installs signal handlers. The kernel gets a trampoline in place of the program's function, which counts
 * (runtime/handlers.h) and goes on to it.
 *
 * Each function that the program ever installs has a trampoline of its own, for good. So the kernel's action, which it
 * changes in one step, is all there is to know: whoever installs, queries or interrupts at the same moment sees the old
 * action or the new one; there is no table by signal that could disagree, no lock, and nothing to do at a fork or for
 * SA_RESETHAND. A program with more functions than trampolines has the rest called directly, and not counted.
 *
 * Flags and masks are the program's. Whoever asks is told the program's function. Where it has the default for a fault it is
 * ours that stands there (fault.h). Async-signal-safe.
 */
#include "preload/hook.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "preload/fault.h"
#include "preload/signal.h"
#include "runtime/config.h"
#include "runtime/handlers.h"

/* As the kernel calls it, whether the handler asks for three arguments or not: some read them without SA_SIGINFO. */
typedef void handler_fn(int signal, siginfo_t *info, void *context);

enum { TRAMPOLINES = 64, RESTARTING = 0, INTERRUPTING = 1 };

/* [kind][n] is called by trampolines[kind][n]. Filled from the front, never emptied. */
static hqq_atomic_pointer functions[2][TRAMPOLINES];

static inline handler_fn *as_function(void *pointer)
{
    union {
        void *pointer;
        handler_fn *function;
    } either = {.pointer = pointer};
    return either.function;
}

static inline void *as_pointer(handler_fn *function)
{
    union {
        handler_fn *function;
        void *pointer;
    } either = {.function = function};
    return either.pointer;
}

static inline void run(int kind, int n, int signal, siginfo_t *info, void *context)
{
    if (__builtin_expect(hqq_fault_repair(signal, context), 0))
        return;
    hqq_handlers_count(kind == INTERRUPTING);
    /* Acquire: pairs with the exchange in trampoline_for(), which came before the trampoline was installed. */
    as_function(hqq_load_pointer_acquire(&functions[kind][n]))(signal, info, context);
}

#define TRAMPOLINE(kind, n)                                                                                            \
    static void kind##_##n(int signal, siginfo_t *info, void *context)                                                 \
    {                                                                                                                  \
        run(kind, 0##n, signal, info, context);                                                                        \
    }
#define ADDRESS(kind, n) kind##_##n,
/* Numbers are octal. */
#define EIGHT(WHAT, kind, n)                                                                                           \
    WHAT(kind, n##0)                                                                                                   \
    WHAT(kind, n##1)                                                                                                   \
    WHAT(kind, n##2)                                                                                                   \
    WHAT(kind, n##3)                                                                                                   \
    WHAT(kind, n##4)                                                                                                   \
    WHAT(kind, n##5)                                                                                                   \
    WHAT(kind, n##6)                                                                                                   \
    WHAT(kind, n##7)
#define ALL(WHAT, kind)                                                                                                \
    EIGHT(WHAT, kind, 0)                                                                                               \
    EIGHT(WHAT, kind, 1)                                                                                               \
    EIGHT(WHAT, kind, 2)                                                                                               \
    EIGHT(WHAT, kind, 3)                                                                                               \
    EIGHT(WHAT, kind, 4)                                                                                               \
    EIGHT(WHAT, kind, 5)                                                                                               \
    EIGHT(WHAT, kind, 6)                                                                                               \
    EIGHT(WHAT, kind, 7)

ALL(TRAMPOLINE, RESTARTING)
ALL(TRAMPOLINE, INTERRUPTING)

static handler_fn *const trampolines[2][TRAMPOLINES] = {{ALL(ADDRESS, RESTARTING)}, {ALL(ADDRESS, INTERRUPTING)}};

static bool is_handler(const void *function)
{
    /* What a handler may be besides: SIG_DFL, SIG_IGN, SIG_ERR, SIG_HOLD. */
    return (uintptr_t)function > 2 && (uintptr_t)function != (uintptr_t)-1;
}

void *hqq_signal_untrampolined(void *installed)
{
    if (installed == as_pointer(hqq_fault_default))
        return NULL; /* SIG_DFL */
    for (int kind = 0; is_handler(installed) && kind < 2; kind++) {
        for (int n = 0; n < TRAMPOLINES; n++) {
            if (as_pointer(trampolines[kind][n]) == installed)
                return hqq_load_pointer_acquire(&functions[kind][n]);
        }
    }
    return installed;
}

/* What is to be installed for a function of the program: also for a trampoline that it got to know by a bare system
 * call, and hands back. */
static void *trampoline_for(void *function, int kind)
{
    function = hqq_signal_untrampolined(function);
    if (!is_handler(function))
        return function;
    for (int n = 0; n < TRAMPOLINES; n++) {
        void *found = hqq_load_pointer_acquire(&functions[kind][n]);
        /* Release: pairs with the load in run(). Lost to another thread, or to a handler: the slot is looked at again. */
        if (found == NULL && !hqq_cas_pointer_release(&functions[kind][n], NULL, function))
            found = hqq_load_pointer_acquire(&functions[kind][n]);
        if (found == NULL || found == function)
            return as_pointer(trampolines[kind][n]);
    }
    return function;
}

/* ---- sigaction --------------------------------------------------------------------------------------------------- */

/* libc's own: it returns through a function that libc gives. */
#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

#define FAULT_FLAGS SA_SIGINFO

static bool is_fault(int signal)
{
    return (signal == SIGSEGV || signal == SIGBUS) && hqq_config_is_enabled();
}

/* What the kernel gets. */
static struct sigaction changed_for(int signal, const struct sigaction *action)
{
    struct sigaction changed = *action;
    if (is_fault(signal) && hqq_signal_untrampolined(as_pointer(action->sa_sigaction)) == NULL) {
        changed.sa_sigaction = hqq_fault_default;
        changed.sa_flags |= FAULT_FLAGS;
        changed.sa_flags &= ~(SA_NODEFER | (int)SA_RESETHAND);
    } else {
        changed.sa_sigaction = as_function(trampoline_for(as_pointer(action->sa_sigaction),
                                                          action->sa_flags & SA_RESTART ? RESTARTING : INTERRUPTING));
    }
    return changed;
}

static int act(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
    struct sigaction changed;
    if (!hqq_preload_is_ready())
        return HQQ_REAL(sigaction)(signal, action, ret_old);
    if (action != NULL)
        changed = changed_for(signal, action);
    int result = HQQ_REAL(sigaction)(signal, action != NULL ? &changed : NULL, ret_old);
    if (result == 0 && ret_old != NULL) {
        if (ret_old->sa_sigaction == hqq_fault_default)
            ret_old->sa_flags &= ~(FAULT_FLAGS | SA_RESTORER);
        ret_old->sa_sigaction = as_function(hqq_signal_untrampolined(as_pointer(ret_old->sa_sigaction)));
    }
    return result;
}

HQQ_EXPORT int sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
    return act(signal, action, ret_old);
}

HQQ_EXPORT int __sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old);
HQQ_EXPORT int __sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old)
{
    return act(signal, action, ret_old);
}

/* ---- signal and its like: libc's own do not go through sigaction() ------------------------------------------------ */

static hqq_atomic_u64 interrupted; /* a bit for each signal that siginterrupt() was called for */

static uint64_t bit_of(int signal)
{
    return signal > 0 && signal <= 64 ? UINT64_C(1) << (signal - 1) : 0;
}

static hqq_real_handler *plain(void *pointer)
{
    union {
        void *pointer;
        hqq_real_handler *function;
    } either = {.pointer = pointer};
    return either.function;
}

static void *pointer_to(hqq_real_handler *function)
{
    union {
        hqq_real_handler *function;
        void *pointer;
    } either = {.function = function};
    return either.pointer;
}

static hqq_real_handler *install(hqq_real_handler *(*real)(int, hqq_real_handler *), int signal,
                                 hqq_real_handler *function, int kind)
{
    if (!hqq_preload_is_ready())
        return real(signal, function);
    hqq_real_handler *old = real(signal, plain(trampoline_for(pointer_to(function), kind)));
    if (function == SIG_DFL && old != SIG_ERR && is_fault(signal)) {
        const struct sigaction by_default = {.sa_handler = SIG_DFL};
        act(signal, &by_default, NULL);
    }
    return plain(hqq_signal_untrampolined(pointer_to(old)));
}

static hqq_real_handler *install_bsd(int signal, hqq_real_handler *function)
{
    bool interrupts = (hqq_load_relaxed(&interrupted) & bit_of(signal)) != 0;
    return install(&HQQ_REAL(signal), signal, function, interrupts ? INTERRUPTING : RESTARTING);
}

HQQ_EXPORT hqq_real_handler *signal(int signal, hqq_real_handler *function)
{
    return install_bsd(signal, function);
}

HQQ_EXPORT hqq_real_handler *bsd_signal(int signal, hqq_real_handler *function);
HQQ_EXPORT hqq_real_handler *bsd_signal(int signal, hqq_real_handler *function)
{
    return install_bsd(signal, function);
}

HQQ_EXPORT hqq_real_handler *ssignal(int signal, hqq_real_handler *function)
{
    return install_bsd(signal, function);
}

HQQ_EXPORT hqq_real_handler *sysv_signal(int signal, hqq_real_handler *function)
{
    return install(&HQQ_REAL(sysv_signal), signal, function, INTERRUPTING);
}

HQQ_EXPORT hqq_real_handler *__sysv_signal(int signal, hqq_real_handler *function)
{
    return install(&HQQ_REAL(sysv_signal), signal, function, INTERRUPTING);
}

HQQ_EXPORT hqq_real_handler *sigset(int signal, hqq_real_handler *function)
{
    return install(&HQQ_REAL(sigset), signal, function, INTERRUPTING);
}

/* libc notes what signal() is to do later, and changes the flags of the action that is there. That one then has the
 * other kind of trampoline. */
HQQ_EXPORT int siginterrupt(int signal, int interrupts)
{
    struct sigaction action;
    int result = HQQ_REAL(siginterrupt)(signal, interrupts);
    if (result != 0 || !hqq_preload_is_ready())
        return result;
    uint64_t seen = hqq_load_relaxed(&interrupted);
    while (!hqq_cas_relaxed(&interrupted, &seen, interrupts ? seen | bit_of(signal) : seen & ~bit_of(signal)))
        ;
    if (act(signal, NULL, &action) == 0 && is_handler(as_pointer(action.sa_sigaction)))
        act(signal, &action, NULL);
    return result;
}
