/*
 * Sockets of AF_HQQ: calls that wait, and everything that ends a wait. Where a look after the peer must not be what ended it,
 * these come so seldom that the bound can be far above what a wakeup takes on a busy machine, and far below them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "hqqsock/named_wait.h"
#include "support/named.h"
#include "support/plain_peer.h"

#define SHORT_US 3000
#define LONG_NS (20 * HQQ_NS_PER_S)

static struct named_pair pair;
static struct hqq_sys real;
static char buffer[2 * NAMED_SIZE];

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    pair = named_pair_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    named_pair_close(&pair);
    return 0;
}

/* ---- A thread in one call ---------------------------------------------------------------------------------------- */

struct sleeper {
    int fd;
    bool sends;
    ssize_t result;
    int error;
    uint64_t ended_ns;
    atomic_int tid;
    pthread_t thread;
};

static void *sleep_in_call(void *arg)
{
    struct sleeper *sleeper = arg;
    char data[NAMED_SIZE];
    atomic_store(&sleeper->tid, (int)gettid());
    sleeper->result =
        sleeper->sends ? hqq_send(sleeper->fd, "late", 4, 0) : hqq_recv(sleeper->fd, data, sizeof(data), 0);
    sleeper->error = errno;
    sleeper->ended_ns = hqq_clock_ns();
    return NULL;
}

/* What the kernel says of the thread in that file of its folder; "" if nothing. */
static void read_of(const struct sleeper *sleeper, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", atomic_load(&sleeper->tid), name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, size - 1) : 0;
    if (file >= 0)
        close(file);
    text[length > 0 ? length : 0] = '\0';
}

static bool is_asleep(const struct sleeper *sleeper)
{
    char stat[256], call[64];
    read_of(sleeper, "stat", stat, sizeof(stat));
    const char *name_end = strrchr(stat, ')');
    if (!name_end || strncmp(name_end, ") S", 3) != 0)
        return false;
    read_of(sleeper, "wchan", call, sizeof(call));
    return strstr(call, "poll") || strlen(call) <= 1; /* a kernel that does not say in what */
}

/* Returns once the kernel says that the thread sleeps, in a system call of that name. */
static void start(struct sleeper *sleeper, int fd, bool sends)
{
    *sleeper = (struct sleeper){.fd = fd, .sends = sends};
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_in_call, sleeper), 0);
    for (uint64_t until = hqq_clock_ns() + LONG_NS; atomic_load(&sleeper->tid) == 0 || !is_asleep(sleeper);) {
        if (hqq_clock_ns() > until)
            fail_msg("the thread does not sleep");
        usleep(500);
    }
}

static void expect_end(struct sleeper *sleeper, ssize_t result, int error)
{
    pthread_join(sleeper->thread, NULL);
    assert_int_equal(sleeper->result, result);
    if (result < 0)
        assert_int_equal(sleeper->error, error);
}

/* ---- What wakes -------------------------------------------------------------------------------------------------- */

static void a_receive_that_sleeps_is_woken_by_a_datagram(void **state)
{
    (void)state;
    struct sleeper sleeper;
    named_look_seldom(pair.bound);
    for (int i = 0; i < 20; i++) {
        start(&sleeper, pair.bound, false);
        uint64_t sent = hqq_clock_ns();
        assert_int_equal(hqq_send(pair.connected, "late", 4, 0), 4);
        expect_end(&sleeper, 4, 0);
        assert_true(sleeper.ended_ns - sent < NAMED_PROMPT_NS);
    }
}

static void a_send_that_sleeps_is_woken_by_a_free_slot(void **state)
{
    (void)state;
    struct sleeper sleeper;
    named_fill(pair.bound);
    for (int i = 0; i < 20; i++) {
        start(&sleeper, pair.bound, true);
        assert_int_equal(hqq_recv(pair.connected, buffer, sizeof(buffer), 0), 4);
        expect_end(&sleeper, 4, 0);
    }
}

static atomic_int knocks;

static int count_knock(const void *address, unsigned length)
{
    atomic_fetch_add(&knocks, 1);
    return real.knock(address, length);
}

static void nobody_is_knocked_at_who_does_not_sleep(void **state)
{
    (void)state;
    /* From the first wait on the socket is ours to wait for, and its bell armed by waits only. */
    struct pollfd look = {.fd = pair.bound, .events = POLLIN};
    assert_int_equal(hqq_send(pair.connected, "x", 1, 0), 1);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 1);
    assert_int_equal(hqq_poll(&look, 1, 1), 0);
    assert_int_equal(hqq_send(pair.connected, "x", 1, 0), 1); /* finds the bell as the poll left it, and disarms it */
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 1);
    atomic_store(&knocks, 0);
    hqq_sys.knock = count_knock;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(hqq_send(pair.connected, "x", 1, 0), 1);
        assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 1);
    }
    assert_int_equal(atomic_load(&knocks), 0);
}

static int lose_knock(const void *address, unsigned length)
{
    (void)address;
    (void)length;
    atomic_fetch_add(&knocks, 1);
    return -ECONNREFUSED;
}

static void a_knock_that_is_lost_costs_a_moment_and_no_datagram(void **state)
{
    (void)state;
    struct sleeper sleeper;
    atomic_store(&knocks, 0);
    start(&sleeper, pair.bound, false);
    hqq_sys.knock = lose_knock;
    assert_int_equal(hqq_send(pair.connected, "late", 4, 0), 4);
    expect_end(&sleeper, 4, 0);
    assert_true(atomic_load(&knocks) > 0);
}

static void several_threads_get_a_datagram_each(void **state)
{
    (void)state;
    struct sleeper sleepers[3];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 3; i++)
            start(&sleepers[i], pair.bound, false);
        for (int i = 0; i < 3; i++)
            assert_int_equal(hqq_send(pair.connected, "late", 4, 0), 4);
        for (int i = 0; i < 3; i++)
            expect_end(&sleepers[i], 4, 0);
    }
}

/* ---- What ends a wait without a datagram ------------------------------------------------------------------------- */

static void set_timeout(int fd, int option)
{
    struct timeval timeout = {.tv_usec = SHORT_US};
    assert_int_equal(hqq_setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout)), 0);
}

static void time_outs_end_calls_that_wait_and_not_before(void **state)
{
    (void)state;
    set_timeout(pair.bound, SO_RCVTIMEO);
    uint64_t began = hqq_clock_ns();
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(hqq_clock_ns() - began >= SHORT_US * HQQ_NS_PER_US);
    set_timeout(pair.bound, SO_SNDTIMEO);
    named_fill(pair.bound);
    began = hqq_clock_ns();
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_true(hqq_clock_ns() - began >= SHORT_US * HQQ_NS_PER_US);
}

static void a_close_ends_the_calls_of_other_threads(void **state)
{
    (void)state;
    struct sleeper receiver, sender;
    named_fill(pair.bound);
    start(&receiver, pair.bound, false);
    start(&sender, pair.bound, true);
    assert_int_equal(hqq_close(pair.bound), 0);
    pair.bound = -1;
    expect_end(&receiver, -1, EBADF);
    expect_end(&sender, -1, EBADF);
}

static void a_socket_that_was_closed_takes_nothing_from_who_has_its_number_now(void **state)
{
    (void)state;
    int others[2];
    char byte;
    struct hqq_named *named = hqq_named_enter_fd(pair.bound);
    struct hqq_named_sleep sleep = {.named = named, .link = hqq_named_link(named), .fd = pair.bound, .reads = true};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, others), 0);
    assert_int_equal(hqq_close(pair.bound), 0);
    assert_int_equal(dup2(others[0], pair.bound), pair.bound);
    assert_int_equal(write(others[1], "x", 1), 1);
    assert_int_equal(hqq_named_arm(&sleep), 0);
    hqq_named_wake(&sleep);
    assert_false(hqq_named_settle(named, pair.bound, true));
    assert_int_equal(recv(pair.bound, &byte, 1, MSG_DONTWAIT), 1);
    hqq_named_drop(named);
    close(pair.bound);
    close(others[0]);
    close(others[1]);
    pair.bound = -1;
}

static void a_shutdown_ends_a_receive_with_nothing_and_a_send_with_a_broken_pipe(void **state)
{
    (void)state;
    struct sleeper receiver, sender;
    named_fill(pair.bound);
    start(&receiver, pair.bound, false);
    start(&sender, pair.bound, true);
    assert_int_equal(hqq_shutdown(pair.bound, SHUT_RDWR), 0);
    expect_end(&receiver, 0, 0);
    expect_end(&sender, -1, EPIPE);
}

static void a_peer_that_closes_ends_both(void **state)
{
    (void)state;
    struct sleeper receiver, sender;
    named_fill(pair.bound);
    start(&receiver, pair.bound, false);
    start(&sender, pair.bound, true);
    hqq_close(pair.connected);
    pair.connected = -1;
    expect_end(&receiver, -1, EPIPE);
    expect_end(&sender, -1, EPIPE);
}

static void on_signal(int number)
{
    (void)number;
}

static void a_signal_interrupts_whatever_its_handler_is_installed_for(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, before;
    sigaction(SIGUSR1, &action, &before);
    named_look_seldom(pair.bound); /* between two sleeps a signal is nobody's */
    start(&sleeper, pair.bound, false);
    pthread_kill(sleeper.thread, SIGUSR1);
    expect_end(&sleeper, -1, EINTR);
    sigaction(SIGUSR1, &before, NULL);
}

static void a_cancelled_thread_leaves_the_socket_to_the_others(void **state)
{
    (void)state;
    struct sleeper sleeper;
    void *end;
    start(&sleeper, pair.bound, false);
    pthread_cancel(sleeper.thread);
    pthread_join(sleeper.thread, &end);
    assert_ptr_equal(end, PTHREAD_CANCELED);
    assert_int_equal(hqq_send(pair.connected, "next", 4, 0), 4);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
    hqq_close(pair.bound); /* the last to hold the link: the name is gone */
    pair.bound = -1;
    int fd = named_socket();
    assert_int_equal(hqq_connect(fd, (struct sockaddr *)&pair.address, sizeof(pair.address)), -1);
    assert_int_equal(errno, ENOENT);
    hqq_close(fd);
}

/* ---- Deadlines --------------------------------------------------------------------------------------------------- */

static void a_deadline_ends_calls_that_wait_and_not_before(void **state)
{
    (void)state;
    uint64_t when = hqq_clock_ns() + SHORT_US * HQQ_NS_PER_US;
    named_fill(pair.bound);
    assert_int_equal(hqq_set_deadline(pair.bound, when), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(hqq_clock_ns() >= when);
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
}

static void a_call_that_need_not_wait_has_no_deadline(void **state)
{
    (void)state;
    assert_int_equal(hqq_set_deadline(pair.bound, 1), 0);
    assert_int_equal(hqq_set_deadline(pair.connected, 1), 0);
    assert_int_equal(hqq_send(pair.connected, "in time", 7, 0), 7);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 7);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(hqq_set_deadline(pair.bound, 0), 0); /* none */
    set_timeout(pair.bound, SO_RCVTIMEO);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void each_direction_has_a_deadline_of_its_own(void **state)
{
    (void)state;
    set_timeout(pair.bound, SO_RCVTIMEO);
    assert_int_equal(hqq_set_write_deadline(pair.bound, 1), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(hqq_set_write_deadline(pair.bound, 0), 0);
    assert_int_equal(hqq_set_read_deadline(pair.bound, 1), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
}

static void a_deadline_that_another_thread_sets_ends_calls_that_sleep(void **state)
{
    (void)state;
    struct sleeper receiver, sender;
    named_look_seldom(pair.bound);
    named_fill(pair.bound);
    start(&receiver, pair.bound, false);
    start(&sender, pair.bound, true);
    uint64_t set = hqq_clock_ns();
    assert_int_equal(hqq_set_deadline(pair.bound, set), 0);
    expect_end(&receiver, -1, ETIMEDOUT);
    expect_end(&sender, -1, ETIMEDOUT);
    assert_true(receiver.ended_ns - set < NAMED_PROMPT_NS); /* not only at the next look after the peer */
    assert_true(sender.ended_ns - set < NAMED_PROMPT_NS);
}

static void a_deadline_that_is_put_off_is_waited_for(void **state)
{
    (void)state;
    struct sleeper sleeper;
    assert_int_equal(hqq_set_read_deadline(pair.bound, hqq_clock_ns() + LONG_NS), 0);
    start(&sleeper, pair.bound, false);
    assert_int_equal(hqq_set_read_deadline(pair.bound, hqq_clock_ns() + 2 * LONG_NS), 0);
    assert_int_equal(hqq_send(pair.connected, "late", 4, 0), 4);
    expect_end(&sleeper, 4, 0);
}

/* ---- A peer that speaks the format only -------------------------------------------------------------------------- */

/* In place of the connected socket. */
static void *plain_peer_in_place(struct plain_peer *peer, uint64_t *ret_bytes)
{
    char path[sizeof("/dev/shm/") + HQQ_NAME_MAX] = "/dev/shm/";
    struct stat status;
    bool is_primary;
    hqq_close(pair.connected);
    pair.connected = -1;
    hqq_close(pair.bound);
    pair.address = named_address();
    pair.bound = named_bound(&pair.address, NAMED_COUNT, NAMED_SIZE);
    int file = open(strcat(path, pair.address.shqq_name), O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    *ret_bytes = (uint64_t)status.st_size;
    void *base = mmap(NULL, *ret_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_ptr_not_equal(base, MAP_FAILED);
    close(file);
    assert_true(plain_peer_open(peer, base, NAMED_COUNT, NAMED_SIZE, &is_primary));
    assert_false(is_primary);
    return base;
}

static void a_peer_that_never_knocks_is_found_by_looks(void **state)
{
    (void)state;
    struct plain_peer peer;
    struct sleeper sleeper;
    uint64_t bytes;
    void *base = plain_peer_in_place(&peer, &bytes);
    named_look_seldom(pair.bound);
    for (int i = 0; i < 5; i++) {
        start(&sleeper, pair.bound, false);
        uint64_t sent = hqq_clock_ns();
        assert_true(plain_peer_send_tombstone(&peer));
        assert_true(plain_peer_send(&peer, "late", 4));
        expect_end(&sleeper, 4, 0);
        assert_true(sleeper.ended_ns - sent < NAMED_PROMPT_NS);
        assert_int_equal(hqq_send(pair.bound, "back", 4, 0), 4);
        assert_int_equal(plain_peer_receive(&peer, buffer), 4);
    }
    munmap(base, bytes);
}

static void what_no_datagram_is_is_a_bad_message_once(void **state)
{
    (void)state;
    struct plain_peer peer;
    uint64_t bytes;
    const uint64_t packet[8] = {0x01, 7};
    void *base = plain_peer_in_place(&peer, &bytes);
    assert_true(plain_peer_send_packet(&peer, packet));
    assert_true(plain_peer_send(&peer, "good", 4));
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
    munmap(base, bytes);
}

static void a_poll_finds_what_a_silent_peer_sent(void **state)
{
    (void)state;
    struct plain_peer peer;
    struct pollfd look = {.fd = 0, .events = POLLIN | POLLOUT};
    uint64_t bytes;
    void *base = plain_peer_in_place(&peer, &bytes);
    look.fd = pair.bound;
    named_fill(pair.bound);
    assert_int_equal(hqq_poll(&look, 1, 5), 0);
    assert_int_equal(plain_peer_receive(&peer, buffer), 4);
    assert_int_equal(hqq_poll(&look, 1, -1), 1);
    assert_int_equal(look.revents, POLLOUT);
    assert_true(plain_peer_send(&peer, "come", 4));
    look.events = POLLIN;
    assert_int_equal(hqq_poll(&look, 1, -1), 1);
    assert_int_equal(look.revents, POLLIN);
    munmap(base, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_receive_that_sleeps_is_woken_by_a_datagram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_send_that_sleeps_is_woken_by_a_free_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_knocked_at_who_does_not_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_knock_that_is_lost_costs_a_moment_and_no_datagram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(several_threads_get_a_datagram_each, set_up, tear_down),
        cmocka_unit_test_setup_teardown(time_outs_end_calls_that_wait_and_not_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_ends_the_calls_of_other_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_that_was_closed_takes_nothing_from_who_has_its_number_now, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_shutdown_ends_a_receive_with_nothing_and_a_send_with_a_broken_pipe, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_closes_ends_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_interrupts_whatever_its_handler_is_installed_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_thread_leaves_the_socket_to_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_ends_calls_that_wait_and_not_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_that_need_not_wait_has_no_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_direction_has_a_deadline_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_that_another_thread_sets_ends_calls_that_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_that_is_put_off_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_never_knocks_is_found_by_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_no_datagram_is_is_a_bad_message_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_poll_finds_what_a_silent_peer_sent, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
