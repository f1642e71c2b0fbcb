/* MSG_PEEK and SO_PEEK_OFF. */
#include "support/pair.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

static void a_peek_repeats(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    for (int i = 0; i < 5; i++) {
        memset(data, 0, sizeof(data));
        assert_result(recv(pair.near.fd, data, sizeof(data), MSG_PEEK), 3);
        assert_string_equal(data, "one");
    }
    assert_receives(pair.near.fd, "one");
    assert_receives(pair.near.fd, "two");
}

static void a_peek_tells_the_sender(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    struct address from = {.length = sizeof(from.name)};
    end_tell(&pair.far, &pair.near, "one");
    assert_result(recvfrom(pair.near.fd, data, 16, MSG_PEEK, (struct sockaddr *)&from.name, &from.length), 3);
    assert_address(&from, &pair.far.address);
}

static void a_peek_tells_the_full_length_if_asked(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    end_tell(&pair.far, &pair.near, "thirteen long");
    assert_result(recv(pair.near.fd, data, 4, MSG_PEEK), 4);
    assert_result(recv(pair.near.fd, data, 4, MSG_PEEK | MSG_TRUNC), 13);
    assert_result(recv(pair.near.fd, NULL, 0, MSG_PEEK | MSG_TRUNC), 13);
    assert_receives(pair.near.fd, "thirteen long");
}

static void a_peek_does_not_change_readiness(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    int bytes;
    end_tell(&pair.far, &pair.near, "one");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_PEEK), 3);
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    assert_result(ioctl(pair.near.fd, FIONREAD, &bytes), 0);
    assert_int_equal(bytes, 3);
    assert_receives(pair.near.fd, "one");
    assert_revents(pair.near.fd, POLLIN, 0);
}

static void a_peek_at_an_empty_queue_is_eagain(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[4];
    assert_error(recv(pair.near.fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

static void a_peek_waits_for_a_datagram_and_leaves_it(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct job *job = end_job(&pair.near);
    job->length = 16;
    job->flags = MSG_PEEK;
    struct task *task = task_asleep(NULL, job_receive, job);
    end_tell(&pair.far, &pair.near, "one");
    assert_result(task_finish(task), 3);
    assert_memory_equal(job->data, "one", 3);
    assert_receives(pair.near.fd, "one");
    assert_empty(pair.near.fd);
}

static void what_is_peeked_comes_next_whatever_arrives(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    char data[16] = "";
    end_tell(&pair.far, &pair.near, "first");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_PEEK), 5);
    end_tell(&other, &pair.near, "second");
    end_tell(&pair.far, &pair.near, "third");
    assert_result(recv(pair.near.fd, data, sizeof(data), MSG_PEEK), 5);
    assert_string_equal(data, "first");
    assert_receives(pair.near.fd, "first");
}

static void peek(int fd, const char *wanted)
{
    char data[16] = "";
    assert_result(recv(fd, data, 3, MSG_PEEK | MSG_DONTWAIT), strlen(wanted));
    assert_string_equal(data, wanted);
}

static void the_peek_offset_moves_through_a_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PEEK_OFF, 0), 0);
    end_tell(&pair.far, &pair.near, "abcdefgh");
    peek(pair.near.fd, "abc");
    peek(pair.near.fd, "def");
    peek(pair.near.fd, "gh");
    assert_receives(pair.near.fd, "abcdefgh");
    end_tell(&pair.far, &pair.near, "xyz");
    peek(pair.near.fd, "xyz");
}

static void the_peek_offset_may_be_set_anywhere_and_taken_back(void **state)
{
    (void)state;
    if (contract_is_limit("a peek offset does not apply to what a ring held before it was set"))
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    int value = 7;
    socklen_t length = sizeof(value);
    assert_result(getsockopt(pair.near.fd, SOL_SOCKET, SO_PEEK_OFF, &value, &length), 0);
    assert_int_equal(value, -1);
    end_tell(&pair.far, &pair.near, "abcdefgh");
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PEEK_OFF, 4), 0);
    peek(pair.near.fd, "efg");
    assert_result(end_set(&pair.near, SOL_SOCKET, SO_PEEK_OFF, -1), 0);
    peek(pair.near.fd, "abc");
    peek(pair.near.fd, "abc");
    assert_receives(pair.near.fd, "abcdefgh");
}

static const struct CMUnitTest tests[] = {
    EVERY(a_peek_repeats),
    BOTH(a_peek_tells_the_sender),
    BOTH(a_peek_tells_the_full_length_if_asked),
    EVERY(a_peek_does_not_change_readiness),
    BOTH(a_peek_at_an_empty_queue_is_eagain),
    EVERY(a_peek_waits_for_a_datagram_and_leaves_it),
    EVERY(what_is_peeked_comes_next_whatever_arrives),
    BOTH(the_peek_offset_moves_through_a_datagram),
    BOTH(the_peek_offset_may_be_set_anywhere_and_taken_back),
};

CONTRACT_SUITE(receive_peek, tests);
