/*
 * Closing many at once, duplicates, and children that share memory: the kernel's answers. Runs with and without the
 * preload.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOW = 100, HIGH = 110 };

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void open_all(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    for (int fd = LOW; fd <= HIGH; fd++)
        assert_int_equal(dup2(pair[fd % 2], fd), fd);
    close(pair[0]);
    close(pair[1]);
}

static void close_range_closes_a_range(void **state)
{
    (void)state;
    open_all();
    assert_int_equal(close_range(LOW + 1, HIGH - 1, 0), 0);
    for (int fd = LOW; fd <= HIGH; fd++)
        assert_int_equal(is_open(fd), fd == LOW || fd == HIGH);
    close(LOW);
    close(HIGH);
}

static void close_range_can_mark_for_exec_instead(void **state)
{
    (void)state;
    open_all();
    assert_int_equal(close_range(LOW, HIGH, CLOSE_RANGE_CLOEXEC), 0);
    for (int fd = LOW; fd <= HIGH; fd++)
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close_range(LOW, HIGH, 0);
}

static void close_range_refuses_what_the_kernel_refuses(void **state)
{
    (void)state;
    errno = 0;
    assert_int_equal(close_range(HIGH, LOW, 0), -1);
    assert_int_equal(errno, EINVAL);
    errno = 0;
    assert_int_equal(close_range(LOW, HIGH, -1), -1);
    assert_int_equal(errno, EINVAL);
}

static void closefrom_closes_all_above(void **state)
{
    (void)state;
    open_all();
    closefrom(LOW);
    for (int fd = LOW; fd <= HIGH; fd++)
        assert_false(is_open(fd));
}

static void a_number_is_closed_once(void **state)
{
    (void)state;
    open_all();
    close_range(LOW + 1, HIGH, 0);
    assert_int_equal(close(LOW), 0);
    errno = 0;
    assert_int_equal(close(LOW), -1);
    assert_int_equal(errno, EBADF);
    errno = 0;
    assert_int_equal(syscall(SYS_close, LOW), -1);
    assert_int_equal(errno, EBADF);
}

/* As daemons do it that know nothing of close_range(): each number there may be, and none complains for ever. */
static void closing_every_number_leaves_a_working_process(void **state)
{
    (void)state;
    struct rlimit limit;
    int status;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int end = limit.rlim_cur < 4096 ? (int)limit.rlim_cur : 4096;
    pid_t child = fork();
    if (child == 0) {
        for (int fd = 3; fd < end; fd++)
            close(fd);
        int pair[2];
        char byte;
        bool works = socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pair[0] == 3 && pair[1] == 4 &&
                     send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1;
        _exit(works ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The descriptor table of a vfork child is its own, its memory is not. */
static void a_vfork_child_closes_nothing_of_its_parent(void **state)
{
    (void)state;
    int pair[2];
    int status;
    char byte;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    pid_t child = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): what is tested */
    if (child == 0) {
        close(pair[0]); /* NOLINT(clang-analyzer-unix.Vfork) */
        closefrom(3);   /* NOLINT(clang-analyzer-unix.Vfork) */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(send(pair[0], "x", 1, 0), 1);
    assert_int_equal(recv(pair[1], &byte, 1, 0), 1);
    close(pair[0]);
    close(pair[1]);
}

static void spawned_programs_run(void **state)
{
    (void)state;
    char *const arguments[] = {(char[]){"true"}, NULL};
    pid_t child;
    int status;
    assert_int_equal(posix_spawnp(&child, "true", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(system("exit 7"), 7 << 8); /* NOLINT(cert-env33-c): what is tested */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_range_closes_a_range),
        cmocka_unit_test(close_range_can_mark_for_exec_instead),
        cmocka_unit_test(close_range_refuses_what_the_kernel_refuses),
        cmocka_unit_test(closefrom_closes_all_above),
        cmocka_unit_test(a_number_is_closed_once),
        cmocka_unit_test(closing_every_number_leaves_a_working_process),
        cmocka_unit_test(a_vfork_child_closes_nothing_of_its_parent),
        cmocka_unit_test(spawned_programs_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
