/* Socket options: values, and what is refused. */
#include "support/pair.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int option_of(int fd, int option)
{
    int value = -12345;
    socklen_t length = sizeof(value);
    assert_result(getsockopt(fd, SOL_SOCKET, option, &value, &length), 0);
    assert_int_equal(length, sizeof(value));
    return value;
}

static long set_option(int fd, int option, int value)
{
    return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value));
}

static void a_socket_says_what_it_is(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_int_equal(option_of(pair.near.fd, SO_TYPE), SOCK_DGRAM);
    assert_int_equal(option_of(pair.near.fd, SO_DOMAIN), AF_UNIX);
    assert_int_equal(option_of(pair.near.fd, SO_PROTOCOL), 0);
    assert_int_equal(option_of(pair.near.fd, SO_ACCEPTCONN), 0);
    assert_int_equal(option_of(pair.near.fd, SO_ERROR), 0);
}

static void buffer_sizes_are_doubled_and_bounded(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    static const int options[] = {SO_SNDBUF, SO_RCVBUF};
    for (int i = 0; i < 2; i++) {
        assert_result(set_option(pair.near.fd, options[i], 10000), 0);
        assert_int_equal(option_of(pair.near.fd, options[i]), 20000);
        assert_result(set_option(pair.near.fd, options[i], 0), 0);
        assert_in_range(option_of(pair.near.fd, options[i]), 1, 8192);
        assert_result(set_option(pair.near.fd, options[i], 1 << 30), 0);
        assert_true(option_of(pair.near.fd, options[i]) >= 20000);
    }
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static void a_small_receive_buffer_does_not_bound_datagrams(void **state)
{
    (void)state;
    static unsigned char data[100000];
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(set_option(pair.near.fd, SO_RCVBUF, 0), 0);
    assert_result(end_send(&pair.far, &pair.near.address, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
    assert_result(end_receive(&pair.near, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
}

static void timeouts_come_back_as_they_were_set(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    static const int options[] = {SO_RCVTIMEO, SO_SNDTIMEO};
    for (int i = 0; i < 2; i++) {
        struct timeval value = {.tv_sec = 12, .tv_usec = 500000}, got = {0};
        socklen_t length = sizeof(got);
        assert_result(setsockopt(pair.near.fd, SOL_SOCKET, options[i], &value, sizeof(value)), 0);
        assert_result(getsockopt(pair.near.fd, SOL_SOCKET, options[i], &got, &length), 0);
        assert_int_equal(length, sizeof(got));
        assert_int_equal(got.tv_sec, 12);
        assert_int_equal(got.tv_usec, 500000);
    }
}

static void options_without_an_effect_keep_their_values(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct linger linger = {.l_onoff = 1, .l_linger = 7}, got = {0};
    socklen_t length = sizeof(got);
    assert_result(setsockopt(pair.near.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_result(getsockopt(pair.near.fd, SOL_SOCKET, SO_LINGER, &got, &length), 0);
    assert_int_equal(got.l_onoff, 1);
    assert_int_equal(got.l_linger, 7);
    static const int options[] = {SO_KEEPALIVE, SO_REUSEADDR, SO_BROADCAST, SO_DONTROUTE, SO_OOBINLINE};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        assert_int_equal(option_of(pair.near.fd, options[i]), 0);
        assert_result(set_option(pair.near.fd, options[i], 1), 0);
        assert_int_equal(option_of(pair.near.fd, options[i]), 1);
    }
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static void so_rcvlowat_does_not_merge_or_hold_datagrams(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    assert_int_equal(option_of(pair.near.fd, SO_RCVLOWAT), 1);
    assert_result(set_option(pair.near.fd, SO_RCVLOWAT, 10), 0);
    assert_int_equal(option_of(pair.near.fd, SO_RCVLOWAT), 10);
    end_tell(&pair.far, &pair.near, "one");
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    assert_result(recv(pair.near.fd, data, sizeof(data), 0), 3);
}

static void a_reset_by_a_reconnecting_peer_is_told_once_by_so_error(void **state)
{
    (void)state;
    if (contract_is_limit("what is dropped from a ring resets nobody"))
        return;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    struct end other = end_bound(NULL, 0);
    end_tell(&pair.near, &pair.far, "dropped");
    assert_result(end_connect(&pair.far, &other.address), 0);
    assert_revents(pair.near.fd, POLLIN, POLLERR);
    assert_int_equal(option_of(pair.near.fd, SO_ERROR), ECONNRESET);
    assert_int_equal(option_of(pair.near.fd, SO_ERROR), 0);
}

static void a_cookie_is_the_sockets_own_and_the_same_for_its_duplicates(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_new(NULL, 0);
    int copy = own(dup(pair.near.fd)), fds[] = {pair.near.fd, copy, other.fd};
    uint64_t cookies[3] = {0};
    for (int i = 0; i < 3; i++) {
        socklen_t length = sizeof(cookies[i]);
        assert_result(getsockopt(fds[i], SOL_SOCKET, SO_COOKIE, &cookies[i], &length), 0);
    }
    assert_true(cookies[0] == cookies[1]);
    assert_true(cookies[0] != cookies[2]);
}

/* The time that came with the next datagram; of that type, or a failure. */
static struct timespec time_of_next(int fd, int type)
{
    _Alignas(struct cmsghdr) char control[256];
    char data[16];
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    assert_result(recvmsg(fd, &message, MSG_DONTWAIT), 5);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    assert_non_null(header);
    assert_int_equal(header->cmsg_type, type);
    struct timespec result;
    struct timeval coarse;
    if (type == SCM_TIMESTAMPNS) {
        memcpy(&result, CMSG_DATA(header), sizeof(result));
    } else {
        memcpy(&coarse, CMSG_DATA(header), sizeof(coarse));
        result = (struct timespec){.tv_sec = coarse.tv_sec, .tv_nsec = coarse.tv_usec * 1000};
    }
    return result;
}

static void datagrams_carry_times_if_asked_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timespec began, got;
    clock_gettime(CLOCK_REALTIME, &began);
    assert_result(set_option(pair.near.fd, SO_TIMESTAMP, 1), 0);
    assert_int_equal(option_of(pair.near.fd, SO_TIMESTAMP), 1);
    for (int i = 0; i < 10; i++) {
        end_tell(&pair.far, &pair.near, "timed");
        got = time_of_next(pair.near.fd, SCM_TIMESTAMP);
        assert_in_range(got.tv_sec, began.tv_sec - 1, began.tv_sec + 60);
    }
    assert_result(set_option(pair.near.fd, SO_TIMESTAMPNS, 1), 0);
    for (int i = 0; i < 10; i++) {
        end_tell(&pair.far, &pair.near, "timed");
        got = time_of_next(pair.near.fd, SCM_TIMESTAMPNS);
        assert_in_range(got.tv_sec, began.tv_sec - 1, began.tv_sec + 60);
    }
}

static void what_is_unknown_or_malformed_is_refused(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int fd = pair.near.fd, value = 1;
    socklen_t length = sizeof(value);
    void *volatile bad = (void *)(uintptr_t)1;
    assert_error(setsockopt(fd, SOL_SOCKET, 9999, &value, length), ENOPROTOOPT);
    assert_error(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT);
    assert_error(setsockopt(fd, IPPROTO_TCP, 1, &value, length), EOPNOTSUPP);
    assert_error(getsockopt(fd, IPPROTO_TCP, 1, &value, &length), EOPNOTSUPP);
    assert_error(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, 1), EINVAL);
    assert_error(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, bad, length), EFAULT);
    assert_error(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, bad, &length), EFAULT);
    assert_error(setsockopt(-1, SOL_SOCKET, SO_SNDBUF, &value, length), EBADF);
    assert_error(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, length), ENOPROTOOPT);
}

static void a_value_longer_than_the_buffer_is_cut(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    unsigned char value[8];
    socklen_t length = 2;
    memset(value, 0xee, sizeof(value));
    assert_result(getsockopt(pair.near.fd, SOL_SOCKET, SO_TYPE, value, &length), 0);
    assert_int_equal(length, 2);
    assert_int_equal(value[0], SOCK_DGRAM);
    assert_int_equal(value[2], 0xee);
}

static const struct CMUnitTest tests[] = {
    BOTH(a_socket_says_what_it_is),
    BOTH(buffer_sizes_are_doubled_and_bounded),
    EVERY(a_small_receive_buffer_does_not_bound_datagrams),
    BOTH(timeouts_come_back_as_they_were_set),
    BOTH(options_without_an_effect_keep_their_values),
    BOTH(so_rcvlowat_does_not_merge_or_hold_datagrams),
    EVERY(a_reset_by_a_reconnecting_peer_is_told_once_by_so_error),
    BOTH(a_cookie_is_the_sockets_own_and_the_same_for_its_duplicates),
    EVERY(datagrams_carry_times_if_asked_for),
    BOTH(what_is_unknown_or_malformed_is_refused),
    BOTH(a_value_longer_than_the_buffer_is_cut),
};

CONTRACT_SUITE(options_values, tests);
