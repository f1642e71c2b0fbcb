/* poll() and ppoll(). */
#include "support/clock.h"
#include "support/pair.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static struct task *poller_asleep(const struct end *end, int events)
{
    struct job *job = end_job(end);
    job->number = events;
    return task_asleep(end->at, job_poll, job);
}

static void a_socket_is_readable_as_long_as_there_is_a_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_revents(pair.near.fd, POLLIN | POLLOUT, POLLOUT);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    for (int i = 0; i < 3; i++)
        assert_revents(pair.near.fd, POLLIN | POLLRDNORM | POLLOUT, POLLIN | POLLRDNORM | POLLOUT);
    end_hears(&pair.near, "one");
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    end_hears(&pair.near, "two");
    assert_revents(pair.near.fd, POLLIN, 0);
}

static void a_socket_that_is_readable_does_not_make_a_receive_sleep(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    for (int i = 0; i < 50; i++) {
        end_tell(&pair.far, &pair.near, "there");
        assert_revents(pair.near.fd, POLLIN, POLLIN);
        assert_result(recv(pair.near.fd, data, sizeof(data), 0), 5);
        assert_revents(pair.near.fd, POLLIN, 0);
    }
}

static void a_datagram_wakes_who_polls(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 10; i++) {
        struct task *poller = poller_asleep(&pair.near, POLLIN);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(poller), POLLIN);
        end_hears(&pair.near, "wake up");
    }
}

static void a_datagram_wakes_who_polls_in_the_other_process(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 10; i++) {
        struct task *poller = poller_asleep(&pair.far, POLLIN);
        end_tell(&pair.near, &pair.far, "wake up");
        assert_result(task_finish(poller), POLLIN);
        end_hears(&pair.far, "wake up");
    }
}

/* It is too late for all but the last datagram, as far as the scheduler obeys. */
static void who_polls_since_before_bind_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    struct task *task = poller_asleep(&pair.near, POLLIN);
    task_hold_back(task);
    pair_bind(&pair);
    warm_up(&pair.far, &pair.near);
    task_let_on(task);
    end_tell(&pair.far, &pair.near, "wake up");
    assert_result(task_finish(task), POLLIN);
    end_hears(&pair.near, "wake up");
}

static void one_datagram_wakes_all_who_poll(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *pollers[3];
    for (int i = 0; i < 3; i++)
        pollers[i] = poller_asleep(&pair.near, POLLIN);
    end_tell(&pair.far, &pair.near, "wake up");
    for (int i = 0; i < 3; i++)
        assert_result(task_finish(pollers[i]), POLLIN);
    end_hears(&pair.near, "wake up");
}

static void one_descriptor_twice_in_an_array_is_answered_twice(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd fds[] = {
        {.fd = pair.near.fd, .events = POLLIN},
        {.fd = -1, .events = POLLIN, .revents = 99},
        {.fd = pair.near.fd, .events = POLLIN | POLLOUT},
        {.fd = pair.near.fd, .events = 0},
    };
    assert_result(poll(fds, 4, 0), 1);
    assert_int_equal(fds[0].revents, 0);
    assert_int_equal(fds[1].revents, 0);
    assert_int_equal(fds[2].revents, POLLOUT);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(poll(fds, 4, -1), 2);
    assert_int_equal(fds[0].revents, POLLIN);
    assert_int_equal(fds[1].revents, 0);
    assert_int_equal(fds[2].revents, POLLIN | POLLOUT);
    assert_int_equal(fds[3].revents, 0);
    end_hears(&pair.near, "one");
    fds[2].events = POLLIN;
    assert_result(poll(fds, 4, 0), 0);
}

static void sockets_are_polled_beside_other_descriptors(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    own(pipes[0]);
    own(pipes[1]);
    struct pollfd fds[] = {{.fd = pipes[0], .events = POLLIN}, {.fd = pair.near.fd, .events = POLLIN}};
    assert_result(poll(fds, 2, 0), 0);
    assert_result(write(pipes[1], "x", 1), 1);
    assert_result(poll(fds, 2, -1), 1);
    assert_int_equal(fds[0].revents, POLLIN);
    assert_int_equal(fds[1].revents, 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(poll(fds, 2, -1), 2);
    assert_int_equal(fds[1].revents, POLLIN);
}

static void a_closed_descriptor_is_pollnval(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    let_go(pair.near.fd);
    assert_revents(pair.near.fd, POLLIN, POLLNVAL);
}

static void a_timeout_that_is_over_is_zero(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN, .revents = 99};
    const struct timespec limit = {.tv_nsec = 30000000};
    int64_t began = clock_ms();
    assert_result(poll(&one, 1, 30), 0);
    assert_result(ppoll(&one, 1, &limit, NULL), 0);
    assert_true(clock_ms() - began >= 59);
    assert_int_equal(one.revents, 0);
}

static void a_bad_timeout_or_a_bad_array_is_refused(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN};
    const struct timespec limit = {.tv_nsec = 1000000000};
    void *volatile bad = (void *)(uintptr_t)1;
    assert_error(ppoll(&one, 1, &limit, NULL), EINVAL);
    assert_error(poll(bad, 1, 0), EFAULT);
}

static void more_descriptors_than_a_process_may_have_are_einval(void **state)
{
    (void)state;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they look at the whole array */
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN};
    volatile nfds_t too_many = ~0U;
    assert_error(poll(&one, too_many, 0), EINVAL);
}

/* ---- Signals --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void catch_signal(void)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    signals = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void a_signal_interrupts_poll_in_spite_of_sa_restart(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    catch_signal();
    struct task *poller = poller_asleep(&pair.near, POLLIN);
    assert_int_equal(pthread_kill(poller->thread, SIGUSR1), 0);
    assert_result(task_finish(poller), -EINTR);
}

static void ppoll_lets_a_pending_signal_in_and_restores_the_mask(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN};
    sigset_t blocked, none, after;
    catch_signal();
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(signals, 0);
    assert_error(ppoll(&one, 1, NULL, &none), EINTR);
    assert_int_equal(signals, 1);
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, &after), 0);
    assert_int_equal(sigismember(&after, SIGUSR1), 1);
}

static void ppoll_with_everything_blocked_waits_for_a_datagram_only(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct pollfd one = {.fd = pair.near.fd, .events = POLLIN};
    sigset_t all;
    sigfillset(&all);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(ppoll(&one, 1, NULL, &all), 1);
    assert_int_equal(one.revents, POLLIN);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_socket_is_readable_as_long_as_there_is_a_datagram),
    EVERY(a_socket_that_is_readable_does_not_make_a_receive_sleep),
    EVERY(a_datagram_wakes_who_polls),
    EVERY(a_datagram_wakes_who_polls_in_the_other_process),
    BOTH(who_polls_since_before_bind_is_woken),
    EVERY(one_datagram_wakes_all_who_poll),
    EVERY(one_descriptor_twice_in_an_array_is_answered_twice),
    EVERY(sockets_are_polled_beside_other_descriptors),
    BOTH(a_closed_descriptor_is_pollnval),
    BOTH(a_timeout_that_is_over_is_zero),
    BOTH(a_bad_timeout_or_a_bad_array_is_refused),
    BOTH(more_descriptors_than_a_process_may_have_are_einval),
    EVERY(a_signal_interrupts_poll_in_spite_of_sa_restart),
    BOTH(ppoll_lets_a_pending_signal_in_and_restores_the_mask),
    BOTH(ppoll_with_everything_blocked_waits_for_a_datagram_only),
};

CONTRACT_SUITE(shutdown_readiness_poll, tests);
