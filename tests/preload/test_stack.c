/*
 * Small stacks: threads with the least that there may be, and handlers on an alternate stack of 4 KiB more than the kernel needs
 * for itself, make every call on sockets whose datagrams may come through a ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define ROUNDS 400
#define BELOW 8192 /* bytes below a stack that nobody may write */
#define UNTOUCHED 0xa5

static struct sockaddr_un name = {.sun_family = AF_UNIX};
static socklen_t name_length;
static int receiver, sender, set;
static volatile int failed_at;

static bool came(ssize_t length, const char *data)
{
    return length == 4 && memcmp(data, "data", 4) == 0;
}

/* Each way to send, and each way to receive. False if one fails. */
static bool make_calls(void)
{
    char data[8], more[8];
    struct iovec in[2] = {{data, 2}, {data + 2, 6}}, out[2] = {{(char[]){"da"}, 2}, {(char[]){"ta"}, 2}};
    struct msghdr message = {.msg_iov = out, .msg_iovlen = 2};
    struct mmsghdr both[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    struct sockaddr_un from;
    socklen_t length = sizeof(from);
    struct epoll_event event;
    struct pollfd ready = {.fd = receiver, .events = POLLIN};
    fd_set reading;
    int bytes;

    if (send(sender, "data", 4, 0) != 4 || poll(&ready, 1, 5000) != 1 || !came(recv(receiver, data, 8, 0), data))
        return false;
    if (write(sender, "data", 4) != 4 || ioctl(receiver, FIONREAD, &bytes) != 0 || bytes != 4 ||
        !came(read(receiver, data, 8), data))
        return false;
    FD_ZERO(&reading);
    FD_SET(receiver, &reading);
    if (writev(sender, out, 2) != 4 || select(receiver + 1, &reading, NULL, NULL, NULL) != 1 ||
        !came(readv(receiver, in, 2), data))
        return false;
    if (sendmsg(sender, &message, 0) != 4 || epoll_wait(set, &event, 1, 5000) != 1 ||
        !came(recvfrom(receiver, data, 8, 0, (struct sockaddr *)&from, &length), data))
        return false;
    if (sendmmsg(sender, both, 2, 0) != 2)
        return false;
    message.msg_iov = in;
    if (!came(recvmsg(receiver, &message, 0), data))
        return false;
    both[0].msg_hdr.msg_iov = in;
    if (recvmmsg(receiver, both, 1, 0, NULL) != 1 || both[0].msg_len != 4)
        return false;
    if (sendto(sender, "data", 4, 0, (struct sockaddr *)&name, name_length) != 4 ||
        !came(recv(receiver, more, 8, MSG_PEEK), more) || !came(recv(receiver, data, 8, MSG_DONTWAIT), data))
        return false;
    return recv(receiver, data, 8, MSG_DONTWAIT) == -1 && errno == EAGAIN;
}

static void *make_them_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS && failed_at == 0; i++) {
        if (!make_calls())
            failed_at = i + 1;
    }
    return NULL;
}

static int set_up(void **state)
{
    (void)state;
    static int count;
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "hqq-stack-%d-%d", (int)getpid(), count++);
    name_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    receiver = socket(AF_UNIX, SOCK_DGRAM, 0);
    sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    set = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    failed_at = 0;
    return bind(receiver, (struct sockaddr *)&name, name_length) == 0 &&
                   connect(sender, (struct sockaddr *)&name, name_length) == 0 &&
                   epoll_ctl(set, EPOLL_CTL_ADD, receiver, &event) == 0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    close(receiver);
    close(sender);
    close(set);
    return 0;
}

static void a_thread_with_the_smallest_stack_makes_every_call(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    assert_int_equal(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN), 0);
    assert_int_equal(pthread_create(&thread, &attributes, make_them_often, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    assert_int_equal(failed_at, 0);
}

static void handle(int number)
{
    (void)number;
    if (!make_calls())
        failed_at = 1;
}

static void a_handler_on_a_small_stack_makes_every_call(void **state)
{
    (void)state;
    size_t least = getauxval(51 /* AT_MINSIGSTKSZ */);
    size_t size = (least > 2048 ? least : 2048) + 4096;
    unsigned char *memory = malloc(BELOW + size);
    assert_non_null(memory);
    memset(memory, UNTOUCHED, BELOW);
    const stack_t stack = {.ss_size = size, .ss_sp = memory + BELOW};
    const struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    assert_int_equal(sigaltstack(&stack, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < ROUNDS; i++)
        raise(SIGUSR1);
    const stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    size_t untouched = 0;
    while (untouched < BELOW && memory[untouched] == UNTOUCHED)
        untouched++;
    free(memory);
    assert_int_equal(untouched, BELOW);
    assert_int_equal(failed_at, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        /* First, so that what is done once is done in a handler. */
        cmocka_unit_test_setup_teardown(a_handler_on_a_small_stack_makes_every_call, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_with_the_smallest_stack_makes_every_call, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
