/*
 * What hooks find out about the process: handlers that ran, calls that were jumped out of, changes to names and
 * identity, filters, locked memory. Runs with the hooks and recorder.c preloaded.
 */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* sigset() and siginterrupt(): what is tested */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "preload/record.h"

void __longjmp_chk(jmp_buf target, int value) __attribute__((noreturn));
sighandler_t bsd_signal(int signal, sighandler_t handler);
int __sigaction(int signal, const struct sigaction *action, struct sigaction *old);
int pivot_root(const char *root, const char *old);
int capset(void *header, const void *data);

static const char *(*record_take)(void);
static void (*push_frame)(struct hqq_record_frame *frame);
static const uint32_t *handlers_run, *handlers_interrupting, *filter_count, *memlock_state;
static const uint64_t *names_changes;

static void find(const char *name, void *ret_found)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (found == NULL)
        fail_msg("%s: the recorder is not preloaded", name);
    memcpy(ret_found, &found, sizeof(found));
}

static int start(void **state)
{
    (void)state;
    find("hqq_record_take", &record_take);
    find("hqq_record_push_frame", &push_frame);
    find("hqq_handlers_run", &handlers_run);
    find("hqq_handlers_interrupting", &handlers_interrupting);
    find("hqq_filter_count", &filter_count);
    find("hqq_memlock_state", &memlock_state);
    find("hqq_names_changes", &names_changes);
    record_take();
    return 0;
}

/* ---- Handlers ---------------------------------------------------------------------------------------------------- */

static void on_signal(int signal)
{
    (void)signal;
}

/* A signal is counted as one handler, and as one that interrupts or not. */
static void raise_and_check(bool is_interrupting, int line)
{
    uint32_t run = *handlers_run;
    uint32_t interrupting = *handlers_interrupting;
    raise(SIGUSR1);
    if (*handlers_run != run + 1 || *handlers_interrupting != interrupting + is_interrupting)
        fail_msg("line %d: %u handlers, %u interrupting", line, *handlers_run - run,
                 *handlers_interrupting - interrupting);
}

static void handlers_are_counted_by_what_they_do_to_waits(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    raise_and_check(true, __LINE__);
    action.sa_flags = SA_RESTART;
    __sigaction(SIGUSR1, &action, NULL);
    raise_and_check(false, __LINE__);
    sysv_signal(SIGUSR1, on_signal);
    raise_and_check(true, __LINE__);
    __sysv_signal(SIGUSR1, on_signal);
    raise_and_check(true, __LINE__);
    signal(SIGUSR1, on_signal);
    raise_and_check(false, __LINE__);
    sigset(SIGUSR1, on_signal);
    raise_and_check(true, __LINE__);
    bsd_signal(SIGUSR1, on_signal);
    raise_and_check(false, __LINE__);
    siginterrupt(SIGUSR1, 1);
    raise_and_check(true, __LINE__);
    ssignal(SIGUSR1, on_signal);
    raise_and_check(true, __LINE__);
    siginterrupt(SIGUSR1, 0);
    raise_and_check(false, __LINE__);
    uint32_t run = *handlers_run;
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    assert_int_equal(*handlers_run, run);
}

/* ---- Jumps ------------------------------------------------------------------------------------------------------- */

static jmp_buf out;
static sigjmp_buf sig_out;

/* volatile: the compiler must not know that they don't return. */
static void (*volatile how)(void);

static void by_longjmp(void)
{
    longjmp(out, 1);
}

static void by_underscore(void)
{
    _longjmp(out, 1);
}

static void by_siglongjmp(void)
{
    siglongjmp(sig_out, 1);
}

static void by_checked(void)
{
    __longjmp_chk(out, 1);
}

__attribute__((noinline)) static void call(int depth)
{
    struct hqq_record_frame frame;
    push_frame(&frame);
    if (depth > 0)
        call(depth - 1);
    else
        how();
    fail();
}

/* Jumps out of two calls; what was noted. */
__attribute__((noinline)) static const char *jump(void (*function)(void))
{
    how = function;
    record_take();
    if (sigsetjmp(sig_out, 1) == 0 && setjmp(out) == 0)
        call(1);
    return record_take();
}

static void on_signal_jump(int signal)
{
    (void)signal;
    struct hqq_record_frame frame;
    push_frame(&frame);
    siglongjmp(sig_out, 1);
}

static void by_signal(void)
{
    raise(SIGUSR1);
}

static void jumps_leave_the_calls_below_their_target(void **state)
{
    (void)state;
    static char stack_space[64 * 1024];
    stack_t stack = {.ss_sp = stack_space, .ss_size = sizeof(stack_space)};
    stack_t none = {.ss_flags = SS_DISABLE};
    struct sigaction action = {.sa_handler = on_signal_jump};
#if defined(__x86_64__)
    const char *both = "left left";
    const char *all = "left left left";
#else
    const char *both = ""; /* the next call finds them */
    const char *all = "";
#endif
    assert_string_equal(jump(by_longjmp), both);
    assert_string_equal(jump(by_underscore), both);
    assert_string_equal(jump(by_siglongjmp), both);
    assert_string_equal(jump(by_checked), both);
    sigaction(SIGUSR1, &action, NULL);
    assert_string_equal(jump(by_signal), all);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, NULL);
    sigaltstack(&stack, NULL);
    const char *noted = jump(by_signal);
    sigaltstack(&none, NULL);
    assert_string_equal(noted, all);
    signal(SIGUSR1, SIG_DFL);
}

/* ---- Names and identity ------------------------------------------------------------------------------------------ */

/* The call, which may fail, counts once. */
#define changes(call)                                                                                                  \
    do {                                                                                                               \
        uint64_t changes_before = *names_changes;                                                                      \
        (void)!(call);                                                                                                 \
        if (*names_changes != changes_before + 1)                                                                      \
            fail_msg("line %d: %s: %d changes", __LINE__, #call, (int)(*names_changes - changes_before));              \
    } while (0)

static const char no_file[] = "/nonexistent/a";

static void what_changes_names(void **state)
{
    (void)state;
    char *volatile path = strdup(no_file); /* volatile: nothing is known of it */
    changes(rename(path, no_file));
    changes(renameat(AT_FDCWD, path, AT_FDCWD, no_file));
    changes(renameat2(AT_FDCWD, path, AT_FDCWD, no_file, 0));
    changes(link(path, no_file));
    changes(linkat(AT_FDCWD, path, AT_FDCWD, no_file, 0));
    changes(symlink(path, no_file));
    changes(symlinkat(path, AT_FDCWD, no_file));
    changes(unlink(path));
    changes(unlinkat(AT_FDCWD, path, 0));
    changes(remove(path));
    changes(chmod(path, 0600));
    changes(fchmod(-1, 0600));
    changes(fchmodat(AT_FDCWD, path, 0600, 0));
    changes(lchmod(path, 0600));
    changes(chown(path, 0, 0));
    changes(fchown(-1, 0, 0));
    changes(lchown(path, 0, 0));
    changes(fchownat(AT_FDCWD, path, 0, 0, 0));
    changes(chdir(path));
    changes(fchdir(-1));
    changes(chroot(path));
    changes(mount(path, path, "none", 0, NULL));
    changes(umount(path));
    changes(umount2(path, 0));
    changes(pivot_root(path, path));
    changes(setns(-1, 0));
    changes(unshare(0));
    free(path);
}

static void what_changes_identity(void **state)
{
    (void)state;
    const uid_t user = getuid();
    const gid_t group = getgid();
    changes(setuid(user));
    changes(seteuid(user));
    changes(setreuid(user, user));
    changes(setresuid(user, user, user));
    changes(setgid(group));
    changes(setegid(group));
    changes(setregid(group, group));
    changes(setresgid(group, group, group));
    changes(setgroups((size_t)-1, NULL));
    uint64_t before = *names_changes;
    (void)!initgroups("root", (gid_t)-1); /* what it asks may load libraries, which change their own */
    assert_true(*names_changes > before);
    changes(setfsuid(user));
    changes(setfsgid(group));
    changes(capset(NULL, NULL));
    changes(prctl(PR_SET_NAME, "watched"));
    char name[16];
    assert_int_equal(prctl(PR_GET_NAME, name), 0); /* arguments arrive */
    assert_string_equal(name, "watched");
}

static void what_changes_names_by_bare_system_calls(void **state)
{
    (void)state;
    changes(syscall(SYS_unlinkat, AT_FDCWD, no_file, 0));
    changes(syscall(SYS_renameat2, AT_FDCWD, no_file, AT_FDCWD, no_file, 0));
    changes(syscall(SYS_fchmodat, AT_FDCWD, no_file, 0600));
    changes(syscall(SYS_chroot, no_file));
    changes(syscall(SYS_setresuid, -1, -1, -1));
    changes(syscall(SYS_capset, NULL, NULL));
    changes(syscall(SYS_landlock_restrict_self, -1, 0));
    changes(syscall(SYS_prctl, PR_SET_NAME, "watched", 0, 0, 0));
    uint64_t before = *names_changes;
    syscall(SYS_getpid);
    assert_int_equal(*names_changes, before);
}

/* ---- Filters and memory ------------------------------------------------------------------------------------------ */

static struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
static struct sock_fprog program = {1, all};

/* A child sets a filter in a way. 0: it is noticed; 1: it is not; 77: there are no filters here. */
static int child_notices(bool by_prctl)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        long result = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (*filter_count != 0)
            _exit(1);
        if (result == 0)
            result = by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                              : syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
        _exit(result != 0 ? 77 : *filter_count == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void filters_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(*filter_count, 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL), -1);
    assert_int_equal(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL), -1);
    assert_int_equal(*filter_count, 0);
    int by_prctl = child_notices(true);
    int by_seccomp = child_notices(false);
    if (by_prctl == 77 || by_seccomp == 77)
        skip();
    assert_int_equal(by_prctl, 0);
    assert_int_equal(by_seccomp, 0);
}

static void strict_mode_is_noticed(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(77);
        syscall(SYS_exit, *filter_count == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void locked_memory_is_noticed_and_not_inherited(void **state)
{
    (void)state;
    int status;
    assert_int_equal(mlockall(0x4000), -1);
    assert_int_equal(*memlock_state, 0);
    if (mlockall(MCL_CURRENT) != 0)
        skip();
    assert_int_equal(*memlock_state, 1);
    pid_t child = fork();
    if (child == 0)
        _exit((int)*memlock_state);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(munlockall(), 0);
    assert_int_equal(*memlock_state, 0);
    assert_int_equal(syscall(SYS_mlockall, MCL_FUTURE), 0);
    assert_int_equal(*memlock_state, 1);
    assert_int_equal(syscall(SYS_munlockall), 0);
    assert_int_equal(*memlock_state, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(handlers_are_counted_by_what_they_do_to_waits, start),
        cmocka_unit_test_setup(jumps_leave_the_calls_below_their_target, start),
        cmocka_unit_test_setup(what_changes_names, start),
        cmocka_unit_test_setup(what_changes_identity, start),
        cmocka_unit_test_setup(what_changes_names_by_bare_system_calls, start),
        cmocka_unit_test_setup(filters_are_noticed, start),
        cmocka_unit_test_setup(strict_mode_is_noticed, start),
        cmocka_unit_test_setup(locked_memory_is_noticed_and_not_inherited, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
