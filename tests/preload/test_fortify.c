/*
 * Compiled with _FORTIFY_SOURCE=2: calls whose buffer is long enough do what they do, others end the program as glibc
 * would, by SIGABRT and one line on stderr. Lengths are volatile, or the compiler would settle it all. Skipped where the
 * compiler leaves these calls as they are (clang with the headers of glibc).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if !defined(_FORTIFY_SOURCE) || _FORTIFY_SOURCE < 2
#error "compile with -O2 -D_FORTIFY_SOURCE=2"
#endif

enum { CAPACITY = 8 };

static int fds[2];

static long call_read(volatile size_t *length)
{
    char data[CAPACITY];
    return read(fds[0], data, *length);
}

static long call_recv(volatile size_t *length)
{
    char data[CAPACITY];
    return recv(fds[0], data, *length, 0);
}

static long call_recvfrom(volatile size_t *length)
{
    char data[CAPACITY];
    return recvfrom(fds[0], data, *length, 0, NULL, NULL);
}

static long call_poll(volatile size_t *length)
{
    struct pollfd waits[CAPACITY] = {{.fd = fds[0], .events = POLLIN}};
    for (int i = 1; i < CAPACITY; i++)
        waits[i].fd = -1;
    return poll(waits, *length, -1);
}

static long call_ppoll(volatile size_t *length)
{
    struct pollfd waits[CAPACITY] = {{.fd = fds[0], .events = POLLIN}};
    for (int i = 1; i < CAPACITY; i++)
        waits[i].fd = -1;
    return ppoll(waits, *length, NULL, NULL);
}

static void a_call_that_fits(long (*call)(volatile size_t *), long expected)
{
    volatile size_t length = CAPACITY;
    assert_int_equal(send(fds[1], "seven..", 7, 0), 7);
    assert_int_equal(call(&length), expected);
}

static void a_call_that_overflows(long (*call)(volatile size_t *))
{
    char said[256] = {0};
    int pipe_fds[2];
    int status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        volatile size_t length = CAPACITY + 1;
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        dup2(pipe_fds[1], STDERR_FILENO);
        call(&length);
        _exit(0);
    }
    close(pipe_fds[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_true(read(pipe_fds[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "buffer overflow detected"));
    close(pipe_fds[0]);
}

static int open_pair(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_DGRAM, 0, fds);
}

static int close_pair(void **state)
{
    (void)state;
    close(fds[0]);
    close(fds[1]);
    return 0;
}

static void calls_that_fit(void **state)
{
    (void)state;
    a_call_that_fits(call_read, 7);
    a_call_that_fits(call_recv, 7);
    a_call_that_fits(call_recvfrom, 7);
    a_call_that_fits(call_poll, 1);
    a_call_that_fits(call_ppoll, 1);
}

static void calls_that_overflow(void **state)
{
    (void)state;
    a_call_that_overflows(call_read);
    a_call_that_overflows(call_recv);
    a_call_that_overflows(call_recvfrom);
    a_call_that_overflows(call_poll);
    a_call_that_overflows(call_ppoll);
}

int main(void)
{
#ifdef __clang__
    puts("skipped: this compiler leaves the calls as they are");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_that_fit, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(calls_that_overflow, open_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
