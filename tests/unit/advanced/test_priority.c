/* Whose chunks go first, that none starves, and how fast they go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>

#include "advanced/rate.h"
#include "platform/clock.h"
#include "support/advanced.h"
#include "support/pattern.h"

#define COUNT 128
#define SIZE 64
#define LARGE (1000 * SIZE)

static struct duo duo;
static struct hqq_connection *bulk[2], *urgent[2];
static uint64_t first; /* the position of the first chunk */
static unsigned char bytes[LARGE];

static int open_with(uint64_t features)
{
    const struct hqq_advanced_config config = {.features = features};
    pattern(bytes, sizeof(bytes), 8);
    duo = duo_agreed(COUNT, SIZE, &config);
    duo_connect(&duo, bulk);
    duo_connect(&duo, urgent);
    first = hqq_load_relaxed(hqq_ring_w(&duo.pair.primary->tx));
    if (hqq_connection_set_priority(bulk[0], HQQ_PRIORITY_BULK) != 0)
        return -1;
    return hqq_connection_set_priority(urgent[0], HQQ_PRIORITY_URGENT);
}

static int set_up(void **state)
{
    (void)state;
    return open_with(ORIGINAL_FEATURES | HQQ_FEATURE_QOS);
}

static int set_up_without(void **state)
{
    (void)state;
    return open_with(ORIGINAL_FEATURES);
}

static int tear_down(void **state)
{
    (void)state;
    duo_close(&duo);
    return 0;
}

/* Whose chunk is the nth that was sent. */
static uint64_t chunk_of(uint64_t n)
{
    const struct hqq_ring *ring = &duo.pair.primary->tx;
    struct hqq_packet packet = hqq_packet_load(hqq_ring_packet(ring, first + n));
    assert_int_equal(packet.opcode, HQQ_OPCODE_CONN_COPY);
    return packet.operand[0];
}

static uint64_t sent(void)
{
    return hqq_load_relaxed(hqq_ring_w(&duo.pair.primary->tx)) - first;
}

/* ---- Classes ------------------------------------------------------------------------------------------------------- */

static void an_urgent_message_overtakes_a_bulk_one_between_chunks(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(bulk[0], bytes, LARGE), 0);
    uint64_t before = sent();
    assert_int_equal(before, COUNT / 4); /* a part of the ring is all that bulk may fill */
    assert_int_equal(hqq_connection_post(urgent[0], "now", 3), 0);
    assert_int_equal(sent(), before + 1);
    assert_int_equal(chunk_of(before), hqq_connection_id(urgent[0]));
    duo_settle(&duo);
    advanced_assert_connection_receives(duo.end[1], bulk[1], bytes, LARGE, 0);
    advanced_assert_connection_receives(duo.end[1], urgent[1], "now", 3, 0);
}

static void each_class_finds_room_where_a_lower_one_does_not(void **state)
{
    (void)state;
    struct hqq_connection *order[] = {bulk[0], duo.end[0]->ground, NULL, urgent[0]};
    for (uint64_t class = 0; class < HQQ_PRIORITIES; class ++) {
        if (class == HQQ_PRIORITY_HIGH) {
            assert_int_equal(hqq_advanced_set_priority(duo.end[0], HQQ_PRIORITY_HIGH), 0);
            continue;
        }
        uint64_t id = class == HQQ_PRIORITY_NORMAL ? 0 : hqq_connection_id(order[class]);
        assert_int_equal(hqq_advanced_post(duo.end[0], id, bytes, LARGE), 0);
        if (class == HQQ_PRIORITY_NORMAL)
            assert_in_range(sent(), COUNT / 2, COUNT / 2 + 1);
    }
    assert_int_equal(sent(), COUNT);
}

static void of_every_32_chunks_one_is_the_lowest_classes(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(bulk[0], bytes, LARGE), 0);
    assert_int_equal(hqq_connection_post(urgent[0], bytes, LARGE), 0);
    assert_int_equal(sent(), COUNT);
    for (uint64_t i = COUNT / 4; i < COUNT; i++)
        assert_int_equal(chunk_of(i), hqq_connection_id(i % 32 == 31 ? bulk[0] : urgent[0]));
}

static void connections_of_one_class_take_turns(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_set_priority(bulk[0], HQQ_PRIORITY_URGENT), 0);
    assert_int_equal(hqq_advanced_set_rate(duo.end[0], 1, 0), 0); /* nothing goes until all is queued */
    assert_int_equal(hqq_connection_post(bulk[0], bytes, 20 * SIZE), 0);
    assert_int_equal(hqq_connection_post(urgent[0], bytes, 20 * SIZE), 0);
    uint64_t before = sent();
    assert_int_equal(hqq_advanced_set_rate(duo.end[0], 0, 0), 0);
    assert_int_equal(sent(), 40);
    for (uint64_t i = before + 1; i < 38; i++)
        assert_int_not_equal(chunk_of(i), chunk_of(i - 1));
}

static void without_qos_all_are_one_class(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(bulk[0], bytes, LARGE), 0);
    assert_int_equal(sent(), COUNT);
    assert_int_equal(hqq_connection_post(urgent[0], "now", 3), 0);
    assert_int_equal(advanced_stats(duo.end[0]).queued[HQQ_PRIORITY_NORMAL], 1);
    duo_settle(&duo);
    assert_int_equal(advanced_stats(duo.end[0]).queued[HQQ_PRIORITY_NORMAL], 2);
    assert_int_equal(advanced_stats(duo.end[0]).queued[HQQ_PRIORITY_BULK], 0);
}

static void messages_are_counted_and_timed_by_class(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_post(bulk[0], bytes, LARGE), 0);
    assert_int_equal(hqq_connection_post(bulk[0], bytes, 10), 0); /* which waits for room */
    assert_int_equal(hqq_connection_post(urgent[0], bytes, 10), 0);
    duo_settle(&duo);
    struct hqq_advanced_stats stats = advanced_stats(duo.end[0]);
    assert_int_equal(stats.queued[HQQ_PRIORITY_BULK], 2);
    assert_int_equal(stats.queued[HQQ_PRIORITY_NORMAL], 0);
    assert_int_equal(stats.queued[HQQ_PRIORITY_URGENT], 1);
    assert_true(stats.queued_max_ns[HQQ_PRIORITY_BULK] > 0);
    assert_true(stats.queued_ns[HQQ_PRIORITY_BULK] >= stats.queued_max_ns[HQQ_PRIORITY_BULK]);
    assert_int_equal(stats.queued_ns[HQQ_PRIORITY_NORMAL], 0);
}

static void a_class_that_is_none_is_refused(void **state)
{
    (void)state;
    struct hqq_connection_info info;
    assert_int_equal(hqq_connection_set_priority(bulk[0], (enum hqq_priority)4), HQQ_ERROR_INVALID_OP);
    assert_int_equal(hqq_advanced_set_priority(duo.end[0], (enum hqq_priority) - 1), HQQ_ERROR_INVALID_OP);
    hqq_connection_get_info(bulk[0], &info);
    assert_int_equal(info.priority, HQQ_PRIORITY_BULK);
}

/* ---- Rates --------------------------------------------------------------------------------------------------------- */

static void a_bucket_is_overdrawn_once_and_fills_with_time(void **state)
{
    (void)state;
    struct hqq_rate rate;
    const uint64_t now = 5 * HQQ_NS_PER_S;
    hqq_rate_set(&rate, 1000, 500);
    assert_int_equal(hqq_rate_ready_ns(&rate), 0);
    hqq_rate_take(&rate, 500, now);
    assert_int_equal(hqq_rate_ready_ns(&rate), now); /* empty, but not overdrawn */
    hqq_rate_take(&rate, 100, now);
    assert_int_equal(hqq_rate_ready_ns(&rate), now + 100 * HQQ_NS_PER_MS);
    hqq_rate_take(&rate, 100, now + 100 * HQQ_NS_PER_MS);
    assert_int_equal(hqq_rate_ready_ns(&rate), now + 200 * HQQ_NS_PER_MS);

    uint64_t later = now + 100 * HQQ_NS_PER_S; /* it is full by then, and no fuller */
    hqq_rate_take(&rate, 600, later);
    assert_int_equal(hqq_rate_ready_ns(&rate), later + 100 * HQQ_NS_PER_MS);
}

static void no_rate_is_no_limit(void **state)
{
    (void)state;
    struct hqq_rate rate;
    hqq_rate_set(&rate, 0, 0);
    hqq_rate_take(&rate, UINT64_C(1) << 48, 1);
    assert_int_equal(hqq_rate_ready_ns(&rate), 0);
}

static void the_slowest_rate_and_the_largest_burst_do_not_overflow(void **state)
{
    (void)state;
    struct hqq_rate rate;
    hqq_rate_set(&rate, 1, 64);
    for (int i = 0; i < 10; i++)
        hqq_rate_take(&rate, UINT64_C(1) << 40, 1);
    assert_true(hqq_rate_ready_ns(&rate) > UINT64_C(1) << 62);
    hqq_rate_set(&rate, UINT64_C(1) << 48, UINT64_C(1) << 48);
    hqq_rate_take(&rate, UINT64_C(1) << 48, 1);
    assert_int_equal(hqq_rate_ready_ns(&rate), 1);
}

static void a_rate_beyond_all_sense_is_refused(void **state)
{
    (void)state;
    const uint64_t beyond = (UINT64_C(1) << 48) + 1;
    assert_int_equal(hqq_connection_set_rate(bulk[0], beyond, 0), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_connection_set_rate(bulk[0], 1, beyond), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_advanced_set_rate(duo.end[0], beyond, 0), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_advanced_set_rate(duo.end[0], 1, beyond), HQQ_ERROR_INVALID_SIZE);
}

static void a_message_takes_at_least_the_time_that_its_rate_says(void **state)
{
    (void)state;
    const uint64_t least = 20 * HQQ_NS_PER_MS; /* 21000 bytes at a megabyte a second, less what goes at once */
    assert_int_equal(hqq_connection_set_rate(bulk[0], 1000 * 1000, 936), 0);
    assert_int_equal(hqq_advanced_start(duo.end[1], NULL), 0);
    uint64_t begun = hqq_clock_ns();
    assert_int_equal(hqq_connection_send(bulk[0], bytes, 21000, advanced_soon()), 0);
    assert_true(hqq_clock_ns() - begun >= least);
    assert_true(advanced_stats(duo.end[0]).rate_waits > 0);
}

/* Another connection goes meanwhile, and who lifts the limit lifts it at once. */
static void a_rate_holds_back_its_own_connection_only(void **state)
{
    (void)state;
    assert_int_equal(hqq_connection_set_rate(urgent[0], 1, 0), 0);
    assert_int_equal(hqq_connection_post(urgent[0], bytes, 10 * SIZE), 0);
    assert_int_equal(hqq_connection_post(bulk[0], bytes, 10 * SIZE), 0);
    duo_settle(&duo);
    advanced_assert_connection_receives(duo.end[1], bulk[1], bytes, 10 * SIZE, 0);
    assert_int_equal(hqq_connection_set_rate(urgent[0], 0, 0), 0);
    duo_settle(&duo);
    advanced_assert_connection_receives(duo.end[1], urgent[1], bytes, 10 * SIZE, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_urgent_message_overtakes_a_bulk_one_between_chunks),
        TEST(each_class_finds_room_where_a_lower_one_does_not),
        TEST(of_every_32_chunks_one_is_the_lowest_classes),
        TEST(connections_of_one_class_take_turns),
        cmocka_unit_test_setup_teardown(without_qos_all_are_one_class, set_up_without, tear_down),
        TEST(messages_are_counted_and_timed_by_class),
        TEST(a_class_that_is_none_is_refused),
        cmocka_unit_test(a_bucket_is_overdrawn_once_and_fills_with_time),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(the_slowest_rate_and_the_largest_burst_do_not_overflow),
        TEST(a_rate_beyond_all_sense_is_refused),
        TEST(a_message_takes_at_least_the_time_that_its_rate_says),
        TEST(a_rate_holds_back_its_own_connection_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
