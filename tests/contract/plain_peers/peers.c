/*
 * Peers that make the kernel's calls and know of nothing else: they see datagrams as they were sent, and nothing
 * besides. Many tests of the other groups run with such a peer, too: those whose names end in "(plain)".
 */
#include "support/control.h"
#include "support/pair.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Every byte and sender that a plain receiver sees, to the last datagram. */
static void a_plain_receiver_gets_exactly_what_was_sent(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    char text[64];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof(text), "datagram %d", i);
        end_tell(&pair.near, &pair.far, text);
        if (i % 5 == 4) {
            for (int n = i - 4; n <= i; n++) {
                snprintf(text, sizeof(text), "datagram %d", n);
                end_hears(&pair.far, text);
            }
            assert_result(end_revents(&pair.far, POLLIN), 0);
        }
    }
}

static void a_plain_receiver_that_reads_nothing_finds_only_datagrams(void **state)
{
    (void)state;
    struct end sender = end_bound(NULL, 0), receiver = end_bound(contract_remote(), 0);
    int count = end_fill(&sender, &receiver.address, 0);
    for (int i = 0; i < 100; i++)
        assert_result(end_send(&sender, &receiver.address, "no room", 7, MSG_DONTWAIT), -EAGAIN);
    assert_result(end_drain(&receiver, 0), count);
    assert_result(end_revents(&receiver, POLLIN), 0);
}

static void a_plain_sender_is_heard_in_order_and_with_its_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    for (int i = 0; i < 20; i++) {
        int count = end_fill(&pair.far, &pair.near.address, 0);
        assert_revents(pair.near.fd, POLLIN, POLLIN);
        assert_int_equal(end_drain(&pair.near, 0), count);
        assert_revents(pair.near.fd, POLLIN, 0);
    }
    struct address from = {.length = sizeof(from.name)};
    char data[16];
    end_tell(&pair.far, &pair.near, "who");
    assert_result(recvfrom(pair.near.fd, data, 16, 0, (struct sockaddr *)&from.name, &from.length), 3);
    assert_address(&from, &pair.far.address);
}

static void a_receiver_hears_plain_senders_and_others_alike(void **state)
{
    (void)state;
    struct remote *plain = contract_remote(), *other = contract_another_remote(REMOTE_FORK);
    struct end receiver = end_bound(NULL, 0),
               senders[] = {end_bound(plain, 0), end_bound(other, 0), end_bound(NULL, 0)};
    for (int i = 0; i < 3; i++)
        warm_up(&receiver, &senders[i]);
    for (int i = 0; i < 50; i++) {
        char text[64];
        for (int n = 0; n < 3; n++) {
            snprintf(text, sizeof(text), "number %d of %d", i, n);
            end_tell(&senders[n], &receiver, text);
        }
        bool seen[3] = {false};
        for (int n = 0; n < 3; n++) {
            struct address from = {.length = sizeof(from.name)};
            char data[64] = "";
            assert_true(recvfrom(receiver.fd, data, 63, MSG_DONTWAIT, (struct sockaddr *)&from.name, &from.length) > 0);
            int who = 0;
            while (who < 3 && strcmp(address_text(&from), address_text(&senders[who].address)) != 0)
                who++;
            assert_in_range(who, 0, 2);
            assert_false(seen[who]);
            seen[who] = true;
            snprintf(text, sizeof(text), "number %d of %d", i, who);
            assert_string_equal(data, text);
        }
        assert_empty(receiver.fd);
    }
}

static void a_sender_serves_plain_receivers_and_others_alike(void **state)
{
    (void)state;
    struct remote *plain = contract_remote(), *other = contract_another_remote(REMOTE_FORK);
    struct end sender = end_bound(NULL, 0), receivers[] = {end_bound(plain, 0), end_bound(other, 0)};
    for (int i = 0; i < 50; i++) {
        for (int n = 0; n < 2; n++) {
            end_tell(&sender, &receivers[n], n ? "to the other" : "to the plain one");
            end_hears(&receivers[n], n ? "to the other" : "to the plain one");
            end_tell(&receivers[n], &sender, "back");
            end_hears(&sender, "back");
        }
    }
    for (int n = 0; n < 2; n++)
        assert_result(end_revents(&receivers[n], POLLIN), 0);
}

static void two_plain_processes_talk_beside_others(void **state)
{
    (void)state;
    struct remote *one = contract_remote(), *two = contract_another_remote(REMOTE_PLAIN);
    struct end ends[] = {end_bound(one, 0), end_bound(two, 0), end_bound(NULL, 0)};
    for (int i = 0; i < 3; i++)
        warm_up(&ends[i], &ends[(i + 1) % 3]);
    for (int i = 0; i < 3; i++)
        assert_result(end_revents(&ends[i], POLLIN), 0);
}

static void a_receive_that_sleeps_is_woken_by_a_plain_sender(void **state)
{
    (void)state;
    struct remote *plain = contract_remote(), *other = contract_another_remote(REMOTE_FORK);
    struct end receiver = end_bound(NULL, 0), senders[] = {end_bound(plain, 0), end_bound(other, 0)};
    warm_up(&receiver, &senders[0]);
    warm_up(&receiver, &senders[1]);
    for (int i = 0; i < 20; i++) {
        struct job *job = end_job(&receiver);
        job->length = 16;
        struct task *task = task_asleep(NULL, job_receive, job);
        end_tell(&senders[i % 2], &receiver, "wake up");
        assert_result(task_finish(task), 7);
    }
}

static void a_plain_process_that_takes_over_a_path_gets_no_junk(void **state)
{
    (void)state;
    struct remote *plain = contract_remote();
    struct pair pair = pair_new(FAR_NAMELESS);
    struct end one = end_bound(NULL, 0);
    warm_up(&pair.near, &one);
    struct end second = end_new(plain, 0);
    assert_int_equal(unlink(address_text(&one.address)), 0);
    assert_result(end_bind(&second, &one.address), 0);
    contract_let_names_settle();
    for (int i = 0; i < 20; i++) {
        end_tell(&pair.near, &second, "to the plain one");
        end_hears(&second, "to the plain one");
        assert_result(end_revents(&second, POLLIN), 0);
    }
    assert_empty(one.fd);
}

static void a_datagram_with_descriptors_keeps_its_place_among_those_of_others(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    int pipes[2], bytes = 0;
    new_pipe(pipes);
    warm_up(&other, &pair.near);
    end_tell(&other, &pair.near, "before");
    assert_result(send_fds(other.fd, &pair.near.address, "with", pipes, 2), 4);
    end_tell(&pair.far, &pair.near, "plain");
    assert_result(ioctl(pair.near.fd, FIONREAD, &bytes), 0);
    assert_int_equal(bytes, 6);
    end_hears(&pair.near, "before");
    struct received got = receive_all(pair.near.fd, MSG_DONTWAIT);
    assert_int_equal(got.count, 2);
    own(got.fds[0]);
    own(got.fds[1]);
    end_hears(&pair.near, "plain");
}

static const struct CMUnitTest tests[] = {
    PLAIN(a_plain_receiver_gets_exactly_what_was_sent),
    PLAIN(a_plain_receiver_that_reads_nothing_finds_only_datagrams),
    PLAIN(a_plain_sender_is_heard_in_order_and_with_its_name),
    PLAIN(a_receiver_hears_plain_senders_and_others_alike),
    PLAIN(a_sender_serves_plain_receivers_and_others_alike),
    PLAIN(two_plain_processes_talk_beside_others),
    PLAIN(a_receive_that_sleeps_is_woken_by_a_plain_sender),
    PLAIN(a_plain_process_that_takes_over_a_path_gets_no_junk),
    PLAIN(a_datagram_with_descriptors_keeps_its_place_among_those_of_others),
};

CONTRACT_SUITE(plain_peers_peers, tests);
