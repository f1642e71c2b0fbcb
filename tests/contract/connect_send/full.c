/* A receiver that does not keep up: EAGAIN, POLLOUT, and senders that wait. */
#include "support/clock.h"
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static const struct address *to_of(const struct pair *pair)
{
    return pair->near.is_connected ? NULL : &pair->far.address;
}

static void what_went_before_eagain_comes_in_order_and_nothing_is_lost(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int first = 0;
    for (int i = 0; i < 5; i++) {
        int count = end_fill(&pair.near, to_of(&pair), first);
        assert_result(end_drain(&pair.far, first), count);
        first += count;
    }
}

static void so_it_is_on_a_connection(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int first = 0;
    for (int i = 0; i < 5; i++) {
        int count = end_fill(&pair.near, NULL, first);
        assert_result(end_drain(&pair.far, first), count);
        first += count;
    }
}

static void so_it_is_between_two_that_are_connected_to_each_other(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    int near_count = end_fill(&pair.near, NULL, 0), far_count = end_fill(&pair.far, NULL, 500);
    assert_result(end_drain(&pair.far, 0), near_count);
    assert_result(end_drain(&pair.near, 500), far_count);
}

static void so_it_is_when_half_is_drained_in_between(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int written = end_fill(&pair.near, to_of(&pair), 0), taken = 0;
    for (int i = 0; i < 10; i++) {
        for (int n = 0; n < 5; n++) {
            char text[64], data[64] = "";
            snprintf(text, sizeof(text), "number %d", taken++);
            assert_true(end_receive(&pair.far, data, sizeof(data) - 1, MSG_DONTWAIT) > 0);
            assert_string_equal(data, text);
        }
        char text[64];
        for (;;) {
            int length = snprintf(text, sizeof(text), "number %d", written);
            long result = end_send(&pair.near, to_of(&pair), text, (size_t)length, MSG_DONTWAIT);
            if (result == -EAGAIN)
                break;
            assert_result(result, length);
            written++;
        }
    }
    assert_result(end_drain(&pair.far, taken), written - taken);
}

static void full_is_eagain_by_flag_by_mode_and_by_timeout(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    const struct timeval limit = {.tv_usec = 20000}, none = {0};
    end_fill(&pair.near, NULL, 0);
    assert_error(send(pair.near.fd, "x", 1, MSG_DONTWAIT), EAGAIN);

    assert_result(fcntl(pair.near.fd, F_SETFL, O_NONBLOCK), 0);
    assert_error(send(pair.near.fd, "x", 1, 0), EAGAIN);
    assert_error(write(pair.near.fd, "x", 1), EAGAIN);
    assert_result(fcntl(pair.near.fd, F_SETFL, 0), 0);

    assert_result(setsockopt(pair.near.fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
    int64_t began = clock_ms();
    assert_error(send(pair.near.fd, "x", 1, 0), EAGAIN);
    assert_true(clock_ms() - began >= 15); /* the kernel counts ticks */
    assert_result(setsockopt(pair.near.fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof(none)), 0);
}

static void a_full_receiver_is_eagain_for_every_sender(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    end_fill(&other, &pair.far.address, 0);
    assert_result(end_send(&other, &pair.far.address, "x", 1, MSG_DONTWAIT), -EAGAIN);
    char data[64];
    while (end_receive(&pair.far, data, sizeof(data), MSG_DONTWAIT) >= 0)
        ;
    end_tell(&pair.near, &pair.far, "room again");
    end_hears(&pair.far, "room again");
}

static void a_connected_sender_is_not_writable_until_there_is_room(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int first = 0;
    for (int i = 0; i < 3; i++) {
        assert_revents(pair.near.fd, POLLOUT, POLLOUT);
        int count = end_fill(&pair.near, NULL, first);
        assert_revents(pair.near.fd, POLLOUT, 0);
        fd_set writing;
        struct timeval at_once = {0};
        FD_ZERO(&writing);
        FD_SET(pair.near.fd, &writing);
        assert_result(select(pair.near.fd + 1, NULL, &writing, NULL, &at_once), 0);
        assert_result(end_drain(&pair.far, first), count);
        assert_revents(pair.near.fd, POLLOUT, POLLOUT);
        first += count;
    }
}

static void a_sender_that_is_not_connected_is_always_writable(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_SNDBUF, 1 << 20), 0); /* else that may be the limit */
    end_fill(&pair.near, to_of(&pair), 0);
    assert_revents(pair.near.fd, POLLOUT, POLLOUT);
}

static void who_waits_for_room_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int count = end_fill(&pair.near, NULL, 0);
    struct job *job = end_job(&pair.near);
    job->number = POLLOUT;
    struct task *poller = task_asleep(NULL, job_poll, job);
    assert_result(end_drain(&pair.far, 0), count);
    assert_result(task_finish(poller), POLLOUT);
    end_tell(&pair.near, &pair.far, "room");
    end_hears(&pair.far, "room");
}

static void a_sender_that_sleeps_goes_on_when_there_is_room(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int count = end_fill(&pair.near, to_of(&pair), 0);
    char text[64];
    snprintf(text, sizeof(text), "number %d", count);
    struct task *sender = task_asleep(NULL, job_send, end_job_say(&pair.near, to_of(&pair), text, 0));
    int drained = end_drain(&pair.far, 0);
    assert_result(task_finish(sender), strlen(text));
    drained += end_drain(&pair.far, drained);
    assert_int_equal(drained, count + 1);
}

static void a_sender_that_sleeps_on_a_receiver_that_closes_gets_econnrefused(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    end_fill(&pair.near, NULL, 0);
    struct task *sender = task_asleep(NULL, job_send, end_job_say(&pair.near, NULL, "too late", 0));
    assert_result(end_close(&pair.far), 0);
    assert_result(task_finish(sender), -ECONNREFUSED);
}

static void a_sender_by_name_that_sleeps_on_a_receiver_that_closes_gets_econnrefused(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_fill(&pair.near, to_of(&pair), 0);
    struct task *sender = task_asleep(NULL, job_send, end_job_say(&pair.near, to_of(&pair), "too late", 0));
    assert_result(end_close(&pair.far), 0);
    assert_result(task_finish(sender), -ECONNREFUSED);
}

static void a_sender_that_sleeps_on_a_receiver_that_is_killed_gets_econnrefused(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_fill(&pair.near, to_of(&pair), 0);
    struct task *sender = task_asleep(NULL, job_send, end_job_say(&pair.near, to_of(&pair), "too late", 0));
    contract_end_remote(pair.far.at);
    assert_result(task_finish(sender), -ECONNREFUSED);
}

static void who_waits_for_room_of_a_receiver_that_is_killed_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    end_fill(&pair.near, NULL, 0);
    struct job *job = end_job(&pair.near);
    job->number = POLLOUT;
    struct task *poller = task_asleep(NULL, job_poll, job);
    contract_end_remote(pair.far.at);
    assert_result(task_finish(poller), POLLOUT);
    assert_error(send(pair.near.fd, "x", 1, 0), ECONNREFUSED);
}

static void the_senders_own_buffer_is_a_limit_too(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    char big[1500] = "", data[2000];
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_SNDBUF, 4000), 0);
    int count = 0;
    while (end_send(&pair.near, NULL, big, sizeof(big), MSG_DONTWAIT) == (long)sizeof(big))
        assert_in_range(++count, 1, 100000);
    assert_true(count > 0);
    assert_error(send(pair.near.fd, big, sizeof(big), MSG_DONTWAIT), EAGAIN);
    for (int i = 0; i < count; i++)
        assert_result(end_receive(&pair.far, data, sizeof(data), MSG_DONTWAIT), sizeof(big));
    assert_result(end_receive(&pair.far, data, sizeof(data), MSG_DONTWAIT), -EAGAIN);
    assert_revents(pair.near.fd, POLLOUT, POLLOUT);
    end_tell(&pair.near, &pair.far, "room again");
}

static const struct CMUnitTest tests[] = {
    EVERY(what_went_before_eagain_comes_in_order_and_nothing_is_lost),
    EVERY(so_it_is_on_a_connection),
    EVERY(so_it_is_between_two_that_are_connected_to_each_other),
    EVERY(so_it_is_when_half_is_drained_in_between),
    EVERY(full_is_eagain_by_flag_by_mode_and_by_timeout),
    BOTH(a_full_receiver_is_eagain_for_every_sender),
    EVERY(a_connected_sender_is_not_writable_until_there_is_room),
    BOTH(a_sender_that_is_not_connected_is_always_writable),
    EVERY(who_waits_for_room_is_woken),
    EVERY(a_sender_that_sleeps_goes_on_when_there_is_room),
    EVERY(a_sender_that_sleeps_on_a_receiver_that_closes_gets_econnrefused),
    EVERY(a_sender_by_name_that_sleeps_on_a_receiver_that_closes_gets_econnrefused),
    ELSEWHERE(a_sender_that_sleeps_on_a_receiver_that_is_killed_gets_econnrefused),
    ELSEWHERE(who_waits_for_room_of_a_receiver_that_is_killed_is_woken),
    EVERY(the_senders_own_buffer_is_a_limit_too),
};

CONTRACT_SUITE(connect_send_full, tests);
