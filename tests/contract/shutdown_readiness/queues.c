/* How much is queued: FIONREAD, SIOCINQ, SIOCOUTQ. */
#include "support/pair.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

static int queued(int fd, unsigned long request)
{
    int bytes = -1;
    assert_result(ioctl(fd, request, &bytes), 0);
    return bytes;
}

static void fionread_is_the_size_of_the_next_datagram(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_int_equal(queued(pair.near.fd, FIONREAD), 0);
    end_tell(&pair.far, &pair.near, "three");
    end_tell(&pair.far, &pair.near, "to");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 5);
    assert_int_equal(queued(pair.near.fd, SIOCINQ), 5);
    end_hears(&pair.near, "three");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 2);
    end_hears(&pair.near, "to");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 0);
}

static void fionread_of_an_empty_datagram_is_zero(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    end_tell(&pair.far, &pair.near, "");
    end_tell(&pair.far, &pair.near, "one");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 0);
    assert_revents(pair.near.fd, POLLIN, POLLIN);
    end_hears(&pair.near, "");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 3);
}

static void what_fionread_measured_comes_next_whatever_arrives(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    struct end other = end_bound(NULL, 0);
    end_tell(&pair.far, &pair.near, "first");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 5);
    end_tell(&other, &pair.near, "second one");
    end_tell(&pair.far, &pair.near, "third one, longer");
    assert_int_equal(queued(pair.near.fd, FIONREAD), 5);
    end_hears(&pair.near, "first");
}

static void siocoutq_falls_to_zero_when_all_is_taken(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    assert_int_equal(queued(pair.near.fd, SIOCOUTQ), 0);
    end_tell(&pair.near, &pair.far, "one");
    int one = queued(pair.near.fd, SIOCOUTQ);
    end_tell(&pair.near, &pair.far, "two");
    int two = queued(pair.near.fd, SIOCOUTQ);
    assert_in_range(one, 3, 1 << 20);
    assert_in_range(two, one + 1, 1 << 20);
    end_hears(&pair.far, "one");
    assert_in_range(queued(pair.near.fd, SIOCOUTQ), 3, two - 1);
    end_hears(&pair.far, "two");
    assert_int_equal(queued(pair.near.fd, SIOCOUTQ), 0);
}

static void an_unknown_request_is_enotty(void **state)
{
    (void)state;
    struct pair pair = pair_new(PAIR_PLAIN);
    int value = 0;
    assert_error(ioctl(pair.near.fd, TIOCGWINSZ, &value), ENOTTY);
}

static const struct CMUnitTest tests[] = {
    EVERY(fionread_is_the_size_of_the_next_datagram),
    EVERY(fionread_of_an_empty_datagram_is_zero),
    BOTH(what_fionread_measured_comes_next_whatever_arrives),
    EVERY(siocoutq_falls_to_zero_when_all_is_taken),
    BOTH(an_unknown_request_is_enotty),
};

CONTRACT_SUITE(shutdown_readiness_queues, tests);
