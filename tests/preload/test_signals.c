/*
 * Signal handlers: who installs or queries one, and who is interrupted by it, finds what the kernel does without us.
 * Runs with and without the preload.
 */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigset() and siginterrupt(): what is tested */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdatomic.h>

sighandler_t bsd_signal(int signal, sighandler_t handler);
int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);

/* ThreadSanitizer keeps back signals, and tells of masks, flags and restarts otherwise than the kernel. */
#if defined(__SANITIZE_THREAD__)
static const bool has_handlers_of_its_own = true;
#else
static const bool has_handlers_of_its_own = false;
#endif

static volatile sig_atomic_t calls;
static volatile sig_atomic_t last_signal;
static volatile sig_atomic_t depth;
static volatile sig_atomic_t deepest;
static siginfo_t last_info;
static void *volatile last_context;
static void *volatile last_frame;

static void on_signal(int signal)
{
    int here;
    last_signal = signal;
    last_frame = &here;
    calls = calls + 1;
}

static void on_signal_too(int signal)
{
    on_signal(signal);
}

static void on_info(int signal, siginfo_t *info, void *context)
{
    last_info = *info;
    last_context = context;
    on_signal(signal);
}

static void on_nesting(int signal)
{
    depth = depth + 1;
    if (depth > deepest)
        deepest = depth;
    if (depth == 1 && calls == 0)
        raise(signal);
    depth = depth - 1;
    on_signal(signal);
}

static struct sigaction action_of(sighandler_t handler, int flags)
{
    struct sigaction action = {.sa_flags = flags};
    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    return action;
}

static void install(sighandler_t handler, int flags)
{
    struct sigaction action = action_of(handler, flags);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static int start(void **state)
{
    (void)state;
    calls = 0;
    depth = 0;
    deepest = 0;
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
    return 0;
}

/* What a query says: the function, and which of these flags. */
static void assert_installed(sighandler_t handler, int flags)
{
    const int asked = (int)(SA_RESTART | SA_SIGINFO | SA_RESETHAND | SA_NODEFER | SA_ONSTACK | SA_NOCLDSTOP);
    struct sigaction now;
    assert_int_equal(sigaction(SIGUSR1, NULL, &now), 0);
    assert_true(now.sa_handler == handler);
    assert_int_equal(now.sa_flags & asked, flags);
}

static void who_asks_is_told_the_programs_own_function_and_flags(void **state)
{
    (void)state;
    struct sigaction old;
    struct sigaction first = action_of(on_signal, SA_RESTART | SA_NODEFER);
    struct sigaction second = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaddset(&first.sa_mask, SIGUSR2);
    assert_int_equal(sigaction(SIGUSR1, &first, &old), 0);
    assert_true(old.sa_handler == SIG_DFL);
    assert_installed(on_signal, SA_RESTART | SA_NODEFER);
    assert_int_equal(__sigaction(SIGUSR1, &second, &old), 0);
    assert_true(old.sa_handler == on_signal);
    assert_int_equal(sigismember(&old.sa_mask, SIGUSR2), 1);
    assert_int_equal(sigismember(&old.sa_mask, SIGTERM), 0);
    assert_int_equal(sigaction(SIGUSR1, &old, &second), 0);
    assert_true(second.sa_sigaction == on_info);
    assert_int_equal(second.sa_flags & (SA_SIGINFO | SA_ONSTACK | SA_RESTART), SA_SIGINFO | SA_ONSTACK);
    assert_installed(on_signal, SA_RESTART | SA_NODEFER);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    install(SIG_IGN, 0);
    assert_installed(SIG_IGN, 0);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
}

static void the_old_functions_return_what_was_there(void **state)
{
    (void)state;
    assert_true(signal(SIGUSR1, on_signal) == SIG_DFL);
    assert_installed(on_signal, SA_RESTART);
    assert_true(bsd_signal(SIGUSR1, on_signal_too) == on_signal);
    assert_true(ssignal(SIGUSR1, on_signal) == on_signal_too);
    assert_true(sysv_signal(SIGUSR1, on_signal_too) == on_signal);
    assert_installed(on_signal_too, (int)(SA_RESETHAND | SA_NODEFER));
    assert_true(__sysv_signal(SIGUSR1, on_signal) == on_signal_too);
    assert_true(sigset(SIGUSR1, on_signal_too) == on_signal);
    assert_installed(on_signal_too, 0);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    assert_true(sigset(SIGUSR1, SIG_HOLD) == on_signal_too);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    assert_true(sigset(SIGUSR1, on_signal) == SIG_HOLD);
    assert_int_equal(calls, 2); /* what was held back */
    assert_true(signal(SIGUSR1, SIG_IGN) == on_signal);
    assert_true(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

static void what_is_refused_changes_nothing(void **state)
{
    (void)state;
    struct sigaction action = action_of(on_signal, 0);
    install(on_signal_too, SA_RESTART);
    errno = 0;
    assert_int_equal(sigaction(0, &action, NULL), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(sigaction(SIGKILL, &action, NULL), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_true(signal(SIGSTOP, on_signal) == SIG_ERR);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_true(signal(SIGUSR1, SIG_ERR) == SIG_ERR);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(siginterrupt(1000, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_installed(on_signal_too, SA_RESTART);
}

static void a_handler_with_three_arguments_gets_them(void **state)
{
    (void)state;
    struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    memset(&last_info, 0, sizeof(last_info));
    errno = EXDEV;
    assert_int_equal(sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711}), 0);
    while (calls == 0)
        usleep(1000);
    assert_int_equal(last_signal, SIGUSR1);
    assert_int_equal(last_info.si_signo, SIGUSR1);
    assert_int_equal(last_info.si_pid, getpid());
    assert_int_equal(last_info.si_value.sival_int, 4711);
    assert_non_null(last_context);
}

static void a_handler_may_be_for_one_signal_only(void **state)
{
    (void)state;
    install(on_signal, (int)SA_RESETHAND);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    assert_installed(SIG_DFL, (int)SA_RESETHAND);
}

static void a_handler_is_interrupted_by_its_own_signal_if_it_wants(void **state)
{
    (void)state;
    install(on_nesting, SA_NODEFER);
    raise(SIGUSR1);
    assert_int_equal(calls, 2);
    assert_int_equal(deepest, 2);
    calls = 0;
    deepest = 0;
    depth = 0;
    install(on_nesting, 0);
    raise(SIGUSR1);
    while (calls < 2) /* the second one comes when the first is over */
        usleep(1000);
    assert_int_equal(deepest, 1);
}

static void a_handler_runs_on_the_alternate_stack_if_it_wants(void **state)
{
    (void)state;
    const size_t size = 64 * 1024;
    char *space = malloc(size);
    stack_t stack = {.ss_sp = space, .ss_size = size};
    stack_t none = {.ss_flags = SS_DISABLE};
    assert_int_equal(sigaltstack(&stack, &none), 0);
    install(on_signal, SA_ONSTACK);
    raise(SIGUSR1);
    assert_true((char *)last_frame > space && (char *)last_frame < space + size);
    install(on_signal, 0);
    raise(SIGUSR1);
    assert_false((char *)last_frame > space && (char *)last_frame < space + size);
    assert_int_equal(calls, 2);
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, NULL);
    free(space);
}

/* True if a read() during which the signal comes goes on: then what ends it is the byte that comes after so many signals. */
static bool read_goes_on(int signals)
{
    int fds[2];
    char byte;
    assert_int_equal(pipe(fds), 0);
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < signals; i++) { /* the parent may not be in its read() yet */
            usleep(20000);
            kill(parent, SIGUSR1);
        }
        usleep(20000);
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
    }
    ssize_t got = read(fds[0], &byte, 1);
    int error = errno;
    assert_true(got == 1 || (got == -1 && error == EINTR));
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0)
        ;
    close(fds[0]);
    close(fds[1]);
    return got == 1;
}

/* Signals, one in 20 ms: where each is expected to go by without an effect, and where the first in the read() is to end it. */
enum { SOME = 20, MANY = 1000 };

static void interrupted_calls_go_on_or_not(void **state)
{
    (void)state;
    install(on_signal, 0);
    assert_false(read_goes_on(MANY));
    install(on_signal, SA_RESTART);
    assert_true(read_goes_on(SOME));
    signal(SIGUSR1, on_signal);
    assert_true(read_goes_on(SOME));
    assert_int_equal(siginterrupt(SIGUSR1, 1), 0);
    assert_installed(on_signal, 0);
    assert_false(read_goes_on(MANY));
    signal(SIGUSR1, on_signal_too); /* siginterrupt() holds for later ones */
    assert_installed(on_signal_too, 0);
    assert_false(read_goes_on(MANY));
    assert_int_equal(siginterrupt(SIGUSR1, 0), 0);
    assert_installed(on_signal_too, SA_RESTART);
    assert_true(read_goes_on(SOME));
    signal(SIGUSR1, SIG_IGN);
    assert_int_equal(siginterrupt(SIGUSR1, 1), 0);
    assert_int_equal(siginterrupt(SIGUSR1, 0), 0);
    assert_true(signal(SIGUSR1, SIG_DFL) == SIG_IGN);
}

static void children_inherit_handlers(void **state)
{
    (void)state;
    int status;
    install(on_signal, 0);
    pid_t child = fork();
    if (child == 0) {
        struct sigaction now;
        raise(SIGUSR1);
        sigaction(SIGUSR1, NULL, &now);
        _exit(calls == 1 && now.sa_handler == on_signal ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(calls, 0);
}

static char *self;

/* Main, executed anew: a handler is gone, what was ignored is. */
static int after_exec(void)
{
    struct sigaction first;
    struct sigaction second;
    sigaction(SIGUSR1, NULL, &first);
    sigaction(SIGUSR2, NULL, &second);
    return first.sa_handler == SIG_DFL && second.sa_handler == SIG_IGN ? 0 : 1;
}

static void handlers_end_with_the_program(void **state)
{
    (void)state;
    int status;
    install(on_signal, 0);
    signal(SIGUSR2, SIG_IGN);
    pid_t child = fork();
    if (child == 0) {
        execl(self, self, "after_exec", NULL);
        _exit(2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The kernel's structure, as far as it is used here. */
struct kernel_action {
    sighandler_t handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

static void bare_system_calls_see_and_set_the_programs_functions(void **state)
{
    (void)state;
    struct kernel_action action;
    install(on_signal, SA_RESTART);
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, (size_t)8), 0);
    assert_true(action.handler == on_signal);
    action.handler = on_signal_too;
    struct kernel_action old;
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, &action, &old, (size_t)8), 0);
    assert_installed(on_signal_too, SA_RESTART);
    assert_true(old.handler == on_signal);
    raise(SIGUSR1);
    assert_int_equal(calls, 1);
    install(on_signal, 0);
    errno = 0;
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, (size_t)3), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, (size_t)8), -1);
    assert_int_equal(errno, EFAULT);
}

/* More functions than a program is thought to have. */
static volatile sig_atomic_t last_function;
#define FUNCTION(n)                                                                                                    \
    static void function_##n(int signal)                                                                               \
    {                                                                                                                  \
        last_function = n;                                                                                             \
        on_signal(signal);                                                                                             \
    }
#define TEN(WHAT, n)                                                                                                   \
    WHAT(n##0) WHAT(n##1) WHAT(n##2) WHAT(n##3) WHAT(n##4) WHAT(n##5) WHAT(n##6) WHAT(n##7) WHAT(n##8) WHAT(n##9)
TEN(FUNCTION, 1)
TEN(FUNCTION, 2)
TEN(FUNCTION, 3)
TEN(FUNCTION, 4)
TEN(FUNCTION, 5)
TEN(FUNCTION, 6)
TEN(FUNCTION, 7)
TEN(FUNCTION, 8)
#define ADDRESS(n) function_##n,

static void a_program_may_have_many_handlers(void **state)
{
    (void)state;
    static const sighandler_t functions[] = {TEN(ADDRESS, 1) TEN(ADDRESS, 2) TEN(ADDRESS, 3) TEN(ADDRESS, 4)
                                                 TEN(ADDRESS, 5) TEN(ADDRESS, 6) TEN(ADDRESS, 7) TEN(ADDRESS, 8)};
    const int count = sizeof(functions) / sizeof(functions[0]);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            install(functions[i], round == 0 ? 0 : SA_RESTART);
            assert_installed(functions[i], round == 0 ? 0 : SA_RESTART);
            raise(SIGUSR1);
            assert_int_equal(calls, round * count + i + 1);
            assert_int_equal(last_function, 10 + i);
        }
    }
}

static atomic_int one_calls, two_calls, wrong_calls;
static atomic_bool is_over;

static void on_one(int signal)
{
    atomic_fetch_add(signal == SIGUSR1 ? &one_calls : &wrong_calls, 1);
}

static void on_two(int signal, siginfo_t *info, void *context)
{
    atomic_fetch_add(signal == SIGUSR1 && info->si_signo == SIGUSR1 && context != NULL ? &two_calls : &wrong_calls, 1);
}

static void *change_handlers(void *argument)
{
    const struct sigaction one = {.sa_handler = on_one, .sa_flags = SA_RESTART};
    const struct sigaction two = {.sa_sigaction = on_two, .sa_flags = SA_SIGINFO};
    struct sigaction old;
    (void)argument;
    while (!atomic_load(&is_over)) {
        sigaction(SIGUSR1, &one, &old);
        if (old.sa_handler != on_one && old.sa_sigaction != on_two)
            atomic_fetch_add(&wrong_calls, 1);
        sigaction(SIGUSR1, &two, NULL);
    }
    return NULL;
}

static void a_signal_meets_the_old_handler_or_the_new_one(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its own sigaction() copies handlers byte by byte, so two threads may tear one, without the preload too */
#endif
    enum { SIGNALS = 20000, CHANGERS = 2 };
    pthread_t threads[CHANGERS];
    sigset_t blocked;
    sigset_t before;
    install(on_one, 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    for (int i = 0; i < CHANGERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_handlers, NULL), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < SIGNALS; i++)
        pthread_kill(pthread_self(), SIGUSR1);
    atomic_store(&is_over, true);
    for (int i = 0; i < CHANGERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong_calls, 0);
    assert_int_equal(one_calls + two_calls, SIGNALS);
    install(SIG_DFL, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_handler_with_three_arguments_gets_them, start),
        cmocka_unit_test_setup(a_handler_runs_on_the_alternate_stack_if_it_wants, start),
        cmocka_unit_test_setup(children_inherit_handlers, start),
        cmocka_unit_test_setup(handlers_end_with_the_program, start),
        cmocka_unit_test_setup(a_signal_meets_the_old_handler_or_the_new_one, start),
    };
    const struct CMUnitTest exact_tests[] = {
        cmocka_unit_test_setup(who_asks_is_told_the_programs_own_function_and_flags, start),
        cmocka_unit_test_setup(the_old_functions_return_what_was_there, start),
        cmocka_unit_test_setup(what_is_refused_changes_nothing, start),
        cmocka_unit_test_setup(a_handler_may_be_for_one_signal_only, start),
        cmocka_unit_test_setup(a_handler_is_interrupted_by_its_own_signal_if_it_wants, start),
        cmocka_unit_test_setup(interrupted_calls_go_on_or_not, start),
        cmocka_unit_test_setup(bare_system_calls_see_and_set_the_programs_functions, start),
        cmocka_unit_test_setup(a_program_may_have_many_handlers, start),
    };
    if (argc > 1)
        return after_exec();
    self = argv[0];
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!has_handlers_of_its_own)
        failed += cmocka_run_group_tests(exact_tests, NULL, NULL);
    return failed;
}
