/* recvmmsg(). */
#include "support/pair.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#define COUNT 8

static struct mmsghdr messages[COUNT];
static struct iovec parts[COUNT];
static char data[COUNT][16];

static void prepare(void)
{
    memset(data, 0, sizeof(data));
    for (int i = 0; i < COUNT; i++) {
        parts[i] = (struct iovec){.iov_base = data[i], .iov_len = sizeof(data[i]) - 1};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    }
}

static void say_three(const struct pair *pair)
{
    prepare();
    end_tell(&pair->far, &pair->near, "one");
    end_tell(&pair->far, &pair->near, "two");
    end_tell(&pair->far, &pair->near, "three");
}

static void what_is_there_is_taken_in_order(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, COUNT, MSG_DONTWAIT, NULL), 3);
    assert_string_equal(data[0], "one");
    assert_string_equal(data[1], "two");
    assert_string_equal(data[2], "three");
    assert_int_equal(messages[0].msg_len, 3);
    assert_int_equal(messages[2].msg_len, 5);
    assert_error(recvmmsg(pair.near.fd, messages, COUNT, MSG_DONTWAIT, NULL), EAGAIN);
}

static void no_more_than_asked_for_are_taken(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, 2, 0, NULL), 2);
    assert_receives(pair.near.fd, "three");
    assert_empty(pair.near.fd);
}

static void each_has_its_sender_and_its_flags(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end nameless = end_new(NULL, 0);
    struct sockaddr_storage names[2];
    prepare();
    for (int i = 0; i < 2; i++) {
        messages[i].msg_hdr.msg_name = &names[i];
        messages[i].msg_hdr.msg_namelen = sizeof(names[i]);
    }
    parts[0].iov_len = 2;
    end_tell(&pair.far, &pair.near, "too long");
    end_tell(&nameless, &pair.near, "not");
    assert_result(recvmmsg(pair.near.fd, messages, COUNT, MSG_DONTWAIT, NULL), 2);
    assert_int_equal(messages[0].msg_len, 2);
    assert_int_equal(messages[0].msg_hdr.msg_flags, MSG_TRUNC);
    assert_int_equal(messages[0].msg_hdr.msg_namelen, pair.far.address.length);
    assert_memory_equal(&names[0], &pair.far.address.name, pair.far.address.length);
    assert_int_equal(messages[1].msg_len, 3);
    assert_int_equal(messages[1].msg_hdr.msg_flags, 0);
    assert_int_equal(messages[1].msg_hdr.msg_namelen, 0);
}

static void a_bad_timeout_is_einval(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timespec bad[] = {{.tv_sec = -1}, {.tv_nsec = -1}, {.tv_nsec = 1000000000}};
    say_three(&pair);
    for (int i = 0; i < 3; i++)
        assert_error(recvmmsg(pair.near.fd, messages, COUNT, MSG_DONTWAIT, &bad[i]), EINVAL);
    assert_receives(pair.near.fd, "one");
}

static long take_three(struct job *job)
{
    int count = recvmmsg(job->fd, messages, 3, job->flags, NULL);
    return count < 0 ? -errno : count;
}

JOB_FUNCTION(take_three)

static void without_flags_it_waits_for_all(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    prepare();
    struct task *task = task_asleep(NULL, take_three, end_job(&pair.near));
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    task_await_sleep(task);
    end_tell(&pair.far, &pair.near, "three");
    assert_result(task_finish(task), 3);
    assert_string_equal(data[2], "three");
}

static void msg_waitforone_waits_for_one_and_takes_what_else_is_there(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    prepare();
    struct job *job = end_job(&pair.near);
    job->flags = MSG_WAITFORONE;
    struct task *task = task_asleep(NULL, take_three, job);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(task_finish(task), 1);
    assert_string_equal(data[0], "one");
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, COUNT, MSG_WAITFORONE, NULL), 3);
}

/* The timeout is looked at after each datagram, as recvmmsg(2) says under BUGS. */
static void a_timeout_that_is_over_ends_it_after_the_next_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timespec at_once = {.tv_nsec = 1};
    say_three(&pair);
    int count = recvmmsg(pair.near.fd, messages, COUNT, 0, &at_once);
    assert_in_range(count, 1, 3);
    assert_string_equal(data[0], "one");
}

static void a_timeout_that_is_not_over_tells_what_is_left(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timespec limit = {.tv_sec = 1000};
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, 3, 0, &limit), 3);
    assert_in_range(limit.tv_sec, 900, 999);
}

/* The longest that there is, and others whose nanoseconds do not fit into 64 bits. */
static void a_timeout_of_ages_tells_what_is_left(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    const time_t last = (time_t)((UINT64_C(1) << (8 * sizeof(time_t) - 1)) - 1);
    const time_t ages[] = {last, last - 1, last / 1000000000 * 2, last / 1000000000 + 1};
    for (int i = 0; i < 4; i++) {
        struct timespec limit = {.tv_sec = ages[i], .tv_nsec = i == 0 ? 999999999 : 0};
        struct timespec now;
        say_three(&pair);
        clock_gettime(CLOCK_MONOTONIC, &now);
        assert_result(recvmmsg(pair.near.fd, messages, 3, 0, &limit), 3);
        assert_string_equal(data[2], "three");
        time_t most = ages[i] < last - now.tv_sec ? ages[i] : last - now.tv_sec; /* the end does not overflow */
        assert_in_range(most - limit.tv_sec, 1, 100);
        assert_in_range(limit.tv_nsec, 0, 999999999);
    }
}

static void what_is_left_of_a_timeout_must_have_a_place(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a bad address is SIGSEGV"))
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timespec *limit = mmap(NULL, sizeof(*limit), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(limit != MAP_FAILED);
    say_three(&pair);
    assert_error(recvmmsg(pair.near.fd, messages, 3, MSG_DONTWAIT, limit), EFAULT);
    assert_receives(pair.near.fd, "two"); /* it was 0 s: one is taken */
    assert_int_equal(munmap(limit, sizeof(*limit)), 0);
}

static void the_sockets_own_timeout_ends_it_with_what_came(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    const struct timeval limit = {.tv_usec = 20000};
    assert_result(setsockopt(pair.near.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, COUNT, 0, NULL), 3);
    assert_error(recvmmsg(pair.near.fd, messages, COUNT, 0, NULL), EAGAIN);
}

static void none_is_none(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    say_three(&pair);
    assert_result(recvmmsg(pair.near.fd, messages, 0, 0, NULL), 0);
    assert_receives(pair.near.fd, "one");
}

static const struct CMUnitTest tests[] = {
    EVERY(what_is_there_is_taken_in_order),
    BOTH(no_more_than_asked_for_are_taken),
    BOTH(each_has_its_sender_and_its_flags),
    BOTH(a_bad_timeout_is_einval),
    EVERY(without_flags_it_waits_for_all),
    EVERY(msg_waitforone_waits_for_one_and_takes_what_else_is_there),
    BOTH(a_timeout_that_is_over_ends_it_after_the_next_datagram),
    BOTH(a_timeout_that_is_not_over_tells_what_is_left),
    BOTH(a_timeout_of_ages_tells_what_is_left),
    BOTH(what_is_left_of_a_timeout_must_have_a_place),
    BOTH(the_sockets_own_timeout_ends_it_with_what_came),
    BOTH(none_is_none),
};

CONTRACT_SUITE(receive_batches, tests);
