/* How long a datagram may be. */
#include "support/pair.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static unsigned char sent[JOB_BYTES], got[JOB_BYTES];

static void fill_in(size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        sent[i] = (unsigned char)((i * 31 + seed) ^ (i >> 8));
}

/* One datagram of that length from near to far. */
static void check_length(const struct pair *pair, size_t length)
{
    fill_in(length, (unsigned)length);
    const struct address *to = pair->near.is_connected ? NULL : &pair->far.address;
    assert_result(end_send(&pair->near, to, sent, length, MSG_DONTWAIT), length);
    memset(got, 0, length);
    assert_result(end_receive(&pair->far, got, sizeof(got), MSG_DONTWAIT), length);
    assert_memory_equal(got, sent, length);
}

static void every_length_comes_whole(void **state)
{
    (void)state;
    static const size_t lengths[] = {1,    2,    7,    8,     63,    64,    65,    255,   1023,   1024,  1500,
                                     2047, 2048, 2049, 4095,  4096,  4097,  8191,  8192,  8193,   16384, 32767,
                                     9000, 3,    0,    65535, 65536, 65537, 99999, 30000, 131072, 5};
    struct pair pair = pair_new(PAIR_PLAIN);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        check_length(&pair, lengths[i]);
}

static void two_hundred_thousand_bytes_pass_by_default(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    for (int i = 0; i < 4; i++) {
        check_length(&pair, 200000);
        check_length(&pair, 20);
    }
}

static void more_than_the_send_buffer_allows_is_emsgsize(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int limit;
    socklen_t size = sizeof(limit);
    assert_result(getsockopt(pair.near.fd, SOL_SOCKET, SO_SNDBUF, &limit, &size), 0);
    size_t length = (size_t)limit + 1;
    unsigned char *large = calloc(1, length);
    assert_non_null(large);
    long sent_large = send(pair.near.fd, large, length, 0);
    int error = errno;
    free(large);
    assert_int_equal(sent_large, -1);
    assert_int_equal(error, EMSGSIZE);
    assert_result(end_revents(&pair.far, POLLIN), 0);
    check_length(&pair, 100);
}

static void the_limit_is_the_same_to_the_byte_whatever_went_before(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_SNDBUF, 10000), 0);
    size_t limit = 20000 - 32; /* doubled; the kernel keeps 32 bytes */
    check_length(&pair, limit);
    assert_result(end_send(&pair.near, NULL, sent, limit + 1, 0), -EMSGSIZE);
    check_length(&pair, 1000);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_SNDBUF, 5000), 0);
    assert_result(end_send(&pair.near, NULL, sent, limit, 0), -EMSGSIZE);
    check_length(&pair, 9000);
}

static void the_smallest_send_buffer_still_sends(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_SNDBUF, 0), 0);
    for (int i = 0; i < 20; i++)
        check_length(&pair, 64);
}

static void empty_datagrams_are_delivered_as_such(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    for (int i = 0; i < 20; i++) {
        assert_result(send(pair.near.fd, NULL, 0, 0), 0);
        assert_result(send(pair.near.fd, "x", 1, 0), 1);
        assert_result(write(pair.near.fd, "", 0), 0);
        assert_result(end_revents(&pair.far, POLLIN), POLLIN);
        end_hears(&pair.far, "");
        end_hears(&pair.far, "x");
        assert_result(end_revents(&pair.far, POLLIN), POLLIN);
        end_hears(&pair.far, "");
        assert_result(end_revents(&pair.far, POLLIN), 0);
    }
}

static void parts_are_put_together(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(6000, 7);
    struct iovec parts[] = {
        {.iov_base = sent, .iov_len = 1},
        {.iov_base = NULL, .iov_len = 0},
        {.iov_base = sent + 1, .iov_len = 4999},
        {.iov_base = sent + 5000, .iov_len = 1000},
    };
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = 4};
    assert_result(sendmsg(pair.near.fd, &message, 0), 6000);
    assert_result(end_receive(&pair.far, got, sizeof(got), MSG_DONTWAIT), 6000);
    assert_memory_equal(got, sent, 6000);
    assert_result(writev(pair.near.fd, parts, 4), 6000);
    assert_result(end_receive(&pair.far, got, sizeof(got), MSG_DONTWAIT), 6000);
    assert_memory_equal(got, sent, 6000);
}

static void a_message_of_no_parts_is_an_empty_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    const struct msghdr message = {.msg_iovlen = 0};
    assert_result(sendmsg(pair.near.fd, &message, 0), 0);
    end_hears(&pair.far, "");
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void as_many_parts_as_a_call_takes_and_one_more(void **state)
{
    (void)state;
    static struct iovec parts[IOV_MAX + 1];
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(IOV_MAX + 1, 3);
    for (size_t i = 0; i < IOV_MAX + 1; i++)
        parts[i] = (struct iovec){.iov_base = sent + i, .iov_len = 1};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = IOV_MAX + 1};
    assert_error(sendmsg(pair.near.fd, &message, 0), EMSGSIZE);
    assert_error(writev(pair.near.fd, parts, IOV_MAX + 1), EINVAL);
    message.msg_iovlen = IOV_MAX;
    assert_result(sendmsg(pair.near.fd, &message, 0), IOV_MAX);
    assert_result(end_receive(&pair.far, got, sizeof(got), MSG_DONTWAIT), IOV_MAX);
    assert_memory_equal(got, sent, IOV_MAX);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static const struct CMUnitTest tests[] = {
    EVERY(every_length_comes_whole),
    EVERY(two_hundred_thousand_bytes_pass_by_default),
    BOTH(more_than_the_send_buffer_allows_is_emsgsize),
    EVERY(the_limit_is_the_same_to_the_byte_whatever_went_before),
    EVERY(the_smallest_send_buffer_still_sends),
    EVERY(empty_datagrams_are_delivered_as_such),
    EVERY(parts_are_put_together),
    BOTH(a_message_of_no_parts_is_an_empty_datagram),
    BOTH(as_many_parts_as_a_call_takes_and_one_more),
};

CONTRACT_SUITE(connect_send_sizes, tests);
