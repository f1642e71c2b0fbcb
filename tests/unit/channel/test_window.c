/* How many datagrams a sender leaves unread: as many as the kernel would, more for a receiver that keeps up, and few again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "channel/window.h"
#include "runtime/ticks.h"
#include "support/channels.h"

#define SLOTS 256
#define SIZE 64

static struct channel_ends ends;
static struct hqq_ring *ring;
static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    ends = channel_ends_open(SLOTS, SIZE, UINT64_MAX - 20); /* counters wrap on the way */
    channel_ends_reset(&ends, UINT64_MAX - 20, HQQ_POLLING);
    ring = &ends.sender->tx;
    ring->least_window = 11; /* whatever the machine's is */
    ring->window = 11;
    ring->grown_r = ring->settled_r = UINT64_MAX - 20;
    hqq_store_relaxed(&ring->seen_r, UINT64_MAX - 20);
    now = ring->settled_ticks = hqq_ticks();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    channel_ends_close(&ends);
    return 0;
}

static bool send_one(void)
{
    if (!hqq_window_has_room(ring, hqq_tx_position(ends.sender)))
        return false;
    assert_int_equal(channel_ends_send(&ends, SIZE, 1), HQQ_TX_SENT);
    return true;
}

static int send_all(int most)
{
    int sent = 0;
    while (sent < most && send_one())
        sent++;
    return sent;
}

static int read_all(int most)
{
    int got = 0;
    while (got < most && channel_ends_receive(&ends, 1) == SIZE)
        got++;
    return got;
}

static void settle_after_us(uint64_t us)
{
    now += us * hqq_ticks_per_us() + hqq_ticks_per_us() / 2;
    hqq_window_settle(ring, now);
}

/* The receiver is always some way behind. */
static void stream(void)
{
    while (ring->window < SLOTS) {
        assert_in_range(send_all(SLOTS), 1, SLOTS);
        assert_in_range(read_all((int)ring->window / 4), 1, SLOTS);
    }
    read_all(SLOTS);
}

static void a_receiver_that_does_not_read_is_owed_what_the_kernel_would_owe_it(void **state)
{
    (void)state;
    assert_int_equal(send_all(SLOTS), 11);
    settle_after_us(1000);
    assert_int_equal(send_all(SLOTS), 0);
    assert_int_equal(read_all(3), 3);
    settle_after_us(1000); /* so slow a one is owed no more */
    assert_int_equal(send_all(SLOTS), 3);
    assert_int_equal(read_all(SLOTS), 11);
}

static void one_that_keeps_up_has_the_whole_ring(void **state)
{
    (void)state;
    stream(); /* 11, 22, 44, ... */
    assert_int_equal(send_all(2 * SLOTS), SLOTS);
    assert_int_equal(read_all(SLOTS), SLOTS);
    settle_after_us(1000);
    assert_int_equal(send_all(2 * SLOTS), SLOTS);
    assert_int_equal(read_all(SLOTS), SLOTS);
}

static void one_that_has_little_to_read_needs_no_more_than_some(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        assert_true(send_one());
        assert_int_equal(read_all(SLOTS), 1);
    }
    assert_in_range(ring->window, 64, 128);
}

/* Reads a sixteenth of what is sent, and that is enough. */
static void a_slower_one_has_it_as_well(void **state)
{
    (void)state;
    for (int i = 0; i < 100 && ring->window < SLOTS; i++) {
        send_all(16);
        read_all(1);
    }
    assert_int_equal(ring->window, SLOTS);
}

static void one_that_stops_is_owed_little_a_millisecond_later(void **state)
{
    (void)state;
    stream();
    settle_after_us(1000);
    assert_int_equal(ring->window, SLOTS);
    settle_after_us(1000);
    assert_int_equal(ring->window, 11);
    assert_int_equal(send_all(SLOTS), 11);
    assert_int_equal(send_all(SLOTS), 0);
}

static void it_is_what_is_read_in_a_millisecond(void **state)
{
    (void)state;
    stream();
    settle_after_us(1000);
    assert_int_equal(send_all(100), 100);
    assert_int_equal(read_all(100), 100);
    settle_after_us(1000);
    assert_in_range(ring->window, 99, 100);
    assert_int_equal(send_all(80), 80);
    assert_int_equal(read_all(80), 80);
    settle_after_us(4000); /* the sender has paused */
    assert_in_range(ring->window, 19, 20);
}

/* A peer may write anything, to its own harm. */
static void whatever_r_is_there_is_an_answer(void **state)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_MAX / 2, UINT64_C(1) << 63};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            hqq_store_relaxed(hqq_ring_r(ring), values[i]);
            hqq_window_look(ring, values[j]);
            settle_after_us(i * 700);
            assert_in_range(ring->window, 11, SLOTS);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_receiver_that_does_not_read_is_owed_what_the_kernel_would_owe_it),
        TEST(one_that_keeps_up_has_the_whole_ring),
        TEST(one_that_has_little_to_read_needs_no_more_than_some),
        TEST(a_slower_one_has_it_as_well),
        TEST(one_that_stops_is_owed_little_a_millisecond_later),
        TEST(it_is_what_is_read_in_a_millisecond),
        TEST(whatever_r_is_there_is_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
