/* Sockets of AF_HQQ among the descriptors that poll, select and epoll wait for, ours and libc's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "hqqsock/named.h"
#include "standard/poll.h"
#include "support/named.h"

static struct named_pair pair;
static char buffer[2 * NAMED_SIZE];
static int ends[2]; /* of a pipe */

static int set_up(void **state)
{
    (void)state;
    pair = named_pair_open();
    return pipe(ends);
}

static int tear_down(void **state)
{
    (void)state;
    named_pair_close(&pair);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void say(int fd)
{
    assert_int_equal(hqq_send(fd, "word", 4, MSG_DONTWAIT), 4);
}

static void hear(int fd)
{
    assert_int_equal(hqq_recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT), 4);
}

/* Says a word a moment later. */
static void *say_later(void *arg)
{
    usleep(3000);
    (void)!hqq_send(*(int *)arg, "word", 4, 0);
    return NULL;
}

static void *hear_later(void *arg)
{
    char data[NAMED_SIZE];
    usleep(3000);
    (void)!hqq_recv(*(int *)arg, data, sizeof(data), 0);
    return NULL;
}

/* ---- poll -------------------------------------------------------------------------------------------------------- */

static void expect_poll(int fd, short asked, short expected)
{
    struct pollfd at = {.fd = fd, .events = asked, .revents = -1};
    assert_int_equal(hqq_poll(&at, 1, 0), expected != 0);
    assert_int_equal(at.revents, expected);
}

static void poll_says_what_the_rings_hold(void **state)
{
    (void)state;
    expect_poll(pair.bound, POLLIN, 0);
    expect_poll(pair.bound, POLLIN | POLLOUT, POLLOUT);
    say(pair.connected);
    expect_poll(pair.bound, POLLIN | POLLRDNORM | POLLOUT, POLLIN | POLLRDNORM | POLLOUT);
    hear(pair.bound);
    named_fill(pair.bound);
    expect_poll(pair.bound, POLLIN | POLLOUT, 0);
    hear(pair.connected);
    expect_poll(pair.bound, POLLIN | POLLOUT, POLLOUT);
}

static void poll_says_the_end_of_either_side(void **state)
{
    (void)state;
    int fd = named_socket();
    expect_poll(fd, POLLIN | POLLOUT, POLLOUT | POLLHUP); /* no link yet */
    hqq_close(fd);
    assert_int_equal(hqq_shutdown(pair.bound, SHUT_RD), 0);
    expect_poll(pair.bound, POLLIN, POLLIN);
    say(pair.bound);
    hqq_close(pair.bound);
    pair.bound = -1;
    expect_poll(pair.connected, 0, POLLHUP);
    expect_poll(pair.connected, POLLIN, POLLIN | POLLHUP);
}

static void poll_waits_for_a_datagram_and_for_a_free_slot(void **state)
{
    (void)state;
    pthread_t thread;
    struct pollfd at = {.fd = pair.bound, .events = POLLIN};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pthread_create(&thread, NULL, say_later, &pair.connected), 0);
        assert_int_equal(hqq_poll(&at, 1, -1), 1);
        assert_int_equal(at.revents, POLLIN);
        pthread_join(thread, NULL);
        hear(pair.bound);
    }
    named_fill(pair.bound);
    at.events = POLLOUT;
    assert_int_equal(pthread_create(&thread, NULL, hear_later, &pair.connected), 0);
    assert_int_equal(hqq_poll(&at, 1, -1), 1);
    assert_int_equal(at.revents, POLLOUT);
    pthread_join(thread, NULL);
}

static void poll_waits_no_longer_than_told(void **state)
{
    (void)state;
    struct pollfd at = {.fd = pair.bound, .events = POLLIN};
    named_look_seldom(pair.bound);
    uint64_t began = hqq_clock_ns();
    assert_int_equal(hqq_poll(&at, 1, 5), 0);
    assert_true(hqq_clock_ns() - began >= 5 * HQQ_NS_PER_MS);
    assert_true(hqq_clock_ns() - began < NAMED_PROMPT_NS);
}

static void other_descriptors_are_waited_for_beside(void **state)
{
    (void)state;
    int sockets[2];
    assert_int_equal(hqq_socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets), 0);
    struct pollfd at[4] = {{.fd = pair.bound, .events = POLLIN},
                           {.fd = ends[0], .events = POLLIN},
                           {.fd = -1, .events = POLLIN},
                           {.fd = sockets[0], .events = POLLIN}};
    assert_int_equal(write(ends[1], "p", 1), 1);
    assert_int_equal(hqq_poll(at, 4, -1), 1);
    assert_int_equal(at[0].revents, 0);
    assert_int_equal(at[1].revents, POLLIN);
    say(pair.connected);
    assert_int_equal(hqq_send(sockets[1], "s", 1, 0), 1);
    assert_int_equal(hqq_poll(at, 4, -1), 3);
    assert_int_equal(at[0].revents, POLLIN);
    assert_int_equal(at[1].revents, POLLIN);
    assert_int_equal(at[3].revents, POLLIN);
    hqq_close(sockets[0]);
    hqq_close(sockets[1]);
}

static void more_descriptors_than_usual_are_waited_for(void **state)
{
    (void)state;
    struct pollfd at[100];
    for (int i = 0; i < 100; i++)
        at[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    at[99].fd = pair.bound;
    say(pair.connected);
    assert_int_equal(hqq_poll(at, 100, -1), 1);
    assert_int_equal(at[99].revents, POLLIN);
}

/* ---- select ------------------------------------------------------------------------------------------------------ */

static void select_keeps_what_is_ready_and_tells_the_time_that_is_left(void **state)
{
    (void)state;
    fd_set reading, writing;
    int count = (pair.bound > ends[0] ? pair.bound : ends[0]) + 1;
    struct timeval timeout = {.tv_sec = 100};
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(pair.bound, &reading);
    FD_SET(ends[0], &reading);
    FD_SET(pair.bound, &writing);
    assert_int_equal(hqq_select(count, &reading, &writing, NULL, &timeout), 1);
    assert_false(FD_ISSET(pair.bound, &reading));
    assert_false(FD_ISSET(ends[0], &reading));
    assert_true(FD_ISSET(pair.bound, &writing));
    assert_in_range(timeout.tv_sec, 80, 99);
    say(pair.connected);
    FD_SET(pair.bound, &reading);
    FD_SET(ends[0], &reading);
    assert_int_equal(hqq_pselect(count, &reading, &writing, NULL, NULL, NULL), 2);
    assert_true(FD_ISSET(pair.bound, &reading));
    assert_false(FD_ISSET(ends[0], &reading));
}

/* ---- epoll ------------------------------------------------------------------------------------------------------- */

static int set_with(int fd, uint32_t events, uint64_t data)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = events, .data.u64 = data};
    assert_int_equal(hqq_epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
    return set;
}

static void expect_events(int set, int timeout_ms, uint32_t expected)
{
    struct epoll_event events[4];
    int found = hqq_epoll_wait(set, events, 4, timeout_ms);
    assert_int_equal(found, expected != 0);
    if (found == 1) {
        assert_int_equal(events[0].events, expected);
        assert_int_equal(events[0].data.u64, 7);
    }
}

static void a_level_is_told_as_long_as_it_lasts(void **state)
{
    (void)state;
    int set = set_with(pair.bound, EPOLLIN, 7);
    expect_events(set, 0, 0);
    say(pair.connected);
    expect_events(set, -1, EPOLLIN);
    expect_events(set, 0, EPOLLIN);
    hear(pair.bound);
    expect_events(set, 3, 0);
    hqq_close(set);
}

static void an_edge_is_told_for_each_arrival(void **state)
{
    (void)state;
    int set = set_with(pair.bound, EPOLLIN | EPOLLET, 7);
    say(pair.connected);
    expect_events(set, -1, EPOLLIN);
    expect_events(set, 3, 0); /* not read, and told */
    say(pair.connected);
    expect_events(set, -1, EPOLLIN);
    expect_events(set, 0, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, say_later, &pair.connected), 0);
    expect_events(set, -1, EPOLLIN);
    pthread_join(thread, NULL);
    hqq_close(set);
}

static void one_shot_is_told_once_until_it_is_changed(void **state)
{
    (void)state;
    int set = set_with(pair.bound, EPOLLIN | EPOLLONESHOT, 7);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 7};
    say(pair.connected);
    expect_events(set, -1, EPOLLIN);
    expect_events(set, 3, 0);
    assert_int_equal(hqq_epoll_ctl(set, EPOLL_CTL_MOD, pair.bound, &event), 0);
    expect_events(set, -1, EPOLLIN);
    assert_int_equal(hqq_epoll_ctl(set, EPOLL_CTL_DEL, pair.bound, NULL), 0);
    assert_int_equal(hqq_epoll_ctl(set, EPOLL_CTL_DEL, pair.bound, NULL), -1);
    assert_int_equal(errno, ENOENT);
    expect_events(set, 0, 0);
    hqq_close(set);
}

static void a_set_waits_for_free_slots_too(void **state)
{
    (void)state;
    pthread_t thread;
    int set = set_with(pair.bound, EPOLLOUT, 7);
    expect_events(set, -1, EPOLLOUT);
    named_fill(pair.bound);
    expect_events(set, 3, 0);
    assert_int_equal(pthread_create(&thread, NULL, hear_later, &pair.connected), 0);
    expect_events(set, -1, EPOLLOUT);
    pthread_join(thread, NULL);
    hqq_close(set);
}

static void other_members_of_the_set_are_told_beside(void **state)
{
    (void)state;
    struct epoll_event events[4], event = {.events = EPOLLIN, .data.u64 = 8};
    int set = set_with(pair.bound, EPOLLIN, 7);
    assert_int_equal(hqq_epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event), 0);
    assert_int_equal(write(ends[1], "p", 1), 1);
    assert_int_equal(hqq_epoll_wait(set, events, 4, -1), 1);
    assert_int_equal(events[0].data.u64, 8);
    say(pair.connected);
    assert_int_equal(hqq_epoll_wait(set, events, 4, -1), 2);
    assert_int_equal(events[0].data.u64 + events[1].data.u64, 15);
    hqq_close(set);
}

/* What another thread does to a set while it is waited for, a moment later. */
struct later {
    int epoll, operation, fd, from;
    struct epoll_event event;
};

static void *change_later(void *arg)
{
    struct later *later = arg;
    usleep(3000);
    (void)hqq_epoll_ctl(later->epoll, later->operation, later->fd, &later->event);
    usleep(3000);
    (void)!hqq_send(later->from, "word", 4, 0);
    return NULL;
}

static void expect_after(struct later *later)
{
    pthread_t thread;
    struct epoll_event found = {0};
    assert_int_equal(pthread_create(&thread, NULL, change_later, later), 0);
    assert_int_equal(hqq_epoll_wait(later->epoll, &found, 1, 30000), 1);
    assert_int_equal(found.events, EPOLLIN);
    assert_int_equal(found.data.u64, 77);
    pthread_join(thread, NULL);
    hear(later->fd);
}

static void a_socket_that_comes_into_the_set_during_a_wait_is_waited_for(void **state)
{
    (void)state;
    struct later later = {
        epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_ADD, pair.bound, pair.connected, {EPOLLIN, {.u64 = 77}}};
    expect_after(&later);
    close(later.epoll);
}

static void a_spent_socket_that_is_armed_again_during_a_wait_is_waited_for(void **state)
{
    (void)state;
    const uint32_t once = EPOLLIN | EPOLLONESHOT;
    struct later later = {epoll_create1(EPOLL_CLOEXEC), EPOLL_CTL_MOD, pair.bound, pair.connected, {once, {.u64 = 77}}};
    struct epoll_event event = later.event, found;
    assert_int_equal(hqq_epoll_ctl(later.epoll, EPOLL_CTL_ADD, pair.bound, &event), 0);
    say(pair.connected);
    assert_int_equal(hqq_epoll_wait(later.epoll, &found, 1, 0), 1);
    hear(pair.bound);
    for (int i = 0; i < 3; i++)
        expect_after(&later);
    close(later.epoll);
}

static void a_closed_socket_with_a_duplicate_leaves_the_set(void **state)
{
    (void)state;
    int epoll = epoll_create1(EPOLL_CLOEXEC), duplicate = hqq_dup(pair.bound);
    struct epoll_event event = {.events = EPOLLIN}, found;
    assert_int_equal(hqq_epoll_ctl(epoll, EPOLL_CTL_ADD, pair.bound, &event), 0);
    hqq_close(pair.bound);
    pair.bound = duplicate;
    say(pair.connected);
    assert_int_equal(hqq_epoll_wait(epoll, &found, 1, 20), 0);
    hear(duplicate);
    close(epoll);
}

static void a_closed_socket_leaves_the_set(void **state)
{
    (void)state;
    int set = set_with(pair.bound, EPOLLIN, 7);
    say(pair.connected);
    assert_int_equal(hqq_close(pair.bound), 0);
    pair.bound = -1;
    expect_events(set, 0, 0);
    hqq_close(set);
}

/* ---- Waits of libc ----------------------------------------------------------------------------------------------- */

/* What poll(2) says, without our help. */
static void expect_kernel(int fd, bool is_readable)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&at, 1, 0), is_readable);
}

static void a_descriptor_that_was_never_waited_for_by_us_is_readable_for_the_kernel_when_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        expect_kernel(pair.bound, false);
        say(pair.connected);
        expect_kernel(pair.bound, true);
        say(pair.connected);
        hear(pair.bound);
        expect_kernel(pair.bound, true); /* there is one more */
        assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), MSG_PEEK), 4);
        expect_kernel(pair.bound, true);
        hear(pair.bound);
        expect_kernel(pair.bound, false);
        assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
        expect_kernel(pair.bound, false);
    }
}

static void a_knock_for_nothing_makes_it_readable_until_a_receive_finds_nothing(void **state)
{
    (void)state;
    struct sockaddr_un address;
    socklen_t length;
    struct hqq_named *named = hqq_named_enter_fd(pair.bound);
    assert_true(hqq_link_knock_address(hqq_named_link(named), &address, &length));
    hqq_named_drop(named);
    for (int i = 0; i < 3; i++) {
        expect_kernel(pair.bound, false);
        assert_int_equal(hqq_sys.knock(&address, length), 0); /* as one that comes after its datagram was taken */
        expect_kernel(pair.bound, true);
        assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
        expect_kernel(pair.bound, false);
        say(pair.connected); /* and the next one is heard */
        expect_kernel(pair.bound, true);
        hear(pair.bound);
    }
}

static int fail_knock(const void *address, unsigned length)
{
    (void)address;
    (void)length;
    return -EMFILE;
}

static void a_knock_that_fails_is_made_up_for_by_the_next_datagram(void **state)
{
    (void)state;
    const struct hqq_sys real = hqq_sys;
    hqq_sys.knock = fail_knock;
    say(pair.connected);
    hqq_sys = real;
    expect_kernel(pair.bound, false);
    say(pair.connected);
    expect_kernel(pair.bound, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(poll_says_what_the_rings_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(poll_says_the_end_of_either_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(poll_waits_for_a_datagram_and_for_a_free_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(poll_waits_no_longer_than_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_descriptors_are_waited_for_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_descriptors_than_usual_are_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(select_keeps_what_is_ready_and_tells_the_time_that_is_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_level_is_told_as_long_as_it_lasts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_edge_is_told_for_each_arrival, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_shot_is_told_once_until_it_is_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_set_waits_for_free_slots_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_members_of_the_set_are_told_beside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_socket_leaves_the_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_that_comes_into_the_set_during_a_wait_is_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_spent_socket_that_is_armed_again_during_a_wait_is_waited_for, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_closed_socket_with_a_duplicate_leaves_the_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_descriptor_that_was_never_waited_for_by_us_is_readable_for_the_kernel_when_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_knock_for_nothing_makes_it_readable_until_a_receive_finds_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_knock_that_fails_is_made_up_for_by_the_next_datagram, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
