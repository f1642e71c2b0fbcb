/* Sockets of AF_HQQ: what each failure is called, and what a peer that closes, dies or forks leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/named.h"

static struct named_pair pair;
static char buffer[2 * NAMED_SIZE];

static int set_up(void **state)
{
    (void)state;
    pair = named_pair_open();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    named_pair_close(&pair);
    return 0;
}

/* ---- Making, naming ---------------------------------------------------------------------------------------------- */

static void expect_no_socket(int type, int protocol, int error)
{
    assert_int_equal(hqq_socket(AF_HQQ, type, protocol), -1);
    assert_int_equal(errno, error);
}

static void only_datagram_sockets_are_made(void **state)
{
    (void)state;
    expect_no_socket(SOCK_STREAM, 0, ESOCKTNOSUPPORT);
    expect_no_socket(SOCK_DGRAM, 1, EPROTONOSUPPORT);
}

static void the_kernel_has_no_family_of_our_number(void **state)
{
    (void)state;
    assert_int_equal(socket(AF_HQQ, SOCK_DGRAM, 0), -1);
    assert_int_equal(errno, EAFNOSUPPORT);
}

static void expect_bind(const struct sockaddr_hqq *address, socklen_t length, int error)
{
    int fd = named_socket();
    assert_int_equal(hqq_bind(fd, (const struct sockaddr *)address, length), -1);
    assert_int_equal(errno, error);
    hqq_close(fd);
}

static void expect_connect(const struct sockaddr_hqq *address, int error)
{
    int fd = named_socket();
    assert_int_equal(hqq_connect(fd, (const struct sockaddr *)address, sizeof(*address)), -1);
    assert_int_equal(errno, error);
    hqq_close(fd);
}

static void a_bad_address_is_refused_for_what_is_wrong_with_it(void **state)
{
    (void)state;
    struct sockaddr_hqq address = {.shqq_family = AF_HQQ};
    expect_bind(&address, sizeof(address), EINVAL); /* no name */
    expect_bind(&address, 1, EINVAL);
    expect_bind(NULL, sizeof(address), EFAULT);
    strcpy(address.shqq_name, "a/../b");
    expect_bind(&address, sizeof(address), EINVAL);
    memset(address.shqq_name, 'n', sizeof(address.shqq_name)); /* no NUL: one byte too long */
    expect_bind(&address, sizeof(address), ENAMETOOLONG);
    address.shqq_family = AF_UNIX;
    expect_bind(&address, sizeof(address), EAFNOSUPPORT);
}

static void a_name_that_is_held_is_in_use_for_bind_and_for_a_second_peer(void **state)
{
    (void)state;
    expect_bind(&pair.address, sizeof(pair.address), EADDRINUSE);
    expect_connect(&pair.address, EADDRINUSE);
}

static void a_name_that_nobody_has_is_not_found(void **state)
{
    (void)state;
    struct sockaddr_hqq address = named_address();
    expect_connect(&address, ENOENT);
}

static void a_socket_gets_one_name_only(void **state)
{
    (void)state;
    struct sockaddr_hqq address = named_address();
    assert_int_equal(hqq_bind(pair.bound, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(hqq_connect(pair.bound, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EISCONN);
}

static void options_are_checked_and_come_too_late_after_bind(void **state)
{
    (void)state;
    uint64_t three = 3, eight = 8;
    int fd = named_socket();
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &three, sizeof(three)), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &eight, 4), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, 99, &eight, sizeof(eight)), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    assert_int_equal(hqq_setsockopt(pair.bound, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &eight, sizeof(eight)), -1);
    assert_int_equal(errno, EISCONN);
    hqq_close(fd);
}

/* ---- Sending, receiving ------------------------------------------------------------------------------------------ */

static void without_a_link_nothing_is_connected(void **state)
{
    (void)state;
    int fd = named_socket();
    assert_int_equal(hqq_send(fd, "x", 1, 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(hqq_recv(fd, buffer, 1, 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(hqq_shutdown(fd, SHUT_RDWR), -1);
    assert_int_equal(errno, ENOTCONN);
    hqq_close(fd);
}

static void what_a_link_cannot_carry_is_not_supported(void **state)
{
    (void)state;
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {.iov_base = "x", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    assert_int_equal(hqq_sendmsg(pair.bound, &message, 0), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    assert_int_equal(hqq_send(pair.bound, "x", 1, MSG_OOB), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, MSG_OOB), -1);
    assert_int_equal(errno, EOPNOTSUPP);
}

static void another_address_than_the_peers_is_not_connected(void **state)
{
    (void)state;
    struct sockaddr_hqq other = named_address();
    assert_int_equal(hqq_sendto(pair.bound, "x", 1, 0, (struct sockaddr *)&other, sizeof(other)), -1);
    assert_int_equal(errno, ENOTCONN);
}

static void bad_memory_is_a_fault(void **state)
{
    (void)state;
    assert_int_equal(hqq_send(pair.bound, (void *)1, 1, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hqq_recv(pair.bound, (void *)1, 1, 0), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(hqq_send(pair.connected, "x", 1, 0), 1);
    assert_int_equal(hqq_recvfrom(pair.bound, buffer, 1, 0, (struct sockaddr *)buffer, NULL), -1);
    assert_int_equal(errno, EFAULT); /* with the datagram, which is lost */
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* ---- The end ----------------------------------------------------------------------------------------------------- */

static void a_peer_that_closed_is_a_broken_pipe_once_all_was_read(void **state)
{
    (void)state;
    assert_int_equal(hqq_send(pair.connected, "last", 4, 0), 4);
    hqq_close(pair.connected);
    pair.connected = -1;
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(hqq_send(pair.bound, "", 0, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, EPIPE);
}

static void the_next_peer_finds_the_socket_as_good_as_new(void **state)
{
    (void)state;
    hqq_close(pair.connected);
    pair.connected = named_connected(&pair.address);
    assert_int_equal(hqq_send(pair.connected, "next", 4, 0), 4);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
}

static int connect_send_and_die(void *arg)
{
    (void)arg;
    hqq_close(pair.bound); /* copies, which are the parent's */
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM, 0);
    if (hqq_connect(fd, (struct sockaddr *)&pair.address, sizeof(pair.address)) != 0 || hqq_send(fd, "last", 4, 0) != 4)
        return 1;
    raise(SIGKILL);
    return 2;
}

static void a_peer_that_died_resets_the_connection_once_all_was_read(void **state)
{
    (void)state;
    hqq_close(pair.connected);
    pair.connected = -1;
    assert_int_equal(child_run(connect_send_and_die, NULL), 128 + SIGKILL);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), -1); /* waits until it is noticed */
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static int bind_and_die(void *arg)
{
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM, 0);
    if (hqq_bind(fd, arg, sizeof(struct sockaddr_hqq)) != 0)
        return 1;
    raise(SIGKILL);
    return 2;
}

static void what_a_dead_holder_left_refuses_and_is_replaced_only_if_wanted(void **state)
{
    (void)state;
    struct sockaddr_hqq address = named_address();
    uint64_t yes = 1;
    assert_int_equal(child_run(bind_and_die, &address), 128 + SIGKILL);
    expect_connect(&address, ECONNREFUSED);
    expect_bind(&address, sizeof(address), EADDRINUSE);
    int fd = named_socket();
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_REPLACE_STALE, &yes, sizeof(yes)), 0);
    assert_int_equal(hqq_bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    hqq_close(fd);
}

static void an_object_that_is_no_link_is_no_place_to_connect_to(void **state)
{
    (void)state;
    struct sockaddr_hqq address = named_address();
    char path[sizeof("/dev/shm/") + HQQ_NAME_MAX] = "/dev/shm/";
    strcat(path, address.shqq_name);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(hqq_connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EAGAIN); /* empty still: its creator may be about to fill it */
    assert_int_equal(ftruncate(file, 65536), 0);
    assert_int_equal(hqq_fcntl(fd, F_SETFL, 0), 0);
    struct timeval soon = {.tv_usec = 2000};
    assert_int_equal(hqq_setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)), 0);
    assert_int_equal(hqq_connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ETIMEDOUT); /* all zero: nobody has begun */
    assert_int_equal(pwrite(file, "not a link", 10, 0), 10);
    assert_int_equal(hqq_connect(fd, (struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EPROTO);
    hqq_close(fd);
    close(file);
    unlink(path);
}

static void shutting_one_direction_ends_it_here_and_both_end_it_there_too(void **state)
{
    (void)state;
    assert_int_equal(hqq_send(pair.connected, "before", 6, 0), 6);
    assert_int_equal(hqq_shutdown(pair.bound, SHUT_RD), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 6);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 0);
    assert_int_equal(hqq_send(pair.bound, "still", 5, 0), 5);
    assert_int_equal(hqq_shutdown(pair.bound, SHUT_WR), 0);
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(hqq_recv(pair.connected, buffer, sizeof(buffer), 0), 5);
    assert_int_equal(hqq_recv(pair.connected, buffer, sizeof(buffer), 0), -1);
    assert_int_equal(errno, EPIPE);
}

static int use_after_fork(void *arg)
{
    (void)arg;
    if (hqq_send(pair.bound, "x", 1, 0) != -1 || errno != ECHILD)
        return 1;
    if (hqq_recv(pair.bound, buffer, 1, MSG_DONTWAIT) != -1 || errno != ECHILD)
        return 2;
    return hqq_close(pair.bound) == 0 && hqq_close(pair.connected) == 0 ? 0 : 3;
}

static void a_child_has_no_link_and_its_closing_leaves_the_parents_alone(void **state)
{
    (void)state;
    struct stat status;
    char path[sizeof("/dev/shm/") + HQQ_NAME_MAX] = "/dev/shm/";
    assert_int_equal(hqq_send(pair.bound, "kept", 4, 0), 4);
    assert_int_equal(child_run(use_after_fork, NULL), 0);
    assert_int_equal(stat(strcat(path, pair.address.shqq_name), &status), 0);
    assert_int_equal(hqq_recv(pair.connected, buffer, sizeof(buffer), 0), 4);
    assert_int_equal(hqq_send(pair.connected, "back", 4, 0), 4);
    assert_int_equal(hqq_recv(pair.bound, buffer, sizeof(buffer), 0), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_datagram_sockets_are_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_kernel_has_no_family_of_our_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_address_is_refused_for_what_is_wrong_with_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_held_is_in_use_for_bind_and_for_a_second_peer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_nobody_has_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_gets_one_name_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_are_checked_and_come_too_late_after_bind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_link_nothing_is_connected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_link_cannot_carry_is_not_supported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_address_than_the_peers_is_not_connected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_memory_is_a_fault, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_closed_is_a_broken_pipe_once_all_was_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_peer_finds_the_socket_as_good_as_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peer_that_died_resets_the_connection_once_all_was_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_dead_holder_left_refuses_and_is_replaced_only_if_wanted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_object_that_is_no_link_is_no_place_to_connect_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shutting_one_direction_ends_it_here_and_both_end_it_there_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_child_has_no_link_and_its_closing_leaves_the_parents_alone, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
