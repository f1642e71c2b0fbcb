/*
 * A process that filters its own system calls (seccomp) in mid-stream, and allows nothing but what it calls itself: it goes on, in
 * order, and loses nothing. Each side in turn, by each call. With the preload and without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

/* Datagrams before the filter, enough for a link to open, and in all. */
#define BEFORE 6000
#define ALL 12000

static const char path[] = "/tmp/hqq-filtered";

/* ---- The filter ---------------------------------------------------------------------------------------------------- */

#define MOST_CALLS 4
#define NO_CALL (-1)

static struct sock_filter statement(unsigned code, uint32_t value)
{
    return (struct sock_filter){.code = (uint16_t)code, .k = value};
}

static void allow_only(const int calls[MOST_CALLS])
{
    struct sock_filter filter[2 * MOST_CALLS + 10];
    const int always[] = {SYS_exit_group, SYS_exit, SYS_rt_sigreturn};
    unsigned short length = 0;
    filter[length++] = statement(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < MOST_CALLS + 3; i++) {
        int call = i < 3 ? always[i] : calls[i - 3];
        if (call == NO_CALL)
            break;
        filter[length] = statement(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call);
        filter[length++].jf = 1;
        filter[length++] = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[length++] = statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    const struct sock_fprog program = {.len = length, .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(70);
}

/* ---- Receiving ------------------------------------------------------------------------------------------------------ */

struct receiving {
    int fd, set;
};

static ssize_t by_recv(const struct receiving *receiving, uint32_t *number)
{
    return recv(receiving->fd, number, sizeof(*number), 0);
}

static ssize_t by_read(const struct receiving *receiving, uint32_t *number)
{
    return read(receiving->fd, number, sizeof(*number));
}

/* FIONREAD waits for nothing. */
static ssize_t by_fionread(const struct receiving *receiving, uint32_t *number)
{
    int length = 0;
    while (length == 0) {
        if (ioctl(receiving->fd, FIONREAD, &length) != 0)
            return -1;
    }
    return length == sizeof(*number) ? by_recv(receiving, number) : -1;
}

static ssize_t by_recvmsg(const struct receiving *receiving, uint32_t *number)
{
    struct iovec part = {number, sizeof(*number)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return recvmsg(receiving->fd, &message, 0);
}

static ssize_t by_recvmmsg(const struct receiving *receiving, uint32_t *number)
{
    struct iovec part = {number, sizeof(*number)};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    return recvmmsg(receiving->fd, &message, 1, 0, NULL) == 1 ? (ssize_t)message.msg_len : -1;
}

static ssize_t by_poll(const struct receiving *receiving, uint32_t *number)
{
    struct pollfd one = {.fd = receiving->fd, .events = POLLIN};
    return poll(&one, 1, -1) == 1 ? by_recv(receiving, number) : -1;
}

static ssize_t by_select(const struct receiving *receiving, uint32_t *number)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(receiving->fd, &set);
    return select(receiving->fd + 1, &set, NULL, NULL, NULL) == 1 ? by_recv(receiving, number) : -1;
}

static ssize_t by_epoll(const struct receiving *receiving, uint32_t *number)
{
    struct epoll_event event;
    return epoll_wait(receiving->set, &event, 1, -1) == 1 ? by_recv(receiving, number) : -1;
}

/* ---- Sending -------------------------------------------------------------------------------------------------------- */

static ssize_t by_send(int fd, uint32_t number)
{
    return send(fd, &number, sizeof(number), 0);
}

static ssize_t by_write(int fd, uint32_t number)
{
    return write(fd, &number, sizeof(number));
}

static ssize_t by_sendmsg(int fd, uint32_t number)
{
    struct iovec part = {&number, sizeof(number)};
    const struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    return sendmsg(fd, &message, 0);
}

static ssize_t by_sendmmsg(int fd, uint32_t number)
{
    struct iovec part = {&number, sizeof(number)};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    return sendmmsg(fd, &message, 1, 0) == 1 ? (ssize_t)message.msg_len : -1;
}

/* ---- The two sides -------------------------------------------------------------------------------------------------- */

struct way {
    ssize_t (*receive)(const struct receiving *receiving, uint32_t *number);
    ssize_t (*send)(int fd, uint32_t number);
    bool receiver_filters;
    int calls[MOST_CALLS];
    void (*restrict_otherwise)(void); /* in place of a filter */
};

static void restrict_oneself(const struct way *way)
{
    way->restrict_otherwise ? way->restrict_otherwise() : allow_only(way->calls);
}

/* Nothing but read, write, exit and the return from a handler; and no look at the processor's counter. */
static void allow_strictly_nothing(void)
{
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        _exit(70);
}

#ifdef __x86_64__
static void forbid_the_counter(void)
{
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0)
        _exit(70);
}
#endif

/* exit_group is not allowed in strict mode. */
static _Noreturn void leave(int status)
{
    syscall(SYS_exit, status);
    _exit(status);
}

static _Noreturn void receive_all(const struct way *way, int fd)
{
    struct receiving receiving = {.fd = fd, .set = epoll_create1(EPOLL_CLOEXEC)};
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(receiving.set, EPOLL_CTL_ADD, fd, &event);
    for (uint32_t i = 0; i < ALL; i++) {
        uint32_t number;
        if (i == BEFORE && way->receiver_filters)
            restrict_oneself(way);
        if (way->receive(&receiving, &number) != sizeof(number) || number != i)
            leave(1);
    }
    leave(0);
}

static _Noreturn void send_all(const struct way *way, const struct sockaddr_un *to)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0)
        _exit(71);
    for (uint32_t i = 0; i < ALL; i++) {
        if (i < 300)
            usleep(100);
        if (i == BEFORE && !way->receiver_filters)
            restrict_oneself(way);
        if (way->send(fd, i) != sizeof(i))
            leave(1);
    }
    leave(0);
}

static void check(const struct way *way)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int status[2];
    snprintf(address.sun_path, sizeof(address.sun_path), "%s-%d", path, (int)getpid());
    unlink(address.sun_path);
    pid_t children[2];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            alarm(50);
            i == 0 ? receive_all(way, fd) : send_all(way, &address);
        }
    }
    close(fd);
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(children[i], &status[i], 0), children[i]);
    unlink(address.sun_path);
    assert_int_equal(status[0], 0);
    assert_int_equal(status[1], 0);
}

#define OTHERWISE(name, is_receiver, receives, sends, how)                                                             \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check(&(const struct way){receives, sends, is_receiver, {NO_CALL}, how});                                      \
    }

#define RECEIVER(name, way_of, ...)                                                                                    \
    static void a_filtered_receiver_goes_on_##name(void **state)                                                       \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check(&(const struct way){way_of, by_send, true, {__VA_ARGS__, NO_CALL}, NULL});                               \
    }

#define SENDER(name, way_of, ...)                                                                                      \
    static void a_filtered_sender_goes_on_##name(void **state)                                                         \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        check(&(const struct way){by_recv, way_of, false, {__VA_ARGS__, NO_CALL}, NULL});                              \
    }

#ifdef SYS_poll
#define POLLS SYS_poll
#else
#define POLLS SYS_ppoll
#endif
#ifdef SYS_epoll_wait
#define EPOLLS SYS_epoll_wait
#else
#define EPOLLS SYS_epoll_pwait
#endif
#ifdef SYS_select
#define SELECTS SYS_select, SYS_pselect6
#else
#define SELECTS SYS_pselect6
#endif

RECEIVER(by_recv, by_recv, SYS_recvfrom)
RECEIVER(by_read, by_read, SYS_read)
RECEIVER(by_fionread, by_fionread, SYS_recvfrom, SYS_ioctl)
RECEIVER(by_recvmsg, by_recvmsg, SYS_recvmsg)
RECEIVER(by_recvmmsg, by_recvmmsg, SYS_recvmmsg)
RECEIVER(by_poll, by_poll, SYS_recvfrom, POLLS)
RECEIVER(by_select, by_select, SYS_recvfrom, SELECTS)
RECEIVER(by_epoll, by_epoll, SYS_recvfrom, EPOLLS)
SENDER(by_send, by_send, SYS_sendto)
SENDER(by_write, by_write, SYS_write)
SENDER(by_sendmsg, by_sendmsg, SYS_sendmsg)
SENDER(by_sendmmsg, by_sendmmsg, SYS_sendmmsg)

OTHERWISE(a_receiver_in_strict_mode_goes_on, true, by_read, by_send, allow_strictly_nothing)
OTHERWISE(a_sender_in_strict_mode_goes_on, false, by_recv, by_write, allow_strictly_nothing)
#ifdef __x86_64__
OTHERWISE(a_receiver_without_the_counter_goes_on, true, by_poll, by_send, forbid_the_counter)
OTHERWISE(a_sender_without_the_counter_goes_on, false, by_epoll, by_sendmsg, forbid_the_counter)
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filtered_receiver_goes_on_by_recv),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_read),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_fionread),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_recvmsg),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_recvmmsg),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_poll),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_select),
        cmocka_unit_test(a_filtered_receiver_goes_on_by_epoll),
        cmocka_unit_test(a_filtered_sender_goes_on_by_send),
        cmocka_unit_test(a_filtered_sender_goes_on_by_write),
        cmocka_unit_test(a_filtered_sender_goes_on_by_sendmsg),
        cmocka_unit_test(a_filtered_sender_goes_on_by_sendmmsg),
        cmocka_unit_test(a_receiver_in_strict_mode_goes_on),
        cmocka_unit_test(a_sender_in_strict_mode_goes_on),
#ifdef __x86_64__
        cmocka_unit_test(a_receiver_without_the_counter_goes_on),
        cmocka_unit_test(a_sender_without_the_counter_goes_on),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
