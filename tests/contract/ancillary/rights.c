/* Descriptors that travel with a datagram. */
#include "support/control.h"
#include "support/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void own_all(const struct received *got)
{
    for (size_t i = 0; i < got->count; i++)
        own(got->fds[i]);
}

static void a_descriptor_arrives_with_its_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    for (int i = 0; i < 5; i++) {
        assert_result(send_fds(pair.far.fd, &pair.near.address, "here", &pipes[1], 1), 4);
        struct received got = receive_all(pair.near.fd, 0);
        assert_int_equal(got.length, 4);
        assert_string_equal(got.text, "here");
        assert_int_equal(got.flags, 0);
        assert_int_equal(got.count, 1);
        own_all(&got);
        assert_int_not_equal(got.fds[0], pipes[1]);
        assert_true(is_same_file(got.fds[0], pipes[1]));
        assert_int_equal(fcntl(got.fds[0], F_GETFD), 0);
    }
}

static void datagrams_with_and_without_descriptors_keep_their_order(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    for (int i = 0; i < 10; i++) {
        end_tell(&pair.far, &pair.near, "before");
        assert_result(send_fds(pair.far.fd, &pair.near.address, "with", pipes, 1), 4);
        end_tell(&pair.far, &pair.near, "between");
        assert_result(send_fds(pair.far.fd, &pair.near.address, "with too", pipes + 1, 1), 8);
        end_tell(&pair.far, &pair.near, "after");
        static const char *const texts[] = {"before", "with", "between", "with too", "after"};
        for (int n = 0; n < 5; n++) {
            struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
            assert_string_equal(got.text, texts[n]);
            assert_int_equal(got.count, n % 2);
            if (n % 2)
                assert_true(is_same_file(got.fds[0], pipes[n / 2]));
            own_all(&got);
        }
    }
}

static void a_receive_without_room_for_control_messages_closes_them(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    char data[16];
    new_pipe(pipes);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "one", &pipes[1], 1), 3);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "two", &pipes[1], 1), 3);
    let_go(pipes[1]);
    assert_error(read(pipes[0], data, 1), EAGAIN); /* in flight, so there is still a writer */
    assert_result(recv(pair.near.fd, data, sizeof(data), 0), 3);
    struct received got = receive_with(pair.near.fd, 0, 0);
    assert_int_equal(got.length, 3);
    assert_int_equal(got.flags, MSG_CTRUNC);
    assert_result(read(pipes[0], data, 1), 0);
}

static void descriptors_never_received_are_closed_with_the_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    char data[4];
    new_pipe(pipes);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "unread", &pipes[1], 1), 6);
    let_go(pipes[1]);
    assert_error(read(pipes[0], data, 1), EAGAIN);
    let_go(pair.near.fd);
    assert_result(read(pipes[0], data, 1), 0);
}

static void a_peek_duplicates_them(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "here", &pipes[1], 1), 4);
    for (int i = 0; i < 3; i++) {
        struct received got = receive_all(pair.near.fd, i < 2 ? MSG_PEEK : 0);
        assert_string_equal(got.text, "here");
        assert_int_equal(got.count, 1);
        own_all(&got);
        assert_true(is_same_file(got.fds[0], pipes[1]));
    }
    assert_empty(pair.near.fd);
}

static void cloexec_is_set_if_asked_for(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "here", pipes, 2), 4);
    struct received got = receive_all(pair.near.fd, MSG_CMSG_CLOEXEC);
    assert_int_equal(got.count, 2);
    own_all(&got);
    assert_int_equal(got.flags, MSG_CMSG_CLOEXEC);
    assert_int_equal(fcntl(got.fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(got.fds[1], F_GETFD), FD_CLOEXEC);
}

static void up_to_253_descriptors_fit_and_one_more_is_einval(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2], many[254];
    new_pipe(pipes);
    for (int i = 0; i < 254; i++)
        many[i] = pipes[i % 2];
    assert_error(send_fds(pair.far.fd, &pair.near.address, "too many", many, 254), EINVAL);
    assert_empty(pair.near.fd);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "many", many, 253), 4);
    struct received got = receive_all(pair.near.fd, 0);
    assert_int_equal(got.count, 253);
    own_all(&got);
    for (int i = 0; i < 253; i++)
        assert_true(is_same_file(got.fds[i], pipes[i % 2]));
}

static void a_bad_descriptor_is_ebadf_and_nothing_is_sent(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    assert_error(send_fds(pair.far.fd, &pair.near.address, "bad", (int[]){pipes[0], -1}, 2), EBADF);
    assert_error(send_fds(pair.far.fd, &pair.near.address, "bad", (int[]){1000000}, 1), EBADF);
    assert_empty(pair.near.fd);
    end_tell(&pair.far, &pair.near, "good");
    end_hears(&pair.near, "good");
}

static void a_short_or_overlong_header_is_einval(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_CONNECTS);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = "";
    struct iovec part = {.iov_base = (char[]){"bad"}, .iov_len = 3};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(0) - 1;
    assert_error(sendmsg(pair.far.fd, &message, 0), EINVAL);
    header->cmsg_len = sizeof(control) + 1;
    assert_error(sendmsg(pair.far.fd, &message, 0), EINVAL);
    header->cmsg_len = CMSG_LEN(sizeof(int));
    header->cmsg_type = 99;
    assert_error(sendmsg(pair.far.fd, &message, 0), EINVAL);
    assert_empty(pair.near.fd);
    end_tell(&pair.far, &pair.near, "good");
    end_hears(&pair.near, "good");
}

static void too_little_room_gives_some_and_msg_ctrunc(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2], four[4];
    new_pipe(pipes);
    for (int i = 0; i < 4; i++)
        four[i] = pipes[1];
    assert_result(send_fds(pair.far.fd, &pair.near.address, "four", four, 4), 4);
    let_go(pipes[1]);
    struct received got = receive_with(pair.near.fd, 0, CMSG_LEN(2 * sizeof(int)));
    assert_int_equal(got.length, 4);
    assert_int_equal(got.flags, MSG_CTRUNC);
    assert_int_equal(got.count, 2);
    assert_error(read(pipes[0], &four[0], 1), EAGAIN);
    assert_int_equal(close(got.fds[0]), 0);
    assert_int_equal(close(got.fds[1]), 0);
    assert_result(read(pipes[0], &four[0], 1), 0); /* the others are closed */
}

static void an_empty_datagram_may_carry_descriptors(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    assert_result(send_fds(pair.far.fd, &pair.near.address, "", pipes, 1), 0);
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    struct received got = receive_all(pair.near.fd, 0);
    assert_int_equal(got.length, 0);
    assert_int_equal(got.count, 1);
    own_all(&got);
}

/* job->number is the descriptor to write to, taken from a datagram on job->fd. */
static long write_to_what_comes(struct job *job)
{
    struct received got = receive_all(job->fd, 0);
    if (got.length != 4 || got.count != 1)
        return -EBADMSG;
    ssize_t written = write(got.fds[0], "through", 7);
    close(got.fds[0]);
    return written;
}

JOB_FUNCTION(write_to_what_comes)

static void descriptors_pass_to_another_process(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    char data[16] = "";
    new_pipe(pipes);
    for (int i = 0; i < 3; i++) {
        struct task *task = task_asleep(pair.far.at, write_to_what_comes, end_job(&pair.far));
        assert_result(send_fds(pair.near.fd, &pair.far.address, "take", &pipes[1], 1), 4);
        assert_result(task_finish(task), 7);
        assert_result(read(pipes[0], data, sizeof(data)), 7);
        assert_string_equal(data, "through");
    }
}

/* ---- A socket that another process changes ----------------------------------------------------------------------- */

/* Takes the descriptor that waits at the socket of the job, and keeps it. Returns its number. */
static long take_descriptor(struct job *job)
{
    struct received got = receive_all(job->fd, 0);
    return got.count == 1 ? got.fds[0] : -EBADMSG;
}
JOB_FUNCTION(take_descriptor)

/* A connected sender, warm, whose descriptor another process has too: its end there. */
static struct end share(struct end *sender, const struct end *receiver)
{
    struct remote *other = contract_another_remote(REMOTE_FORK);
    struct end mailbox = end_bound(other, 0);
    assert_result(end_connect(sender, &receiver->address), 0);
    warm_up(sender, receiver);
    assert_result(send_fds(own(socket(AF_UNIX, SOCK_DGRAM, 0)), &mailbox.address, "yours", &sender->fd, 1), 5);
    struct job *job = job_new(other);
    job->fd = mailbox.fd;
    struct end shared = {.at = other, .fd = (int)job_run(other, take_descriptor, job)};
    assert_true(shared.fd >= 0);
    for (int i = 0; i < 20; i++) {
        assert_result(send(sender->fd, "shared", 6, 0), 6);
        end_hears(receiver, "shared");
    }
    return shared;
}

static void a_passed_sender_goes_where_the_other_process_connects_it(void **state)
{
    (void)state;
    struct end sender = end_bound(NULL, 0), first = end_bound(contract_far(), 0), second = end_bound(contract_far(), 0);
    struct end shared = share(&sender, &first);
    assert_result(end_connect(&shared, &second.address), 0);
    for (int i = 0; i < 5; i++) {
        assert_result(send(sender.fd, "to the second", 13, 0), 13);
        end_hears(&second, "to the second");
    }
    assert_result(end_revents(&first, POLLIN), 0);
    assert_result(end_dissolve(&shared), 0);
    assert_error(send(sender.fd, "nowhere", 7, 0), ENOTCONN);
}

static void a_passed_sender_that_is_shut_down_elsewhere_is_a_broken_pipe(void **state)
{
    (void)state;
    struct end sender = end_bound(NULL, 0), receiver = end_bound(contract_far(), 0);
    struct end shared = share(&sender, &receiver);
    assert_result(end_shutdown(&shared, SHUT_WR), 0);
    assert_error(send(sender.fd, "too late", 8, MSG_NOSIGNAL), EPIPE);
    assert_result(end_revents(&receiver, POLLIN), 0);
}

static const struct CMUnitTest tests[] = {
    AWAY(a_passed_sender_goes_where_the_other_process_connects_it),
    AWAY(a_passed_sender_that_is_shut_down_elsewhere_is_a_broken_pipe),
    BOTH(a_descriptor_arrives_with_its_datagram),
    BOTH(datagrams_with_and_without_descriptors_keep_their_order),
    BOTH(a_receive_without_room_for_control_messages_closes_them),
    BOTH(descriptors_never_received_are_closed_with_the_socket),
    BOTH(a_peek_duplicates_them),
    BOTH(cloexec_is_set_if_asked_for),
    BOTH(up_to_253_descriptors_fit_and_one_more_is_einval),
    BOTH(a_bad_descriptor_is_ebadf_and_nothing_is_sent),
    BOTH(a_short_or_overlong_header_is_einval),
    BOTH(too_little_room_gives_some_and_msg_ctrunc),
    BOTH(an_empty_datagram_may_carry_descriptors),
    EVERY(descriptors_pass_to_another_process),
};

CONTRACT_SUITE(ancillary_rights, tests);
