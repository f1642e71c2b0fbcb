/* Descriptors that the library holds for itself: where they lie, what still counts as one, and how they make way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/counters.h"
#include "runtime/libc.h"
#include "runtime/reserved.h"
#include "support/child.h"

static struct hqq_lock guard;

static int new_fd(void)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[1]);
    return fds[0];
}

static ino_t inode_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static void what_is_taken_lies_high_and_ends_with_exec(void **state)
{
    (void)state;
    int fd = new_fd(), holder = -1;
    ino_t inode = inode_of(fd);
    int number = hqq_reserved_take(fd, &holder, &guard);
    assert_in_range(number, 900, HQQ_RESERVED_MAX - 1);
    assert_int_equal(holder, number);
    assert_int_equal(inode_of(number), inode);
    assert_int_equal(fcntl(number, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_true(hqq_reserved_is(number));
    assert_false(hqq_reserved_is(fd));
    hqq_reserved_close(&holder);
}

static void an_error_instead_of_a_descriptor_is_passed_on(void **state)
{
    (void)state;
    int holder = -7;
    assert_int_equal(hqq_reserved_take(-EMFILE, &holder, &guard), -EMFILE);
    assert_int_equal(holder, -7);
    assert_false(hqq_reserved_is(-1));
    assert_false(hqq_reserved_is(HQQ_RESERVED_MAX));
    assert_false(hqq_reserved_is(INT32_MAX));
}

static void closing_frees_the_number(void **state)
{
    (void)state;
    int holder = -1;
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    hqq_reserved_close(&holder);
    assert_int_equal(holder, -1);
    assert_false(hqq_reserved_is(number));
    assert_int_equal(fcntl(number, F_GETFD), -1);
    hqq_reserved_close(&holder);
    assert_int_equal(holder, -1);
}

/* The program closed it by a system call of its own, and has something else there. */
static void a_number_that_was_taken_behind_our_back_is_not_closed(void **state)
{
    (void)state;
    int holder = -1, other = new_fd();
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    assert_int_equal(dup2(other, number), number);
    assert_false(hqq_reserved_is(number));
    hqq_reserved_close(&holder);
    assert_int_equal(holder, -1);
    assert_int_equal(inode_of(number), inode_of(other));
    close(number);
    close(other);
}

static void the_holder_is_told_when_a_descriptor_makes_way(void **state)
{
    (void)state;
    int holder = -1, neighbour = -1, other = new_fd();
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    int next = hqq_reserved_take(new_fd(), &neighbour, &guard);
    ino_t inode = inode_of(number);
    errno = EDOM;
    hqq_reserved_make_way(number);
    assert_int_equal(errno, EDOM);
    assert_int_not_equal(holder, number);
    assert_in_range(holder, 900, HQQ_RESERVED_MAX - 1);
    assert_int_equal(inode_of(holder), inode);
    assert_int_equal(fcntl(holder, F_GETFD), FD_CLOEXEC);
    assert_true(hqq_reserved_is(holder));
    assert_false(hqq_reserved_is(number));
    assert_int_equal(neighbour, next);

    assert_int_equal(dup2(other, number), number);
    hqq_reserved_make_way(number);
    assert_int_equal(inode_of(number), inode_of(other));
    hqq_reserved_close(&holder);
    hqq_reserved_close(&neighbour);
    close(number);
    close(other);
}

static void one_moves_as_often_as_it_must(void **state)
{
    (void)state;
    int holder = -1;
    ino_t inode = inode_of(hqq_reserved_take(new_fd(), &holder, &guard));
    for (int i = 0; i < 10; i++) {
        int before = holder;
        hqq_reserved_make_way(before);
        assert_int_not_equal(holder, before);
        assert_int_equal(inode_of(holder), inode);
        close(before);
    }
    hqq_reserved_close(&holder);
}

static void *make_way(void *argument)
{
    hqq_reserved_make_way(*(int *)argument);
    return NULL;
}

static void who_reads_the_number_under_the_guard_is_waited_for(void **state)
{
    (void)state;
    pthread_t thread;
    int holder = -1;
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    assert_true(hqq_lock_take(&guard));
    assert_int_equal(pthread_create(&thread, NULL, make_way, &number), 0);
    while (!hqq_lock_is_wanted(&guard))
        sched_yield();
    assert_int_equal(holder, number);
    assert_true(hqq_reserved_is(number));
    hqq_lock_give(&guard);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_not_equal(holder, number);
    hqq_reserved_close(&holder);
    close(number);
}

/* As a signal handler does that has interrupted the holder. */
static void a_thread_that_has_the_guard_does_not_wait_for_itself(void **state)
{
    (void)state;
    int holder = -1;
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    assert_true(hqq_lock_take(&guard));
    hqq_reserved_make_way(number);
    assert_int_not_equal(holder, number);
    assert_false(hqq_lock_take(&guard));
    hqq_lock_give(&guard);
    hqq_reserved_close(&holder);
    close(number);
}

static int move_in_child(void *argument)
{
    int *holder = argument;
    int number = *holder;
    if (!hqq_reserved_is(number))
        return 1;
    hqq_reserved_make_way(number);
    return *holder != number && hqq_reserved_is(*holder) && !hqq_reserved_is(number) ? 0 : 2;
}

static void a_child_moves_its_own_and_not_its_parent_s(void **state)
{
    (void)state;
    int holder = -1;
    int number = hqq_reserved_take(new_fd(), &holder, &guard);
    assert_int_equal(child_run(move_in_child, &holder), 0);
    assert_int_equal(holder, number);
    assert_true(hqq_reserved_is(number));
    hqq_reserved_close(&holder);
}

static int take_without_numbers(void *argument)
{
    (void)argument;
    const struct rlimit few = {.rlim_cur = 100, .rlim_max = 100};
    int holder = -1, fds[2];
    if (pipe(fds) != 0 || setrlimit(RLIMIT_NOFILE, &few) != 0)
        return 1;
    errno = EDOM;
    if (hqq_reserved_take(fds[0], &holder, &guard) != -EMFILE || errno != EDOM)
        return 2;
    return holder == -1 && fcntl(fds[0], F_GETFD) == -1 ? 0 : 3;
}

static int lose_one_for_want_of_numbers(void *argument)
{
    (void)argument;
    const struct rlimit few = {.rlim_cur = 100, .rlim_max = 100};
    int holder = -1, fds[2];
    if (pipe(fds) != 0)
        return 1;
    int number = hqq_reserved_take(fds[0], &holder, &guard);
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        return 2;
    hqq_reserved_make_way(number);
    return holder == -1 && !hqq_reserved_is(number) ? 0 : 3;
}

static void where_numbers_are_few_nothing_is_reserved(void **state)
{
    (void)state;
    assert_int_equal(child_run(take_without_numbers, NULL), 0);
    assert_int_equal(child_run(lose_one_for_want_of_numbers, NULL), 0);
}

static int take_near_a_low_limit(void *argument)
{
    (void)argument;
    const struct rlimit low = {.rlim_cur = 256, .rlim_max = 256};
    int holder = -1, fds[2];
    if (pipe(fds) != 0 || setrlimit(RLIMIT_NOFILE, &low) != 0)
        return 1;
    int number = hqq_reserved_take(fds[0], &holder, &guard);
    return number >= 192 && number < 256 && hqq_reserved_is(number) ? 0 : 2;
}

static void where_numbers_end_early_it_lies_near_that_end(void **state)
{
    (void)state;
    assert_int_equal(child_run(take_near_a_low_limit, NULL), 0);
}

static int move_counters(void *argument)
{
    (void)argument;
    hqq_counters_head();
    int number = hqq_counters_fd();
    if (number < 0 || !hqq_reserved_is(number))
        return 1;
    ino_t inode = inode_of(number);
    hqq_reserved_make_way(number);
    if (hqq_counters_fd() == number || inode_of(hqq_counters_fd()) != inode)
        return 2;
    return hqq_reserved_is(hqq_counters_fd()) && !hqq_reserved_is(number) ? 0 : 3;
}

static void the_counters_make_way_too(void **state)
{
    (void)state;
    assert_int_equal(child_run(move_counters, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_lies_high_and_ends_with_exec),
        cmocka_unit_test(an_error_instead_of_a_descriptor_is_passed_on),
        cmocka_unit_test(closing_frees_the_number),
        cmocka_unit_test(a_number_that_was_taken_behind_our_back_is_not_closed),
        cmocka_unit_test(the_holder_is_told_when_a_descriptor_makes_way),
        cmocka_unit_test(one_moves_as_often_as_it_must),
        cmocka_unit_test(who_reads_the_number_under_the_guard_is_waited_for),
        cmocka_unit_test(a_thread_that_has_the_guard_does_not_wait_for_itself),
        cmocka_unit_test(a_child_moves_its_own_and_not_its_parent_s),
        cmocka_unit_test(where_numbers_are_few_nothing_is_reserved),
        cmocka_unit_test(where_numbers_end_early_it_lies_near_that_end),
        cmocka_unit_test(the_counters_make_way_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
