/* Sockets that go to another process: by fork, by exec, over SCM_RIGHTS; daemons. */
#include "support/control.h"
#include "support/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
/* They talk as before. */
static void go_on(const struct end *far, const struct end *near)
{
    for (int i = 0; i < 20; i++) {
        end_tell(far, near, "there");
        end_hears(near, "there");
        end_tell(near, far, "back");
        end_hears(far, "back");
    }
}

/* The same socket as another process has it. */
static struct end seen_from(const struct end *end, struct remote *remote)
{
    struct end there = *end;
    there.at = remote;
    return there;
}

static void a_child_sends_on_the_socket_it_was_born_with(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    for (int i = 0; i < 20; i++) {
        end_tell(&child, &pair.far, "from the child");
        end_hears(&pair.far, "from the child");
        end_tell(&pair.near, &pair.far, "from the parent");
        end_hears(&pair.far, "from the parent");
    }
}

/* Each says a number, in turns; several rounds, so that some of it may take a faster way. */
static void take_turns(const struct end *parent, const struct end *child, const struct end *far)
{
    char text[16];
    for (int round = 0, said = 0, heard = 0; round < 20; round++) {
        for (int i = 0; i < 6; i++) {
            snprintf(text, sizeof(text), "%d", said++);
            end_tell(i & 1 ? child : parent, far, text);
        }
        while (heard < said) {
            snprintf(text, sizeof(text), "%d", heard++);
            end_hears(far, text);
        }
    }
}

static void parent_and_child_send_in_turns_on_a_socket_unused_before(void **state)
{
    (void)state;
    struct remote *there = contract_far();
    struct end near = end_new(NULL, 0), far = end_bound(there, 0);
    struct end child = seen_from(&near, contract_another_remote(REMOTE_FORK));
    for (int i = 0; i < 2 && contract_variant() != CONTRACT_FRESH; i++) {
        warm_up(&near, &far);
        warm_up(&child, &far);
    }
    take_turns(&near, &child, &far);
}

static void parent_and_child_send_in_turns_on_a_socket_that_either_connects(void **state)
{
    (void)state;
    struct remote *there = contract_far();
    for (int i = 0; i < 2; i++) {
        struct end near = end_new(NULL, 0), far = end_bound(there, 0);
        struct end child = seen_from(&near, contract_another_remote(REMOTE_FORK));
        assert_result(end_say(&child, NULL, "too early"), -ENOTCONN);
        assert_result(end_connect(i == 0 ? &near : &child, &far.address), 0);
        near.is_connected = child.is_connected = true;
        if (contract_variant() != CONTRACT_FRESH)
            warm_up(i == 0 ? &near : &child, &far);
        take_turns(&near, &child, &far);
    }
}

static void a_child_receives_what_was_queued_before_it_was_born(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "early");
    end_tell(&pair.far, &pair.near, "for the parent");
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    end_hears(&child, "early");
    end_hears(&pair.near, "for the parent");
    assert_result(end_revents(&child, POLLIN), 0);
}

static void parent_and_child_take_turns_at_one_queue(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.far, &pair.near, "for the child");
        assert_revents(pair.near.fd, POLLIN, POLLIN);
        assert_result(end_revents(&child, POLLIN), POLLIN);
        end_hears(&child, "for the child");
        assert_revents(pair.near.fd, POLLIN, 0);
        end_tell(&pair.far, &pair.near, "for the parent");
        end_hears(&pair.near, "for the parent");
        assert_result(end_revents(&child, POLLIN), 0);
    }
}

static void a_child_that_sleeps_in_a_receive_is_woken(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    for (int i = 0; i < 5; i++) {
        struct job *job = end_job(&child);
        job->length = 64;
        struct task *task = task_asleep(child.at, job_receive, job);
        end_tell(&pair.far, &pair.near, "wake up");
        assert_result(task_finish(task), 7);
    }
}

static void a_child_takes_over_when_its_parent_closes(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    end_tell(&pair.far, &pair.near, "unread");
    let_go(pair.near.fd);
    end_tell(&pair.far, &child, "after");
    end_hears(&child, "unread");
    end_hears(&child, "after");
    go_on(&pair.far, &child);
}

static void the_parent_goes_on_when_its_child_is_killed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end child = seen_from(&pair.near, contract_another_remote(REMOTE_FORK));
    end_tell(&pair.far, &pair.near, "for the child");
    end_hears(&child, "for the child");
    end_tell(&pair.far, &pair.near, "unread");
    contract_end_remote(child.at);
    end_hears(&pair.near, "unread");
    go_on(&pair.far, &pair.near);
}

/* As a service manager hands a bound socket to the program it starts. */
static void a_program_goes_on_with_the_socket_it_was_started_with(void **state)
{
    (void)state;
    if (contract_is_limit("what a ring holds when a socket is handed on comes with the sender's next datagram"))
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "before it was started");
    struct end program = seen_from(&pair.near, contract_another_remote(REMOTE_EXEC));
    end_tell(&pair.far, &pair.near, "after");
    let_go(pair.near.fd);
    end_hears(&program, "before it was started");
    end_hears(&program, "after");
    go_on(&pair.far, &program);
}

static void a_connected_socket_stays_connected_in_a_program(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end program = seen_from(&pair.near, contract_another_remote(REMOTE_EXEC));
    for (int i = 0; i < 20; i++) {
        end_tell(&program, &pair.far, "from the program");
        end_hears(&pair.far, "from the program");
    }
}

static void a_socket_to_be_closed_on_exec_is_closed_there(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(fcntl(pair.near.fd, F_SETFD, FD_CLOEXEC), 0);
    struct end program = seen_from(&pair.near, contract_another_remote(REMOTE_EXEC));
    assert_result(end_receive(&program, (char[4]){""}, 4, MSG_DONTWAIT), -EBADF);
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

/* ---- Passed over SCM_RIGHTS ------------------------------------------------------------------------------------ */

/* Takes a descriptor from a datagram on job->fd, and returns it. */
static long take_descriptor(struct job *job)
{
    struct received got = receive_all(job->fd, 0);
    return got.length == 4 && got.count == 1 ? got.fds[0] : -EBADMSG;
}

JOB_FUNCTION(take_descriptor)

/* Hands a socket to a process over another. */
static struct end hand_over(const struct end *end, struct remote *to)
{
    struct end channel = end_bound(to, 0), mine = end_new(NULL, 0);
    assert_result(send_fds(mine.fd, &channel.address, "take", &end->fd, 1), 4);
    struct end there = seen_from(end, to);
    there.fd = (int)job_run(to, take_descriptor, end_job(&channel));
    assert_true(there.fd >= 0);
    return there;
}

static void a_socket_handed_over_goes_on_there(void **state)
{
    (void)state;
    if (contract_is_limit("what a ring holds when a socket is handed on comes with the sender's next datagram"))
        return;
    struct remote *other = contract_another_remote(REMOTE_FORK);
    struct end near = end_bound(NULL, 0), far = end_bound(NULL, 0);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&near, &far);
    end_tell(&far, &near, "unread");
    struct end there = hand_over(&near, other);
    let_go(near.fd);
    end_hears(&there, "unread");
    go_on(&far, &there);
}

static void a_socket_handed_to_a_plain_process_goes_on_there(void **state)
{
    (void)state;
    if (contract_is_limit("what a ring holds when a socket is handed on comes with the sender's next datagram"))
        return;
    struct remote *other = contract_another_remote(REMOTE_PLAIN);
    struct end near = end_bound(NULL, 0), far = end_bound(NULL, 0);
    warm_up(&near, &far);
    end_tell(&far, &near, "unread");
    struct end there = hand_over(&near, other);
    let_go(near.fd);
    end_hears(&there, "unread");
    go_on(&far, &there);
    assert_result(end_revents(&there, POLLIN), 0);
}

static void a_socket_in_flight_is_not_closed(void **state)
{
    (void)state;
    struct end near = end_bound(NULL, 0), far = end_bound(NULL, 0), channel = end_bound(NULL, 0);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&near, &far);
    assert_result(send_fds(far.fd, &channel.address, "take", &near.fd, 1), 4);
    let_go(near.fd);
    end_tell(&far, &near, "in flight");
    struct received got = receive_all(channel.fd, 0);
    assert_int_equal(got.count, 1);
    assert_receives(own(got.fds[0]), "in flight");
    end_tell(&far, &near, "landed");
    assert_receives(got.fds[0], "landed");
    assert_empty(got.fds[0]);
}

/* ---- Daemons --------------------------------------------------------------------------------------------------- */

/* Echoes datagrams to who sent them until an empty one comes. */
static void echo(int fd)
{
    char data[64];
    struct address from;
    for (;;) {
        from.length = sizeof(from.name);
        ssize_t got = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from.name, &from.length);
        if (got <= 0 || sendto(fd, data, (size_t)got, 0, address_of(&from), from.length) != got)
            break;
    }
}

/* Forks twice, as daemon() does, with a socket that is bound by then; the grandchild serves. */
static void a_daemon_serves_on_the_socket_that_its_grandparent_bound(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setsid();
        pid_t grandchild = fork();
        if (grandchild != 0)
            _exit(grandchild < 0);
        alarm(20);
        signal(SIGALRM, SIG_DFL);
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        echo(pair.near.fd);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    let_go(pair.near.fd);
    for (int i = 0; i < 20; i++) {
        char data[16] = "";
        end_tell(&pair.far, &pair.near, "echo this");
        assert_result(end_receive(&pair.far, data, sizeof(data), 0), 9);
        assert_string_equal(data, "echo this");
    }
    end_tell(&pair.far, &pair.near, "");
}

static long make_send_buffer_small(struct job *job)
{
    int size = 4608;
    return setsockopt(job->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0 ? 0 : -errno;
}
JOB_FUNCTION(make_send_buffer_small)

static void a_send_buffer_that_a_child_makes_small_is_small_at_once(void **state)
{
    (void)state;
    static char data[20000];
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct remote *child = contract_another_remote(REMOTE_FORK);
    struct job *job = job_new(child);
    assert_result(send(pair.near.fd, data, sizeof(data), 0), sizeof(data));
    assert_result(end_receive(&pair.far, data, sizeof(data), 0), sizeof(data));
    job->fd = pair.near.fd;
    assert_result(job_run(child, make_send_buffer_small, job), 0);
    assert_error(send(pair.near.fd, data, sizeof(data), MSG_DONTWAIT), EMSGSIZE);
    assert_result(send(pair.near.fd, data, 1000, 0), 1000);
    assert_result(end_receive(&pair.far, data, sizeof(data), 0), 1000);
}

static const struct CMUnitTest tests[] = {
    BOTH(a_send_buffer_that_a_child_makes_small_is_small_at_once),
    EVERY(a_child_sends_on_the_socket_it_was_born_with),
    EVERY(parent_and_child_send_in_turns_on_a_socket_unused_before),
    EVERY(parent_and_child_send_in_turns_on_a_socket_that_either_connects),
    EVERY(a_child_receives_what_was_queued_before_it_was_born),
    EVERY(parent_and_child_take_turns_at_one_queue),
    EVERY(a_child_that_sleeps_in_a_receive_is_woken),
    EVERY(a_child_takes_over_when_its_parent_closes),
    EVERY(the_parent_goes_on_when_its_child_is_killed),
    EVERY(a_program_goes_on_with_the_socket_it_was_started_with),
    EVERY(a_connected_socket_stays_connected_in_a_program),
    EVERY(a_socket_to_be_closed_on_exec_is_closed_there),
    BOTH(a_socket_handed_over_goes_on_there),
    PLAIN(a_socket_handed_to_a_plain_process_goes_on_there),
    BOTH(a_socket_in_flight_is_not_closed),
    EVERY(a_daemon_serves_on_the_socket_that_its_grandparent_bound),
};

CONTRACT_SUITE(descriptors_inherited, tests);
