/* sendmmsg(). */
#include "support/pair.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define MANY (IOV_MAX + 100) /* IOV_MAX: the kernel's UIO_MAXIOV */

static struct mmsghdr messages[MANY];
static struct iovec parts[MANY];
static char texts[MANY][64];

/* Numbered datagrams, to a name if there is one. */
static void fill_in(struct address *to)
{
    for (int i = 0; i < MANY; i++) {
        int length = snprintf(texts[i], sizeof(texts[i]), "number %d", i);
        parts[i] = (struct iovec){.iov_base = texts[i], .iov_len = (size_t)length};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
        if (to) {
            messages[i].msg_hdr.msg_name = &to->name;
            messages[i].msg_hdr.msg_namelen = to->length;
        }
    }
}

static void all_go_and_each_length_is_told(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    fill_in(&pair.far.address);
    assert_result(sendmmsg(pair.near.fd, messages, 5, 0), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(messages[i].msg_len, strlen(texts[i]));
    assert_result(end_drain(&pair.far, 0), 5);
}

static void a_connected_socket_needs_no_names(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(NULL);
    assert_result(sendmmsg(pair.near.fd, messages, 5, 0), 5);
    assert_result(end_drain(&pair.far, 0), 5);
}

static void none_is_none(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    assert_result(sendmmsg(pair.near.fd, messages, 0, 0), 0);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void each_may_go_to_another(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    fill_in(&pair.far.address);
    messages[1].msg_hdr.msg_name = &other.address.name;
    messages[1].msg_hdr.msg_namelen = other.address.length;
    assert_result(sendmmsg(pair.near.fd, messages, 3, 0), 3);
    end_hears(&pair.far, "number 0");
    end_hears(&pair.far, "number 2");
    end_hears(&other, "number 1");
}

static void a_full_receiver_takes_what_fits_and_then_is_eagain(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(NULL);
    int went = 0, result;
    while ((result = sendmmsg(pair.near.fd, messages + went, (unsigned)(MANY - went), MSG_DONTWAIT)) > 0 && went < MANY)
        went += result;
    if (result < 0)
        assert_int_equal(errno, EAGAIN);
    assert_in_range(went, 1, MANY);
    assert_result(end_drain(&pair.far, 0), went);
}

static void a_failure_after_some_tells_how_many_went_and_the_error_comes_next(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address nobody = address_path("nobody");
    fill_in(&pair.far.address);
    messages[3].msg_hdr.msg_name = &nobody.name;
    messages[3].msg_hdr.msg_namelen = nobody.length;
    assert_result(sendmmsg(pair.near.fd, messages, 6, 0), 3);
    assert_result(end_drain(&pair.far, 0), 3);
    assert_error(sendmmsg(pair.near.fd, messages + 3, 3, 0), ENOENT);
    assert_result(end_revents(&pair.far, POLLIN), 0);
    assert_result(sendmmsg(pair.near.fd, messages + 4, 2, 0), 2);
    assert_result(end_drain(&pair.far, 4), 2);
}

static void a_bad_buffer_after_some_is_the_same(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(NULL);
    parts[2].iov_base = (void *)(uintptr_t)1;
    assert_result(sendmmsg(pair.near.fd, messages, 4, 0), 2);
    assert_error(sendmmsg(pair.near.fd, messages + 2, 2, 0), EFAULT);
    assert_result(end_drain(&pair.far, 0), 2);
}

/* Receives job->number datagrams, numbered from 0. */
static long take_many(struct job *job)
{
    char text[64], data[64];
    for (int i = 0; i < job->number; i++) {
        int length = snprintf(text, sizeof(text), "number %d", i);
        if (recv(job->fd, data, sizeof(data), 0) != length || memcmp(data, text, (size_t)length) != 0)
            return -EBADMSG;
    }
    return 0;
}

JOB_FUNCTION(take_many)

static void more_than_uio_maxiov_are_cut_to_that(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    fill_in(NULL);
    struct job *job = end_job(&pair.far);
    job->number = IOV_MAX;
    struct task *receiver = task_begin(pair.far.at, take_many, job);
    assert_result(sendmmsg(pair.near.fd, messages, MANY, 0), IOV_MAX);
    assert_result(task_finish(receiver), 0);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void no_socket_is_an_error_and_not_a_count(void **state)
{
    (void)state;
    fill_in(NULL);
    struct end end = end_new(NULL, 0);
    assert_error(sendmmsg(-1, messages, 2, 0), EBADF);
    assert_error(sendmmsg(end.fd, messages, 2, 0), ENOTCONN);
}

static const struct CMUnitTest tests[] = {
    EVERY(all_go_and_each_length_is_told),
    EVERY(a_connected_socket_needs_no_names),
    BOTH(none_is_none),
    BOTH(each_may_go_to_another),
    EVERY(a_full_receiver_takes_what_fits_and_then_is_eagain),
    EVERY(a_failure_after_some_tells_how_many_went_and_the_error_comes_next),
    BOTH(a_bad_buffer_after_some_is_the_same),
    EVERY(more_than_uio_maxiov_are_cut_to_that),
    ALONE(no_socket_is_an_error_and_not_a_count),
};

CONTRACT_SUITE(connect_send_batches, tests);
