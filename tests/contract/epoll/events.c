/* epoll: which events one wait reports, how often, and with what else. */
#include "support/pair.h"

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "epoll/set.h"
#include "support/control.h"

/* ---- Data ------------------------------------------------------------------------------------------------------ */

static void two_sockets_of_the_same_data_are_two_events(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = pair_another(&pair);
    struct epoll_event events[4];
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    set_add_as(set, pair.near.fd, EPOLLIN, 7);
    set_add_as(set, other.fd, EPOLLIN, 7);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &other, "two");
    assert_result(epoll_wait(set, events, 4, 0), 2);
    end_hears(&pair.near, "one");
    assert_result(epoll_wait(set, events, 4, 0), 1);
    end_hears(&other, "two");
    assert_result(epoll_wait(set, events, 4, 0), 0);
}

/* As for a connection that reads from one descriptor and writes to the other. */
static void check_two_of_the_same_data(const struct pair *pair, int writable)
{
    struct epoll_event events[4];
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    set_add_as(set, pair->near.fd, EPOLLIN, 7);
    set_add_as(set, writable, EPOLLOUT, 7);
    end_tell(&pair->far, &pair->near, "one");
    assert_result(epoll_wait(set, events, 4, 0), 2);
    assert_int_equal(events[0].events ^ events[1].events, EPOLLIN ^ EPOLLOUT);
    end_hears(&pair->near, "one");
    assert_int_equal(set_events(set), EPOLLOUT);
    end_tell(&pair->far, &pair->near, "two");
    end_hears(&pair->near, "two");
    assert_int_equal(set_events(set), EPOLLOUT);
}

static void a_pipe_of_the_same_data_is_reported_for_what_it_was_added_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    check_two_of_the_same_data(&pair, pipes[1]);
}

static void a_duplicate_of_the_same_data_is_reported_for_what_it_was_added_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    check_two_of_the_same_data(&pair, own(dup(pair.near.fd)));
}

/* ---- Turns ----------------------------------------------------------------------------------------------------- */

#define READY 3
#define WAITS 6

static void who_asks_for_one_event_serves_all_sockets_in_turn(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    const struct end ends[READY] = {pair.near, pair_another(&pair), pair_another(&pair)};
    struct epoll_event event;
    unsigned served = 0;
    int set = own(epoll_create1(EPOLL_CLOEXEC));
    for (int i = 0; i < READY; i++)
        set_add_as(set, ends[i].fd, EPOLLIN, (uint64_t)i);
    for (int i = 0; i < READY * WAITS; i++)
        end_tell(&pair.far, &ends[i % READY], "next");
    for (int i = 0; i < WAITS; i++) {
        assert_result(epoll_wait(set, &event, 1, 0), 1);
        end_hears(&ends[event.data.u64], "next");
        served |= 1U << event.data.u64;
    }
    assert_int_equal(served, (1U << READY) - 1);
}

/* ---- Edges ----------------------------------------------------------------------------------------------------- */

static void an_arrival_is_one_event_in_each_edge_triggered_set(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int one = set_new(pair.near.fd, EPOLLIN | EPOLLET), two = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 4; i++) {
        end_tell(&pair.far, &pair.near, "one");
        assert_int_equal(set_events(one), EPOLLIN);
        assert_int_equal(set_events(two), EPOLLIN);
        assert_int_equal(set_events(one), 0);
        assert_int_equal(set_events(two), 0);
    }
    for (int i = 0; i < 4; i++)
        end_hears(&pair.near, "one");
}

static void to_add_a_socket_to_a_third_set_is_no_event_in_the_others(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int one = set_new(pair.near.fd, EPOLLIN | EPOLLET), two = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(set_events(one), EPOLLIN);
    int three = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    assert_int_equal(set_events(one), 0);
    assert_int_equal(set_events(three), EPOLLIN);
    assert_int_equal(set_events(two), EPOLLIN);
    assert_int_equal(set_events(one), 0);
    assert_int_equal(set_events(three), 0);
    end_hears(&pair.near, "one");
}

static void an_edge_triggered_set_is_not_readable_once_its_event_was_taken(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLET);
    for (int i = 0; i < 3; i++) {
        end_tell(&pair.far, &pair.near, "one");
        assert_revents(set, EPOLLIN, EPOLLIN);
        assert_int_equal(set_events(set), EPOLLIN);
        assert_revents(set, EPOLLIN, 0);
        assert_int_equal(set_events(set), 0);
    }
    for (int i = 0; i < 3; i++)
        end_hears(&pair.near, "one");
}

static void an_edge_of_a_shutdown_tells_of_the_unread_datagram_too(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLOUT | EPOLLET);
    assert_int_equal(set_events(set), EPOLLOUT);
    end_tell(&pair.far, &pair.near, "unread");
    assert_int_equal(set_events(set), EPOLLIN | EPOLLOUT);
    assert_int_equal(set_events(set), 0);
    assert_result(end_shutdown(&pair.near, SHUT_WR), 0);
    assert_int_equal(set_events(set), EPOLLIN | EPOLLOUT);
    assert_int_equal(set_events(set), 0);
    end_hears(&pair.near, "unread");
}

static void an_edge_of_room_tells_of_the_unread_datagram_too(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLOUT | EPOLLET);
    assert_int_equal(set_events(set), EPOLLOUT);
    int count = end_fill(&pair.near, NULL, 0);
    end_tell(&pair.far, &pair.near, "unread");
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    assert_int_equal(end_drain(&pair.far, 0), count);
    assert_int_equal(set_events(set), EPOLLIN | EPOLLOUT);
    assert_int_equal(set_events(set), 0);
    end_hears(&pair.near, "unread");
}

/* ---- Flags of a member ----------------------------------------------------------------------------------------- */

static void a_one_shot_member_added_beside_a_datagram_reports_it_once(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "one");
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLONESHOT);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    end_hears(&pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_int_equal(set_events(set), 0);
    set_change(set, pair.near.fd, EPOLLIN | EPOLLONESHOT);
    assert_int_equal(set_events(set), EPOLLIN);
    assert_int_equal(set_events(set), 0);
    end_hears(&pair.near, "two");
}

static void an_exclusive_member_reports_each_datagram_that_waits(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++)
        end_tell(&pair.far, &pair.near, "waits");
    int set = set_new(pair.near.fd, EPOLLIN | EPOLLEXCLUSIVE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(set_events(set), EPOLLIN);
        end_hears(&pair.near, "waits");
    }
    assert_int_equal(set_events(set), 0);
}

static const struct CMUnitTest tests[] = {
    EVERY(two_sockets_of_the_same_data_are_two_events),
    EVERY(a_pipe_of_the_same_data_is_reported_for_what_it_was_added_for),
    EVERY(a_duplicate_of_the_same_data_is_reported_for_what_it_was_added_for),
    EVERY(who_asks_for_one_event_serves_all_sockets_in_turn),
    EVERY(an_arrival_is_one_event_in_each_edge_triggered_set),
    EVERY(to_add_a_socket_to_a_third_set_is_no_event_in_the_others),
    EVERY(an_edge_triggered_set_is_not_readable_once_its_event_was_taken),
    EVERY(an_edge_of_a_shutdown_tells_of_the_unread_datagram_too),
    EVERY(an_edge_of_room_tells_of_the_unread_datagram_too),
    EVERY(a_one_shot_member_added_beside_a_datagram_reports_it_once),
    EVERY(an_exclusive_member_reports_each_datagram_that_waits),
};

CONTRACT_SUITE(epoll_events, tests);
