/* Connections: made, changed, dissolved, and ended by the peer. */
#include "support/pair.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

static void a_connected_socket_sends_to_its_peer(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    for (int i = 0; i < 40; i++) {
        end_tell(&pair.near, &pair.far, "to my peer");
        end_hears(&pair.far, "to my peer");
    }
}

static void a_connected_socket_may_send_to_another_by_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end other = end_bound(NULL, 0);
    for (int i = 0; i < 20; i++) {
        assert_result(end_say(&pair.near, &other.address, "to another"), 10);
        end_tell(&pair.near, &pair.far, "to my peer");
        end_hears(&other, "to another");
        end_hears(&pair.far, "to my peer");
    }
}

static void a_socket_may_connect_anew(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end other = end_bound(NULL, 0);
    for (int i = 0; i < 10; i++) {
        assert_result(end_connect(&pair.near, &other.address), 0);
        end_tell(&pair.near, &other, "second peer");
        end_hears(&other, "second peer");
        struct address got = address_peer(pair.near.fd);
        assert_address(&got, &other.address);
        assert_result(end_connect(&pair.near, &pair.far.address), 0);
        end_tell(&pair.near, &pair.far, "first peer");
        end_hears(&pair.far, "first peer");
    }
    assert_result(end_revents(&pair.far, POLLIN), 0);
}

static void a_failed_connect_leaves_the_connection(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct address nobody = address_path("nobody");
    assert_result(end_connect(&pair.near, &nobody), -ENOENT);
    end_tell(&pair.near, &pair.far, "still there");
    end_hears(&pair.far, "still there");
}

static void a_socket_may_connect_to_itself(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    assert_result(end_connect(&end, &end.address), 0);
    warm_up(&end, &end);
    struct address got = address_peer(end.fd);
    assert_address(&got, &end.address);
    assert_revents(end.fd, POLLIN | POLLOUT, POLLOUT);
    assert_result(send(end.fd, "myself", 6, 0), 6);
    assert_revents(end.fd, POLLIN | POLLOUT, POLLIN | POLLOUT);
    assert_receives(end.fd, "myself");
}

static void a_socket_may_send_to_itself_by_name(void **state)
{
    (void)state;
    struct end end = end_bound(NULL, 0);
    warm_up(&end, &end);
    end_tell(&end, &end, "myself");
    assert_receives(end.fd, "myself");
}

static void connect_to_af_unspec_dissolves(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end stranger = end_bound(NULL, 0);
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);
    assert_result(end_say(&stranger, &pair.near.address, "before"), -EPERM);
    assert_result(end_dissolve(&pair.near), 0);
    assert_error(send(pair.near.fd, "x", 1, 0), ENOTCONN);
    assert_error(getpeername(pair.near.fd, (struct sockaddr *)&name, &length), ENOTCONN);
    end_tell(&stranger, &pair.near, "after");
    end_hears(&pair.near, "after");
    end_tell(&pair.near, &pair.far, "by name");
    end_hears(&pair.far, "by name");
}

static void a_connected_socket_receives_from_its_peer_only(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end stranger = end_new(NULL, 0);
    assert_result(end_say(&stranger, &pair.near.address, "stranger"), -EPERM);
    assert_result(end_connect(&stranger, &pair.near.address), -EPERM);
    end_tell(&pair.far, &pair.near, "peer");
    end_hears(&pair.near, "peer");
    assert_empty(pair.near.fd);
}

static void what_came_before_the_connection_stays_readable(void **state)
{
    (void)state;
    if (contract_is_limit("datagrams of different senders may overtake one another"))
        return;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end stranger = end_bound(NULL, 0);
    end_tell(&stranger, &pair.near, "early");
    end_tell(&pair.far, &pair.near, "peer");
    assert_result(end_connect(&pair.near, &pair.far.address), 0);
    end_hears(&pair.near, "early");
    end_hears(&pair.near, "peer");
}

static void a_peer_that_closed_is_econnrefused_and_then_no_peer(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    assert_result(end_close(&pair.far), 0);
    assert_error(send(pair.near.fd, "x", 1, 0), ECONNREFUSED);
    assert_error(send(pair.near.fd, "x", 1, 0), ENOTCONN);
    assert_error(write(pair.near.fd, "x", 1), ENOTCONN);
}

static void a_receiver_that_closed_is_econnrefused_by_name(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_result(end_close(&pair.far), 0);
    for (int i = 0; i < 3; i++)
        assert_result(end_say(&pair.near, &pair.far.address, "x"), -ECONNREFUSED);
    assert_int_equal(unlink(address_text(&pair.far.address)), 0);
    assert_result(end_say(&pair.near, &pair.far.address, "x"), -ENOENT);
}

static void what_a_sender_said_before_it_closed_stays_readable(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "one");
    end_tell(&pair.far, &pair.near, "two");
    assert_result(end_close(&pair.far), 0);
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    end_hears(&pair.near, "one");
    end_hears(&pair.near, "two");
    assert_empty(pair.near.fd);
    assert_revents(pair.near.fd, POLLIN, 0);
}

static void a_path_bound_anew_is_reached_by_name_and_not_by_the_old_connection(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS);
    struct end second = end_new(pair.far.at, 0);
    assert_int_equal(unlink(address_text(&pair.far.address)), 0);
    assert_result(end_bind(&second, &pair.far.address), 0);
    contract_let_names_settle();
    end_tell(&pair.near, &pair.far, "old connection");
    assert_result(end_say(&pair.near, &pair.far.address, "by name"), 7);
    end_hears(&pair.far, "old connection");
    end_hears(&second, "by name");
    assert_result(end_close(&pair.far), 0);
    assert_error(send(pair.near.fd, "x", 1, 0), ECONNREFUSED);
    assert_result(end_say(&pair.near, &second.address, "by name again"), 13);
    end_hears(&second, "by name again");
}

static void an_abstract_name_is_whose_it_is_now_also_for_who_is_connected_to_the_last_one(void **state)
{
    (void)state;
    struct pair pair = pair_new(NEAR_CONNECTS | PAIR_ABSTRACT);
    struct end second = end_new(pair.far.at, 0);
    char data[8];
    assert_result(end_receive(&pair.far, data, sizeof(data), MSG_DONTWAIT), -EAGAIN);
    end_tell(&pair.near, &pair.far, "unread");
    assert_result(end_close(&pair.far), 0);
    assert_result(end_bind(&second, &pair.far.address), 0);
    assert_result(end_say(&pair.near, &second.address, "by name"), 7);
    end_hears(&second, "by name");
}

static void sendto_reaches_whoever_has_the_path_now(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end now = pair.far;
    for (int i = 0; i < 6; i++) {
        struct end next = end_new(pair.far.at, 0);
        if (i % 2)
            assert_result(end_close(&now), 0); /* else it lives on without its path */
        assert_int_equal(unlink(address_text(&pair.far.address)), 0);
        assert_result(end_bind(&next, &pair.far.address), 0);
        contract_let_names_settle();
        for (int n = 0; n < 8; n++) {
            end_tell(&pair.near, &next, "hello");
            end_hears(&next, "hello");
        }
        if (i % 2 == 0)
            assert_result(end_revents(&now, POLLIN), 0);
        now = next;
    }
}

static void a_reconnect_drops_what_was_queued_and_resets_the_old_peer(void **state)
{
    (void)state;
    if (contract_is_limit("what is dropped from a ring resets nobody"))
        return;
    struct pair pair = pair_new(NEAR_CONNECTS | FAR_CONNECTS);
    struct end other = end_bound(NULL, 0);
    end_tell(&pair.far, &pair.near, "never read");
    assert_result(end_connect(&pair.near, &other.address), 0);
    assert_empty(pair.near.fd);
    assert_revents(pair.near.fd, POLLIN, 0);
    assert_result(end_receive(&pair.far, (char[4]){""}, 4, MSG_DONTWAIT), -ECONNRESET);
    assert_result(end_receive(&pair.far, (char[4]){""}, 4, MSG_DONTWAIT), -EAGAIN);
}

static const struct CMUnitTest tests[] = {
    EVERY(a_connected_socket_sends_to_its_peer),
    EVERY(a_connected_socket_may_send_to_another_by_name),
    EVERY(a_socket_may_connect_anew),
    BOTH(a_failed_connect_leaves_the_connection),
    ALONE(a_socket_may_connect_to_itself),
    ALONE(a_socket_may_send_to_itself_by_name),
    EVERY(connect_to_af_unspec_dissolves),
    EVERY(a_connected_socket_receives_from_its_peer_only),
    BOTH(what_came_before_the_connection_stays_readable),
    EVERY(a_peer_that_closed_is_econnrefused_and_then_no_peer),
    EVERY(a_receiver_that_closed_is_econnrefused_by_name),
    EVERY(what_a_sender_said_before_it_closed_stays_readable),
    EVERY(a_path_bound_anew_is_reached_by_name_and_not_by_the_old_connection),
    EVERY(an_abstract_name_is_whose_it_is_now_also_for_who_is_connected_to_the_last_one),
    EVERY(sendto_reaches_whoever_has_the_path_now),
    EVERY(a_reconnect_drops_what_was_queued_and_resets_the_old_peer),
};

CONTRACT_SUITE(connect_send_connections, tests);
