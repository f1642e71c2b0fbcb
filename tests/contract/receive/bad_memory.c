/*
 * Addresses that look like any other, and have no memory behind them: the kernel says EFAULT, and what it loses by that is
 * one datagram at most.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/address.h"
#include "support/contract.h"
#include "support/pair.h"

#define PAGE 4096

/* A page that may be used, and one that may not: both of them are the test's until its process ends. */
static char *page_before(int protection)
{
    char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    memset(pages, 'm', 2 * PAGE);
    assert_int_equal(mprotect(pages + PAGE, PAGE, protection), 0);
    return pages;
}

static bool is_limit(void)
{
    return contract_is_limit_of_renaming("a bad address is SIGSEGV");
}

static void nothing_is_sent_from_memory_that_cannot_be_read(void **state)
{
    (void)state;
    if (is_limit())
        return;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char *end = page_before(PROT_NONE) + PAGE;
    struct iovec parts[2] = {{.iov_base = end - 4, .iov_len = 4}, {.iov_base = end, .iov_len = 4}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    assert_error(send(pair.near.fd, end, 8, 0), EFAULT);
    assert_error(send(pair.near.fd, end - 4, 8, 0), EFAULT);
    assert_error(send(pair.near.fd, end - 100, 20000, 0), EFAULT);
    assert_error(write(pair.near.fd, end - 1, 2), EFAULT);
    assert_error(writev(pair.near.fd, parts, 2), EFAULT);
    assert_error(sendmsg(pair.near.fd, &message, 0), EFAULT);
    for (int length = 0; length <= 70; length++) { /* each way of copying, up to the last byte */
        assert_error(send(pair.near.fd, end - length, (size_t)length + 1, 0), EFAULT);
        if (length != 0)
            assert_result(send(pair.near.fd, end - length, (size_t)length, 0), length);
        char data[100];
        if (length != 0)
            assert_result(end_receive(&pair.far, data, sizeof(data), 0), length);
    }
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void a_header_that_cannot_be_read_is_efault(void **state)
{
    (void)state;
    if (is_limit() || CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they read it themselves */
    struct pair pair = pair_new(NEAR_CONNECTS);
    char *end = page_before(PROT_NONE) + PAGE;
    struct msghdr message = {.msg_iov = (void *)end, .msg_iovlen = 1};
    assert_error(sendmsg(pair.near.fd, (void *)end, 0), EFAULT);
    assert_error(sendmsg(pair.near.fd, &message, 0), EFAULT);
    assert_error(writev(pair.near.fd, (void *)end, 1), EFAULT);
    assert_error(sendto(pair.near.fd, "x", 1, 0, (void *)end, 20), EFAULT);
    end_tell(&pair.far, &pair.near, "one");
    assert_error(recvmsg(pair.near.fd, (void *)end, 0), EFAULT);
    assert_error(recvmsg(pair.near.fd, &message, 0), EFAULT);
    assert_error(readv(pair.near.fd, (void *)end, 1), EFAULT);
    assert_receives(pair.near.fd, "one");
}

static void what_cannot_be_written_to_costs_one_datagram(void **state)
{
    (void)state;
    if (is_limit())
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    char *end = page_before(PROT_READ) + PAGE;
    for (int i = 0; i < 3; i++)
        end_tell(&pair.far, &pair.near, "a datagram");
    end_tell(&pair.far, &pair.near, "peeked at");
    assert_error(recv(pair.near.fd, end, 10, 0), EFAULT);
    assert_error(recv(pair.near.fd, end - 4, 10, 0), EFAULT);
    assert_error(read(pair.near.fd, end - 1, 10), EFAULT);
    assert_error(recv(pair.near.fd, end, 10, MSG_PEEK), EFAULT);
    assert_result(recv(pair.near.fd, end - 9, 9, 0), 9);
    assert_memory_equal(end - 9, "peeked at", 9);
    assert_empty(pair.near.fd);
}

static void a_name_that_cannot_be_written_costs_its_datagram(void **state)
{
    (void)state;
    if (is_limit())
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    char *end = page_before(PROT_NONE) + PAGE, data[16];
    socklen_t length = sizeof(struct sockaddr_un);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    end_tell(&pair.far, &pair.near, "three");
    assert_error(recvfrom(pair.near.fd, data, sizeof(data), 0, (void *)end, &length), EFAULT);
    if (!CONTRACT_ADDRESS_SANITIZER && !CONTRACT_THREAD_SANITIZER)
        assert_error(
            recvfrom(pair.near.fd, data, sizeof(data), 0, (struct sockaddr *)(void *)data, (socklen_t *)(void *)end),
            EFAULT);
    else
        assert_receives(pair.near.fd, "two");
    assert_receives(pair.near.fd, "three");
}

static void waits_say_efault_and_lose_nothing(void **state)
{
    (void)state;
    if (is_limit() || CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they read it themselves */
    struct pair pair = pair_new(PAIR_PLAIN);
    char *end = page_before(PROT_NONE) + PAGE;
    void *volatile nothing = NULL; /* volatile: the compiler must not know */
    int epoll = own(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    assert_result(epoll_ctl(epoll, EPOLL_CTL_ADD, pair.near.fd, &event), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    assert_error(poll((void *)end, 1, 0), EFAULT);
    assert_error(poll((void *)(end - 4), 1, 0), EFAULT);
    assert_error(select(pair.near.fd + 1, (void *)end, NULL, NULL, NULL), EFAULT);
    assert_error(epoll_ctl(epoll, EPOLL_CTL_MOD, pair.near.fd, (void *)end), EFAULT);
    assert_error(epoll_wait(epoll, (void *)end, 1, 0), EFAULT);
    assert_error(epoll_wait(epoll, nothing, 1, 0), EFAULT);
    assert_error(ioctl(pair.near.fd, FIONREAD, end), EFAULT);
    assert_result(epoll_wait(epoll, &event, 1, 0), 1);
    assert_receives(pair.near.fd, "one");
}

/* ---- The program's own faults ------------------------------------------------------------------------------------ */

/* How a child ends that does this. */
static int status_after(void (*act)(const struct pair *pair, char *bad), const struct pair *pair)
{
    char *bad = page_before(PROT_NONE) + PAGE;
    int status;
    pid_t child = fork();
    if (child == 0) {
        const struct sigaction by_default = {.sa_handler = SIG_DFL};
        sigaction(SIGSEGV, &by_default, NULL); /* the test's own is not wanted */
        act(pair, bad);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void ask_for_the_default(const struct pair *pair, char *bad)
{
    struct sigaction action;
    (void)pair;
    (void)bad;
    _exit(sigaction(SIGSEGV, NULL, &action) == 0 && action.sa_handler == SIG_DFL ? 6 : 1);
}

static void touch(const struct pair *pair, char *bad)
{
    (void)pair;
    *(volatile char *)bad = 1;
}

static void send_a_fault(const struct pair *pair, char *bad)
{
    (void)pair;
    (void)bad;
    raise(SIGSEGV);
}

static void set_the_default(const struct pair *pair, char *bad)
{
    signal(SIGSEGV, SIG_IGN);
    signal(SIGSEGV, SIG_DFL);
    if (send(pair->near.fd, bad, 8, 0) != -1 || errno != EFAULT)
        _exit(1);
    *(volatile char *)bad = 1;
}

static void note_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    _exit(number == SIGSEGV && info->si_code > 0 ? 7 : 8);
}

static void handle(const struct pair *pair, char *bad)
{
    const struct sigaction action = {.sa_sigaction = note_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    if (send(pair->near.fd, bad, 8, 0) != -1 || errno != EFAULT)
        _exit(1);
    *(volatile char *)bad = 1;
}

static void ignore(const struct pair *pair, char *bad)
{
    (void)pair;
    (void)bad;
    signal(SIGSEGV, SIG_IGN);
    raise(SIGSEGV);
    _exit(9);
}

static void a_fault_of_the_program_is_its_own(void **state)
{
    (void)state;
    if (is_limit() || CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they have handlers of their own */
    struct pair pair = pair_new(NEAR_CONNECTS);
    int killed = SIGSEGV;
    assert_int_equal(WEXITSTATUS(status_after(ask_for_the_default, &pair)), 6);
    assert_int_equal(WTERMSIG(status_after(touch, &pair)), killed);
    assert_int_equal(WTERMSIG(status_after(send_a_fault, &pair)), killed);
    assert_int_equal(WTERMSIG(status_after(set_the_default, &pair)), killed);
    assert_int_equal(WEXITSTATUS(status_after(handle, &pair)), 7);
    assert_int_equal(WEXITSTATUS(status_after(ignore, &pair)), 9);
}

static const struct CMUnitTest tests[] = {
    EVERY(nothing_is_sent_from_memory_that_cannot_be_read),
    BOTH(a_header_that_cannot_be_read_is_efault),
    EVERY(what_cannot_be_written_to_costs_one_datagram),
    BOTH(a_name_that_cannot_be_written_costs_its_datagram),
    BOTH(waits_say_efault_and_lose_nothing),
    BOTH(a_fault_of_the_program_is_its_own),
};

CONTRACT_SUITE(receive_bad_memory, tests);
