/* A receive that sleeps: what wakes it, and what interrupts it. */
#include "support/clock.h"
#include "support/pair.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct task *receiver_asleep(const struct end *end)
{
    struct job *job = end_job(end);
    job->length = 64;
    return task_asleep(end->at, job_receive, job);
}

static void a_datagram_wakes_a_receive(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 10; i++) {
        struct task *task = receiver_asleep(&pair.near);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), 7);
        assert_memory_equal(task->job->data, "wake up", 7);
        assert_int_equal(task->job->name_length, pair.far.address.length);
    }
}

static void a_datagram_wakes_a_receive_of_the_other_process(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 10; i++) {
        struct task *task = receiver_asleep(&pair.far);
        end_tell(&pair.near, &pair.far, "wake up");
        assert_result(task_finish(task), 7);
        assert_memory_equal(task->job->data, "wake up", 7);
    }
}

static void an_empty_datagram_wakes_a_receive(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *task = receiver_asleep(&pair.near);
    end_tell(&pair.far, &pair.near, "");
    assert_result(task_finish(task), 0);
}

static long read_one(struct job *job)
{
    ssize_t got = read(job->fd, job->data, job->length);
    return got < 0 ? -errno : got;
}

JOB_FUNCTION(read_one)

static void a_datagram_wakes_a_read(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->length = 64;
    struct task *task = task_asleep(NULL, read_one, job);
    end_tell(&pair.far, &pair.near, "wake up");
    assert_result(task_finish(task), 7);
}

static void each_of_several_receives_gets_one_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *sleepers[4];
    bool seen[4] = {false};
    for (int i = 0; i < 4; i++)
        sleepers[i] = receiver_asleep(&pair.near);
    for (int i = 0; i < 4; i++)
        end_tell(&pair.far, &pair.near, (const char *[]){"0", "1", "2", "3"}[i]);
    for (int i = 0; i < 4; i++) {
        assert_result(task_finish(sleepers[i]), 1);
        seen[sleepers[i]->job->data[0] - '0'] = true;
    }
    for (int i = 0; i < 4; i++)
        assert_true(seen[i]);
    assert_empty(pair.near.fd);
}

/* ---- Signals --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void catch_signal(int flags)
{
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = flags};
    signals = 0;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void await_signals(int count)
{
    while (signals < count)
        usleep(100);
}

static void a_signal_interrupts_a_receive(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    catch_signal(0);
    struct task *task = receiver_asleep(&pair.near);
    assert_int_equal(pthread_kill(task->thread, SIGUSR1), 0);
    assert_result(task_finish(task), -EINTR);
    assert_int_equal(signals, 1);
    end_tell(&pair.far, &pair.near, "later");
    end_hears(&pair.near, "later");
}

static void a_receive_goes_on_after_a_signal_with_sa_restart(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* it delivers signals later */
    struct pair pair = pair_new(PAIR_PLAIN);
    catch_signal(SA_RESTART);
    struct task *task = receiver_asleep(&pair.near);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(pthread_kill(task->thread, SIGUSR1), 0);
        await_signals(i);
        task_await_sleep(task);
    }
    end_tell(&pair.far, &pair.near, "after all");
    assert_result(task_finish(task), 9);
}

static void a_receive_with_a_timeout_is_interrupted_in_spite_of_sa_restart(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    const struct timeval limit = {.tv_sec = 1000};
    catch_signal(SA_RESTART);
    assert_result(setsockopt(pair.near.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    struct task *task = receiver_asleep(&pair.near);
    assert_int_equal(pthread_kill(task->thread, SIGUSR1), 0);
    assert_result(task_finish(task), -EINTR);
}

static int handler_fd;
static volatile sig_atomic_t handler_got;

static void receive_in_handler(int number)
{
    (void)number;
    char data[16];
    int error = errno;
    handler_got = (sig_atomic_t)recv(handler_fd, data, sizeof(data), MSG_DONTWAIT);
    errno = error;
    signals++;
}

static void a_handler_may_receive_what_the_interrupted_call_waited_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct sigaction action = {.sa_handler = receive_in_handler, .sa_flags = SA_RESTART};
    signals = 0;
    handler_fd = pair.near.fd;
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    for (int i = 0; i < 5; i++) {
        end_tell(&pair.far, &pair.near, "for the handler");
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(handler_got, 15);
    }
    assert_empty(pair.near.fd);
}

static void a_signal_interrupts_a_send_that_sleeps(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int count = end_fill(&pair.near, NULL, 0);
    catch_signal(0);
    struct task *task = task_asleep(NULL, job_send, end_job_say(&pair.near, NULL, "never sent", 0));
    assert_int_equal(pthread_kill(task->thread, SIGUSR1), 0);
    assert_result(task_finish(task), -EINTR);
    assert_result(end_drain(&pair.far, 0), count);
}

/* Sends numbered datagrams to the name for so many milliseconds, a few at a time, and then an empty one. How many. */
static long send_for_a_while(struct job *job)
{
    const struct sockaddr *to = (const struct sockaddr *)&job->name;
    int64_t until = clock_ms() + job->number;
    int count = 0;
    while (clock_ms() < until) {
        for (int i = 0; i < 3; i++, count++) {
            if (sendto(job->fd, &count, sizeof(count), 0, to, job->name_length) < 0)
                return -errno;
        }
        for (volatile int pause = 0; pause < 2000; pause++)
            ;
    }
    return sendto(job->fd, NULL, 0, 0, to, job->name_length) < 0 ? -errno : count;
}

JOB_FUNCTION(send_for_a_while)

#define STORM_MS 150
#define STORM_PERIOD_NS 50000

static timer_t begin_storm(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, ._sigev_un._tid = gettid()};
    const struct itimerspec often = {{0, STORM_PERIOD_NS}, {0, STORM_PERIOD_NS}};
    timer_t timer;
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &often, NULL), 0);
    return timer;
}

/* Every call that the receive makes inside may be interrupted too. */
static void many_signals_neither_end_a_receive_nor_change_the_order(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.far);
    int number = 0, expected = 0;
    ssize_t got;
    job->number = STORM_MS;
    memcpy(&job->name, &pair.near.address.name, sizeof(pair.near.address.name));
    job->name_length = pair.near.address.length;
    catch_signal(SA_RESTART);
    timer_t timer = begin_storm();
    struct task *task = task_begin(pair.far.at, send_for_a_while, job);
    while ((got = recv(pair.near.fd, &number, sizeof(number), 0)) == (ssize_t)sizeof(number) && number == expected)
        expected++;
    long error = got < 0 ? -errno : got;
    assert_int_equal(timer_delete(timer), 0);
    assert_result(error, 0);
    assert_result(task_finish(task), expected);
    assert_true(signals > 0);
}

/* ---- Cancellation ---------------------------------------------------------------------------------------------- */

/* A failing test cancels a task twice; here the thread is this test's own. */
static void *receive_for_ever(void *arg)
{
    struct task *task = arg;
    char data[16];
    atomic_store(&task->tid, gettid());
    recv(task->job->fd, data, sizeof(data), 0);
    return NULL;
}

static void a_receive_that_sleeps_can_be_cancelled(void **state)
{
    (void)state;
    if (CONTRACT_ADDRESS_SANITIZER)
        skip(); /* it takes the unwinding for an overflow */
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task own_task = {.job = end_job(&pair.near)};
    void *result;
    assert_int_equal(pthread_create(&own_task.thread, NULL, receive_for_ever, &own_task), 0);
    task_await_sleep(&own_task);
    assert_int_equal(pthread_cancel(own_task.thread), 0);
    assert_int_equal(pthread_join(own_task.thread, &result), 0);
    assert_ptr_equal(result, PTHREAD_CANCELED);
    end_tell(&pair.far, &pair.near, "later");
    end_hears(&pair.near, "later");
    struct task *task = receiver_asleep(&pair.near);
    end_tell(&pair.far, &pair.near, "and later");
    assert_result(task_finish(task), 9);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_datagram_wakes_a_receive),
    EVERY(a_datagram_wakes_a_receive_of_the_other_process),
    EVERY(an_empty_datagram_wakes_a_receive),
    BOTH(a_datagram_wakes_a_read),
    EVERY(each_of_several_receives_gets_one_datagram),
    EVERY(a_signal_interrupts_a_receive),
    EVERY(a_receive_goes_on_after_a_signal_with_sa_restart),
    BOTH(a_receive_with_a_timeout_is_interrupted_in_spite_of_sa_restart),
    EVERY(a_handler_may_receive_what_the_interrupted_call_waited_for),
    EVERY(a_signal_interrupts_a_send_that_sleeps),
    EVERY(many_signals_neither_end_a_receive_nor_change_the_order),
    EVERY(a_receive_that_sleeps_can_be_cancelled),
};

CONTRACT_SUITE(receive_blocking, tests);
