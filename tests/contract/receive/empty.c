/* Nothing to receive: EAGAIN at once, or when the time is over. */
#include "support/clock.h"
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>
#include <unistd.h>

#define LIMIT_MS 40
#define TICKS_MS 10 /* what a timeout may come early, where the kernel counts in ticks */

static long set_timeout(int fd, time_t seconds, suseconds_t microseconds)
{
    const struct timeval limit = {.tv_sec = seconds, .tv_usec = microseconds};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void an_empty_queue_is_eagain_for_a_nonblocking_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    assert_result(fcntl(pair.near.fd, F_SETFL, O_NONBLOCK), 0);
    assert_error(recv(pair.near.fd, data, sizeof(data), 0), EAGAIN);
    assert_error(read(pair.near.fd, data, sizeof(data)), EAGAIN);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(recv(pair.near.fd, data, sizeof(data), 0), 3);
    assert_error(recv(pair.near.fd, data, sizeof(data), 0), EAGAIN);
}

static void an_empty_queue_is_eagain_with_msg_dontwait(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    assert_error(recv(pair.near.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_DONTWAIT), 3);
    assert_error(recv(pair.near.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
}

static void a_receive_with_a_timeout_is_eagain_when_it_is_over(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    assert_result(set_timeout(pair.near.fd, 0, LIMIT_MS * 1000), 0);
    int64_t began = clock_ms();
    assert_error(recv(pair.near.fd, data, sizeof(data), 0), EAGAIN);
    assert_true(clock_ms() - began >= LIMIT_MS - TICKS_MS);
    began = clock_ms();
    assert_error(read(pair.near.fd, data, sizeof(data)), EAGAIN);
    assert_true(clock_ms() - began >= LIMIT_MS - TICKS_MS);
}

static void a_datagram_ends_a_receive_with_a_timeout(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(set_timeout(pair.near.fd, 1000, 0), 0);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *task = task_asleep(NULL, job_receive, job);
    end_tell(&pair.far, &pair.near, "in time");
    assert_result(task_finish(task), 7);
}

static void a_timeout_of_zero_waits_for_ever(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(set_timeout(pair.near.fd, 0, 1000), 0);
    assert_result(set_timeout(pair.near.fd, 0, 0), 0);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *task = task_asleep(NULL, job_receive, job);
    end_tell(&pair.far, &pair.near, "at last");
    assert_result(task_finish(task), 7);
}

static void a_timeout_of_negative_seconds_is_over_at_once(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    assert_result(set_timeout(pair.near.fd, -1, 0), 0);
    assert_error(recv(pair.near.fd, data, sizeof(data), 0), EAGAIN);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(recv(pair.near.fd, data, sizeof(data), 0), 3);
}

static void microseconds_out_of_range_are_edom(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_error(set_timeout(pair.near.fd, 0, 1000000), EDOM);
    assert_error(set_timeout(pair.near.fd, 0, -1), EDOM);
    assert_error(setsockopt(pair.near.fd, SOL_SOCKET, SO_RCVTIMEO, &(int){0}, sizeof(int)), EINVAL);
}

static void a_closed_sender_is_no_end_of_file(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_close(&pair.far), 0);
    assert_revents(pair.near.fd, POLLIN | POLLRDHUP, 0);
    assert_empty(pair.near.fd);
}

static void a_closed_peer_is_no_end_of_file(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    end_tell(&pair.far, &pair.near, "last words");
    assert_result(end_close(&pair.far), 0);
    end_hears(&pair.near, "last words");
    assert_revents(pair.near.fd, POLLIN | POLLRDHUP, 0);
    assert_empty(pair.near.fd);
}

static void a_receive_that_sleeps_sleeps_on_when_the_peer_closes(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *task = task_asleep(NULL, job_receive, job);
    assert_result(end_close(&pair.far), 0);
    task_await_sleep(task);
    end_tell(&other, &pair.near, "somebody else");
    assert_result(task_finish(task), 13);
}

static void a_receive_that_sleeps_sleeps_on_when_the_peer_is_killed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *task = task_asleep(NULL, job_receive, job);
    contract_end_remote(pair.far.at);
    task_await_sleep(task);
    end_tell(&other, &pair.near, "somebody else");
    assert_result(task_finish(task), 13);
}

static void a_peer_that_closes_with_datagrams_unread_resets_nothing(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    char data[4];
    end_tell(&pair.near, &pair.far, "never read");
    assert_result(end_close(&pair.far), 0);
    assert_error(recv(pair.near.fd, data, sizeof(data), MSG_DONTWAIT), EAGAIN);
    assert_error(send(pair.near.fd, "x", 1, 0), ECONNREFUSED);
}

static const struct CMUnitTest tests[] = {
    BOTH(an_empty_queue_is_eagain_for_a_nonblocking_socket),
    BOTH(an_empty_queue_is_eagain_with_msg_dontwait),
    BOTH(a_receive_with_a_timeout_is_eagain_when_it_is_over),
    EVERY(a_datagram_ends_a_receive_with_a_timeout),
    BOTH(a_timeout_of_zero_waits_for_ever),
    EVERY(a_timeout_of_negative_seconds_is_over_at_once),
    BOTH(microseconds_out_of_range_are_edom),
    EVERY(a_closed_sender_is_no_end_of_file),
    EVERY(a_closed_peer_is_no_end_of_file),
    EVERY(a_receive_that_sleeps_sleeps_on_when_the_peer_closes),
    ELSEWHERE(a_receive_that_sleeps_sleeps_on_when_the_peer_is_killed),
    EVERY(a_peer_that_closes_with_datagrams_unread_resets_nothing),
};

CONTRACT_SUITE(receive_empty, tests);
