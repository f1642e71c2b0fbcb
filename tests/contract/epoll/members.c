/* epoll: which sockets a set has: duplicates, numbers that were closed, sockets that are bound later. */
#include "support/pair.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "epoll/set.h"

/* ---- Duplicates ------------------------------------------------------------------------------------------------ */

static void a_copy_made_before_bind_is_reported_by_sets(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int copy = own(dup(pair.near.fd)), early = set_new(copy, EPOLLIN), edge = set_new(copy, EPOLLIN | EPOLLET);
    pair_bind(&pair);
    set_events(edge); /* there may have been one */
    int late = set_new(copy, EPOLLIN);
    assert_int_equal(set_events(early), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(early), EPOLLIN);
    assert_int_equal(set_events(edge), EPOLLIN);
    assert_int_equal(set_events(late), EPOLLIN);
    assert_receives(copy, "one");
    assert_int_equal(set_events(early), 0);
    assert_int_equal(set_events(late), 0);
}

static int select_now(int fd)
{
    struct timeval at_once = {0};
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    return select(fd + 1, &reading, NULL, NULL, &at_once);
}

static void a_copy_made_before_bind_is_polled_and_selected(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int copy = own(dup(pair.near.fd));
    pair_bind(&pair);
    assert_revents(copy, POLLIN, 0);
    assert_result(select_now(copy), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_revents(copy, POLLIN, POLLIN);
    assert_result(select_now(copy), 1);
    assert_receives(copy, "one");
    assert_revents(copy, POLLIN, 0);
    assert_result(select_now(copy), 0);
}

static void a_closed_number_with_a_copy_is_reported_as_long_as_the_datagram_waits(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN), copy = own(dup(pair.near.fd));
    end_tell(&pair.far, &pair.near, "one");
    let_go(pair.near.fd);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_receives(copy, "one");
    assert_int_equal(set_events(set), 0);
    let_go(copy);
    assert_int_equal(set_events(set), 0);
}

/* ---- The set --------------------------------------------------------------------------------------------------- */

/* Asleep in a wait for a set that is closed meanwhile. */
static struct task *waiter_for_a_closed_set(const struct pair *pair)
{
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* a race, and meant */
    int set = set_new(pair->near.fd, EPOLLIN);
    struct task *task = set_waiter_asleep(set);
    let_go(set);
    return task;
}

static void who_waits_outlives_a_close_of_the_set(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *task = waiter_for_a_closed_set(&pair);
    end_tell(&pair.far, &pair.near, "wake up");
    assert_result(task_finish(task), EPOLLIN);
    end_hears(&pair.near, "wake up");
}

/* ---- Bound later ----------------------------------------------------------------------------------------------- */

static void a_socket_bound_after_it_was_added_is_reported_by_outer_sets(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int inner = set_new(pair.near.fd, EPOLLIN), outer = set_new(inner, EPOLLIN), outmost = set_new(outer, EPOLLIN);
    pair_bind(&pair);
    assert_int_equal(set_events(outmost), 0);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(outmost), EPOLLIN);
    assert_int_equal(set_events(outer), EPOLLIN);
    assert_revents(inner, POLLIN, POLLIN);
    end_hears(&pair.near, "one");
    assert_int_equal(set_events(outmost), 0);
}

/* The one who waits is too late for all but the last datagram, as far as the scheduler obeys. */
static void check_the_last_datagram_wakes(struct pair *pair, struct task *task, long wanted)
{
    task_hold_back(task);
    if (pair->near.address.length == 0)
        pair_bind(pair);
    warm_up(&pair->far, &pair->near);
    task_let_on(task);
    end_tell(&pair->far, &pair->near, "wake up");
    assert_result(task_finish(task), wanted);
    end_hears(&pair->near, "wake up");
}

static void who_waits_since_before_the_socket_was_added_and_bound_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    struct task *task = set_waiter_asleep(set);
    set_add(set, pair.near.fd, EPOLLIN);
    check_the_last_datagram_wakes(&pair, task, EPOLLIN);
}

static void who_waits_since_before_the_member_was_bound_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int set = set_new(pair.near.fd, EPOLLIN);
    check_the_last_datagram_wakes(&pair, set_waiter_asleep(set), EPOLLIN);
}

static void who_polls_a_set_since_before_its_member_was_bound_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    int set = set_new(pair.near.fd, EPOLLIN);
    check_the_last_datagram_wakes(&pair, set_poller_asleep(set), POLLIN);
}

static void who_waits_for_a_set_that_was_closed_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    check_the_last_datagram_wakes(&pair, waiter_for_a_closed_set(&pair), EPOLLIN);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_copy_made_before_bind_is_reported_by_sets),
    EVERY(a_copy_made_before_bind_is_polled_and_selected),
    EVERY(a_closed_number_with_a_copy_is_reported_as_long_as_the_datagram_waits),
    EVERY(who_waits_outlives_a_close_of_the_set),
    EVERY(a_socket_bound_after_it_was_added_is_reported_by_outer_sets),
    BOTH(who_waits_since_before_the_socket_was_added_and_bound_is_woken),
    BOTH(who_waits_since_before_the_member_was_bound_is_woken),
    BOTH(who_polls_a_set_since_before_its_member_was_bound_is_woken),
    BOTH(who_waits_for_a_set_that_was_closed_is_woken),
};

CONTRACT_SUITE(epoll_members, tests);
