/* epoll sets within sets, sockets in several sets, duplicates, and what a close does to a set. */
#include "support/pair.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "epoll/set.h"

static void a_socket_in_several_sets_is_reported_by_each(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int level = set_new(pair.near.fd, EPOLLIN), edge = set_new(pair.near.fd, EPOLLIN | EPOLLET),
        once = set_new(pair.near.fd, EPOLLIN | EPOLLONESHOT);
    for (int i = 0; i < 4; i++) {
        end_tell(&pair.far, &pair.near, "one");
        assert_int_equal(set_events(level), EPOLLIN);
        assert_int_equal(set_events(edge), EPOLLIN);
        assert_int_equal(set_events(once), EPOLLIN);
        assert_int_equal(set_events(level), EPOLLIN);
        assert_int_equal(set_events(edge), 0);
        assert_int_equal(set_events(once), 0);
        end_hears(&pair.near, "one");
        assert_int_equal(set_events(level), 0);
        set_change(once, pair.near.fd, EPOLLIN | EPOLLONESHOT);
        assert_int_equal(set_events(once), 0);
    }
}

static void a_datagram_wakes_the_waiters_of_all_sets_and_who_polls(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int level = set_new(pair.near.fd, EPOLLIN), edge = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 4; i++) {
        struct job *job = end_job(&pair.near);
        job->number = POLLIN;
        struct task *poller = task_asleep(NULL, job_poll, job);
        struct task *one = set_waiter_asleep(level), *two = set_waiter_asleep(edge);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(one), EPOLLIN);
        assert_result(task_finish(two), EPOLLIN);
        assert_result(task_finish(poller), POLLIN);
        end_hears(&pair.near, "wake up");
    }
}

static void a_set_is_readable_when_it_has_an_event(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    struct timeval at_once = {0};
    fd_set reading;
    assert_revents(set, POLLIN, 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_revents(set, POLLIN, POLLIN);
    FD_ZERO(&reading);
    FD_SET(set, &reading);
    assert_result(select(set + 1, &reading, NULL, NULL, &at_once), 1);
    end_hears(&pair.near, "one");
    assert_revents(set, POLLIN, 0);
}

static void a_set_in_a_set_passes_events_on(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int inner = set_new(pair.near.fd, EPOLLIN), outer = set_new(inner, EPOLLIN), outmost = set_new(outer, EPOLLIN);
    assert_int_equal(set_events(outmost), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(outmost), EPOLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(inner), EPOLLIN);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(outmost), 0);
}

static void a_datagram_wakes_who_waits_for_the_outer_set(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int inner = set_new(pair.near.fd, EPOLLIN), outer = set_new(inner, EPOLLIN | EPOLLET);
    for (int i = 0; i < 6; i++) {
        struct task *task = set_waiter_asleep(outer);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), EPOLLIN);
        assert_int_equal(set_events(inner), EPOLLIN);
        end_hears(&pair.near, "wake up");
        assert_int_equal(set_events(inner), 0);
    }
}

static void a_datagram_wakes_who_polls_the_set(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 6; i++) {
        struct job *job = job_new(NULL);
        job->fd = set_new(pair.near.fd, EPOLLIN);
        job->number = POLLIN;
        struct task *task = task_asleep(NULL, job_poll, job);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), POLLIN);
        end_hears(&pair.near, "wake up");
    }
}

static void a_closed_socket_leaves_its_sets(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    let_go(pair.near.fd);
    assert_int_equal(set_events(set), 0);
}

static void a_socket_with_a_duplicate_stays_in_its_sets_when_one_is_closed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN), copy = own(dup(pair.near.fd));
    let_go(pair.near.fd);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(set), EPOLLIN);
    assert_receives(copy, "one");
    assert_int_equal(set_events(set), 0);
}

static void a_socket_and_its_duplicate_are_two_members(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN), copy = own(dup(pair.near.fd));
    struct epoll_event events[4];
    set_add(set, copy, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(epoll_wait(set, events, 4, 0), 2);
    assert_int_equal(events[0].data.fd + events[1].data.fd, pair.near.fd + copy);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(set), 0);
}

static void a_socket_added_while_another_waits_wakes_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    struct task *task = set_waiter_asleep(set);
    set_add(set, pair.near.fd, EPOLLIN);
    task_await_sleep(task);
    end_tell(&pair.far, &pair.near, "wake up");
    assert_result(task_finish(task), EPOLLIN);
    set_remove(set, pair.near.fd);
    assert_int_equal(set_events(set), 0);
}

/* What waits already when one set becomes a member of another. */

static void a_set_that_is_ready_is_so_in_the_set_that_gets_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int inner = set_new(pair.near.fd, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    int outer = set_new(inner, EPOLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(inner), EPOLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(outer), EPOLLIN); /* there is another */
    assert_int_equal(set_events(inner), EPOLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    end_hears(&pair.near, "two");
    assert_int_equal(set_events(outer), 0);
    assert_int_equal(set_events(inner), 0);
    end_tell(&pair.far, &pair.near, "three");
    assert_int_equal(set_events(outer), EPOLLIN);
}

static void a_set_that_gets_one_that_is_ready_has_an_edge(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int inner = set_new(pair.near.fd, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    int outer = set_new(inner, EPOLLIN | EPOLLET);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(outer), 0);
    set_change(outer, inner, EPOLLIN | EPOLLET);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(outer), 0);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(outer), 0);
    end_tell(&pair.far, &pair.near, "two");
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(inner), EPOLLIN);
}

static void what_is_read_without_the_sets_makes_none_ready(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int inner = set_new(pair.near.fd, EPOLLIN);
    int middle = set_new(inner, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    int outer = set_new(middle, EPOLLIN);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(outer), 0);
    assert_revents(outer, POLLIN, 0);
    end_tell(&pair.far, &pair.near, "two");
    assert_revents(outer, POLLIN, POLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_int_equal(set_events(middle), EPOLLIN);
    end_hears(&pair.near, "two");
    assert_int_equal(set_events(outer), 0);
}

static void a_set_that_is_ready_wakes_who_waits_for_the_set_that_gets_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    int inner = set_new(pair.near.fd, EPOLLIN), outer = set_new(other.fd, EPOLLIN);
    end_tell(&pair.far, &pair.near, "one");
    struct task *task = set_waiter_asleep(outer);
    set_add(outer, inner, EPOLLIN);
    assert_result(task_finish(task), EPOLLIN);
    assert_int_equal(set_events(inner), EPOLLIN);
    end_hears(&pair.near, "one");
}

static void an_exclusive_member_wakes_at_least_one(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int one = set_new(pair.near.fd, EPOLLIN | EPOLLEXCLUSIVE), two = set_new(pair.near.fd, EPOLLIN | EPOLLEXCLUSIVE);
    struct task *tasks[2] = {set_waiter_asleep(one), set_waiter_asleep(two)};
    end_tell(&pair.far, &pair.near, "first");
    while (!task_is_over(tasks[0]) && !task_is_over(tasks[1]))
        usleep(100);
    end_tell(&pair.far, &pair.near, "second"); /* for whoever still sleeps */
    assert_result(task_finish(tasks[0]), EPOLLIN);
    assert_result(task_finish(tasks[1]), EPOLLIN);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_socket_in_several_sets_is_reported_by_each),
    EVERY(a_datagram_wakes_the_waiters_of_all_sets_and_who_polls),
    BOTH(a_set_is_readable_when_it_has_an_event),
    EVERY(a_set_in_a_set_passes_events_on),
    EVERY(a_datagram_wakes_who_waits_for_the_outer_set),
    EVERY(a_datagram_wakes_who_polls_the_set),
    BOTH(a_closed_socket_leaves_its_sets),
    BOTH(a_socket_with_a_duplicate_stays_in_its_sets_when_one_is_closed),
    BOTH(a_socket_and_its_duplicate_are_two_members),
    BOTH(a_socket_added_while_another_waits_wakes_it),
    BOTH(an_exclusive_member_wakes_at_least_one),
    EVERY(a_set_that_is_ready_is_so_in_the_set_that_gets_it),
    EVERY(a_set_that_gets_one_that_is_ready_has_an_edge),
    EVERY(what_is_read_without_the_sets_makes_none_ready),
    EVERY(a_set_that_is_ready_wakes_who_waits_for_the_set_that_gets_it),
};

CONTRACT_SUITE(epoll_sets, tests);
