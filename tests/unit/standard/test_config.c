/* Configurations and memory that a link can be attached to, and those that are refused, with nothing left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/superblock.h"
#include "platform/clock.h"
#include "platform/sys.h"
#include "standard/open.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64

static struct region region;
static struct hqq_link *const untouched = (struct hqq_link *)&region; /* what ret_link holds before a refusal */
static struct hqq_sys real;

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    region = region_for(COUNT, SIZE);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    region_delete(&region);
    return 0;
}

static struct hqq_link *attach(const struct hqq_link_config *config)
{
    struct hqq_link *link = NULL;
    assert_int_equal(hqq_link_attach(region.base, region.length, config, &link), 0);
    return link;
}

static void assert_refused(const struct hqq_link_config *config, int error)
{
    struct hqq_link *link = untouched;
    assert_int_equal(hqq_link_attach(region.base, region.length, config, &link), error);
    assert_ptr_equal(link, untouched);
}

static void assert_region_is_zero(void)
{
    for (size_t i = 0; i < region.length; i++)
        assert_int_equal(((unsigned char *)region.base)[i], 0);
}

/* ---- Completing a configuration ---------------------------------------------------------------------------------- */

static void what_is_not_said_has_the_documented_default(void **state)
{
    (void)state;
    struct hqq_link_config complete;
    struct hqq_layout layout;
    assert_int_equal(hqq_config_complete(NULL, &complete, &layout), 0);
    assert_int_equal(complete.buffer_count, 256);
    assert_int_equal(complete.buffer_size, 4096);
    assert_int_equal(complete.attach_timeout_ns, HQQ_NS_PER_S);
    assert_int_equal(complete.spin_ns, 20 * HQQ_NS_PER_US);
    assert_int_equal(complete.peer_check_ns, 100 * HQQ_NS_PER_MS);
    assert_int_equal(complete.role, HQQ_ROLE_ANY);
    assert_int_equal(complete.flags, 0);
    assert_int_equal(complete.mode, 0600);
    assert_int_equal(layout.buffer_count, 256);
    assert_int_equal(layout.buffer_size, 4096);
}

static void what_is_said_stays(void **state)
{
    (void)state;
    const struct hqq_link_config said = {8,    16, 100, 3, HQQ_SPIN_NEVER, 5, HQQ_ROLE_SECONDARY, HQQ_LINK_STREAM_READ,
                                         0640, 0};
    struct hqq_link_config complete;
    struct hqq_layout layout;
    assert_int_equal(hqq_config_complete(&said, &complete, &layout), 0);
    assert_memory_equal(&complete, &said, sizeof(said));
}

static void who_attaches_need_not_say_count_and_size(void **state)
{
    (void)state;
    struct hqq_link_config complete;
    assert_int_equal(hqq_config_complete_attaching(NULL, &complete), 0);
    assert_int_equal(complete.buffer_count, 0);
    assert_int_equal(complete.buffer_size, 0);
}

static void each_invalid_member_has_its_error(void **state)
{
    (void)state;
    static const struct {
        struct hqq_link_config config;
        int error;
    } invalid[] = {
        {{.buffer_count = 3}, HQQ_ERROR_INVALID_SIZE},
        {{.buffer_count = 1}, HQQ_ERROR_INVALID_SIZE},
        {{.buffer_count = UINT64_C(1) << 33}, HQQ_ERROR_INVALID_SIZE},
        {{.buffer_size = 4}, HQQ_ERROR_INVALID_SIZE},
        {{.buffer_size = 12}, HQQ_ERROR_MEMORY_ALIGN},
        {{.buffer_size = UINT64_C(1) << 33}, HQQ_ERROR_INVALID_SIZE},
        {{.large_threshold = (UINT64_C(1) << 62) + 1}, HQQ_ERROR_INVALID_SIZE},
        {{.role = 3}, HQQ_ERROR_INVALID_OP},
        {{.flags = 4}, HQQ_ERROR_INVALID_OP},
        {{.flags = 1u << 31}, HQQ_ERROR_INVALID_OP},
        {{.mode = 01000}, HQQ_ERROR_INVALID_OP},
        {{.reserved = 1}, HQQ_ERROR_INVALID_OP},
    };
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_refused(&invalid[i].config, invalid[i].error);
        assert_region_is_zero();
    }
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void memory_that_is_not_on_a_page_is_refused(void **state)
{
    (void)state;
    struct hqq_link *link = untouched;
    unsigned char *base = region.base;
    assert_int_equal(hqq_link_attach(base + 8, region.length - 8, NULL, &link), HQQ_ERROR_MEMORY_ALIGN);
    assert_int_equal(hqq_link_attach(base + 1, region.length - 1, NULL, &link), HQQ_ERROR_MEMORY_ALIGN);
    assert_int_equal(hqq_link_attach(NULL, region.length, NULL, &link), HQQ_ERROR_MEMORY_ALIGN);
    assert_ptr_equal(link, untouched);
    assert_region_is_zero();
}

static void memory_that_is_too_short_is_refused_and_stays_empty(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    const size_t lengths[] = {0, 1, hqq_page_size() - 1, hqq_page_size(), region.length - 1};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct hqq_link *link = untouched;
        assert_int_equal(hqq_link_attach(region.base, lengths[i], &config, &link), HQQ_ERROR_MEMORY_SMALL);
        assert_ptr_equal(link, untouched);
    }
    assert_region_is_zero();
}

static void memory_may_be_longer_than_the_region(void **state)
{
    (void)state;
    const struct hqq_link_config small = {.buffer_count = 2, .buffer_size = 8};
    struct region large = region_for(256, 64);
    struct hqq_link *primary, *secondary;
    assert_int_equal(hqq_link_attach(large.base, large.length, &small, &primary), 0);
    assert_int_equal(hqq_link_attach(large.base, large.length, NULL, &secondary), 0);
    assert_int_equal(hqq_link_buffer_count(secondary), 2);
    hqq_link_close(secondary);
    hqq_link_close(primary);
    region_delete(&large);
}

/* ---- Agreeing on a region ---------------------------------------------------------------------------------------- */

static void the_first_is_the_primary_and_the_second_the_secondary(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    struct hqq_link *first = attach(&config), *second = attach(&config);
    assert_int_equal(hqq_link_role(first), HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_link_role(second), HQQ_ROLE_SECONDARY);
    assert_refused(&config, HQQ_ERROR_BUSY);
    hqq_link_close(second);
    hqq_link_close(first);
}

static void who_says_nothing_takes_the_region_s_shape(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    struct hqq_link *first = attach(&config), *second = attach(NULL);
    assert_int_equal(hqq_link_buffer_count(second), COUNT);
    assert_int_equal(hqq_link_buffer_size(second), SIZE);
    assert_int_equal(hqq_link_large_threshold(second), SIZE);
    hqq_link_close(second);
    hqq_link_close(first);
}

static void who_wants_another_shape_is_refused(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    struct hqq_link *first = attach(&config);
    assert_refused(&(struct hqq_link_config){.buffer_count = 2 * COUNT}, HQQ_ERROR_INVALID_SIZE);
    assert_refused(&(struct hqq_link_config){.buffer_size = 2 * SIZE}, HQQ_ERROR_INVALID_SIZE);
    hqq_link_close(first);
}

static void each_region_that_is_not_ours_has_its_error(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    static const struct {
        size_t offset;
        uint64_t value;
        int error;
    } altered[] = {
        {offsetof(struct hqq_superblock, magic), 1, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, state), 7, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, major), 2, HQQ_ERROR_VERSION},
        {offsetof(struct hqq_superblock, page_size), 512, HQQ_ERROR_PAGE_SIZE},
        {offsetof(struct hqq_superblock, layout_bytes), 4096, HQQ_ERROR_INVALID_SIZE},
    };
    hqq_link_close(attach(&config));
    for (size_t i = 0; i < sizeof(altered) / sizeof(altered[0]); i++) {
        hqq_atomic_u64 *word = region_word(&region, altered[i].offset);
        uint64_t honest = hqq_load_relaxed(word);
        hqq_store_relaxed(word, altered[i].value);
        assert_refused(NULL, altered[i].error);
        hqq_store_relaxed(word, honest);
    }
    hqq_link_close(attach(NULL));
}

static void a_region_with_a_broken_ring_is_not_ours(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE};
    struct hqq_layout layout;
    assert_int_equal(hqq_layout_compute(COUNT, SIZE, hqq_page_size(), &layout), 0);
    hqq_link_close(attach(&config));
    for (int ring = 0; ring < HQQ_RING_COUNT; ring++) {
        for (size_t offset = 0; offset <= 16; offset += 8) {
            hqq_atomic_u64 *word = region_word(&region, layout.ring[ring] + offset);
            uint64_t honest = hqq_load_relaxed(word);
            hqq_store_relaxed(word, honest + 1);
            assert_refused(NULL, HQQ_ERROR_BAD_MAGIC);
            hqq_store_relaxed(word, honest);
        }
    }
    hqq_link_close(attach(NULL));
}

/* ---- Waiting for a region ---------------------------------------------------------------------------------------- */

static void a_secondary_waits_for_an_empty_region_until_its_time_out(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.role = HQQ_ROLE_SECONDARY, .attach_timeout_ns = 5 * HQQ_NS_PER_MS};
    uint64_t before = hqq_clock_ns();
    assert_refused(&config, HQQ_ERROR_FAILED_INIT);
    assert_true(hqq_clock_ns() - before >= 5 * HQQ_NS_PER_MS);
    assert_region_is_zero();
}

static void a_claimed_region_is_waited_for_until_the_time_out(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.attach_timeout_ns = 5 * HQQ_NS_PER_MS};
    assert_true(hqq_superblock_claim(region.base));
    uint64_t before = hqq_clock_ns();
    assert_refused(&config, HQQ_ERROR_FAILED_INIT);
    assert_true(hqq_clock_ns() - before >= 5 * HQQ_NS_PER_MS);
}

static struct hqq_link *late_primary;

static int attach_while_the_secondary_sleeps(uint64_t deadline_ns)
{
    const struct hqq_link_config config = {.buffer_count = COUNT, .buffer_size = SIZE, .role = HQQ_ROLE_PRIMARY};
    hqq_sys.sleep_until = real.sleep_until;
    (void)deadline_ns;
    return hqq_link_attach(region.base, region.length, &config, &late_primary) == 0 ? 0 : -EINTR;
}

static void a_secondary_finds_the_region_once_a_primary_has_made_it(void **state)
{
    (void)state;
    hqq_sys.sleep_until = attach_while_the_secondary_sleeps;
    struct hqq_link *secondary =
        attach(&(struct hqq_link_config){.role = HQQ_ROLE_SECONDARY, .attach_timeout_ns = HQQ_FOREVER});
    assert_int_equal(hqq_link_role(secondary), HQQ_ROLE_SECONDARY);
    hqq_link_close(secondary);
    hqq_link_close(late_primary);
}

/* ---- Describing -------------------------------------------------------------------------------------------------- */

static void a_link_says_what_it_was_opened_with(void **state)
{
    (void)state;
    struct hqq_link *link =
        attach(&(struct hqq_link_config){.buffer_count = COUNT, .buffer_size = SIZE, .large_threshold = 1000});
    assert_int_equal(hqq_link_role(link), HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_link_buffer_count(link), COUNT);
    assert_int_equal(hqq_link_buffer_size(link), SIZE);
    assert_int_equal(hqq_link_large_threshold(link), 1000);
    hqq_link_close(link);
}

static void the_large_threshold_can_be_set_within_its_bounds(void **state)
{
    (void)state;
    struct hqq_link *link = attach(&(struct hqq_link_config){.buffer_count = COUNT, .buffer_size = SIZE});
    assert_int_equal(hqq_link_set_large_threshold(link, 1), 0);
    assert_int_equal(hqq_link_large_threshold(link), 1);
    assert_int_equal(hqq_link_set_large_threshold(link, UINT64_C(1) << 62), 0);
    assert_int_equal(hqq_link_set_large_threshold(link, 0), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_set_large_threshold(link, (UINT64_C(1) << 62) + 1), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(hqq_link_large_threshold(link), UINT64_C(1) << 62);
    hqq_link_close(link);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_said_has_the_documented_default),
        TEST(what_is_said_stays),
        TEST(who_attaches_need_not_say_count_and_size),
        TEST(each_invalid_member_has_its_error),
        TEST(memory_that_is_not_on_a_page_is_refused),
        TEST(memory_that_is_too_short_is_refused_and_stays_empty),
        TEST(memory_may_be_longer_than_the_region),
        TEST(the_first_is_the_primary_and_the_second_the_secondary),
        TEST(who_says_nothing_takes_the_region_s_shape),
        TEST(who_wants_another_shape_is_refused),
        TEST(each_region_that_is_not_ours_has_its_error),
        TEST(a_region_with_a_broken_ring_is_not_ours),
        TEST(a_secondary_waits_for_an_empty_region_until_its_time_out),
        TEST(a_claimed_region_is_waited_for_until_the_time_out),
        TEST(a_secondary_finds_the_region_once_a_primary_has_made_it),
        TEST(a_link_says_what_it_was_opened_with),
        TEST(the_large_threshold_can_be_set_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
