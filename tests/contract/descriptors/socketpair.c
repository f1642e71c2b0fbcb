/* socketpair(): two sockets without names, connected to each other. */
#include "support/end.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void new_socketpair(int type, int fds[2])
{
    assert_result(socketpair(AF_UNIX, type, 0, fds), 0);
    own(fds[0]);
    own(fds[1]);
}

static void both_ends_send_and_receive(void **state)
{
    (void)state;
    int fds[2];
    new_socketpair(SOCK_DGRAM, fds);
    for (int i = 0; i < 40; i++) {
        assert_result(send(fds[0], "there", 5, 0), 5);
        assert_result(write(fds[1], "back", 4), 4);
        assert_receives(fds[1], "there");
        assert_receives(fds[0], "back");
    }
    assert_empty(fds[0]);
    assert_empty(fds[1]);
}

static void flags_hold_for_both_ends(void **state)
{
    (void)state;
    int fds[2];
    new_socketpair(SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, fds);
    for (int i = 0; i < 2; i++) {
        char data[1];
        assert_result(fcntl(fds[i], F_GETFL), O_RDWR | O_NONBLOCK);
        assert_result(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        assert_error(recv(fds[i], data, 1, 0), EAGAIN);
    }
}

static void neither_end_has_a_name(void **state)
{
    (void)state;
    int fds[2];
    new_socketpair(SOCK_DGRAM, fds);
    assert_int_equal(address_own(fds[0]).length, sizeof(sa_family_t));
    assert_int_equal(address_peer(fds[0]).length, sizeof(sa_family_t));
}

static void an_end_whose_peer_closed_is_econnrefused_and_not_at_an_end(void **state)
{
    (void)state;
    int fds[2];
    new_socketpair(SOCK_DGRAM, fds);
    assert_result(send(fds[1], "last words", 10, 0), 10);
    let_go(fds[1]);
    assert_receives(fds[0], "last words");
    assert_empty(fds[0]);
    assert_error(send(fds[0], "x", 1, 0), ECONNREFUSED);
}

static void other_types_are_made_as_ever(void **state)
{
    (void)state;
    static const int types[] = {SOCK_STREAM, SOCK_SEQPACKET};
    for (int i = 0; i < 2; i++) {
        int fds[2];
        new_socketpair(types[i], fds);
        assert_result(send(fds[0], "there", 5, 0), 5);
        assert_receives(fds[1], "there");
        let_go(fds[0]);
        char data[1];
        assert_result(recv(fds[1], data, 1, 0), 0);
    }
    int fds[2];
    assert_error(socketpair(AF_UNIX, SOCK_DCCP, 0, fds), ESOCKTNOSUPPORT);
}

static const struct CMUnitTest tests[] = {
    ALONE(both_ends_send_and_receive),   ALONE(flags_hold_for_both_ends),
    ALONE(neither_end_has_a_name),       ALONE(an_end_whose_peer_closed_is_econnrefused_and_not_at_an_end),
    ALONE(other_types_are_made_as_ever),
};

CONTRACT_SUITE(descriptors_socketpair, tests);
