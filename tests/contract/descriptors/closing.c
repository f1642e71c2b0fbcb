/* close(): while others use the socket, and of everything at once. */
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The receive holds the socket: its name stays, and what is sent to it arrives. */
static void a_receive_that_sleeps_outlives_a_close_by_another_thread(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* a race, and meant */
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    struct task *task = task_asleep(NULL, job_receive, job);
    let_go(pair.near.fd);
    assert_result(end_say(&pair.far, &pair.near.address, "to the last"), 11);
    assert_result(task_finish(task), 11);
    assert_memory_equal(job->data, "to the last", 11);
    assert_error(close(pair.near.fd), EBADF);
    assert_result(end_say(&pair.far, &pair.near.address, "to nobody"), -ECONNREFUSED);
}

/* It looks at the number again when it is woken. */
static void a_poll_that_sleeps_finds_the_number_closed_at_the_next_datagram(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* a race, and meant */
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->number = POLLIN;
    struct task *task = task_asleep(NULL, job_poll, job);
    let_go(pair.near.fd);
    task_await_sleep(task);
    assert_result(end_say(&pair.far, &pair.near.address, "to the last"), 11);
    assert_result(task_finish(task), POLLNVAL);
}

static void a_send_that_sleeps_outlives_a_close_by_another_thread(void **state)
{
    (void)state;
    if (CONTRACT_THREAD_SANITIZER)
        skip(); /* a race, and meant */
    struct pair pair = pair_new(NEAR_CONNECTS);
    int count = end_fill(&pair.near, NULL, 0);
    char text[64];
    snprintf(text, sizeof(text), "number %d", count);
    struct task *task = task_asleep(NULL, job_send, end_job_say(&pair.near, NULL, text, 0));
    let_go(pair.near.fd);
    int drained = end_drain(&pair.far, 0);
    assert_result(task_finish(task), strlen(text));
    drained += end_drain(&pair.far, drained);
    assert_int_equal(drained, count + 1);
}

static void a_socket_closed_in_a_process_stays_open_in_another(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct remote *child = contract_another_remote(REMOTE_FORK);
    struct end inherited = pair.near;
    inherited.at = child;
    let_go(pair.near.fd);
    end_tell(&pair.far, &inherited, "to the child");
    end_hears(&inherited, "to the child");
    end_tell(&inherited, &pair.far, "from the child");
    end_hears(&pair.far, "from the child");
    assert_result(end_revents(&inherited, POLLIN), 0);
}

/* ---- All descriptors at once ----------------------------------------------------------------------------------- */

static int bound_socket(struct address *ret_address, const char *label)
{
    struct address address = address_path(label);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, address_of(&address), address.length) != 0)
        return -1;
    *ret_address = address;
    return fd;
}

/* Both ways; true if every datagram came, and nothing else. */
static bool converse(const int fds[2], const struct address addresses[2])
{
    char text[32], data[32];
    for (int i = 0; i < 40; i++) {
        int to = i % 2;
        ssize_t length = snprintf(text, sizeof(text), "datagram %d", i);
        if (sendto(fds[1 - to], text, (size_t)length, 0, address_of(&addresses[to]), addresses[to].length) != length)
            return false;
        if (recv(fds[to], data, sizeof(data), 0) != length || memcmp(data, text, (size_t)length) != 0)
            return false;
    }
    return recv(fds[0], data, sizeof(data), 0) == -1 && errno == EAGAIN;
}

static void close_by_loop(void)
{
    for (int fd = 0; fd < 4096; fd++)
        close(fd);
}

static void close_by_loop_downwards(void)
{
    for (int fd = 4095; fd >= 0; fd--)
        close(fd);
}

static void close_by_range(void)
{
    close_range(0, ~0U, 0);
}

static void close_by_closefrom(void)
{
    closefrom(0);
}

static void close_by_raw_call(void)
{
    syscall(SYS_close_range, 0, ~0U, 0);
}

/* As daemons do who know which standard ones they keep. */
static void close_by_dup2(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 1024; fd++) {
        if (fd != null)
            dup2(null, fd);
    }
    close_range(0, ~0U, 0);
}

/* Two sockets that talk, everything closed, and on with new ones. True if nothing of it failed. */
static bool live_on(void (*close_all)(void))
{
    struct address addresses[2];
    int fds[2];
    char label[32];
    for (int i = 0; i < 3; i++) {
        for (int n = 0; n < 2; n++) {
            snprintf(label, sizeof(label), "round%d.%d", i, n);
            fds[n] = bound_socket(&addresses[n], label);
        }
        if (fds[0] < 0 || fds[1] < 0 || (i > 0 && fds[0] != 0) || !converse(fds, addresses))
            return false;
        close_all();
        if (fcntl(fds[0], F_GETFD) != -1 || errno != EBADF)
            return false;
        if (send(fds[1], "x", 1, 0) != -1 || errno != EBADF)
            return false;
    }
    return true;
}

static void close_everything_and_go_on(void (*close_all)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGALRM, SIG_DFL);
        alarm(20);
        _exit(live_on(close_all) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_loop_over_all_numbers(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_loop);
}

static void a_loop_downwards(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_loop_downwards);
}

static void close_range_of_everything(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_range);
}

static void closefrom_of_everything(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_closefrom);
}

static void close_range_by_its_number(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_raw_call);
}

static void dup2_onto_all_numbers(void **state)
{
    (void)state;
    close_everything_and_go_on(close_by_dup2);
}

/* job->fd stays open; all else that is above the test's own pipes is closed. */
static long close_all_but_one(struct job *job)
{
    int highest = job->number;
    for (int fd = highest + 1; fd < 4096; fd++) {
        if (fd != job->fd)
            close(fd);
    }
    return 0;
}

JOB_FUNCTION(close_all_but_one)

static void who_closes_all_but_its_socket_keeps_talking(void **state)
{
    (void)state;
    struct remote *remote = contract_another_remote(contract_variant() == CONTRACT_PLAIN ? REMOTE_PLAIN : REMOTE_FORK);
    struct end near = end_bound(NULL, 0), far = end_bound(remote, 0);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&near, &far);
    for (int i = 0; i < 5; i++) {
        struct job *job = end_job(&far);
        job->number = 20; /* the pipes are small numbers */
        assert_result(job_run(remote, close_all_but_one, job), 0);
        for (int n = 0; n < 10; n++) {
            end_tell(&near, &far, "still there?");
            end_hears(&far, "still there?");
            end_tell(&far, &near, "still here");
            end_hears(&near, "still here");
        }
    }
}

static void close_range_with_cloexec_closes_nothing_now(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    unsigned fd = (unsigned)pair.near.fd;
    assert_result(close_range(fd, fd, CLOSE_RANGE_CLOEXEC), 0);
    assert_result(fcntl(pair.near.fd, F_GETFD), FD_CLOEXEC);
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
    assert_error(close_range(fd, fd - 1, 0), EINVAL);
    assert_error(close_range(fd, fd, ~0), EINVAL);
    disown(pair.near.fd);
    assert_result(close_range(fd, fd, 0), 0);
    assert_result(end_say(&pair.far, &pair.near.address, "x"), -ECONNREFUSED);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_receive_that_sleeps_outlives_a_close_by_another_thread),
    EVERY(a_poll_that_sleeps_finds_the_number_closed_at_the_next_datagram),
    EVERY(a_send_that_sleeps_outlives_a_close_by_another_thread),
    EVERY(a_socket_closed_in_a_process_stays_open_in_another),
    ALONE(a_loop_over_all_numbers),
    ALONE(a_loop_downwards),
    ALONE(close_range_of_everything),
    ALONE(closefrom_of_everything),
    ALONE(close_range_by_its_number),
    ALONE(dup2_onto_all_numbers),
    FRESH(who_closes_all_but_its_socket_keeps_talking),
    ELSEWHERE(who_closes_all_but_its_socket_keeps_talking),
    EVERY(close_range_with_cloexec_closes_nothing_now),
};

CONTRACT_SUITE(descriptors_closing, tests);
