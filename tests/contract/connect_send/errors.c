/* What connect() and the calls that send refuse, and with which errno. */
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Both ways to name a receiver fail alike. */
static void check_unreachable(const struct address *address, int error)
{
    struct end end = end_bound(NULL, 0);
    for (int i = 0; i < 3; i++) {
        assert_result(end_say(&end, address, "nobody"), -error);
        assert_result(end_connect(&end, address), -error);
        assert_error(send(end.fd, "x", 1, 0), ENOTCONN);
    }
}

static void a_missing_path_is_enoent(void **state)
{
    (void)state;
    struct address address = address_path("missing");
    check_unreachable(&address, ENOENT);
}

static void a_path_whose_socket_was_closed_is_econnrefused(void **state)
{
    (void)state;
    struct end gone = end_bound(NULL, 0);
    let_go(gone.fd);
    check_unreachable(&gone.address, ECONNREFUSED);
}

static void a_regular_file_is_econnrefused(void **state)
{
    (void)state;
    struct address address = address_path("file");
    int fd = open(address_text(&address), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    check_unreachable(&address, ECONNREFUSED);
}

static void an_abstract_name_that_nobody_has_is_econnrefused(void **state)
{
    (void)state;
    struct address address = address_abstract("nobody");
    check_unreachable(&address, ECONNREFUSED);
}

static void a_directory_is_econnrefused(void **state)
{
    (void)state;
    struct address address = address_path("");
    check_unreachable(&address, ECONNREFUSED);
}

static void a_stream_socket_is_eprototype(void **state)
{
    (void)state;
    struct address address = address_path("stream");
    int stream = own(socket(AF_UNIX, SOCK_STREAM, 0));
    assert_result(bind(stream, address_of(&address), address.length), 0);
    assert_result(listen(stream, 1), 0);
    check_unreachable(&address, EPROTOTYPE);
}

static void a_socket_that_is_not_connected_has_no_peer(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    const struct iovec part = {.iov_base = (char[]){"x"}, .iov_len = 1};
    const struct msghdr message = {.msg_iov = (struct iovec[]){part}, .msg_iovlen = 1};
    assert_error(send(end.fd, "x", 1, 0), ENOTCONN);
    assert_error(sendto(end.fd, "x", 1, 0, NULL, 0), ENOTCONN);
    assert_error(sendmsg(end.fd, &message, 0), ENOTCONN);
    assert_error(write(end.fd, "x", 1), ENOTCONN);
    assert_error(writev(end.fd, &part, 1), ENOTCONN);
    assert_error(getpeername(end.fd, (struct sockaddr *)&name, &length), ENOTCONN);
}

static void a_receiver_that_is_connected_to_somebody_else_is_eperm(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_CONNECTS);
    struct end stranger = end_bound(NULL, 0);
    assert_result(end_say(&stranger, &pair.far.address, "let me in"), -EPERM);
    assert_result(end_connect(&stranger, &pair.far.address), -EPERM);
    end_tell(&pair.near, &pair.far, "friend");
    end_hears(&pair.far, "friend");
}

static void a_receiver_that_connects_elsewhere_is_eperm_from_then_on(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    assert_result(end_connect(&pair.far, &other.address), 0);
    assert_result(end_say(&pair.near, &pair.far.address, "no more"), -EPERM);
    end_tell(&other, &pair.far, "friend");
    end_hears(&pair.far, "friend");
}

static void a_connected_sender_gets_eperm_once_its_peer_connects_elsewhere(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end other = end_bound(NULL, 0);
    assert_result(end_connect(&pair.far, &other.address), 0);
    assert_error(send(pair.near.fd, "x", 1, 0), EPERM);
    assert_result(end_dissolve(&pair.far), 0);
    end_tell(&pair.near, &pair.far, "friends again");
    end_hears(&pair.far, "friends again");
}

static void datagram_sockets_do_not_listen_or_accept(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_error(listen(pair.near.fd, 1), EOPNOTSUPP);
    assert_error(accept(pair.near.fd, NULL, NULL), EOPNOTSUPP);
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static void out_of_band_data_is_eopnotsupp(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char data[4];
    assert_error(send(pair.near.fd, "x", 1, MSG_OOB), EOPNOTSUPP);
    assert_error(recv(pair.near.fd, data, sizeof(data), MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP);
}

static void a_bad_address_is_einval_or_efault(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address address = pair.far.address;
    const struct sockaddr *nowhere = (const struct sockaddr *)(uintptr_t)1;
    address.name.ss_family = AF_INET;
    assert_result(end_say(&pair.near, &address, "x"), -EINVAL);
    assert_result(end_connect(&pair.near, &address), -EINVAL);
    assert_error(sendto(pair.near.fd, "x", 1, 0, address_of(&pair.far.address), 200), EINVAL);
    assert_error(sendto(pair.near.fd, "x", 1, 0, nowhere, 20), EFAULT);
    assert_error(connect(pair.near.fd, nowhere, 20), EFAULT);
    assert_error(connect(pair.near.fd, address_of(&pair.far.address), 1), EINVAL);
}

/* In order with what comes behind it. */
static void the_length_of_no_address_does_not_matter(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char bytes[] = "first";
    struct iovec part = {.iov_base = bytes, .iov_len = 5};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_namelen = 200};
    for (int i = 0; i < 3; i++) {
        assert_result(sendmsg(pair.near.fd, &message, 0), 5);
        end_tell(&pair.near, &pair.far, "second");
        assert_result(sendto(pair.near.fd, "third", 5, 0, NULL, 200), 5);
        end_tell(&pair.near, &pair.far, "fourth");
        end_hears(&pair.far, "first");
        end_hears(&pair.far, "second");
        end_hears(&pair.far, "third");
        end_hears(&pair.far, "fourth");
    }
}

static void a_bad_buffer_is_efault_and_nothing_is_sent(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    void *volatile bad = (void *)(uintptr_t)1; /* volatile: the compiler must not know */
    struct iovec parts[2] = {{.iov_base = (char[]){"good"}, .iov_len = 4}, {.iov_base = bad, .iov_len = 4}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    assert_error(send(pair.near.fd, bad, 10, 0), EFAULT);
    assert_error(write(pair.near.fd, bad, 10), EFAULT);
    assert_error(sendmsg(pair.near.fd, &message, 0), EFAULT);
    assert_error(writev(pair.near.fd, parts, 2), EFAULT);
    assert_error(sendmsg(pair.near.fd, bad, 0), EFAULT);
    message.msg_iov = bad;
    assert_error(sendmsg(pair.near.fd, &message, 0), EFAULT);
    assert_result(end_revents(&pair.far, POLLIN), 0);
    end_tell(&pair.near, &pair.far, "good");
    end_hears(&pair.far, "good");
}

static void a_bad_buffer_of_no_bytes_is_fine(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    void *volatile bad = (void *)(uintptr_t)1;
    assert_result(send(pair.near.fd, bad, 0, 0), 0);
    end_hears(&pair.far, "");
}

static void no_descriptor_is_ebadf_and_no_socket_enotsock(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    own(pipes[0]);
    own(pipes[1]);
    let_go(pair.near.fd);
    assert_error(send(pair.near.fd, "x", 1, 0), EBADF);
    assert_error(send(-1, "x", 1, 0), EBADF);
    assert_error(connect(-1, address_of(&pair.far.address), pair.far.address.length), EBADF);
    assert_error(sendto(pipes[1], "x", 1, 0, address_of(&pair.far.address), pair.far.address.length), ENOTSOCK);
    assert_error(connect(pipes[1], address_of(&pair.far.address), pair.far.address.length), ENOTSOCK);
}

static const struct CMUnitTest tests[] = {
    ALONE(a_missing_path_is_enoent),
    ALONE(a_path_whose_socket_was_closed_is_econnrefused),
    ALONE(a_regular_file_is_econnrefused),
    ALONE(an_abstract_name_that_nobody_has_is_econnrefused),
    ALONE(a_directory_is_econnrefused),
    ALONE(a_stream_socket_is_eprototype),
    ALONE(a_socket_that_is_not_connected_has_no_peer),
    EVERY(a_receiver_that_is_connected_to_somebody_else_is_eperm),
    EVERY(a_receiver_that_connects_elsewhere_is_eperm_from_then_on),
    EVERY(a_connected_sender_gets_eperm_once_its_peer_connects_elsewhere),
    BOTH(datagram_sockets_do_not_listen_or_accept),
    BOTH(out_of_band_data_is_eopnotsupp),
    BOTH(a_bad_address_is_einval_or_efault),
    BOTH(the_length_of_no_address_does_not_matter),
    EVERY(a_bad_buffer_is_efault_and_nothing_is_sent),
    BOTH(a_bad_buffer_of_no_bytes_is_fine),
    BOTH(no_descriptor_is_ebadf_and_no_socket_enotsock),
};

CONTRACT_SUITE(connect_send_errors, tests);
