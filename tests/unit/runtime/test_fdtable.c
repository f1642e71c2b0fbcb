/* The table from descriptors to what serves them: what an entry says, how far numbers go, and who wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include "platform/sys.h"
#include "runtime/fdtable.h"

static ssize_t send_nothing(void *object, int fd, const struct msghdr *message, int flags)
{
    (void)object;
    (void)fd;
    (void)message;
    (void)flags;
    return 0;
}

static const struct hqq_ops server_ops = {.family = HQQ_FAMILY_UNIX, .send = send_nothing};
static const struct hqq_ops mark_ops = {.family = HQQ_FAMILY_NONE};

static struct hqq_object server = {&server_ops}, mark = {&mark_ops};

static const int numbers[] = {0, 3, HQQ_FD_PAGE - 1, HQQ_FD_PAGE, 65536, 100000, HQQ_FD_MAX - 1};

#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

static int forget_all(void **state)
{
    (void)state;
    for (int fd = hqq_fd_next(0); fd >= 0; fd = hqq_fd_next(fd))
        hqq_fd_set(fd, NULL);
    return 0;
}

static void an_entry_says_what_was_set_and_its_neighbours_say_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++) {
        int fd = numbers[i];
        assert_null(hqq_fd_get(fd));
        assert_false(hqq_fd_is_known(fd));
        assert_true(hqq_fd_set(fd, &server));
        assert_ptr_equal(hqq_fd_get(fd), &server);
        assert_true(hqq_fd_is_known(fd));
        if (fd > 0)
            assert_null(hqq_fd_get(fd - 1));
        if (fd < HQQ_FD_MAX - 1)
            assert_null(hqq_fd_get(fd + 1));
        assert_true(hqq_fd_set(fd, NULL));
        assert_null(hqq_fd_get(fd));
    }
}

static void numbers_out_of_range_are_plain_and_stay_so(void **state)
{
    (void)state;
    const int outside[] = {-1, INT_MIN, HQQ_FD_MAX, INT_MAX};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_ptr_equal(hqq_fd_get(outside[i]), &hqq_fd_plain);
        assert_false(hqq_fd_is_known(outside[i]));
        assert_false(hqq_fd_prepare(outside[i]));
        assert_false(hqq_fd_set(outside[i], &server));
        assert_false(hqq_fd_replace(outside[i], NULL, &server));
        assert_null(hqq_fd_server(outside[i]));
        assert_ptr_equal(hqq_fd_get(outside[i]), &hqq_fd_plain);
    }
}

static void a_mark_serves_nothing(void **state)
{
    (void)state;
    assert_null(hqq_fd_server(5));
    hqq_fd_set(5, &mark);
    assert_null(hqq_fd_server(5));
    assert_true(hqq_fd_is_known(5));
    hqq_fd_set(5, &server);
    assert_ptr_equal(hqq_fd_server(5), &server);
}

static void an_entry_is_replaced_if_it_is_as_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++) {
        int fd = numbers[i];
        assert_false(hqq_fd_replace(fd, &mark, &server));
        assert_null(hqq_fd_get(fd));
        assert_true(hqq_fd_replace(fd, NULL, &mark));
        assert_false(hqq_fd_replace(fd, NULL, &server));
        assert_ptr_equal(hqq_fd_get(fd), &mark);
        assert_true(hqq_fd_replace(fd, &mark, &server));
        assert_ptr_equal(hqq_fd_get(fd), &server);
    }
}

static void what_is_known_is_found_in_order(void **state)
{
    (void)state;
    size_t i = 0;
    assert_int_equal(hqq_fd_next(0), -1);
    for (i = 0; i < NUMBERS; i++)
        hqq_fd_set(numbers[i], &mark);
    i = 0;
    for (int fd = hqq_fd_next(-5); fd >= 0; fd = hqq_fd_next(fd + 1))
        assert_int_equal(fd, numbers[i++]);
    assert_int_equal(i, NUMBERS);
    assert_int_equal(hqq_fd_next(4), HQQ_FD_PAGE - 1);
    assert_int_equal(hqq_fd_next(HQQ_FD_MAX), -1);
}

static int no_memory(void **ret_address, size_t length, int protection, int flags, int fd)
{
    (void)ret_address;
    (void)length;
    (void)protection;
    (void)flags;
    (void)fd;
    return -ENOMEM;
}

static void without_memory_an_entry_is_refused(void **state)
{
    (void)state;
    const struct hqq_sys saved = hqq_sys;
    const int fresh = 700 * HQQ_FD_PAGE + 7;
    hqq_sys.mmap = no_memory;
    assert_false(hqq_fd_prepare(fresh));
    assert_false(hqq_fd_set(fresh, &server));
    assert_false(hqq_fd_replace(fresh, NULL, &server));
    assert_true(hqq_fd_set(fresh, NULL));
    assert_null(hqq_fd_get(fresh));
    assert_true(hqq_fd_set(9, &server));
    hqq_sys = saved;
    assert_true(hqq_fd_set(fresh, &server));
    assert_ptr_equal(hqq_fd_get(fresh), &server);
}

#define THREADS 4
#define FIRST (300 * HQQ_FD_PAGE)

static pthread_barrier_t barrier;
static struct hqq_object own[THREADS];

/* Each wants every entry of many pages that nobody has made, and counts those that it got. */
static void *claim(void *argument)
{
    struct hqq_object *object = argument;
    intptr_t won = 0;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 200; i++)
        won += hqq_fd_replace(FIRST + i * HQQ_FD_PAGE, NULL, object);
    return (void *)won; // NOLINT(performance-no-int-to-ptr)
}

static void threads_that_make_a_page_at_once_lose_no_entry(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    intptr_t won = 0;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        own[i].ops = &mark_ops;
        assert_int_equal(pthread_create(&threads[i], NULL, claim, &own[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        won += (intptr_t)result;
    }
    assert_int_equal(won, 200);
    for (int i = 0; i < 200; i++)
        assert_non_null(hqq_fd_get(FIRST + i * HQQ_FD_PAGE));
    pthread_barrier_destroy(&barrier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_entry_says_what_was_set_and_its_neighbours_say_nothing, forget_all),
        cmocka_unit_test_teardown(numbers_out_of_range_are_plain_and_stay_so, forget_all),
        cmocka_unit_test_teardown(a_mark_serves_nothing, forget_all),
        cmocka_unit_test_teardown(an_entry_is_replaced_if_it_is_as_expected, forget_all),
        cmocka_unit_test_teardown(what_is_known_is_found_in_order, forget_all),
        cmocka_unit_test_teardown(without_memory_an_entry_is_refused, forget_all),
        cmocka_unit_test_teardown(threads_that_make_a_page_at_once_lose_no_entry, forget_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
