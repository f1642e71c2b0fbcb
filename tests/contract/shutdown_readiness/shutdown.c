/* shutdown(): one's own, the peer's, and who is woken by it. */
#include "support/pair.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t broken_pipes;

static void count_signal(int number)
{
    (void)number;
    broken_pipes++;
}

/* Datagram sockets raise no SIGPIPE; who does it all the same is caught here. */
static void watch_sigpipe(void)
{
    broken_pipes = 0;
    signal(SIGPIPE, count_signal);
}

static void own_shut_wr_is_epipe_for_every_call_that_sends(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    watch_sigpipe();
    assert_result(end_shutdown(&pair.near, SHUT_WR), 0);
    assert_error(send(pair.near.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    assert_int_equal(broken_pipes, 0);
    assert_error(send(pair.near.fd, "x", 1, 0), EPIPE);
    assert_error(write(pair.near.fd, "x", 1), EPIPE);
    assert_result(end_say(&pair.near, &pair.far.address, "x"), -EPIPE);
    assert_int_equal(broken_pipes, 0);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void own_shut_wr_leaves_receiving_alone(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_shutdown(&pair.near, SHUT_WR), 0);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.far, &pair.near, "still listening");
        end_hears(&pair.near, "still listening");
    }
}

static void peers_shut_rd_is_epipe_to_its_senders(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end connected = end_new(NULL, 0);
    watch_sigpipe();
    assert_result(end_connect(&connected, &pair.far.address), 0);
    end_tell(&connected, &pair.far, "before");
    assert_result(end_shutdown(&pair.far, SHUT_RD), 0);
    assert_result(end_say(&pair.near, &pair.far.address, "x"), -EPIPE);
    assert_result(end_say(&connected, NULL, "x"), -EPIPE);
    assert_int_equal(broken_pipes, 0);
    end_hears(&pair.far, "before");
}

static void what_is_queued_stays_readable_and_then_comes_the_end(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    end_hears(&pair.near, "one");
    end_hears(&pair.near, "two");
    for (int i = 0; i < 3; i++) {
        assert_result(recv(pair.near.fd, data, sizeof(data), 0), 0);
        assert_result(read(pair.near.fd, data, sizeof(data)), 0);
    }
}

static void own_shut_rd_leaves_sending_alone(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.near, &pair.far, "still talking");
        end_hears(&pair.far, "still talking");
    }
}

static void a_nonblocking_receive_after_shut_rd_is_eagain(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    assert_empty(pair.near.fd);
}

static void after_shut_rdwr_revents_are_in_out_rdhup_and_hup(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    short all = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLERR | POLLHUP;
    assert_result(end_shutdown(&pair.near, SHUT_RDWR), 0);
    assert_revents(pair.near.fd, all, POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    assert_result(end_revents(&pair.far, all), POLLOUT);
}

static void after_shut_rd_revents_are_in_and_rdhup(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    assert_revents(pair.near.fd, POLLIN | POLLOUT | POLLRDHUP, POLLIN | POLLOUT | POLLRDHUP);
    assert_result(end_revents(&pair.far, POLLIN | POLLOUT | POLLRDHUP), POLLOUT);
}

static void after_shut_wr_revents_are_as_before(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_shutdown(&pair.near, SHUT_WR), 0);
    assert_revents(pair.near.fd, POLLIN | POLLOUT | POLLRDHUP, POLLOUT);
}

static void shutdown_wakes_who_polls(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->number = POLLIN;
    struct task *poller = task_asleep(NULL, job_poll, job);
    assert_result(end_shutdown(&pair.near, SHUT_RDWR), 0);
    assert_result(task_finish(poller), POLLIN | POLLHUP);
}

static void shutdown_wakes_who_receives(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *receiver = task_asleep(NULL, job_receive, job);
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    assert_result(task_finish(receiver), 0);
}

static void a_sender_that_sleeps_learns_of_the_receivers_shutdown_when_there_is_room(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int count = end_fill(&pair.near, NULL, 0);
    struct task *sender = task_asleep(NULL, job_send, end_job_say(&pair.near, NULL, "too late", MSG_NOSIGNAL));
    assert_result(end_shutdown(&pair.far, SHUT_RD), 0);
    task_await_sleep(sender);
    assert_result(end_drain(&pair.far, 0), count);
    assert_result(task_finish(sender), -EPIPE);
}

static void a_peers_shut_wr_does_not_wake_who_waits_for_rdhup(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    struct job *job = end_job(&pair.near);
    job->number = POLLRDHUP | POLLIN;
    struct task *poller = task_asleep(NULL, job_poll, job);
    assert_result(end_shutdown(&pair.far, SHUT_WR), 0);
    task_await_sleep(poller);
    assert_result(end_shutdown(&pair.near, SHUT_RD), 0);
    assert_result(task_finish(poller), POLLRDHUP | POLLIN);
}

static void shutdown_needs_no_connection_but_a_valid_direction(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    assert_error(shutdown(end.fd, 3), EINVAL);
    assert_error(shutdown(end.fd, -1), EINVAL);
    assert_error(shutdown(-1, SHUT_RD), EBADF);
    assert_result(shutdown(end.fd, SHUT_RDWR), 0);
    assert_result(shutdown(end.fd, SHUT_RDWR), 0);
}

static const struct CMUnitTest tests[] = {
    EVERY(own_shut_wr_is_epipe_for_every_call_that_sends),
    EVERY(own_shut_wr_leaves_receiving_alone),
    EVERY(peers_shut_rd_is_epipe_to_its_senders),
    EVERY(what_is_queued_stays_readable_and_then_comes_the_end),
    BOTH(own_shut_rd_leaves_sending_alone),
    BOTH(a_nonblocking_receive_after_shut_rd_is_eagain),
    EVERY(after_shut_rdwr_revents_are_in_out_rdhup_and_hup),
    BOTH(after_shut_rd_revents_are_in_and_rdhup),
    BOTH(after_shut_wr_revents_are_as_before),
    EVERY(shutdown_wakes_who_polls),
    EVERY(shutdown_wakes_who_receives),
    EVERY(a_sender_that_sleeps_learns_of_the_receivers_shutdown_when_there_is_room),
    EVERY(a_peers_shut_wr_does_not_wake_who_waits_for_rdhup),
    ALONE(shutdown_needs_no_connection_but_a_valid_direction),
};

CONTRACT_SUITE(shutdown_readiness_shutdown, tests);
