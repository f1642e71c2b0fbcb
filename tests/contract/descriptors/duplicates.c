/* dup() and its kin: several descriptors of one socket. */
#include "support/pair.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A descriptor number that nothing has, far from the small ones. */
static int free_number(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD, 200);
    assert_true(fd >= 200);
    assert_int_equal(close(fd), 0);
    return fd;
}

static int by_dup(int fd)
{
    return dup(fd);
}

static int by_dup2(int fd)
{
    return dup2(fd, free_number());
}

static int by_dup3(int fd)
{
    return dup3(fd, free_number(), O_CLOEXEC);
}

static int by_f_dupfd(int fd)
{
    return fcntl(fd, F_DUPFD, 100);
}

static int by_f_dupfd_cloexec(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 100);
}

static const struct {
    int (*copy)(int fd);
    int flags;
} ways[] = {{by_dup, 0}, {by_dup2, 0}, {by_dup3, FD_CLOEXEC}, {by_f_dupfd, 0}, {by_f_dupfd_cloexec, FD_CLOEXEC}};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static void every_kind_of_duplicate_sends_and_receives(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    for (size_t i = 0; i < WAYS; i++) {
        int copy = own(ways[i].copy(pair.near.fd));
        assert_int_equal(fcntl(copy, F_GETFD), ways[i].flags);
        for (int n = 0; n < 4; n++) {
            assert_result(send(copy, "by the copy", 11, 0), 11);
            end_tell(&pair.near, &pair.far, "by the first");
            end_hears(&pair.far, "by the copy");
            end_hears(&pair.far, "by the first");
            end_tell(&pair.far, &pair.near, "one");
            end_tell(&pair.far, &pair.near, "two");
            assert_revents(copy, POLLIN, POLLIN);
            assert_receives(copy, "one");
            assert_receives(pair.near.fd, "two");
            assert_empty(copy);
        }
        let_go(copy);
    }
    end_tell(&pair.far, &pair.near, "after all");
    end_hears(&pair.near, "after all");
}

static void a_duplicate_goes_on_when_the_first_is_closed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int fd = pair.near.fd;
    end_tell(&pair.far, &pair.near, "queued");
    for (size_t i = 0; i < WAYS; i++) {
        int copy = own(ways[i].copy(fd));
        let_go(fd);
        fd = copy;
        end_tell(&pair.far, &pair.near, "after the close");
        assert_receives(fd, i == 0 ? "queued" : "after the close");
    }
    assert_receives(fd, "after the close");
    assert_empty(fd);
    let_go(fd);
    assert_result(end_say(&pair.far, &pair.near.address, "x"), -ECONNREFUSED);
}

static void a_duplicate_shares_the_status_flags(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    int copy = own(dup(pair.near.fd));
    assert_result(fcntl(copy, F_SETFL, O_NONBLOCK), 0);
    assert_result(fcntl(pair.near.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_error(recv(pair.near.fd, data, sizeof(data), 0), EAGAIN);
}

static void a_duplicate_shares_name_connection_and_shutdown(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int copy = own(dup(pair.near.fd));
    struct address got = address_own(copy);
    assert_address(&got, &pair.near.address);
    assert_result(connect(copy, address_of(&pair.far.address), pair.far.address.length), 0);
    assert_result(send(pair.near.fd, "connected", 9, 0), 9);
    end_hears(&pair.far, "connected");
    assert_result(shutdown(copy, SHUT_WR), 0);
    assert_error(send(pair.near.fd, "x", 1, MSG_NOSIGNAL), EPIPE);
}

static void dup2_onto_a_socket_closes_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    assert_result(dup2(other.fd, pair.near.fd), pair.near.fd);
    assert_result(end_say(&pair.far, &pair.near.address, "gone"), -ECONNREFUSED);
    assert_result(end_say(&pair.far, &other.address, "the other"), 9);
    assert_receives(pair.near.fd, "the other");
    struct address got = address_own(pair.near.fd);
    assert_address(&got, &other.address);
}

static void dup2_of_a_file_onto_a_socket_makes_it_a_file(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    int pipes[2];
    char data[8];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    own(pipes[0]);
    own(pipes[1]);
    assert_result(dup2(pipes[1], pair.near.fd), pair.near.fd);
    assert_result(write(pair.near.fd, "piped", 5), 5);
    assert_result(read(pipes[0], data, sizeof(data)), 5);
    assert_error(send(pair.near.fd, "x", 1, 0), ENOTSOCK);
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void dup2_onto_itself_changes_nothing_and_dup3_is_einval(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(dup2(pair.near.fd, pair.near.fd), pair.near.fd);
    assert_error(dup3(pair.near.fd, pair.near.fd, 0), EINVAL);
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static int by_bare_dup3(int fd, int wanted, int flags)
{
    return (int)syscall(SYS_dup3, fd, wanted, flags);
}

static void dup3_with_bad_flags_changes_nothing(void **state)
{
    (void)state;
    int (*const calls[])(int, int, int) = {dup3, by_bare_dup3};
    struct pair pair = pair_new(PAIR_PLAIN);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        end_tell(&pair.far, &pair.near, "one");
        end_tell(&pair.far, &pair.near, "two");
        assert_error(calls[i](STDERR_FILENO, pair.near.fd, ~O_CLOEXEC), EINVAL);
        assert_error(calls[i](STDERR_FILENO, pair.near.fd, O_NONBLOCK), EINVAL);
        end_hears(&pair.near, "one");
        end_hears(&pair.near, "two");
    }
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static void dup2_beyond_the_limit_changes_nothing(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit low = {(rlim_t)pair.near.fd, limit.rlim_max};
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int result = dup2(STDERR_FILENO, pair.near.fd);
    int error = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, -1);
    assert_int_equal(error, EBADF);
    end_hears(&pair.near, "one");
    end_hears(&pair.near, "two");
}

static void a_bad_descriptor_is_ebadf(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_error(dup(-1), EBADF);
    assert_error(dup2(-1, pair.near.fd), EBADF);
    assert_error(dup2(pair.near.fd, -1), EBADF);
    assert_error(fcntl(-1, F_DUPFD, 0), EBADF);
    assert_error(close(-1), EBADF);
    end_tell(&pair.far, &pair.near, "as before");
    end_hears(&pair.near, "as before");
}

static void a_number_used_again_is_the_new_socket(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int fd = pair.near.fd;
    for (int i = 0; i < 6; i++) {
        struct end next = end_bound(NULL, 0);
        assert_result(dup2(next.fd, fd), fd);
        let_go(next.fd);
        next.fd = fd;
        for (int n = 0; n < 8; n++) {
            end_tell(&next, &pair.far, "from the new one");
            end_hears(&pair.far, "from the new one");
            end_tell(&pair.far, &next, "to the new one");
            end_hears(&next, "to the new one");
        }
    }
}

static const struct CMUnitTest tests[] = {
    EVERY(every_kind_of_duplicate_sends_and_receives),
    EVERY(a_duplicate_goes_on_when_the_first_is_closed),
    BOTH(a_duplicate_shares_the_status_flags),
    BOTH(a_duplicate_shares_name_connection_and_shutdown),
    EVERY(dup2_onto_a_socket_closes_it),
    BOTH(dup2_of_a_file_onto_a_socket_makes_it_a_file),
    BOTH(dup2_onto_itself_changes_nothing_and_dup3_is_einval),
    EVERY(dup3_with_bad_flags_changes_nothing),
    EVERY(dup2_beyond_the_limit_changes_nothing),
    BOTH(a_bad_descriptor_is_ebadf),
    EVERY(a_number_used_again_is_the_new_socket),
};

CONTRACT_SUITE(descriptors_duplicates, tests);
