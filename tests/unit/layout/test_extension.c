/* The extension block: setting it up once, finding it, and what is made of one that is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include <hqq/link.h>

#include "layout/extension.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "support/region.h"

#define NAMESPACE 4711
#define INITIALIZER UINT64_C(0x123456789abcde)
#define UNTOUCHED 0x5a

static struct region region;
static struct hqq_extension *extension; /* where it belongs */
static struct hqq_sys real;
static unsigned sleeps;

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    region = region_new(hqq_page_size());
    extension = region_extension(&region);
    sleeps = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    region_delete(&region);
    return 0;
}

static void assert_set_up(uint64_t initializer)
{
    assert_int_equal(hqq_load_relaxed(&extension->magic), UINT64_C(0x4851515f45585431));
    assert_int_equal(hqq_load_relaxed(&extension->flags), 0);
    assert_int_equal(hqq_load_relaxed(&extension->pid_namespace), NAMESPACE);
    assert_int_equal(hqq_load_relaxed(&extension->initializer), initializer);
}

static void assert_is_silent(const struct hqq_bell *bell)
{
    assert_int_equal(hqq_load32_relaxed(&bell->sequence), 0);
    assert_int_equal(hqq_load32_relaxed(&bell->armed), 0);
    assert_int_equal(hqq_load32_relaxed(&bell->sleepers), 0);
    assert_int_equal(hqq_load32_relaxed(&bell->is_polled), 0);
}

/* ---- Setting up -------------------------------------------------------------------------------------------------- */

static void a_formatted_block_names_its_initializer(void **state)
{
    (void)state;
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    assert_set_up(INITIALIZER);
}

static void formatting_zeroes_what_was_there_and_touches_nothing_beside_it(void **state)
{
    (void)state;
    unsigned char *bytes = region.base;
    memset(bytes, UNTOUCHED, region.length);
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    for (size_t i = 0; i < region.length; i++) {
        if (i < 64 || i >= 64 + 448)
            assert_int_equal(bytes[i], UNTOUCHED);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hqq_load_relaxed(&extension->end[i].owner), 0);
        assert_int_equal(hqq_load32_relaxed(&extension->end[i].cpu), 0);
        assert_int_equal(hqq_load32_relaxed(&extension->end[i].is_light), 0);
        assert_is_silent(&extension->ring[i].data);
        assert_is_silent(&extension->ring[i].space);
    }
}

static void each_bell_and_each_end_has_a_cache_line_of_its_own(void **state)
{
    (void)state;
    assert_int_equal(offsetof(struct hqq_extension, end[0]), 64);
    assert_int_equal(offsetof(struct hqq_extension, end[1]), 128);
    assert_int_equal(offsetof(struct hqq_extension, ring[0].data), 192);
    assert_int_equal(offsetof(struct hqq_extension, ring[0].space), 256);
    assert_int_equal(offsetof(struct hqq_extension, ring[1].data), 320);
    assert_int_equal(offsetof(struct hqq_extension, ring[1].space), 384);
}

/* ---- Finding ----------------------------------------------------------------------------------------------------- */

static void who_finds_zero_bytes_sets_the_block_up_for_an_unknown_initializer(void **state)
{
    (void)state;
    assert_ptr_equal(hqq_extension_find(region.base, NAMESPACE, 0), extension);
    assert_set_up(HQQ_PROCESS_UNKNOWN);
}

static void who_finds_the_block_leaves_it_as_it_is(void **state)
{
    (void)state;
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    hqq_store_relaxed(&extension->end[1].owner, 99);
    assert_ptr_equal(hqq_extension_find(region.base, NAMESPACE + 1, 0), extension);
    assert_set_up(INITIALIZER);
    assert_int_equal(hqq_load_relaxed(&extension->end[1].owner), 99);
}

static void a_block_with_unknown_flags_is_not_used(void **state)
{
    (void)state;
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    hqq_store_relaxed(&extension->flags, UINT64_C(1) << 63);
    assert_null(hqq_extension_find(region.base, NAMESPACE, 0));
}

static void a_block_of_another_kind_is_not_used_nor_written_to(void **state)
{
    (void)state;
    memset(extension, UNTOUCHED, sizeof(*extension));
    assert_null(hqq_extension_find(region.base, NAMESPACE, 0));
    for (size_t i = 0; i < sizeof(*extension); i++)
        assert_int_equal(((unsigned char *)extension)[i], UNTOUCHED);
}

static int count_a_sleep(uint64_t deadline_ns)
{
    sleeps++;
    return real.sleep_until(deadline_ns);
}

static void who_dies_while_setting_up_is_waited_for_until_the_deadline(void **state)
{
    (void)state;
    hqq_sys.sleep_until = count_a_sleep;
    hqq_store_relaxed(&extension->magic, HQQ_EXTENSION_SETTING);
    assert_null(hqq_extension_find(region.base, NAMESPACE, 0));
    assert_int_equal(sleeps, 0);
    uint64_t deadline = hqq_clock_ns() + HQQ_NS_PER_MS;
    assert_null(hqq_extension_find(region.base, NAMESPACE, deadline));
    assert_true(hqq_clock_ns() >= deadline);
    assert_true(sleeps > 0);
    assert_int_equal(hqq_load_relaxed(&extension->magic), HQQ_EXTENSION_SETTING);
}

static int set_up_at_the_third_sleep(uint64_t deadline_ns)
{
    (void)deadline_ns;
    if (++sleeps == 3)
        hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    return 0;
}

static void a_block_that_is_being_set_up_is_found_when_it_is_ready(void **state)
{
    (void)state;
    hqq_sys.sleep_until = set_up_at_the_third_sleep;
    hqq_store_relaxed(&extension->magic, HQQ_EXTENSION_SETTING);
    assert_ptr_equal(hqq_extension_find(region.base, NAMESPACE, HQQ_FOREVER), extension);
    assert_int_equal(sleeps, 3);
    assert_set_up(INITIALIZER);
}

static void peeking_finds_a_block_that_is_there_and_writes_nothing(void **state)
{
    (void)state;
    assert_null(hqq_extension_peek(region.base));
    assert_int_equal(hqq_load_relaxed(&extension->magic), 0);
    hqq_store_relaxed(&extension->magic, HQQ_EXTENSION_SETTING);
    assert_null(hqq_extension_peek(region.base));
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    assert_ptr_equal(hqq_extension_peek(region.base), extension);
    hqq_store_relaxed(&extension->flags, 1);
    assert_null(hqq_extension_peek(region.base));
}

static void *find(void *page)
{
    return hqq_extension_find(page, NAMESPACE, HQQ_FOREVER);
}

static void many_who_find_zero_bytes_at_once_find_one_block(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        pthread_t threads[4];
        memset(region.base, 0, region.length);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, find, region.base), 0);
        for (int i = 0; i < 4; i++) {
            void *found;
            pthread_join(threads[i], &found);
            assert_ptr_equal(found, extension);
        }
        assert_set_up(HQQ_PROCESS_UNKNOWN);
    }
}

/* ---- The initializer --------------------------------------------------------------------------------------------- */

static void the_initializer_is_told_to_its_own_namespace_only(void **state)
{
    (void)state;
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    assert_int_equal(hqq_extension_initializer(region.base, NAMESPACE), INITIALIZER);
    assert_int_equal(hqq_extension_initializer(region.base, NAMESPACE + 1), HQQ_PROCESS_UNKNOWN);
    assert_int_equal(hqq_extension_initializer(region.base, 0), HQQ_PROCESS_UNKNOWN);
}

static void an_initializer_without_a_namespace_is_unknown(void **state)
{
    (void)state;
    hqq_extension_format(region.base, 0, INITIALIZER);
    assert_int_equal(hqq_extension_initializer(region.base, 0), HQQ_PROCESS_UNKNOWN);
}

static void a_block_that_is_not_set_up_names_no_initializer(void **state)
{
    (void)state;
    assert_int_equal(hqq_extension_initializer(region.base, NAMESPACE), HQQ_PROCESS_UNKNOWN);
    hqq_extension_format(region.base, NAMESPACE, INITIALIZER);
    hqq_store_relaxed(&extension->magic, HQQ_EXTENSION_SETTING);
    assert_int_equal(hqq_extension_initializer(region.base, NAMESPACE), HQQ_PROCESS_UNKNOWN);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_formatted_block_names_its_initializer),
        TEST(formatting_zeroes_what_was_there_and_touches_nothing_beside_it),
        TEST(each_bell_and_each_end_has_a_cache_line_of_its_own),
        TEST(who_finds_zero_bytes_sets_the_block_up_for_an_unknown_initializer),
        TEST(who_finds_the_block_leaves_it_as_it_is),
        TEST(a_block_with_unknown_flags_is_not_used),
        TEST(a_block_of_another_kind_is_not_used_nor_written_to),
        TEST(who_dies_while_setting_up_is_waited_for_until_the_deadline),
        TEST(a_block_that_is_being_set_up_is_found_when_it_is_ready),
        TEST(peeking_finds_a_block_that_is_there_and_writes_nothing),
        TEST(many_who_find_zero_bytes_at_once_find_one_block),
        TEST(the_initializer_is_told_to_its_own_namespace_only),
        TEST(an_initializer_without_a_namespace_is_unknown),
        TEST(a_block_that_is_not_set_up_names_no_initializer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
