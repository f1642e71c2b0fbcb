/* A socket as a file: read(), write() and their kin, and O_NONBLOCK in all its ways. */
#include "support/pair.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

static void read_and_write_move_datagrams(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char data[16];
    for (int i = 0; i < 20; i++) {
        assert_result(write(pair.near.fd, "written", 7), 7);
        end_hears(&pair.far, "written");
        end_tell(&pair.far, &pair.near, "to be read");
        end_tell(&pair.far, &pair.near, "next");
        assert_result(read(pair.near.fd, data, 5), 5);
        assert_memory_equal(data, "to be", 5);
        assert_result(read(pair.near.fd, data, sizeof(data)), 4);
        assert_memory_equal(data, "next", 4);
    }
}

static void readv_and_writev_move_datagrams_in_parts(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char one[4], two[8];
    const struct iovec out[] = {{.iov_base = (char[]){"wri"}, .iov_len = 3},
                                {.iov_base = (char[]){"tten"}, .iov_len = 4}};
    const struct iovec in[] = {{.iov_base = one, .iov_len = 4}, {.iov_base = two, .iov_len = 8}};
    for (int i = 0; i < 20; i++) {
        assert_result(writev(pair.near.fd, out, 2), 7);
        end_hears(&pair.far, "written");
        end_tell(&pair.far, &pair.near, "to be read");
        assert_result(readv(pair.near.fd, in, 2), 10);
        assert_memory_equal(one, "to b", 4);
        assert_memory_equal(two, "e read", 6);
    }
}

static void preadv2_and_pwritev2_without_an_offset_are_the_same(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char data[16];
    const struct iovec out = {.iov_base = (char[]){"written"}, .iov_len = 7};
    const struct iovec in = {.iov_base = data, .iov_len = sizeof(data)};
    for (int i = 0; i < 4; i++) {
        assert_result(pwritev2(pair.near.fd, &out, 1, -1, 0), 7);
        end_hears(&pair.far, "written");
        end_tell(&pair.far, &pair.near, "to be read");
        assert_result(preadv2(pair.near.fd, &in, 1, -1, 0), 10);
        assert_memory_equal(data, "to be read", 10);
    }
}

static void sockets_have_no_offset(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    char data[4] = "";
    const struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    assert_error(lseek(pair.near.fd, 0, SEEK_CUR), ESPIPE);
    assert_error(pread(pair.near.fd, data, sizeof(data), 0), ESPIPE);
    assert_error(pwrite(pair.near.fd, data, sizeof(data), 0), ESPIPE);
    assert_error(preadv2(pair.near.fd, &part, 1, 0, 0), ESPIPE);
    assert_error(pwritev2(pair.near.fd, &part, 1, 0, 0), ESPIPE);
    assert_empty(pair.near.fd);
}

static void check_is_nonblocking(int fd)
{
    char data[4];
    assert_result(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    assert_error(recv(fd, data, sizeof(data), 0), EAGAIN);
    assert_error(read(fd, data, sizeof(data)), EAGAIN);
}

/* The receive sleeps until the datagram comes. */
static void check_is_blocking(const struct pair *pair)
{
    struct job *job = end_job(&pair->near);
    job->length = 16;
    assert_result(fcntl(pair->near.fd, F_GETFL), O_RDWR);
    struct task *task = task_asleep(NULL, job_receive, job);
    end_tell(&pair->far, &pair->near, "wake up");
    assert_result(task_finish(task), 7);
}

static void o_nonblock_is_set_and_cleared_by_fcntl(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        check_is_blocking(&pair);
        assert_result(fcntl(pair.near.fd, F_SETFL, O_NONBLOCK), 0);
        check_is_nonblocking(pair.near.fd);
        assert_result(fcntl(pair.near.fd, F_SETFL, 0), 0);
    }
}

static void o_nonblock_is_set_and_cleared_by_fionbio(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 3; i++) {
        check_is_blocking(&pair);
        assert_result(ioctl(pair.near.fd, FIONBIO, &(int){1}), 0);
        check_is_nonblocking(pair.near.fd);
        assert_result(ioctl(pair.near.fd, FIONBIO, &(int){0}), 0);
    }
}

static void socket_takes_flags_with_the_type(void **state)
{
    (void)state;
    int fd = own(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    check_is_nonblocking(fd);
    assert_result(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int plain = own(socket(AF_UNIX, SOCK_DGRAM, 0));
    assert_result(fcntl(plain, F_GETFL), O_RDWR);
    assert_result(fcntl(plain, F_GETFD), 0);
}

static void a_nonblocking_socket_from_the_start_works_with_a_peer(void **state)
{
    (void)state;
    struct remote *far = contract_far();
    struct end receiver = end_bound(NULL, SOCK_NONBLOCK), sender = end_bound(far, SOCK_NONBLOCK);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&sender, &receiver);
    check_is_nonblocking(receiver.fd);
    end_tell(&sender, &receiver, "there");
    assert_receives(receiver.fd, "there");
    check_is_nonblocking(receiver.fd);
}

static void socket_refuses_what_it_does_not_know(void **state)
{
    (void)state;
    assert_error(socket(AF_UNIX, 99, 0), EINVAL);
    assert_error(socket(AF_UNIX, SOCK_DCCP, 0), ESOCKTNOSUPPORT);
    assert_error(socket(AF_UNIX, SOCK_DGRAM, 99), EPROTONOSUPPORT);
    assert_error(socket(AF_UNIX, SOCK_DGRAM | 0x40000000, 0), EINVAL);
    assert_error(socket(9999, SOCK_DGRAM, 0), EAFNOSUPPORT);
    /* The kernel takes the raw type for a datagram one. */
    int raw = own(socket(AF_UNIX, SOCK_RAW, 0)), type = 0;
    socklen_t length = sizeof(type);
    assert_result(getsockopt(raw, SOL_SOCKET, SO_TYPE, &type, &length), 0);
    assert_int_equal(type, SOCK_DGRAM);
}

static const struct CMUnitTest tests[] = {
    EVERY(read_and_write_move_datagrams),
    EVERY(readv_and_writev_move_datagrams_in_parts),
    BOTH(preadv2_and_pwritev2_without_an_offset_are_the_same),
    BOTH(sockets_have_no_offset),
    EVERY(o_nonblock_is_set_and_cleared_by_fcntl),
    BOTH(o_nonblock_is_set_and_cleared_by_fionbio),
    ALONE(socket_takes_flags_with_the_type),
    EVERY(a_nonblocking_socket_from_the_start_works_with_a_peer),
    ALONE(socket_refuses_what_it_does_not_know),
};

CONTRACT_SUITE(descriptors_calls, tests);
