/* Processes that are killed, and what is left of them. */
#include "support/pair.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static void what_a_killed_sender_said_stays_readable(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int count = end_fill(&pair.far, &pair.near.address, 0);
    contract_end_remote(pair.far.at);
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    assert_int_equal(end_drain(&pair.near, 0), count);
    assert_revents(pair.near.fd, POLLIN, 0);
    assert_empty(pair.near.fd);
}

static void a_receiver_that_was_killed_is_econnrefused_by_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.near, &pair.far, "unread");
    contract_end_remote(pair.far.at);
    for (int i = 0; i < 3; i++)
        assert_result(end_say(&pair.near, &pair.far.address, "anybody?"), -ECONNREFUSED);
}

static void a_peer_that_was_killed_is_econnrefused_and_then_no_peer(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    end_tell(&pair.near, &pair.far, "unread");
    contract_end_remote(pair.far.at);
    assert_error(send(pair.near.fd, "x", 1, 0), ECONNREFUSED);
    assert_error(send(pair.near.fd, "x", 1, 0), ENOTCONN);
}

/* What is wrong with a datagram itself is said before what became of its receiver, which the next one learns. */
static void what_is_wrong_with_a_datagram_comes_before_the_end_of_its_receiver(void **state)
{
    (void)state;
    char bytes[] = "data";
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr header;
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    const int none = -1;
    memcpy(CMSG_DATA(&control.header), &none, sizeof(none));
    struct iovec good = {.iov_base = bytes, .iov_len = 4};
    struct msghdr message = {
        .msg_iov = &good, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    size_t length = 4 << 20;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + length / 2, length / 2, PROT_NONE), 0);
    struct remote *remote = contract_far();
    for (int i = 0; i < 4; i++) {
        struct end near = end_bound(NULL, 0);
        struct end far = end_bound(remote, 0);
        assert_result(end_connect(&near, &far.address), 0);
        warm_up(&near, &far);
        end_tell(&near, &far, "unread");
        contract_end_remote(remote);
        remote =
            i == 3 ? NULL : contract_another_remote(contract_variant() == CONTRACT_PLAIN ? REMOTE_PLAIN : REMOTE_FORK);
        if (i == 0)
            assert_error(send(near.fd, bytes, 1, MSG_OOB), EOPNOTSUPP);
        else if (i == 1)
            assert_error(sendmsg(near.fd, &message, 0), EBADF);
        else if (i == 2)
            assert_error(send(near.fd, memory, length / 2, 0), EMSGSIZE);
        else
            assert_error(send(near.fd, memory + length / 2 - 10, 20, 0), EFAULT);
        assert_error(send(near.fd, "x", 1, 0), ECONNREFUSED);
        assert_error(send(near.fd, "x", 1, 0), ENOTCONN);
    }
    assert_int_equal(munmap(memory, length), 0);
}

static void a_receiver_killed_in_its_sleep_is_econnrefused(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.far);
    job->length = 16;
    task_asleep(pair.far.at, job_receive, job);
    contract_end_remote(pair.far.at);
    assert_result(end_say(&pair.near, &pair.far.address, "anybody?"), -ECONNREFUSED);
}

/* job->name: whom to. Sends numbered datagrams until it is killed. */
static long send_for_ever(struct job *job)
{
    char text[64];
    for (int i = 0;; i++) {
        size_t length = (size_t)snprintf(text, sizeof(text), "number %d", i);
        const struct sockaddr *name = (const struct sockaddr *)&job->name;
        if (sendto(job->fd, text, length, 0, name, job->name_length) != (ssize_t)length)
            return -errno;
    }
}

JOB_FUNCTION(send_for_ever)

static void a_sender_killed_while_it_sends_leaves_a_whole_sequence(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.far);
    job->name = pair.near.address.name;
    job->name_length = pair.near.address.length;
    task_begin(pair.far.at, send_for_ever, job);
    int count = 0;
    while (count < 1000)
        count += end_drain(&pair.near, count);
    contract_end_remote(pair.far.at);
    end_drain(&pair.near, count);
    assert_empty(pair.near.fd);
    struct end other = end_bound(NULL, 0);
    end_tell(&other, &pair.near, "life goes on");
    end_hears(&pair.near, "life goes on");
}

static long receive_for_ever(struct job *job)
{
    char data[64];
    while (recv(job->fd, data, sizeof(data), 0) > 0)
        ;
    return -errno;
}

JOB_FUNCTION(receive_for_ever)

static void a_receiver_killed_while_it_receives_ends_its_sender(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    task_begin(pair.far.at, receive_for_ever, end_job(&pair.far));
    for (int i = 0; i < 1000; i++)
        assert_result(end_say(&pair.near, &pair.far.address, "and on"), 6);
    struct job *job = end_job(&pair.near);
    job->name = pair.far.address.name;
    job->name_length = pair.far.address.length;
    struct task *sender = task_begin(NULL, send_for_ever, job);
    contract_end_remote(pair.far.at);
    assert_result(task_finish(sender), -ECONNREFUSED);
}

static void who_waits_for_others_beside_a_killed_peer_is_woken_by_them(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    warm_up(&other, &pair.near);
    struct job *job = end_job(&pair.near);
    job->number = POLLIN;
    struct task *task = task_asleep(NULL, job_poll, job);
    contract_end_remote(pair.far.at);
    task_await_sleep(task);
    end_tell(&other, &pair.near, "from the other");
    assert_result(task_finish(task), POLLIN);
    end_hears(&pair.near, "from the other");
}

/* ---- Sockets that outlive the process that received on them ----------------------------------------------------- */

/* The test holds the socket, as service managers do; workers come, receive, and are killed. */
static void nothing_is_lost_when_a_worker_is_killed_and_the_next_one_takes_over(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a program that is executed with a socket is not noticed"))
        return;
    struct remote *far = contract_far();
    struct end socket_held = end_bound(NULL, 0), sender = end_bound(far, 0);
    int said = 0, heard = 0;
    char text[64];
    for (int i = 0; i < 4; i++) {
        struct remote *process = contract_another_remote(i % 2 ? REMOTE_FORK : REMOTE_EXEC);
        struct end worker = socket_held;
        worker.at = process;
        for (int n = 0; n < 30; n++) {
            snprintf(text, sizeof(text), "number %d", said++);
            end_tell(&sender, &worker, text);
            if (said - heard > 3) { /* so three are left to the next */
                snprintf(text, sizeof(text), "number %d", heard++);
                end_hears(&worker, text);
            }
        }
        contract_end_remote(process);
    }
    while (heard < said) {
        snprintf(text, sizeof(text), "number %d", heard++);
        end_hears(&socket_held, text);
    }
    assert_empty(socket_held.fd);
}

static void a_worker_killed_in_its_sleep_loses_nothing(void **state)
{
    (void)state;
    struct remote *far = contract_far();
    struct end socket_held = end_bound(NULL, 0), sender = end_bound(far, 0);
    for (int i = 0; i < 4; i++) {
        struct remote *process = contract_another_remote(REMOTE_FORK);
        struct end worker = socket_held;
        worker.at = process;
        warm_up(&sender, &worker);
        struct job *job = end_job(&worker);
        job->length = 16;
        task_asleep(process, job_receive, job);
        contract_end_remote(process);
        end_tell(&sender, &socket_held, "for the next");
        end_hears(&socket_held, "for the next");
    }
}

static const struct CMUnitTest tests[] = {
    ELSEWHERE(what_a_killed_sender_said_stays_readable),
    ELSEWHERE(a_receiver_that_was_killed_is_econnrefused_by_name),
    ELSEWHERE(a_peer_that_was_killed_is_econnrefused_and_then_no_peer),
    ELSEWHERE(what_is_wrong_with_a_datagram_comes_before_the_end_of_its_receiver),
    ELSEWHERE(a_receiver_killed_in_its_sleep_is_econnrefused),
    ELSEWHERE(a_sender_killed_while_it_sends_leaves_a_whole_sequence),
    ELSEWHERE(a_receiver_killed_while_it_receives_ends_its_sender),
    ELSEWHERE(who_waits_for_others_beside_a_killed_peer_is_woken_by_them),
    EVERY(nothing_is_lost_when_a_worker_is_killed_and_the_next_one_takes_over),
    EVERY(a_worker_killed_in_its_sleep_loses_nothing),
};

CONTRACT_SUITE(processes_kill, tests);
