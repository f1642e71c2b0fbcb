/* epoll, level-triggered: the calls themselves, and events that repeat. */
#include "support/clock.h"
#include "support/pair.h"

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "epoll/set.h"

static void an_event_repeats_as_long_as_there_is_a_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    assert_int_equal(set_events(set), 0);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    for (int i = 0; i < 3; i++)
        assert_int_equal(set_events(set), EPOLLIN);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(set), EPOLLIN);
    end_hears(&pair.near, "two");
    assert_int_equal(set_events(set), 0);
}

static void an_event_carries_its_data(void **state)
{
    (void)state;
    if (contract_is_limit("events of one wait may come in another order"))
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = UINT64_C(0x123456789abcdef0)}, got[4];
    assert_result(epoll_ctl(set, EPOLL_CTL_ADD, pair.near.fd, &wanted), 0);
    wanted.data.u64 = 7;
    assert_result(epoll_ctl(set, EPOLL_CTL_ADD, other.fd, &wanted), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(epoll_wait(set, got, 4, -1), 1);
    assert_true(got[0].data.u64 == UINT64_C(0x123456789abcdef0));
    end_tell(&pair.far, &other, "two");
    assert_result(epoll_wait(set, got, 4, -1), 2);
    assert_result(epoll_wait(set, got, 1, -1), 1);
    uint64_t first = got[0].data.u64;
    assert_result(epoll_wait(set, got, 1, -1), 1);
    assert_true(got[0].data.u64 != first); /* they take turns */
}

static void a_datagram_wakes_who_waits(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    for (int i = 0; i < 10; i++) {
        struct task *task = set_waiter_asleep(set);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), EPOLLIN);
        end_hears(&pair.near, "wake up");
    }
    assert_int_equal(set_events(set), 0);
}

/* job->fd is the socket; the set is made there. */
static long wait_elsewhere(struct job *job)
{
    struct epoll_event event = {.events = EPOLLIN};
    int set = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(set, EPOLL_CTL_ADD, job->fd, &event) != 0)
        return -errno;
    int count = epoll_wait(set, &event, 1, -1);
    int error = errno;
    close(set);
    return count < 0 ? -error : (long)event.events;
}

JOB_FUNCTION(wait_elsewhere)

static void a_datagram_wakes_who_waits_in_the_other_process(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 10; i++) {
        struct task *task = task_asleep(pair.far.at, wait_elsewhere, end_job(&pair.far));
        end_tell(&pair.near, &pair.far, "wake up");
        assert_result(task_finish(task), EPOLLIN);
        end_hears(&pair.far, "wake up");
    }
}

static void a_socket_added_while_readable_is_reported(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "early");
    assert_int_equal(set_events(set_new(pair.near.fd, EPOLLIN)), EPOLLIN);
    assert_int_equal(set_events(set_new(pair.near.fd, EPOLLIN | EPOLLET)), EPOLLIN);
    end_hears(&pair.near, "early");
}

static void a_modified_set_reports_what_it_is_asked_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(set), 0);
    set_change(set, pair.near.fd, EPOLLIN);
    assert_int_equal(set_events(set), EPOLLIN);
    set_change(set, pair.near.fd, EPOLLIN | EPOLLOUT);
    assert_int_equal(set_events(set), EPOLLIN | EPOLLOUT);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(set), EPOLLOUT);
}

static void a_connected_sender_is_reported_once_there_is_room(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int set = set_new(pair.near.fd, EPOLLOUT);
    assert_int_equal(set_events(set), EPOLLOUT);
    int count = end_fill(&pair.near, NULL, 0);
    assert_int_equal(set_events(set), 0);
    struct task *task = set_waiter_asleep(set);
    assert_result(end_drain(&pair.far, 0), count);
    assert_result(task_finish(task), EPOLLOUT);
}

static void a_shutdown_is_reported(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLRDHUP);
    struct task *task = set_waiter_asleep(set);
    assert_result(end_shutdown(&pair.near, SHUT_RDWR), 0);
    assert_result(task_finish(task), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

static void what_the_calls_refuse(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = own(epoll_create1(EPOLL_CLOEXEC)), fd = pair.near.fd;
    struct epoll_event event = {.events = EPOLLIN};
    assert_error(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), ENOENT);
    assert_error(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), ENOENT);
    assert_result(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
    assert_error(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), EEXIST);
    assert_error(epoll_ctl(set, EPOLL_CTL_ADD, -1, &event), EBADF);
    assert_error(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event), EBADF);
    assert_error(epoll_ctl(fd, EPOLL_CTL_ADD, pair.near.fd, &event), EINVAL);
    assert_error(epoll_ctl(set, 99, fd, &event), EINVAL);
    assert_error(epoll_wait(set, &event, 0, 0), EINVAL);
    assert_error(epoll_wait(fd, &event, 1, 0), EINVAL);
    assert_error(epoll_wait(-1, &event, 1, 0), EBADF);
    assert_result(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(set), 0);
}

static void a_timeout_that_is_over_is_zero(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    struct epoll_event event;
    const struct timespec limit = {.tv_nsec = 30000000}, bad = {.tv_nsec = 1000000000};
    int64_t began = clock_ms();
    assert_result(epoll_wait(set, &event, 1, 30), 0);
    assert_result(epoll_pwait(set, &event, 1, 30, NULL), 0);
    assert_result(epoll_pwait2(set, &event, 1, &limit, NULL), 0);
    assert_true(clock_ms() - began >= 89);
    assert_error(epoll_pwait2(set, &event, 1, &bad, NULL), EINVAL);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void epoll_pwait_lets_a_pending_signal_in(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* it delivers signals later */
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    struct epoll_event event;
    sigset_t blocked, none;
    signals = 0;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_error(epoll_pwait(set, &event, 1, -1, &none), EINTR);
    assert_int_equal(signals, 1);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_error(epoll_pwait2(set, &event, 1, NULL, &none), EINTR);
    assert_int_equal(signals, 2);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
}

static const struct CMUnitTest tests[] = {
    EVERY(an_event_repeats_as_long_as_there_is_a_datagram),
    BOTH(an_event_carries_its_data),
    EVERY(a_datagram_wakes_who_waits),
    EVERY(a_datagram_wakes_who_waits_in_the_other_process),
    EVERY(a_socket_added_while_readable_is_reported),
    BOTH(a_modified_set_reports_what_it_is_asked_for),
    EVERY(a_connected_sender_is_reported_once_there_is_room),
    BOTH(a_shutdown_is_reported),
    BOTH(what_the_calls_refuse),
    BOTH(a_timeout_that_is_over_is_zero),
    BOTH(epoll_pwait_lets_a_pending_signal_in),
};

CONTRACT_SUITE(epoll_level, tests);
