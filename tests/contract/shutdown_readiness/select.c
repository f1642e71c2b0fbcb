/* select() and pselect(). */
#include "support/clock.h"
#include "support/pair.h"

#include <signal.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

static fd_set set_of(int fd)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return set;
}

static void readable_and_writable_are_told_apart(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timeval at_once = {0};
    int fd = pair.near.fd;
    fd_set reading = set_of(fd), writing = set_of(fd), special = set_of(fd);
    assert_result(select(fd + 1, &reading, &writing, &special, &at_once), 1);
    assert_false(FD_ISSET(fd, &reading));
    assert_true(FD_ISSET(fd, &writing));
    assert_false(FD_ISSET(fd, &special));
    end_tell(&pair.far, &pair.near, "one");
    reading = set_of(fd);
    assert_result(select(fd + 1, &reading, &writing, NULL, &at_once), 2);
    assert_true(FD_ISSET(fd, &reading));
    end_hears(&pair.near, "one");
    assert_result(select(fd + 1, &reading, NULL, NULL, &at_once), 0);
    assert_false(FD_ISSET(fd, &reading));
}

static long select_one(struct job *job)
{
    fd_set reading = set_of(job->fd);
    int count = select(job->fd + 1, &reading, NULL, NULL, NULL);
    return count < 0 ? -errno : count + 10 * !!FD_ISSET(job->fd, &reading);
}

JOB_FUNCTION(select_one)

static long pselect_one(struct job *job)
{
    fd_set reading = set_of(job->fd);
    sigset_t none;
    sigemptyset(&none);
    int count = pselect(job->fd + 1, &reading, NULL, NULL, NULL, &none);
    return count < 0 ? -errno : count + 10 * !!FD_ISSET(job->fd, &reading);
}

JOB_FUNCTION(pselect_one)

static void a_datagram_wakes_who_selects(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 6; i++) {
        struct task *task = task_asleep(NULL, i % 2 ? select_one : pselect_one, end_job(&pair.near));
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), 11);
        end_hears(&pair.near, "wake up");
    }
}

static void a_datagram_wakes_who_selects_in_the_other_process(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 6; i++) {
        struct task *task = task_asleep(pair.far.at, i % 2 ? select_one : pselect_one, end_job(&pair.far));
        end_tell(&pair.near, &pair.far, "wake up");
        assert_result(task_finish(task), 11);
        end_hears(&pair.far, "wake up");
    }
}

/* It is too late for all but the last datagram, as far as the scheduler obeys. */
static void who_selects_since_before_bind_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_unbound();
    struct task *task = task_asleep(NULL, select_one, end_job(&pair.near));
    task_hold_back(task);
    pair_bind(&pair);
    warm_up(&pair.far, &pair.near);
    task_let_on(task);
    end_tell(&pair.far, &pair.near, "wake up");
    assert_result(task_finish(task), 11);
    end_hears(&pair.near, "wake up");
}

static void a_timeout_that_is_over_is_zero_and_select_says_that_none_is_left(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timeval limit = {.tv_usec = 30000};
    const struct timespec other_limit = {.tv_nsec = 30000000};
    fd_set reading = set_of(pair.near.fd);
    int64_t began = clock_ms();
    assert_result(select(pair.near.fd + 1, &reading, NULL, NULL, &limit), 0);
    assert_int_equal(limit.tv_sec, 0);
    assert_int_equal(limit.tv_usec, 0);
    assert_false(FD_ISSET(pair.near.fd, &reading));
    reading = set_of(pair.near.fd);
    assert_result(pselect(pair.near.fd + 1, &reading, NULL, NULL, &other_limit, NULL), 0);
    assert_true(clock_ms() - began >= 59);
}

static void select_says_how_much_of_the_timeout_is_left(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timeval limit = {.tv_sec = 1000};
    fd_set reading = set_of(pair.near.fd);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(select(pair.near.fd + 1, &reading, NULL, NULL, &limit), 1);
    assert_in_range(limit.tv_sec, 900, 1000);
}

static void a_closed_descriptor_is_ebadf(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timeval at_once = {0};
    fd_set reading = set_of(pair.near.fd);
    let_go(pair.near.fd);
    assert_error(select(pair.near.fd + 1, &reading, NULL, NULL, &at_once), EBADF);
}

static void a_bad_count_or_timeout_is_einval(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct timeval negative = {.tv_sec = -1}, at_once = {0};
    fd_set reading = set_of(pair.near.fd);
    assert_error(select(pair.near.fd + 1, &reading, NULL, NULL, &negative), EINVAL);
    assert_error(select(-1, &reading, NULL, NULL, &at_once), EINVAL);
}

static const struct CMUnitTest tests[] = {
    EVERY(readable_and_writable_are_told_apart),
    EVERY(a_datagram_wakes_who_selects),
    EVERY(a_datagram_wakes_who_selects_in_the_other_process),
    BOTH(who_selects_since_before_bind_is_woken),
    BOTH(a_timeout_that_is_over_is_zero_and_select_says_that_none_is_left),
    BOTH(select_says_how_much_of_the_timeout_is_left),
    BOTH(a_closed_descriptor_is_ebadf),
    BOTH(a_bad_count_or_timeout_is_einval),
};

CONTRACT_SUITE(shutdown_readiness_select, tests);
