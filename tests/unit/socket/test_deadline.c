/*
 * Deadlines of sockets of AF_UNIX: which calls they end, on which way their datagrams go whatever, that another thread may
 * move one, and that a socket without one waits as the kernel does. The status of sockets that are not served stands
 * here too, as the configuration is one of each process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <hqq/link.h>
#include <hqq/socket.h>

#include "base/atomic.h"
#include "platform/clock.h"
#include "runtime/counters.h"

#define SHORT_NS (4 * HQQ_NS_PER_MS)
#define LONG_NS (20 * HQQ_NS_PER_S)
#define NOTICED_NS (10 * HQQ_NS_PER_S) /* for a busy machine; a call that misses its deadline never ends */

static struct sockaddr_un address;
static int receiver, sender;
static char buffer[64];

static struct sockaddr_un abstract_name(const char *prefix)
{
    static unsigned number;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%s-%d-%u", prefix, (int)getpid(), number++);
    return name;
}

static int bound(const struct sockaddr_un *name)
{
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(hqq_bind(fd, (const struct sockaddr *)name, sizeof(*name)), 0);
    return fd;
}

static int set_up(void **state)
{
    (void)state;
    address = abstract_name("hqq-deadline");
    receiver = bound(&address);
    sender = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return hqq_connect(sender, (struct sockaddr *)&address, sizeof(address));
}

static int tear_down(void **state)
{
    (void)state;
    hqq_close(sender);
    hqq_close(receiver);
    return 0;
}

static void expect_late(ssize_t result, uint64_t when)
{
    assert_int_equal(result, -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_true(hqq_clock_ns() >= when);
    assert_true(hqq_clock_ns() < when + NOTICED_NS);
}

/* Until the kernel's queue is full, and the ring if there is one. */
static void fill(void)
{
    while (hqq_send(sender, "full", 4, MSG_DONTWAIT) == 4) {
    }
    assert_int_equal(errno, EAGAIN);
}

/* ---- One thread -------------------------------------------------------------------------------------------------- */

static void a_receive_ends_at_its_deadline_and_not_before(void **state)
{
    (void)state;
    uint64_t when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_read_deadline(receiver, when), 0);
    expect_late(hqq_recv(receiver, buffer, sizeof(buffer), 0), when);
}

static void a_send_ends_at_its_deadline_connected_or_not(void **state)
{
    (void)state;
    fill();
    uint64_t when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_write_deadline(sender, when), 0);
    expect_late(hqq_send(sender, "x", 1, 0), when);
    int other = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_write_deadline(other, when), 0);
    expect_late(hqq_sendto(other, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)), when);
    hqq_close(other);
}

static void reach_link(void)
{
    struct hqq_socket_status status = {0};
    uint64_t until = hqq_clock_ns() + LONG_NS;
    for (int i = 0; (i < 10000 || hqq_clock_ns() < until) && status.sent_ring == 0; i++) {
        assert_int_equal(hqq_send(sender, "go", 2, 0), 2);
        assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), 2);
        while (hqq_recv(sender, buffer, 1, MSG_DONTWAIT) >= 0) {
        }
        assert_int_equal(hqq_socket_status(sender, &status), 0);
    }
    assert_true(status.sent_ring > 0);
}

static void the_same_holds_on_a_link(void **state)
{
    (void)state;
    reach_link();
    uint64_t when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_read_deadline(receiver, when), 0);
    expect_late(hqq_recv(receiver, buffer, sizeof(buffer), 0), when);
    fill();
    when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_write_deadline(sender, when), 0);
    expect_late(hqq_send(sender, "x", 1, 0), when);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), 4); /* need not wait */
}

static void what_need_not_or_may_not_wait_has_no_deadline(void **state)
{
    (void)state;
    struct timeval timeout = {.tv_usec = 1000};
    assert_int_equal(hqq_set_deadline(receiver, 1), 0);
    assert_int_equal(hqq_set_deadline(sender, 1), 0);
    assert_int_equal(hqq_send(sender, "in time", 7, 0), 7);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), 7);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(hqq_set_deadline(receiver, 0), 0);
    assert_int_equal(hqq_setsockopt(receiver, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void a_socket_may_get_its_deadline_before_its_name(void **state)
{
    (void)state;
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = abstract_name("hqq-deadline");
    uint64_t when = hqq_clock_ns() + SHORT_NS;
    assert_int_equal(hqq_set_deadline(fd, when), 0);
    assert_int_equal(hqq_bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    expect_late(hqq_recv(fd, buffer, sizeof(buffer), 0), when);
    hqq_close(fd);
}

static void other_descriptors_have_no_deadlines(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(hqq_set_deadline(ends[0], 1), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(hqq_set_deadline(ends[0], 1), -1);
    assert_int_equal(errno, EBADF);
}

/* ---- Another thread ---------------------------------------------------------------------------------------------- */

struct sleeper {
    int fd;
    bool sends;
    _Atomic pid_t tid;
    atomic_bool has_ended;
    ssize_t result;
    int error;
    pthread_t thread;
};

static void *sleep_in_call(void *arg)
{
    struct sleeper *sleeper = arg;
    char data[64];
    atomic_store(&sleeper->tid, gettid());
    sleeper->result =
        sleeper->sends ? hqq_send(sleeper->fd, "late", 4, 0) : hqq_recv(sleeper->fd, data, sizeof(data), 0);
    sleeper->error = errno;
    atomic_store(&sleeper->has_ended, true);
    return NULL;
}

/* The state of a thread as the kernel has it, 'S' while it sleeps; 0 if there is no such thread. */
static char state_of(pid_t tid)
{
    char path[64], line[256] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    char *name_end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    fclose(file);
    return name_end && name_end[1] == ' ' ? name_end[2] : 0;
}

/* Until the call sleeps, or is over. */
static void start(struct sleeper *sleeper, int fd, bool sends)
{
    *sleeper = (struct sleeper){.fd = fd, .sends = sends};
    assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_in_call, sleeper), 0);
    while (atomic_load(&sleeper->tid) == 0)
        usleep(100);
    while (!atomic_load(&sleeper->has_ended) && state_of(atomic_load(&sleeper->tid)) != 'S')
        usleep(100);
}
static void expect_end(struct sleeper *sleeper, ssize_t result, int error)
{
    pthread_join(sleeper->thread, NULL);
    assert_int_equal(sleeper->result, result);
    if (result < 0)
        assert_int_equal(sleeper->error, error);
}

static void a_deadline_that_is_moved_ends_calls_that_sleep(void **state)
{
    (void)state;
    struct sleeper receiving, sending;
    fill();
    while (hqq_recv(receiver, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {
    }
    assert_int_equal(hqq_set_deadline(receiver, hqq_clock_ns() + LONG_NS), 0);
    assert_int_equal(hqq_set_deadline(sender, hqq_clock_ns() + LONG_NS), 0);
    start(&receiving, receiver, false);
    assert_int_equal(hqq_set_read_deadline(receiver, 1), 0);
    expect_end(&receiving, -1, ETIMEDOUT);
    fill();
    start(&sending, sender, true);
    assert_int_equal(hqq_set_write_deadline(sender, 1), 0);
    expect_end(&sending, -1, ETIMEDOUT);
}

/* It began before the socket had any deadline, in the kernel's own call, which nothing but a datagram ends: none of the
 * library's ever enters the queue. */
static void the_first_deadline_of_a_bound_socket_ends_only_receives_that_begin_later(void **state)
{
    (void)state;
    struct sleeper sleeper;
    start(&sleeper, receiver, false);
    assert_int_equal(hqq_set_read_deadline(receiver, 1), 0);
    usleep(50000); /* of which a deadline takes a few */
    assert_false(atomic_load(&sleeper.has_ended));
    assert_int_equal(hqq_send(sender, "late", 4, 0), 4);
    expect_end(&sleeper, 4, 0);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(hqq_set_read_deadline(receiver, hqq_clock_ns() + LONG_NS), 0);
    start(&sleeper, receiver, false);
    assert_int_equal(hqq_set_read_deadline(receiver, 1), 0);
    expect_end(&sleeper, -1, ETIMEDOUT);
    assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), MSG_DONTWAIT), -1); /* no datagram was the cause */
    assert_int_equal(errno, EAGAIN);
}

static void a_deadline_that_is_cleared_ends_nothing(void **state)
{
    (void)state;
    struct sleeper sleeper;
    ssize_t result = -1;
    for (int tries = 0; tries < 20 && result != 4; tries++) { /* on a busy machine it may be cleared too late */
        assert_int_equal(hqq_set_read_deadline(receiver, hqq_clock_ns() + 50 * HQQ_NS_PER_MS), 0);
        start(&sleeper, receiver, false);
        assert_int_equal(hqq_set_read_deadline(receiver, 0), 0);
        usleep(80000);
        assert_int_equal(hqq_send(sender, "late", 4, 0), 4);
        pthread_join(sleeper.thread, NULL);
        result = sleeper.result;
        if (result != 4)
            assert_int_equal(hqq_recv(receiver, buffer, sizeof(buffer), 0), 4);
    }
    assert_int_equal(result, 4);
}

static void a_close_ends_calls_that_sleep_in_slices(void **state)
{
    (void)state;
#ifdef HQQ_UNDER_TSAN
    skip(); /* it calls a close beside a use of the descriptor a race, which is what this is about */
#endif
    struct sleeper sleeper;
    fill();
    assert_int_equal(hqq_set_deadline(sender, hqq_clock_ns() + LONG_NS), 0);
    start(&sleeper, sender, true);
    int number = sender;
    hqq_close(sender);
    sender = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* of the same number, as that is the lowest */
    assert_int_equal(sender, number);
    expect_end(&sleeper, -1, EBADF);
}

/* ---- What is not configured -------------------------------------------------------------------------------------- */

static void the_status_of_a_socket_says_whether_its_name_is_configured(void **state)
{
    (void)state;
    struct hqq_socket_status status;
    struct sockaddr_un name = abstract_name("elsewhere");
    int unnamed = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int other = bound(&name);
    assert_int_equal(hqq_socket_status(unnamed, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_NOT_OURS);
    assert_int_equal(hqq_socket_status(other, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_NOT_CONFIGURED);
    assert_int_equal(hqq_connect(unnamed, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(hqq_socket_status(unnamed, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_NOT_CONFIGURED);
    assert_int_equal(hqq_socket_status(receiver, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_NO_TRAFFIC);
    hqq_close(unnamed);
    hqq_close(other);
}

static const struct hqq_counters *counters_of(int fd)
{
    const struct hqq_counters_head *head = hqq_counters_head();
    for (int i = 0; i < HQQ_COUNTERS_ENTRIES; i++) {
        const struct hqq_counters *entry = &head->entry[i];
        if (hqq_load32_relaxed(&entry->state) == HQQ_COUNTERS_LIVE && (int)hqq_load32_relaxed(&entry->fd) == fd)
            return entry;
    }
    fail_msg("no counters of %d", fd);
    return NULL;
}

static void counters_say_how_often_rings_began_to_be_polled_and_had_to_end(void **state)
{
    (void)state;
    int yes = 1;
    reach_link();
    const struct hqq_counters *counters = counters_of(receiver);
    assert_true(hqq_load_relaxed(&counters->trials) > 0);
    assert_int_equal(hqq_load_relaxed(&counters->suspended), 0);
    assert_int_equal(hqq_setsockopt(receiver, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
    assert_int_equal(hqq_load_relaxed(&counters->suspended), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_receive_ends_at_its_deadline_and_not_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_send_ends_at_its_deadline_connected_or_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_holds_on_a_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_need_not_or_may_not_wait_has_no_deadline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_may_get_its_deadline_before_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_descriptors_have_no_deadlines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_that_is_moved_ends_calls_that_sleep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_deadline_of_a_bound_socket_ends_only_receives_that_begin_later,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deadline_that_is_cleared_ends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_close_ends_calls_that_sleep_in_slices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counters_say_how_often_rings_began_to_be_polled_and_had_to_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_status_of_a_socket_says_whether_its_name_is_configured, set_up, tear_down),
    };
    setenv("HQQ_PATHS", "@hqq-deadline*", 1);
    setenv("HQQ_LINK_AFTER", "0", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
