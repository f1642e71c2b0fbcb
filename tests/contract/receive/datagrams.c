/* What a receive gives: one datagram, in order, cut to the buffer, with flags that say so. */
#include "support/pair.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void datagrams_of_one_sender_come_in_order(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char text[32];
    for (int i = 0; i < 100; i++) {
        for (int n = 0; n < 8; n++) {
            snprintf(text, sizeof(text), "number %d", 8 * i + n);
            end_tell(&pair.far, &pair.near, text);
        }
        assert_int_equal(end_drain(&pair.near, 8 * i), 8);
    }
}

static void boundaries_are_kept(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "");
    end_tell(&pair.far, &pair.near, "three");
    assert_receives(pair.near.fd, "one");
    assert_receives(pair.near.fd, "");
    assert_receives(pair.near.fd, "three");
    assert_empty(pair.near.fd);
}

static void what_a_short_buffer_has_no_room_for_is_dropped(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[8] = "zzzzzzz";
    end_tell(&pair.far, &pair.near, "long datagram");
    end_tell(&pair.far, &pair.near, "next");
    assert_result(recv(pair.near.fd, data, 4, 0), 4);
    assert_memory_equal(data, "longzzz", 7);
    assert_receives(pair.near.fd, "next");
}

static ssize_t receive_message(int fd, size_t capacity, int flags, int *ret_flags)
{
    char data[64];
    struct iovec part = {.iov_base = data, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_flags = 0x5a5a};
    ssize_t got = recvmsg(fd, &message, flags);
    *ret_flags = message.msg_flags;
    return got;
}

static void a_datagram_cut_short_says_so(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int flags;
    end_tell(&pair.far, &pair.near, "long datagram");
    assert_result(receive_message(pair.near.fd, 4, 0, &flags), 4);
    assert_int_equal(flags, MSG_TRUNC);
}

static void a_whole_datagram_has_no_flags(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int flags;
    end_tell(&pair.far, &pair.near, "exact");
    assert_result(receive_message(pair.near.fd, 5, 0, &flags), 5);
    assert_int_equal(flags, 0);
}

static void flags_are_untouched_by_a_failure(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int flags;
    assert_error(receive_message(pair.near.fd, 5, MSG_DONTWAIT, &flags), EAGAIN);
    assert_int_equal(flags, 0x5a5a);
}

static void msg_trunc_asks_for_the_full_length(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    int flags;
    for (int i = 0; i < 4; i++)
        end_tell(&pair.far, &pair.near, "thirteen long");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_TRUNC), 13);
    assert_result(recv(pair.near.fd, NULL, 0, MSG_TRUNC), 13);
    assert_result(receive_message(pair.near.fd, 4, MSG_TRUNC, &flags), 13);
    assert_int_equal(flags & MSG_TRUNC, MSG_TRUNC);
    assert_result(receive_message(pair.near.fd, 20, MSG_TRUNC, &flags), 13);
    assert_int_equal(flags & MSG_TRUNC, 0);
    assert_empty(pair.near.fd);
}

static void a_cloexec_flag_comes_back(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int flags;
    end_tell(&pair.far, &pair.near, "x");
    assert_result(receive_message(pair.near.fd, 4, MSG_CMSG_CLOEXEC, &flags), 1);
    assert_int_equal(flags, MSG_CMSG_CLOEXEC);
}

static void a_receive_of_no_bytes_takes_a_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[1];
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    end_tell(&pair.far, &pair.near, "three");
    assert_result(recv(pair.near.fd, data, 0, 0), 0);
    assert_receives(pair.near.fd, "two");
    assert_result(recv(pair.near.fd, NULL, 0, 0), 0);
    assert_empty(pair.near.fd);
}

static void a_receive_of_no_bytes_from_an_empty_queue_is_eagain(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_error(recv(pair.near.fd, NULL, 0, MSG_DONTWAIT), EAGAIN);
}

static void a_read_of_no_bytes_takes_nothing(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[1];
    end_tell(&pair.far, &pair.near, "one");
    ssize_t got = read(pair.near.fd, data, 0);
    assert_int_equal(got, 0);
    assert_receives(pair.near.fd, "one");
}

static void a_datagram_is_spread_over_parts(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char one[3], two[4], three[8] = "";
    struct iovec parts[] = {
        {.iov_base = one, .iov_len = 3},
        {.iov_base = NULL, .iov_len = 0},
        {.iov_base = two, .iov_len = 4},
        {.iov_base = three, .iov_len = 8},
    };
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 4};
    end_tell(&pair.far, &pair.near, "abcdefghij");
    assert_result(recvmsg(pair.near.fd, &message, 0), 10);
    assert_memory_equal(one, "abc", 3);
    assert_memory_equal(two, "defg", 4);
    assert_memory_equal(three, "hij", 4);
    end_tell(&pair.far, &pair.near, "0123456");
    assert_result(readv(pair.near.fd, parts, 4), 7);
    assert_memory_equal(one, "012", 3);
    assert_memory_equal(two, "3456", 4);
    assert_memory_equal(three, "hij", 4);
}

static void msg_waitall_does_not_merge_datagrams(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_WAITALL), 3);
    assert_memory_equal(data, "one", 3);
    assert_receives(pair.near.fd, "two");
}

static void a_bad_buffer_is_efault_and_the_datagram_is_lost(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    void *volatile bad = (void *)(uintptr_t)1;
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_error(recv(pair.near.fd, bad, 10, 0), EFAULT);
    assert_receives(pair.near.fd, "two");
    assert_error(recvmsg(pair.near.fd, bad, MSG_DONTWAIT), EFAULT);
}

static void a_huge_buffer_takes_a_datagram_where_a_call_may_have_one(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    static char data[16]; /* with as much address space behind it as a call may have */
    volatile size_t huge = SIZE_MAX;
    if (CONTRACT_ADDRESS_SANITIZER || CONTRACT_THREAD_SANITIZER)
        skip(); /* they look at all of it */
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    end_tell(&pair.far, &pair.near, "three");
    assert_result(recv(pair.near.fd, data, huge, 0), 3);
    assert_memory_equal(data, "one", 3);
    assert_error(read(pair.near.fd, data, huge), EFAULT);
    assert_result(recv(pair.near.fd, data, huge / 4, MSG_PEEK), 3);
    assert_memory_equal(data, "two", 3);
    assert_result(recvfrom(pair.near.fd, data, huge, 0, NULL, NULL), 3);
    assert_receives(pair.near.fd, "three");
    assert_result(end_connect(&pair.near, &pair.far.address), 0);
    assert_error(send(pair.near.fd, data, huge, 0), EMSGSIZE);
    assert_error(write(pair.near.fd, data, huge), EFAULT);
}

static void so_is_a_bad_place_for_the_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    void *volatile bad = (void *)(uintptr_t)8;
    char data[16];
    struct sockaddr_un from;
    socklen_t length = sizeof(from);
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = bad, .msg_namelen = sizeof(from)};
    for (int i = 0; i < 4; i++) {
        end_tell(&pair.far, &pair.near, "lost");
        end_tell(&pair.far, &pair.near, "next");
        if (i == 0)
            assert_error(recvfrom(pair.near.fd, data, sizeof(data), 0, bad, &length), EFAULT);
        else if (i == 1)
            assert_error(recvfrom(pair.near.fd, data, sizeof(data), 0, (struct sockaddr *)&from, bad), EFAULT);
        else if (i == 2)
            assert_error(recvmsg(pair.near.fd, &message, 0), EFAULT);
        length = (socklen_t)-1;
        if (i == 3)
            assert_error(recvfrom(pair.near.fd, data, sizeof(data), 0, (struct sockaddr *)&from, &length), EINVAL);
        length = sizeof(from);
        assert_receives(pair.near.fd, "next");
        assert_error(recvfrom(pair.near.fd, data, sizeof(data), MSG_DONTWAIT, bad, &length), EAGAIN);
    }
}

static const struct CMUnitTest tests[] = {
    EVERY(datagrams_of_one_sender_come_in_order),
    EVERY(boundaries_are_kept),
    EVERY(what_a_short_buffer_has_no_room_for_is_dropped),
    BOTH(a_datagram_cut_short_says_so),
    BOTH(a_whole_datagram_has_no_flags),
    BOTH(flags_are_untouched_by_a_failure),
    BOTH(msg_trunc_asks_for_the_full_length),
    BOTH(a_cloexec_flag_comes_back),
    EVERY(a_receive_of_no_bytes_takes_a_datagram),
    BOTH(a_receive_of_no_bytes_from_an_empty_queue_is_eagain),
    BOTH(a_read_of_no_bytes_takes_nothing),
    BOTH(a_datagram_is_spread_over_parts),
    BOTH(msg_waitall_does_not_merge_datagrams),
    BOTH(a_bad_buffer_is_efault_and_the_datagram_is_lost),
    BOTH(a_huge_buffer_takes_a_datagram_where_a_call_may_have_one),
    BOTH(so_is_a_bad_place_for_the_name),
};

CONTRACT_SUITE(receive_datagrams, tests);
