/* A thread that is blocked in a hooked call can be cancelled, and its cleanup runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct blocked {
    void (*call)(int fd);
    int fd;
    _Atomic int tid;
    bool is_cleaned;
};

static void clean(void *context)
{
    ((struct blocked *)context)->is_cleaned = true;
}

static void *block(void *context)
{
    struct blocked *blocked = context;
    pthread_cleanup_push(clean, blocked);
    blocked->tid = (int)syscall(SYS_gettid);
    blocked->call(blocked->fd);
    pthread_cleanup_pop(0);
    return NULL;
}

/* The state of a thread: S when it sleeps. */
static char state_of(int tid)
{
    char path[64];
    char line[512] = {0};
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return '?';
    char *end = fgets(line, sizeof(line), file) != NULL ? strrchr(line, ')') : NULL;
    fclose(file);
    return end != NULL ? end[2] : '?';
}

static void is_cancelled_in(void (*call)(int fd))
{
    int fds[2];
    struct blocked blocked = {.call = call};
    pthread_t thread;
    void *result;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    blocked.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
    while (blocked.tid == 0 || state_of(blocked.tid) != 'S')
        sched_yield();
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(blocked.is_cleaned);
    close(fds[0]);
    close(fds[1]);
}

static void call_recv(int fd)
{
    char byte;
    recv(fd, &byte, 1, 0);
}

static void call_recvfrom(int fd)
{
    char byte;
    recvfrom(fd, &byte, 1, 0, NULL, NULL);
}

static void call_recvmsg(int fd)
{
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    (void)recvmsg(fd, &message, 0);
}

static void call_read(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 1)
        abort();
}

static void call_poll(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    poll(&wait, 1, -1);
}

static void call_ppoll(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    ppoll(&wait, 1, NULL, NULL);
}

static void call_select(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    select(fd + 1, &set, NULL, NULL, NULL);
}

static void call_epoll_wait(int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    epoll_wait(epoll, &event, 1, -1);
}

static void recv_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_recv);
}

static void recvfrom_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_recvfrom);
}

static void recvmsg_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_recvmsg);
}

static void read_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_read);
}

static void poll_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_poll);
}

static void ppoll_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_ppoll);
}

static void select_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_select);
}

static void epoll_wait_is_cancelled(void **state)
{
    (void)state;
    is_cancelled_in(call_epoll_wait);
}

/* A bare system call is no cancellation point: the thread returns from it, and ends by the cancellation afterwards. */
static _Atomic bool bare_call_returned;

static void call_bare_read(int fd)
{
    char byte;
    bare_call_returned = syscall(SYS_read, fd, &byte, (size_t)1) == 1;
    pthread_testcancel();
}

static void a_bare_call_is_not_interrupted(void **state)
{
    (void)state;
    int fds[2];
    struct blocked blocked = {.call = call_bare_read};
    pthread_t thread;
    void *result;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    blocked.fd = fds[0];
    assert_int_equal(pthread_create(&thread, NULL, block, &blocked), 0);
    while (blocked.tid == 0 || state_of(blocked.tid) != 'S')
        sched_yield();
    assert_int_equal(pthread_cancel(thread), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    assert_true(bare_call_returned);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recv_is_cancelled),
        cmocka_unit_test(recvfrom_is_cancelled),
        cmocka_unit_test(recvmsg_is_cancelled),
        cmocka_unit_test(read_is_cancelled),
        cmocka_unit_test(poll_is_cancelled),
        cmocka_unit_test(ppoll_is_cancelled),
        cmocka_unit_test(select_is_cancelled),
        cmocka_unit_test(epoll_wait_is_cancelled),
        cmocka_unit_test(a_bare_call_is_not_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
