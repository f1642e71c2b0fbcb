/* Who sent a datagram: SO_PASSCRED and SCM_CREDENTIALS. */
#include "support/control.h"
#include "support/pair.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t send_credentials(int fd, const struct address *to, struct ucred credentials)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(credentials))] = "";
    struct iovec part = {.iov_base = (char[]){"who"}, .iov_len = 3};
    struct address name = *to;
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_name = &name.name,
        .msg_namelen = name.length,
        .msg_control = control,
        .msg_controllen = sizeof(control),
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(credentials));
    memcpy(CMSG_DATA(header), &credentials, sizeof(credentials));
    return sendmsg(fd, &message, 0);
}

static struct ucred own_credentials(void)
{
    return (struct ucred){.pid = getpid(), .uid = getuid(), .gid = getgid()};
}

static void check_credentials(const struct received *got, pid_t pid)
{
    assert_true(got->has_credentials);
    assert_int_equal(got->credentials.pid, pid);
    assert_int_equal(got->credentials.uid, getuid());
    assert_int_equal(got->credentials.gid, getgid());
}

static pid_t far_pid(const struct pair *pair)
{
    return pair->far.at ? pair->far.at->pid : getpid();
}

static void every_datagram_carries_them_without_the_senders_help(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.far, &pair.near, "plain");
        struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
        assert_string_equal(got.text, "plain");
        check_credentials(&got, far_pid(&pair));
    }
}

static void receivers_that_do_not_ask_get_none(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "plain");
    struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
    assert_false(got.has_credentials);
    assert_result(send_credentials(pair.near.fd, &pair.near.address, own_credentials()), 3);
    got = receive_all(pair.near.fd, MSG_DONTWAIT);
    assert_string_equal(got.text, "who");
    assert_false(got.has_credentials);
}

static void receivers_that_stop_asking_get_none(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    end_tell(&pair.far, &pair.near, "with");
    struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
    check_credentials(&got, far_pid(&pair));
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 0), 0);
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.far, &pair.near, "without");
        got = receive_all(pair.near.fd, MSG_DONTWAIT);
        assert_string_equal(got.text, "without");
        assert_false(got.has_credentials);
    }
}

static void senders_may_say_who_they_are(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    assert_result(send_credentials(pair.near.fd, &pair.near.address, own_credentials()), 3);
    struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
    check_credentials(&got, getpid());
}

/* Says that it is the process job->number, as a user with no privileges. */
static long claim_to_be(struct job *job)
{
    struct ucred claimed = {.pid = job->number, .uid = 65534, .gid = 65534};
    struct address name = {.name = job->name, .length = job->name_length};
    if (geteuid() == 0 && (setresgid(65534, 65534, 65534) != 0 || setresuid(65534, 65534, 65534) != 0))
        return -errno;
    claimed.uid = getuid();
    claimed.gid = getgid();
    return send_credentials(job->fd, &name, claimed) < 0 ? -errno : 0;
}

JOB_FUNCTION(claim_to_be)

static void a_false_pid_is_eperm_and_one_of_nobody_esrch(void **state)
{
    (void)state;
    struct remote *remote = contract_remote();
    struct end receiver = end_bound_abstract(NULL, 0), sender = end_new(remote, 0);
    struct job *job = end_job(&sender);
    job->name = receiver.address.name;
    job->name_length = receiver.address.length;
    job->number = getpid();
    assert_result(job_run(remote, claim_to_be, job), -EPERM);
    assert_empty(receiver.fd);

    struct address to = receiver.address;
    struct ucred nobody = {.pid = 0x3fffffff, .uid = getuid(), .gid = getgid()};
    if (geteuid() == 0)
        assert_error(send_credentials(receiver.fd, &to, nobody), ESRCH);
    assert_empty(receiver.fd);
}

static void a_sender_that_asks_for_credentials_is_bound_by_its_first_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_NAMELESS);
    struct address from = {.length = sizeof(from.name)};
    char data[16];
    assert_result(end_set(&pair.far, SOL_SOCKET, SO_PASSCRED, 1), 0);
    end_tell(&pair.far, &pair.near, "named now");
    assert_result(recvfrom(pair.near.fd, data, 16, 0, (struct sockaddr *)&from.name, &from.length), 9);
    assert_int_equal(from.length, sizeof(sa_family_t) + 6);
    end_tell(&pair.far, &pair.near, "still");
    end_hears(&pair.near, "still");
}

static void descriptors_and_credentials_may_come_together(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int pipes[2];
    new_pipe(pipes);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    assert_result(send_fds(pair.near.fd, &pair.near.address, "both", pipes, 2), 4);
    struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
    check_credentials(&got, getpid());
    assert_int_equal(got.count, 2);
    own(got.fds[0]);
    own(got.fds[1]);
}

static void too_little_room_for_them_is_msg_ctrunc(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PASSCRED, 1), 0);
    end_tell(&pair.far, &pair.near, "plain");
    struct received got = receive_with(pair.near.fd, MSG_DONTWAIT, 0);
    assert_int_equal(got.length, 5);
    assert_int_equal(got.flags, MSG_CTRUNC);
}

static const struct CMUnitTest tests[] = {
    EVERY(every_datagram_carries_them_without_the_senders_help),
    EVERY(receivers_that_do_not_ask_get_none),
    EVERY(receivers_that_stop_asking_get_none),
    BOTH(senders_may_say_who_they_are),
    ALONE(a_false_pid_is_eperm_and_one_of_nobody_esrch),
    EVERY(a_sender_that_asks_for_credentials_is_bound_by_its_first_datagram),
    BOTH(descriptors_and_credentials_may_come_together),
    BOTH(too_little_room_for_them_is_msg_ctrunc),
};

CONTRACT_SUITE(ancillary_credentials, tests);
