/* What the process knows of itself: handlers that ran, names changed, filters, locked memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "runtime/filter.h"
#include "runtime/handlers.h"
#include "runtime/memlock.h"
#include "runtime/names.h"

static void *count_one(void *argument)
{
    (void)argument;
    hqq_handlers_count(true);
    return hqq_load32_relaxed(&hqq_handlers_run) == 1 ? NULL : &hqq_filter_count;
}

static void handlers_are_counted_for_each_thread(void **state)
{
    (void)state;
    pthread_t thread;
    void *result;
    hqq_handlers_count(false);
    hqq_handlers_count(true);
    assert_int_equal(pthread_create(&thread, NULL, count_one, NULL), 0);
    pthread_join(thread, &result);
    assert_null(result);
    assert_int_equal(hqq_load32_relaxed(&hqq_handlers_run), 2);
    assert_int_equal(hqq_load32_relaxed(&hqq_handlers_interrupting), 1);
}

static void each_change_of_names_makes_another_number(void **state)
{
    (void)state;
    uint64_t seen = hqq_names_seen();
    assert_int_equal(hqq_names_seen(), seen);
    errno = EXDEV;
    hqq_names_changed();
    assert_int_equal(errno, EXDEV);
    assert_int_not_equal(hqq_names_seen(), seen);
}

static void a_failed_attempt_does_not_undo_a_filter(void **state)
{
    (void)state;
    assert_false(hqq_filter_is_set());
    hqq_filter_begin();
    assert_true(hqq_filter_is_set());
    hqq_filter_begin();
    hqq_filter_failed();
    assert_true(hqq_filter_is_set());
    hqq_filter_failed();
    assert_false(hqq_filter_is_set());
}

static void an_inherited_filter_is_found(void **state)
{
    (void)state;
    int status;
    errno = EXDEV;
    hqq_filter_inherit();
    assert_int_equal(errno, EXDEV);
    assert_false(hqq_filter_is_set());
    pid_t child = fork();
    if (child == 0) {
        struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {1, all};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
            _exit(77);
        hqq_filter_inherit();
        _exit(hqq_filter_is_set() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void memory_is_locked_until_it_is_not(void **state)
{
    (void)state;
    assert_false(hqq_memory_is_locked());
    hqq_memlock_set(true);
    assert_true(hqq_memory_is_locked());
    hqq_memlock_set(false);
    assert_false(hqq_memory_is_locked());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handlers_are_counted_for_each_thread),
        cmocka_unit_test(each_change_of_names_makes_another_number),
        cmocka_unit_test(a_failed_attempt_does_not_undo_a_filter),
        cmocka_unit_test(an_inherited_filter_is_found),
        cmocka_unit_test(memory_is_locked_until_it_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
