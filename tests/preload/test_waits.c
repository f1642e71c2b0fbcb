/* Raw system calls that wait: bad addresses, and the time that is left. Runs with and without the preload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SET_SIZE = 8 }; /* bytes of the kernel's signal sets */

static int fds[2];
static void *bad;

static int start(void **state)
{
    (void)state;
    bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return bad != MAP_FAILED && pipe(fds) == 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    close(fds[0]);
    close(fds[1]);
    return munmap(bad, 4096);
}

#define assert_fails(error, call)                                                                                      \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        assert_int_equal(call, -1);                                                                                    \
        assert_int_equal(errno, error);                                                                                \
    } while (0)

static void bad_masks_and_time_outs_are_refused(void **state)
{
    (void)state;
    struct timespec soon = {0, 1000000};
    struct timespec negative = {-1, 0};
    struct pollfd wait = {.fd = fds[0], .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    uint64_t mask = 0;
    struct {
        void *set;
        size_t size;
    } sized = {bad, SET_SIZE};
    int epoll = epoll_create1(0);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event), 0);
    assert_fails(EFAULT, syscall(SYS_ppoll, &wait, 1L, bad, NULL, (size_t)SET_SIZE));
    assert_fails(EFAULT, syscall(SYS_ppoll, &wait, 1L, &soon, bad, (size_t)SET_SIZE));
    assert_fails(EINVAL, syscall(SYS_ppoll, &wait, 1L, &soon, &mask, (size_t)4));
    assert_fails(EINVAL, syscall(SYS_ppoll, &wait, 1L, &negative, NULL, (size_t)SET_SIZE));
    assert_int_equal(negative.tv_sec, -1);
    assert_fails(EFAULT, syscall(SYS_pselect6, 0, NULL, NULL, NULL, bad, NULL));
    assert_fails(EFAULT, syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, bad));
    assert_fails(EFAULT, syscall(SYS_pselect6, 0, NULL, NULL, NULL, &soon, &sized));
    assert_fails(EFAULT, syscall(SYS_epoll_pwait, epoll, &event, 1, 1, bad, (size_t)SET_SIZE));
    assert_fails(EFAULT, syscall(SYS_epoll_pwait2, epoll, &event, 1, bad, NULL, (size_t)SET_SIZE));
    close(epoll);
}

static void the_time_that_is_left_is_written(void **state)
{
    (void)state;
    struct pollfd wait = {.fd = fds[0], .events = POLLIN};
    struct timespec left = {0, 2000000};
    fd_set readable;
    assert_int_equal(syscall(SYS_ppoll, &wait, 1L, &left, NULL, (size_t)SET_SIZE), 0);
    assert_int_equal(left.tv_sec, 0);
    assert_int_equal(left.tv_nsec, 0);
    left.tv_nsec = 2000000;
    assert_int_equal(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &left, NULL), 0);
    assert_int_equal(left.tv_nsec, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    left = (struct timespec){1000, 0};
    assert_int_equal(syscall(SYS_ppoll, &wait, 1L, &left, NULL, (size_t)SET_SIZE), 1);
    assert_in_range(left.tv_sec, 900, 999);
    assert_in_range(left.tv_nsec, 0, 999999999);
    left = (struct timespec){1000, 0};
    FD_ZERO(&readable);
    FD_SET(fds[0], &readable);
    assert_int_equal(syscall(SYS_pselect6, fds[0] + 1, &readable, NULL, NULL, &left, NULL), 1);
    assert_in_range(left.tv_sec, 900, 999);
}

static void a_time_out_may_be_in_memory_that_is_not_written(void **state)
{
    (void)state;
    const struct timespec soon = {0, 1000000};
    struct pollfd wait = {.fd = fds[0], .events = POLLIN};
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    memcpy(page, &soon, sizeof(soon));
    assert_int_equal(mprotect(page, 4096, PROT_READ), 0);
    assert_int_equal(syscall(SYS_ppoll, &wait, 1L, page, NULL, (size_t)SET_SIZE), 0);
    assert_memory_equal(page, &soon, sizeof(soon));
    munmap(page, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_masks_and_time_outs_are_refused, start, end),
        cmocka_unit_test_setup_teardown(the_time_that_is_left_is_written, start, end),
        cmocka_unit_test_setup_teardown(a_time_out_may_be_in_memory_that_is_not_written, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
