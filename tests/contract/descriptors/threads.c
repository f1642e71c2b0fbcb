/* Many threads on one socket: every datagram arrives once, each sender's in order. */
#include "support/pair.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EACH 400 /* datagrams of a sender */

/* What a datagram says: who sent it, and which of his it is. */
struct stamp {
    int sender, number;
};

/* job->number: the sender; blocking. */
static long send_stamps(struct job *job)
{
    const struct sockaddr *name = job->name_length > 0 ? (const struct sockaddr *)&job->name : NULL;
    for (int i = 0; i < EACH; i++) {
        const struct stamp stamp = {.sender = job->number, .number = i};
        if (sendto(job->fd, &stamp, sizeof(stamp), 0, name, job->name_length) != (ssize_t)sizeof(stamp))
            return -errno;
    }
    return 0;
}

JOB_FUNCTION(send_stamps)

#define THREADS_MAX 8

/* What all receiving threads of this process know. */
static atomic_int seen[THREADS_MAX][EACH];
static atomic_int left;

static long take(struct job *job, struct stamp *ret_stamp)
{
    ssize_t got = recv(job->fd, ret_stamp, sizeof(*ret_stamp), 0);
    if (got < 0)
        return -errno;
    if (got != (ssize_t)sizeof(*ret_stamp) || ret_stamp->sender >= THREADS_MAX || ret_stamp->number >= EACH)
        return -EBADMSG;
    return 0;
}

/* One of several receivers: each takes tickets, and a datagram for each. A sender's come to one thread in order. */
static long receive_stamps(struct job *job)
{
    int last[THREADS_MAX];
    memset(last, -1, sizeof(last));
    while (atomic_fetch_sub(&left, 1) > 0) {
        struct stamp stamp = {0};
        long failed = take(job, &stamp);
        if (failed)
            return failed;
        if (atomic_fetch_add(&seen[stamp.sender][stamp.number], 1) != 0)
            return -EEXIST;
        if (stamp.number <= last[stamp.sender])
            return -EILSEQ;
        last[stamp.sender] = stamp.number;
    }
    return 0;
}

/* The same without sleeping in the receive itself. */
static long poll_for_stamps(struct job *job)
{
    while (atomic_load(&left) > 0) {
        struct pollfd one = {.fd = job->fd, .events = POLLIN};
        if (poll(&one, 1, 10) == 0)
            continue;
        struct stamp stamp = {0};
        ssize_t got = recv(job->fd, &stamp, sizeof(stamp), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got != (ssize_t)sizeof(stamp) || atomic_fetch_add(&seen[stamp.sender][stamp.number], 1) != 0)
            return -EBADMSG;
        atomic_fetch_sub(&left, 1);
    }
    return 0;
}

static struct task *sender_task(const struct end *from, const struct address *to, int number)
{
    struct job *job = end_job(from);
    job->number = number;
    job->name_length = to ? to->length : 0;
    if (to)
        job->name = to->name;
    return task_begin(from->at, send_stamps, job);
}

static void expect_stamps(int senders)
{
    memset(seen, 0, sizeof(seen));
    atomic_store(&left, senders * EACH);
}

static void finish_all(struct task *tasks[], int count)
{
    for (int i = 0; i < count; i++)
        assert_result(task_finish(tasks[i]), 0);
}

static void many_threads_send_on_one_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *tasks[4];
    expect_stamps(3);
    for (int i = 0; i < 3; i++)
        tasks[i] = sender_task(&pair.far, &pair.near.address, i);
    tasks[3] = task_begin(NULL, receive_stamps, end_job(&pair.near));
    finish_all(tasks, 4);
    assert_empty(pair.near.fd);
}

static void many_threads_receive_on_one_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *tasks[4];
    expect_stamps(1);
    for (int i = 0; i < 3; i++)
        tasks[i] = task_begin(NULL, receive_stamps, end_job(&pair.near));
    tasks[3] = sender_task(&pair.far, &pair.near.address, 0);
    finish_all(tasks, 4);
    assert_empty(pair.near.fd);
}

static void many_threads_poll_and_receive_on_one_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_CONNECTS);
    struct task *tasks[4];
    expect_stamps(1);
    for (int i = 0; i < 3; i++)
        tasks[i] = task_begin(NULL, poll_for_stamps, end_job(&pair.near));
    tasks[3] = sender_task(&pair.far, NULL, 0);
    finish_all(tasks, 4);
    assert_empty(pair.near.fd);
}

static void many_threads_send_and_receive_on_one_socket_at_once(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    struct task *tasks[8];
    warm_up(&end, &end);
    expect_stamps(4);
    for (int i = 0; i < 4; i++) {
        tasks[i] = task_begin(NULL, receive_stamps, end_job(&end));
        tasks[4 + i] = sender_task(&end, &end.address, i);
    }
    finish_all(tasks, 8);
    assert_empty(end.fd);
}

static void many_sockets_send_to_one(void **state)
{
    (void)state;
    struct end receiver = end_bound(NULL, 0), senders[5];
    struct task *tasks[6];
    expect_stamps(5);
    for (int i = 0; i < 5; i++) {
        senders[i] = end_bound(NULL, 0);
        if (contract_variant() != CONTRACT_FRESH)
            warm_up(&senders[i], &receiver);
    }
    for (int i = 0; i < 5; i++)
        tasks[i] = sender_task(&senders[i], &receiver.address, i);
    tasks[5] = task_begin(NULL, receive_stamps, end_job(&receiver));
    finish_all(tasks, 6);
    assert_empty(receiver.fd);
}

/* job->name: whom to. Sends one stamp, receives one, and so on: the peer does the same. */
static long converse(struct job *job)
{
    for (int i = 0; i < EACH; i++) {
        struct stamp stamp = {.sender = job->number, .number = i};
        const struct sockaddr *name = (const struct sockaddr *)&job->name;
        if (sendto(job->fd, &stamp, sizeof(stamp), 0, name, job->name_length) != (ssize_t)sizeof(stamp))
            return -errno;
        long failed = take(job, &stamp);
        if (failed)
            return failed;
        if (stamp.sender == job->number || stamp.number != i)
            return -EILSEQ;
    }
    return 0;
}

JOB_FUNCTION(converse)

static struct task *converse_task(const struct end *end, const struct end *with, int number)
{
    struct job *job = end_job(end);
    job->number = number;
    job->name = with->address.name;
    job->name_length = with->address.length;
    return task_begin(end->at, converse, job);
}

static void two_talk_to_each_other_without_a_pause(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct task *tasks[2] = {converse_task(&pair.near, &pair.far, 0), converse_task(&pair.far, &pair.near, 1)};
    finish_all(tasks, 2);
    assert_empty(pair.near.fd);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static const struct CMUnitTest tests[] = {
    BOTH(many_threads_send_on_one_socket),
    EVERY(many_threads_receive_on_one_socket),
    EVERY(many_threads_poll_and_receive_on_one_socket),
    ALONE(many_threads_send_and_receive_on_one_socket_at_once),
    BOTH(many_sockets_send_to_one),
    EVERY(two_talk_to_each_other_without_a_pause),
};

CONTRACT_SUITE(descriptors_threads, tests);
