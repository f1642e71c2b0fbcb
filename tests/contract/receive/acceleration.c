/*
 * That a warmed pair is what the other tests take it for: once the environment has HQQ_CONTRACT_EXPECT_RING, and the
 * program was built with the calls renamed, datagrams must have come through shared memory.
 */
#include "support/pair.h"

#include <stdlib.h>

#include "support/clock.h"

#ifdef HQQ_RENAME_H
#define PATIENCE_MS 10000

static struct hqq_socket_status status_of_warm_pair(void)
{
    if (!getenv("HQQ_CONTRACT_EXPECT_RING"))
        skip();
    struct pair pair = pair_new(PAIR_PLAIN);
    struct hqq_socket_status status;
    int64_t until = clock_ms() + PATIENCE_MS;
    assert_int_equal(hqq_socket_status(pair.near.fd, &status), 0);
    while ((status.received_ring == 0 || status.sent_ring == 0) && clock_ms() < until) { /* the machine is busy */
        warm_up(&pair.near, &pair.far);
        assert_int_equal(hqq_socket_status(pair.near.fd, &status), 0);
    }
    if (status.reason != HQQ_SOCKET_ACCELERATED)
        print_message("%s\n", hqq_socket_reason_text(status.reason));
    return status;
}
#endif

static void a_warm_pair_receives_through_shared_memory(void **state)
{
    (void)state;
#ifdef HQQ_RENAME_H
    assert_true(status_of_warm_pair().received_ring > 0);
#else
    skip();
#endif
}

static void a_warm_pair_sends_through_shared_memory(void **state)
{
    (void)state;
#ifdef HQQ_RENAME_H
    assert_true(status_of_warm_pair().sent_ring > 0);
#else
    skip();
#endif
}

static const struct CMUnitTest tests[] = {
    WARM(a_warm_pair_receives_through_shared_memory),
    AWAY(a_warm_pair_receives_through_shared_memory),
    WARM(a_warm_pair_sends_through_shared_memory),
    AWAY(a_warm_pair_sends_through_shared_memory),
};

CONTRACT_SUITE(receive_acceleration, tests);
