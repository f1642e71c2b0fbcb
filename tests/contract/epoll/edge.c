/* epoll, edge-triggered and one-shot: one event for each arrival, and none that did not happen. */
#include "support/pair.h"

#include <sys/epoll.h>

#include "epoll/set.h"

static void an_arrival_is_one_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    assert_int_equal(set_events(set), 0);
    for (int i = 0; i < 10; i++) {
        end_tell(&pair.far, &pair.near, "arrives");
        assert_int_equal(set_events(set), EPOLLIN);
        assert_int_equal(set_events(set), 0);
        end_hears(&pair.near, "arrives");
        assert_int_equal(set_events(set), 0);
    }
}

static void each_arrival_is_an_event_even_if_earlier_ones_were_not_read(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 6; i++) {
        end_tell(&pair.far, &pair.near, "arrives");
        assert_int_equal(set_events(set), EPOLLIN);
        assert_int_equal(set_events(set), 0);
    }
    for (int i = 0; i < 6; i++) {
        end_hears(&pair.near, "arrives");
        assert_int_equal(set_events(set), 0);
    }
}

static void arrivals_between_two_waits_are_one_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 5; i++)
        end_tell(&pair.far, &pair.near, "arrives");
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    for (int i = 0; i < 5; i++)
        end_hears(&pair.near, "arrives");
}

/* Readable when the set looks; the event was made, but there is nothing left to report. */
static void what_was_read_before_the_wait_is_no_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    end_tell(&pair.far, &pair.near, "arrives");
    end_hears(&pair.near, "arrives");
    assert_int_equal(set_events(set), 0);
    end_tell(&pair.far, &pair.near, "again");
    assert_int_equal(set_events(set), EPOLLIN);
    end_hears(&pair.near, "again");
}

static void a_refused_datagram_is_no_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    int count = end_fill(&pair.far, &pair.near.address, 0);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_result(end_send(&pair.far, &pair.near.address, "x", 1, MSG_DONTWAIT), -EAGAIN);
    assert_int_equal(set_events(set), 0);
    assert_int_equal(end_drain(&pair.near, 0), count);
    assert_int_equal(set_events(set), 0);
}

static void each_arrival_wakes_who_waits(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 6; i++) {
        struct task *task = set_waiter_asleep(set);
        end_tell(&pair.far, &pair.near, "arrives"); /* and is not read */
        assert_result(task_finish(task), EPOLLIN);
    }
    for (int i = 0; i < 6; i++)
        end_hears(&pair.near, "arrives");
}

static void who_reads_until_eagain_misses_nothing(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 50; i++) {
        int count = end_fill(&pair.far, &pair.near.address, 0);
        assert_int_equal(set_events(set), EPOLLIN);
        assert_int_equal(end_drain(&pair.near, 0), count);
        assert_int_equal(set_events(set), 0);
    }
}

static void a_change_reports_what_is_there_again(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    end_tell(&pair.far, &pair.near, "arrives");
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    set_change(set, pair.near.fd, EPOLLIN | EPOLLET);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    end_hears(&pair.near, "arrives");
}

static void room_for_a_connected_sender_is_one_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int set = set_new(pair.near.fd, EPOLLOUT | EPOLLET);
    assert_int_equal(set_events(set), EPOLLOUT);
    assert_int_equal(set_events(set), 0);
    for (int i = 0; i < 3; i++) {
        int count = end_fill(&pair.near, NULL, 0);
        set_events(set); /* there may have been one */
        assert_int_equal(set_events(set), 0);
        assert_result(end_drain(&pair.far, 0), count);
        assert_int_equal(set_events(set), EPOLLOUT);
        assert_int_equal(set_events(set), 0);
    }
}

/* ---- One-shot -------------------------------------------------------------------------------------------------- */

static void a_one_shot_event_comes_once_until_it_is_armed_again(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLONESHOT);
    assert_int_equal(set_events(set), 0);
    for (int i = 0; i < 4; i++) {
        end_tell(&pair.far, &pair.near, "one");
        assert_int_equal(set_events(set), EPOLLIN);
        end_tell(&pair.far, &pair.near, "two");
        assert_int_equal(set_events(set), 0);
        end_hears(&pair.near, "one");
        set_change(set, pair.near.fd, EPOLLIN | EPOLLONESHOT);
        assert_int_equal(set_events(set), EPOLLIN);
        end_hears(&pair.near, "two");
        set_change(set, pair.near.fd, EPOLLIN | EPOLLONESHOT);
        assert_int_equal(set_events(set), 0);
    }
}

static void a_one_shot_set_that_was_never_answered_stays_armed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLONESHOT);
    for (int i = 0; i < 4; i++) {
        end_tell(&pair.far, &pair.near, "unseen");
        end_hears(&pair.near, "unseen");
        assert_int_equal(set_events(set), 0);
    }
    end_tell(&pair.far, &pair.near, "seen");
    assert_int_equal(set_events(set), EPOLLIN);
    end_hears(&pair.near, "seen");
}

static void a_one_shot_arrival_wakes_one_of_several(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET | EPOLLONESHOT);
    struct task *tasks[2] = {set_waiter_asleep(set), set_waiter_asleep(set)};
    end_tell(&pair.far, &pair.near, "one");
    struct task *first = NULL;
    while (!first) {
        for (int i = 0; i < 2; i++) {
            if (task_is_over(tasks[i]))
                first = tasks[i];
        }
    }
    struct task *second = first == tasks[0] ? tasks[1] : tasks[0];
    assert_result(task_finish(first), EPOLLIN);
    end_hears(&pair.near, "one");
    task_await_sleep(second);
    set_change(set, pair.near.fd, EPOLLIN | EPOLLET | EPOLLONESHOT);
    task_await_sleep(second);
    end_tell(&pair.far, &pair.near, "two");
    assert_result(task_finish(second), EPOLLIN);
    end_hears(&pair.near, "two");
}

static const struct CMUnitTest tests[] = {
    EVERY(an_arrival_is_one_event),
    EVERY(each_arrival_is_an_event_even_if_earlier_ones_were_not_read),
    EVERY(arrivals_between_two_waits_are_one_event),
    EVERY(what_was_read_before_the_wait_is_no_event),
    BOTH(a_refused_datagram_is_no_event),
    EVERY(each_arrival_wakes_who_waits),
    EVERY(who_reads_until_eagain_misses_nothing),
    BOTH(a_change_reports_what_is_there_again),
    BOTH(room_for_a_connected_sender_is_one_event),
    EVERY(a_one_shot_event_comes_once_until_it_is_armed_again),
    EVERY(a_one_shot_set_that_was_never_answered_stays_armed),
    EVERY(a_one_shot_arrival_wakes_one_of_several),
};

CONTRACT_SUITE(epoll_edge, tests);
