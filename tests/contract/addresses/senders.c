/* The sender's name, as the receiver sees it. */
#include "support/pair.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Receives one datagram by recvfrom(), and gives the sender's name. */
static struct address sender_of_next(int fd)
{
    char data[64];
    struct address from = {.length = sizeof(from.name)};
    assert_true(recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from.name, &from.length) >= 0);
    return from;
}

static void a_bound_sender_has_its_exact_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "hello");
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &pair.far.address);
}

static void a_sender_with_an_abstract_name_has_its_exact_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_ABSTRACT);
    end_tell(&pair.far, &pair.near, "hello");
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &pair.far.address);
}

static void an_unbound_sender_has_a_name_of_length_zero(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_NAMELESS);
    end_tell(&pair.far, &pair.near, "hello");
    assert_int_equal(sender_of_next(pair.near.fd).length, 0);
}

static void a_connected_unbound_sender_has_a_name_of_length_zero(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_NAMELESS | FAR_CONNECTS);
    end_tell(&pair.far, &pair.near, "hello");
    assert_int_equal(sender_of_next(pair.near.fd).length, 0);
}

static void recvmsg_gives_the_same_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end nameless = end_new(NULL, 0);
    struct address from = {.length = sizeof(from.name)};
    char data[16];
    struct iovec part = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = &from.name};

    end_tell(&pair.far, &pair.near, "named");
    message.msg_namelen = sizeof(from.name);
    assert_result(recvmsg(pair.near.fd, &message, 0), 5);
    from.length = message.msg_namelen;
    assert_address(&from, &pair.far.address);

    end_tell(&nameless, &pair.near, "nameless");
    message.msg_namelen = sizeof(from.name);
    assert_result(recvmsg(pair.near.fd, &message, 0), 8);
    assert_int_equal(message.msg_namelen, 0);
}

static void a_name_longer_than_the_buffer_is_cut_and_its_full_length_told(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    unsigned char name[64];
    char data[16];
    socklen_t length = 7;
    memset(name, 0xee, sizeof(name));
    end_tell(&pair.far, &pair.near, "hello");
    assert_result(recvfrom(pair.near.fd, data, sizeof(data), 0, (struct sockaddr *)(void *)name, &length), 5);
    assert_int_equal(length, pair.far.address.length);
    assert_memory_equal(name, &pair.far.address.name, 7);
    assert_int_equal(name[7], 0xee);
}

static void nobody_has_to_ask_for_a_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char data[16];
    end_tell(&pair.far, &pair.near, "hello");
    assert_result(recvfrom(pair.near.fd, data, sizeof(data), 0, NULL, NULL), 5);
}

static void a_name_can_be_answered(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "question");
    struct address from = sender_of_next(pair.near.fd);
    assert_result(sendto(pair.near.fd, "answer", 6, 0, address_of(&from), from.length), 6);
    end_hears(&pair.far, "answer");
}

static void a_sender_that_removed_its_path_still_has_its_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_int_equal(unlink(address_text(&pair.far.address)), 0);
    end_tell(&pair.far, &pair.near, "hello");
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &pair.far.address);
    contract_let_names_settle();
    assert_error(sendto(pair.near.fd, "x", 1, 0, address_of(&from), from.length), ENOENT);
}

static void a_sender_that_binds_later_has_a_name_from_then_on(void **state)
{
    (void)state;
    struct pair pair = pair_new(FAR_NAMELESS);
    struct address late = address_path("late");
    end_tell(&pair.far, &pair.near, "before");
    assert_int_equal(sender_of_next(pair.near.fd).length, 0);
    assert_result(end_bind(&pair.far, &late), 0);
    end_tell(&pair.far, &pair.near, "after");
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &late);
}

static void what_is_queued_has_the_name_that_its_sender_has_when_it_is_received(void **state)
{
    (void)state;
    if (contract_is_limit("a datagram in a ring has the name that its sender had when it was sent"))
        return;
    struct pair pair = pair_new(FAR_NAMELESS);
    struct address late = address_path("late");
    end_tell(&pair.far, &pair.near, "before");
    assert_result(end_bind(&pair.far, &late), 0);
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &late);
}

static void what_is_queued_keeps_the_name_of_a_sender_that_closed(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "last words");
    assert_result(end_close(&pair.far), 0);
    struct address from = sender_of_next(pair.near.fd);
    assert_address(&from, &pair.far.address);
}

static void each_of_several_senders_has_its_own_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&other, &pair.near);
    for (int i = 0; i < 3; i++) {
        end_tell(&pair.far, &pair.near, "from far");
        struct address from = sender_of_next(pair.near.fd);
        assert_address(&from, &pair.far.address);
        end_tell(&other, &pair.near, "from the other");
        from = sender_of_next(pair.near.fd);
        assert_address(&from, &other.address);
    }
}

/* Landlock's scope of abstract names, for the rest of that process's life. */
static long scope_abstract_names(struct job *job)
{
    const struct {
        uint64_t files, network, scopes;
    } rules = {0, 0, 1};
    long set = syscall(444 /* landlock_create_ruleset */, &rules, sizeof(rules), 0);
    (void)job;
    if (set < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    long result = syscall(446 /* landlock_restrict_self */, set, 0);
    int error = errno;
    close((int)set);
    return result == 0 ? 0 : -error;
}
JOB_FUNCTION(scope_abstract_names)

static void a_scope_ends_sends_to_abstract_names_outside(void **state)
{
    (void)state;
    if (contract_is_limit_of_renaming("a scope is not seen by renamed calls"))
        return;
    struct remote *scoped = contract_another_remote(REMOTE_FORK);
    struct end sender = end_bound(scoped, 0), connected = end_bound(scoped, 0), receiver = end_bound_abstract(NULL, 0);
    warm_up(&sender, &receiver);
    assert_result(end_connect(&connected, &receiver.address), 0);
    warm_up(&connected, &receiver);
    if (job_run(scoped, scope_abstract_names, job_new(scoped)) != 0)
        skip(); /* an older kernel */
    for (int i = 0; i < 3; i++)
        assert_result(end_say(&sender, &receiver.address, "outside"), -EPERM);
    end_tell(&connected, &receiver, "still mine");
    end_hears(&receiver, "still mine");
    assert_result(end_revents(&receiver, POLLIN), 0);
}

static void a_sender_has_the_name_it_was_bound_to_also_for_who_reached_it_by_another(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct address link = address_path("link");
    assert_int_equal(symlink(address_text(&pair.far.address), address_text(&link)), 0);
    struct end other = end_bound(NULL, 0);
    struct end by_link = pair.far;
    by_link.address = link;
    if (contract_variant() != CONTRACT_FRESH)
        warm_up(&other, &by_link);
    for (int i = 0; i < 3; i++) {
        end_tell(&by_link, &other, "an answer");
        struct address from = sender_of_next(other.fd);
        assert_address(&from, &pair.far.address);
    }
}

static const struct CMUnitTest tests[] = {
    AWAY(a_scope_ends_sends_to_abstract_names_outside),
    EVERY(a_bound_sender_has_its_exact_name),
    EVERY(a_sender_with_an_abstract_name_has_its_exact_name),
    EVERY(an_unbound_sender_has_a_name_of_length_zero),
    BOTH(a_connected_unbound_sender_has_a_name_of_length_zero),
    BOTH(recvmsg_gives_the_same_name),
    BOTH(a_name_longer_than_the_buffer_is_cut_and_its_full_length_told),
    BOTH(nobody_has_to_ask_for_a_name),
    EVERY(a_name_can_be_answered),
    BOTH(a_sender_that_removed_its_path_still_has_its_name),
    BOTH(a_sender_that_binds_later_has_a_name_from_then_on),
    BOTH(what_is_queued_has_the_name_that_its_sender_has_when_it_is_received),
    EVERY(what_is_queued_keeps_the_name_of_a_sender_that_closed),
    BOTH(each_of_several_senders_has_its_own_name),
    EVERY(a_sender_has_the_name_it_was_bound_to_also_for_who_reached_it_by_another),
};

CONTRACT_SUITE(addresses_senders, tests);
