/*
 * The clock and deadlines, and what waiting relies on in the system-call table: sleeps, futexes, the processor count.
 * What a child process finds out comes back as its exit status.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hqq/link.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "platform/sys.h"

#define ABSENT "/proc/self/no such file"

static int exit_status_of(int (*run)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* ---- Clock and deadlines ----------------------------------------------------------------------------------------- */

static uint64_t kernel_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void the_clock_is_the_monotonic_one_in_nanoseconds(void **state)
{
    (void)state;
    uint64_t before = kernel_clock_ns();
    uint64_t now = hqq_clock_ns();
    assert_in_range(now, before, kernel_clock_ns());
}

static void a_deadline_is_now_plus_the_span(void **state)
{
    (void)state;
    assert_true(hqq_deadline_after(1000, 234) == 1234);
}

static void a_span_of_zero_ends_now(void **state)
{
    (void)state;
    assert_true(hqq_deadline_after(1000, 0) == 1000);
}

static void a_span_without_end_has_no_deadline(void **state)
{
    (void)state;
    assert_true(hqq_deadline_after(0, HQQ_FOREVER) == HQQ_FOREVER);
    assert_true(hqq_deadline_after(1000, HQQ_FOREVER) == HQQ_FOREVER);
}

static void a_deadline_that_does_not_fit_never_comes(void **state)
{
    (void)state;
    assert_true(hqq_deadline_after(1000, UINT64_MAX - 999) == HQQ_FOREVER);
    assert_true(hqq_deadline_after(UINT64_MAX, 1) == HQQ_FOREVER);
}

static void the_last_deadline_that_fits_is_kept(void **state)
{
    (void)state;
    assert_true(hqq_deadline_after(1000, UINT64_MAX - 1001) == UINT64_MAX - 1);
}

/* ---- Sleeps ------------------------------------------------------------------------------------------------------ */

static void a_sleep_does_not_end_before_its_deadline(void **state)
{
    (void)state;
    uint64_t deadline = hqq_deadline_after(hqq_clock_ns(), 2 * HQQ_NS_PER_MS);
    assert_int_equal(hqq_sys.sleep_until(deadline), 0);
    assert_true(hqq_clock_ns() >= deadline);
}

static void a_sleep_until_the_past_returns(void **state)
{
    (void)state;
    assert_int_equal(hqq_sys.sleep_until(0), 0);
    assert_int_equal(hqq_sys.sleep_until(hqq_clock_ns()), 0);
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Signals that keep coming, so that one comes while a call sleeps, however late that begins. */
static int start_alarms(void **state)
{
    (void)state;
    const struct sigaction action = {.sa_handler = ignore_signal};
    const struct itimerval each_ms = {{0, 1000}, {0, 1000}};
    return sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &each_ms, NULL) == 0 ? 0 : -1;
}

static int stop_alarms(void **state)
{
    (void)state;
    const struct itimerval never = {{0, 0}, {0, 0}};
    return setitimer(ITIMER_REAL, &never, NULL) == 0 && signal(SIGALRM, SIG_IGN) != SIG_ERR ? 0 : -1;
}

static void a_signal_ends_a_sleep(void **state)
{
    (void)state;
    assert_int_equal(hqq_sys.sleep_until(HQQ_FOREVER), -EINTR);
}

static void a_signal_ends_a_wait(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(hqq_sys.futex_wait(&word, 7, HQQ_FOREVER), -EINTR);
}

/* ---- Futexes ----------------------------------------------------------------------------------------------------- */

static void a_wait_for_a_value_that_has_changed_returns_at_once(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(hqq_sys.futex_wait(&word, 8, HQQ_FOREVER), -EAGAIN);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    uint32_t word = 7;
    uint64_t deadline = hqq_deadline_after(hqq_clock_ns(), 2 * HQQ_NS_PER_MS);
    assert_int_equal(hqq_sys.futex_wait(&word, 7, deadline), -ETIMEDOUT);
    assert_true(hqq_clock_ns() >= deadline);
}

static void a_wait_whose_deadline_has_passed_returns_at_once(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(hqq_sys.futex_wait(&word, 7, 0), -ETIMEDOUT);
}

static void a_wake_without_sleepers_wakes_nobody(void **state)
{
    (void)state;
    uint32_t word = 7;
    assert_int_equal(hqq_sys.futex_wake(&word, INT_MAX), 0);
}

/* Whether a child that waits until deadline_ns on shared memory is woken by its parent. */
static bool a_child_is_woken(uint64_t deadline_ns)
{
    int status = -1;
    hqq_atomic_u32 *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        _exit(hqq_sys.futex_wait(word, 0, deadline_ns) == 0 ? 0 : 1);
    /* The word stays as it is, so the child can only have gone to sleep, or have ended for another reason. */
    int woken = 0;
    while (woken == 0 && waitpid(pid, &status, WNOHANG) == 0) {
        woken = hqq_sys.futex_wake(word, 1);
        hqq_sys.sched_yield();
    }
    if (woken == 1)
        waitpid(pid, &status, 0);
    munmap(word, sizeof(*word));
    return woken == 1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void a_wait_without_deadline_ends_by_a_wake_from_another_process(void **state)
{
    (void)state;
    assert_true(a_child_is_woken(HQQ_FOREVER));
}

static void a_deadline_beyond_the_kernels_clock_is_valid(void **state)
{
    (void)state;
    assert_true(a_child_is_woken(HQQ_FOREVER - 1));
}

/* ---- The table --------------------------------------------------------------------------------------------------- */

static int count_of_a_process_on_one_processor(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        return 255;
    return hqq_sys.cpu_count();
}

static void only_processors_that_are_allowed_count(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of(count_of_a_process_on_one_processor), 1);
}

static void there_is_a_processor(void **state)
{
    (void)state;
    assert_true(hqq_sys.cpu_count() >= 1);
}

static int limit_of_4096_is_seen(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 4096;
    return setrlimit(RLIMIT_FSIZE, &limit) == 0 && hqq_sys.file_size_limit() == 4096 ? 0 : 1;
}

static void the_file_size_limit_is_the_soft_one(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of(limit_of_4096_is_seen), 0);
}

static void failures_come_back_as_negative_errno(void **state)
{
    (void)state;
    char byte;
    void *address;
    struct stat stat;
    struct statfs statfs;
    assert_int_equal(hqq_sys.open(ABSENT, O_RDONLY, 0), -ENOENT);
    assert_int_equal(hqq_sys.close(-1), -EBADF);
    assert_int_equal(hqq_sys.read(-1, &byte, 1), -EBADF);
    assert_int_equal(hqq_sys.fstat(-1, &stat), -EBADF);
    assert_int_equal(hqq_sys.stat(ABSENT, &stat), -ENOENT);
    assert_int_equal(hqq_sys.fstatfs(-1, &statfs), -EBADF);
    assert_int_equal(hqq_sys.fchmod(-1, 0600), -EBADF);
    assert_int_equal(hqq_sys.ftruncate(-1, 1), -EBADF);
    assert_int_equal(hqq_sys.fallocate(-1, 0, 0, 1), -EBADF);
    assert_int_equal(hqq_sys.unlink(ABSENT), -ENOENT);
    assert_int_equal(hqq_sys.memfd_create("hqq", 1u << 20), -EINVAL);
    assert_int_equal(hqq_sys.add_seals(-1, 0), -EBADF);
    assert_int_equal(hqq_sys.get_seals(-1), -EBADF);
    assert_int_equal(hqq_sys.mmap(&address, 4096, PROT_READ, MAP_SHARED, -1), -EBADF);
    assert_int_equal(hqq_sys.munmap(&byte, 0), -EINVAL);
    assert_int_equal(hqq_sys.madvise(NULL, 0, -1), -EINVAL);
    assert_int_equal(hqq_sys.kill(getpid(), 1000), -EINVAL);
}

static void a_failure_preserves_errno(void **state)
{
    (void)state;
    uint32_t word = 7;
    struct stat stat;
    errno = E2BIG;
    hqq_sys.close(-1);
    hqq_sys.read(-1, &word, 1);
    hqq_sys.stat(ABSENT, &stat);
    hqq_sys.futex_wait(&word, 8, HQQ_FOREVER);
    hqq_sys.futex_wait(&word, 7, 0);
    assert_int_equal(errno, E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_is_the_monotonic_one_in_nanoseconds),
        cmocka_unit_test(a_deadline_is_now_plus_the_span),
        cmocka_unit_test(a_span_of_zero_ends_now),
        cmocka_unit_test(a_span_without_end_has_no_deadline),
        cmocka_unit_test(a_deadline_that_does_not_fit_never_comes),
        cmocka_unit_test(the_last_deadline_that_fits_is_kept),
        cmocka_unit_test(a_sleep_does_not_end_before_its_deadline),
        cmocka_unit_test(a_sleep_until_the_past_returns),
        cmocka_unit_test_setup_teardown(a_signal_ends_a_sleep, start_alarms, stop_alarms),
        cmocka_unit_test_setup_teardown(a_signal_ends_a_wait, start_alarms, stop_alarms),
        cmocka_unit_test(a_wait_for_a_value_that_has_changed_returns_at_once),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_wait_whose_deadline_has_passed_returns_at_once),
        cmocka_unit_test(a_wake_without_sleepers_wakes_nobody),
        cmocka_unit_test(a_wait_without_deadline_ends_by_a_wake_from_another_process),
        cmocka_unit_test(a_deadline_beyond_the_kernels_clock_is_valid),
        cmocka_unit_test(only_processors_that_are_allowed_count),
        cmocka_unit_test(there_is_a_processor),
        cmocka_unit_test(the_file_size_limit_is_the_soft_one),
        cmocka_unit_test(failures_come_back_as_negative_errno),
        cmocka_unit_test(a_failure_preserves_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
