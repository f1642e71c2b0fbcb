/* Sockets of AF_HQQ: names, options, and datagrams by every call that sends or receives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/named.h"

#define NAME_OFFSET offsetof(struct sockaddr_hqq, shqq_name)

static struct named_pair pair;
static char buffer[2 * NAMED_SIZE];

static int set_up(void **state)
{
    (void)state;
    pair = named_pair_open();
    memset(buffer, 0, sizeof(buffer));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    named_pair_close(&pair);
    return 0;
}

static void send_text(int fd, const char *text)
{
    assert_int_equal(hqq_send(fd, text, strlen(text), 0), strlen(text));
}

static void expect_text(int fd, const char *text)
{
    assert_int_equal(hqq_recv(fd, buffer, sizeof(buffer), 0), strlen(text));
    assert_memory_equal(buffer, text, strlen(text));
}

static void expect_nothing(int fd)
{
    assert_int_equal(hqq_recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

/* ---- Names and options ------------------------------------------------------------------------------------------- */

static void both_ends_have_the_name_of_the_link(void **state)
{
    (void)state;
    struct sockaddr_hqq name = {0};
    socklen_t length = sizeof(name);
    socklen_t whole = (socklen_t)(NAME_OFFSET + strlen(pair.address.shqq_name) + 1);
    assert_int_equal(hqq_getsockname(pair.bound, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(length, whole);
    assert_int_equal(name.shqq_family, AF_HQQ);
    assert_string_equal(name.shqq_name, pair.address.shqq_name);
    memset(&name, 0, sizeof(name));
    length = NAME_OFFSET + 3; /* too short: what fits, and the whole length */
    assert_int_equal(hqq_getpeername(pair.connected, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(length, whole);
    assert_string_equal(name.shqq_name, "hqq");
}

static void a_new_socket_has_no_name_and_no_peer(void **state)
{
    (void)state;
    struct sockaddr_hqq name = {0};
    socklen_t length = sizeof(name);
    int fd = named_socket();
    assert_int_equal(hqq_getsockname(fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(length, NAME_OFFSET);
    assert_int_equal(name.shqq_family, AF_HQQ);
    length = sizeof(name);
    assert_int_equal(hqq_getpeername(fd, (struct sockaddr *)&name, &length), -1);
    assert_int_equal(errno, ENOTCONN);
    hqq_close(fd);
}

static void both_ends_tell_the_shape_that_the_creator_chose(void **state)
{
    (void)state;
    uint64_t value = 0;
    socklen_t length = sizeof(value);
    assert_int_equal(hqq_getsockopt(pair.connected, SOL_HQQ, HQQ_SO_BUFFER_SIZE, &value, &length), 0);
    assert_int_equal(value, NAMED_SIZE);
    assert_int_equal(hqq_getsockopt(pair.bound, SOL_HQQ, HQQ_SO_BUFFER_COUNT, &value, &length), 0);
    assert_int_equal(value, NAMED_COUNT);
}

static void the_object_has_the_mode_that_was_set(void **state)
{
    (void)state;
    struct sockaddr_hqq address = named_address();
    char path[sizeof("/dev/shm/") + HQQ_NAME_MAX] = "/dev/shm/";
    struct stat status;
    uint64_t mode = 0640;
    int fd = named_socket();
    assert_int_equal(hqq_setsockopt(fd, SOL_HQQ, HQQ_SO_MODE, &mode, sizeof(mode)), 0);
    assert_int_equal(hqq_bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(stat(strcat(path, address.shqq_name), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    hqq_close(fd);
    assert_int_equal(stat(path, &status), -1); /* close has removed it */
}

static void the_domain_is_our_own_and_the_type_is_datagrams(void **state)
{
    (void)state;
    int value = 0;
    socklen_t length = sizeof(value);
    assert_int_equal(hqq_getsockopt(pair.bound, SOL_SOCKET, SO_DOMAIN, &value, &length), 0);
    assert_int_equal(value, AF_HQQ);
    assert_int_equal(hqq_getsockopt(pair.bound, SOL_SOCKET, SO_TYPE, &value, &length), 0);
    assert_int_equal(value, SOCK_DGRAM);
}

/* ---- Datagrams --------------------------------------------------------------------------------------------------- */

static void datagrams_go_both_ways_in_order_and_keep_their_bounds(void **state)
{
    (void)state;
    send_text(pair.bound, "one");
    send_text(pair.bound, "second");
    send_text(pair.connected, "back");
    expect_text(pair.connected, "one");
    expect_text(pair.connected, "second");
    expect_text(pair.bound, "back");
    expect_nothing(pair.bound);
    expect_nothing(pair.connected);
}

static void every_call_that_sends_sends(void **state)
{
    (void)state;
    struct iovec parts[2] = {{.iov_base = "pa", .iov_len = 2}, {.iov_base = "rts", .iov_len = 3}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    const struct sockaddr *to = (const struct sockaddr *)&pair.address;
    const char *expected = "parts";
    assert_int_equal(hqq_write(pair.bound, expected, 5), 5);
    assert_int_equal(hqq_writev(pair.bound, parts, 2), 5);
    assert_int_equal(hqq_sendto(pair.bound, expected, 5, 0, to, sizeof(pair.address)), 5);
    assert_int_equal(hqq_sendmsg(pair.bound, &message, 0), 5);
    for (int i = 0; i < 4; i++)
        expect_text(pair.connected, expected);
    assert_int_equal(hqq_pwritev2(pair.bound, parts, 2, -1, 0), 5);
    assert_int_equal(hqq_sendmmsg(pair.bound, messages, 2, 0), 2);
    assert_int_equal(messages[1].msg_len, 5);
    for (int i = 0; i < 3; i++)
        expect_text(pair.connected, expected);
    expect_nothing(pair.connected);
}

static void every_call_that_receives_receives(void **state)
{
    (void)state;
    char rest[8] = {0};
    struct iovec parts[2] = {{.iov_base = buffer, .iov_len = 2}, {.iov_base = rest, .iov_len = sizeof(rest)}};
    struct mmsghdr messages[3] = {{.msg_hdr = {.msg_iov = parts, .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = parts, .msg_iovlen = 1}}};
    struct sockaddr_hqq from = {0};
    socklen_t length = sizeof(from);
    for (int i = 0; i < 3; i++)
        send_text(pair.connected, "parts");
    assert_int_equal(hqq_read(pair.bound, buffer, sizeof(buffer)), 5);
    assert_int_equal(hqq_readv(pair.bound, parts, 2), 5);
    assert_memory_equal(rest, "rts", 3);
    assert_int_equal(hqq_recvfrom(pair.bound, buffer, 5, 0, (struct sockaddr *)&from, &length), 5);
    assert_string_equal(from.shqq_name, pair.address.shqq_name);
    send_text(pair.connected, "12");
    send_text(pair.connected, "34");
    assert_int_equal(hqq_recvmmsg(pair.bound, messages, 3, MSG_WAITFORONE, NULL), 2);
    assert_int_equal(messages[1].msg_len, 2);
}

static void a_long_datagram_is_cut_and_its_rest_is_gone(void **state)
{
    (void)state;
    struct iovec part = {.iov_base = buffer, .iov_len = 3};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    send_text(pair.bound, "abcdef");
    send_text(pair.bound, "ghi");
    send_text(pair.bound, "jklm");
    assert_int_equal(hqq_recvmsg(pair.connected, &message, 0), 3);
    assert_int_equal(message.msg_flags, MSG_TRUNC);
    assert_memory_equal(buffer, "abc", 3);
    assert_int_equal(hqq_recvmsg(pair.connected, &message, 0), 3);
    assert_int_equal(message.msg_flags, 0);
    assert_int_equal(hqq_recv(pair.connected, buffer, 2, MSG_TRUNC), 4);
    expect_nothing(pair.connected);
}

static void a_peek_leaves_the_datagram_where_it_is(void **state)
{
    (void)state;
    int length = -1;
    assert_int_equal(hqq_ioctl(pair.connected, FIONREAD, &length), 0);
    assert_int_equal(length, 0);
    send_text(pair.bound, "seen");
    assert_int_equal(hqq_recv(pair.connected, buffer, 2, MSG_PEEK), 2);
    assert_int_equal(hqq_recv(pair.connected, buffer, 2, MSG_PEEK | MSG_TRUNC), 4);
    assert_int_equal(hqq_ioctl(pair.connected, FIONREAD, &length), 0);
    assert_int_equal(length, 4);
    assert_int_equal(hqq_ioctl(pair.bound, SIOCOUTQ, &length), 0);
    assert_int_equal(length, NAMED_SIZE);
    expect_text(pair.connected, "seen");
    expect_nothing(pair.connected);
}

static void of_an_empty_datagram_nothing_is_sent(void **state)
{
    (void)state;
    assert_int_equal(hqq_send(pair.bound, "", 0, 0), 0);
    expect_nothing(pair.connected);
}

static void a_datagram_of_the_whole_slot_passes_and_one_byte_more_does_not(void **state)
{
    (void)state;
    char whole[NAMED_SIZE + 1];
    memset(whole, 'w', sizeof(whole));
    assert_int_equal(hqq_send(pair.bound, whole, NAMED_SIZE, 0), NAMED_SIZE);
    assert_int_equal(hqq_send(pair.bound, whole, NAMED_SIZE + 1, 0), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(hqq_recv(pair.connected, buffer, sizeof(buffer), 0), NAMED_SIZE);
    assert_memory_equal(buffer, whole, NAMED_SIZE);
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------- */

static void duplicates_are_of_one_socket_until_the_last_is_closed(void **state)
{
    (void)state;
    int duplicate = hqq_dup(pair.connected);
    assert_true(duplicate >= 0);
    int another = hqq_fcntl(duplicate, F_DUPFD_CLOEXEC, 100);
    assert_true(another >= 100);
    assert_int_equal(hqq_close(pair.connected), 0);
    pair.connected = -1;
    assert_int_equal(hqq_close(duplicate), 0);
    send_text(pair.bound, "still");
    expect_text(another, "still");
    assert_int_equal(hqq_close(another), 0);
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, EPIPE);
}

static void a_descriptor_that_replaces_another_closes_that(void **state)
{
    (void)state;
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_int_equal(hqq_dup2(file, pair.connected), pair.connected);
    assert_int_equal(hqq_write(pair.connected, "nowhere", 7), 7);
    assert_int_equal(hqq_send(pair.bound, "x", 1, 0), -1);
    assert_int_equal(errno, EPIPE);
    close(file);
}

static void nonblocking_is_set_by_type_by_fcntl_and_by_ioctl(void **state)
{
    (void)state;
    int on = 1, off = 0;
    struct sockaddr_hqq address = named_address();
    int fd = hqq_socket(AF_HQQ, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(hqq_bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(hqq_recv(fd, buffer, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    hqq_close(fd);
    assert_int_equal(hqq_fcntl(pair.bound, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(hqq_ioctl(pair.bound, FIONBIO, &off), 0);
    assert_int_equal(hqq_fcntl(pair.bound, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(hqq_ioctl(pair.bound, FIONBIO, &on), 0);
    assert_int_equal(hqq_recv(pair.bound, buffer, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

/* Beyond the first page of the table. */
static void a_descriptor_of_a_high_number_serves_as_others_do(void **state)
{
    (void)state;
    struct rlimit before, raised;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    raised = before;
    raised.rlim_cur = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &raised), 0);
    int high = hqq_fcntl(pair.bound, F_DUPFD, 3000);
    assert_true(high >= 3000);
    hqq_close(pair.bound);
    send_text(high, "from afar");
    expect_text(pair.connected, "from afar");
    send_text(pair.connected, "back");
    expect_text(high, "back");
    assert_int_equal(hqq_close_range((unsigned)high, (unsigned)high, 0), 0);
    assert_int_equal(hqq_send(pair.connected, "x", 1, 0), -1);
    assert_int_equal(errno, EPIPE);
    pair.bound = named_socket();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void the_status_counts_what_went_through_the_ring(void **state)
{
    (void)state;
    struct hqq_socket_status status;
    send_text(pair.bound, "counted");
    expect_text(pair.connected, "counted");
    assert_int_equal(hqq_socket_status(pair.bound, &status), 0);
    assert_int_equal(status.reason, HQQ_SOCKET_ACCELERATED);
    assert_int_equal(status.sent_ring, 1);
    assert_int_equal(hqq_socket_status(pair.connected, &status), 0);
    assert_int_equal(status.received_ring, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_have_the_name_of_the_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_socket_has_no_name_and_no_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_ends_tell_the_shape_that_the_creator_chose, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_object_has_the_mode_that_was_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_domain_is_our_own_and_the_type_is_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(datagrams_go_both_ways_in_order_and_keep_their_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_call_that_sends_sends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_call_that_receives_receives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_datagram_is_cut_and_its_rest_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_peek_leaves_the_datagram_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_an_empty_datagram_nothing_is_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_datagram_of_the_whole_slot_passes_and_one_byte_more_does_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(duplicates_are_of_one_socket_until_the_last_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_that_replaces_another_closes_that, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nonblocking_is_set_by_type_by_fcntl_and_by_ioctl, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_of_a_high_number_serves_as_others_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_status_counts_what_went_through_the_ring, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
