/* What one look at a superblock tells: each state, each way in which a region is not what was wanted, and any words at
 * all that a hostile peer may write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <hqq/error.h>

#include "layout/extension.h"
#include "layout/superblock.h"
#include "platform/process.h"
#include "platform/sys.h"
#include "support/child.h"
#include "support/region.h"

#define COUNT 4
#define SIZE 64
#define FOREIGN_NAMESPACE 12345
#define UNTOUCHED 0x5a

static struct region region;
static struct hqq_superblock *superblock;
static struct hqq_layout layout;    /* of the region that publish() makes */
static struct hqq_attach_wish wish; /* that the region fulfils */
static struct hqq_sys real;

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    region = region_for(COUNT, SIZE);
    superblock = region.base;
    wish = (struct hqq_attach_wish){
        .page_size = hqq_page_size(),
        .memory_bytes = region.length,
        .pid_namespace = hqq_process_namespace(),
    };
    return hqq_layout_compute(COUNT, SIZE, hqq_page_size(), &layout);
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    region_delete(&region);
    return 0;
}

static void publish(void)
{
    assert_true(hqq_superblock_claim(region.base));
    hqq_superblock_publish(region.base, &layout);
}

static enum hqq_attach look(int *ret_error)
{
    struct hqq_layout found;
    *ret_error = 0;
    return hqq_superblock_look(region.base, &wish, &found, ret_error);
}

static void assert_state(enum hqq_attach expected)
{
    int error;
    assert_int_equal(look(&error), expected);
}

static void assert_mismatch(int expected)
{
    int error;
    assert_int_equal(look(&error), HQQ_ATTACH_MISMATCH);
    assert_int_equal(error, expected);
}

/* ---- States ------------------------------------------------------------------------------------------------------ */

static void zero_memory_is_empty(void **state)
{
    (void)state;
    assert_state(HQQ_ATTACH_EMPTY);
}

static void one_claim_alone_succeeds(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    assert_false(hqq_superblock_claim(region.base));
}

static void a_claim_of_a_region_that_is_ready_fails(void **state)
{
    (void)state;
    publish();
    assert_false(hqq_superblock_claim(region.base));
    assert_state(HQQ_ATTACH_READY);
}

static void a_claimed_region_is_initializing(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    assert_state(HQQ_ATTACH_INITIALIZING);
}

static void a_region_of_a_living_initializer_is_initializing(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    hqq_extension_format(region.base, wish.pid_namespace, hqq_process_self());
    assert_state(HQQ_ATTACH_INITIALIZING);
}

static void a_region_of_a_dead_initializer_says_so(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    hqq_extension_format(region.base, wish.pid_namespace, child_dead_identity());
    assert_state(HQQ_ATTACH_INIT_DIED);
}

static void nobody_of_another_namespace_is_declared_dead(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    hqq_extension_format(region.base, FOREIGN_NAMESPACE, child_dead_identity());
    assert_state(HQQ_ATTACH_INITIALIZING);
    hqq_extension_format(region.base, 0, child_dead_identity());
    wish.pid_namespace = 0;
    assert_state(HQQ_ATTACH_INITIALIZING);
}

static int publish_then_say_gone(pid_t pid, int number)
{
    (void)pid;
    (void)number;
    hqq_superblock_publish(region.base, &layout);
    return -ESRCH;
}

static void a_region_that_became_ready_before_its_initializer_died_is_ready(void **state)
{
    (void)state;
    assert_true(hqq_superblock_claim(region.base));
    hqq_extension_format(region.base, wish.pid_namespace, hqq_process_self());
    hqq_sys.kill = publish_then_say_gone;
    assert_state(HQQ_ATTACH_READY);
}

static void a_published_region_is_ready_with_its_layout(void **state)
{
    (void)state;
    publish();
    struct hqq_layout found;
    int error = 0;
    assert_int_equal(hqq_superblock_look(region.base, &wish, &found, &error), HQQ_ATTACH_READY);
    assert_memory_equal(&found, &layout, sizeof(found));
    assert_int_equal(error, 0);
}

static void a_published_superblock_has_the_words_of_the_format(void **state)
{
    (void)state;
    publish();
    const uint64_t expected[] = {UINT64_C(0x4851515f53544c31), 2, 1, 0, hqq_page_size(), COUNT, SIZE, layout.bytes};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(hqq_load_relaxed(region_word(&region, 8 * i)), expected[i]);
}

static void publishing_touches_nothing_behind_the_superblock(void **state)
{
    (void)state;
    memset((unsigned char *)region.base + sizeof(*superblock), UNTOUCHED, region.length - sizeof(*superblock));
    publish();
    for (size_t i = sizeof(*superblock); i < region.length; i++)
        assert_int_equal(((unsigned char *)region.base)[i], UNTOUCHED);
}

/* ---- Mismatches -------------------------------------------------------------------------------------------------- */

static void count_and_size_are_compared_where_they_are_wanted(void **state)
{
    (void)state;
    publish();
    wish.buffer_count = COUNT;
    wish.buffer_size = SIZE;
    assert_state(HQQ_ATTACH_READY);
    wish.buffer_count = 2 * COUNT;
    assert_mismatch(HQQ_ERROR_INVALID_SIZE);
    wish.buffer_count = COUNT;
    wish.buffer_size = SIZE / 2;
    assert_mismatch(HQQ_ERROR_INVALID_SIZE);
}

static void each_word_that_is_not_the_region_s_has_its_error(void **state)
{
    (void)state;
    const struct {
        size_t offset;
        uint64_t value;
        int error;
    } altered[] = {
        {offsetof(struct hqq_superblock, magic), 0, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, magic), HQQ_SUPERBLOCK_MAGIC ^ 1, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, state), 3, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, state), UINT64_MAX, HQQ_ERROR_BAD_MAGIC},
        {offsetof(struct hqq_superblock, major), 0, HQQ_ERROR_VERSION},
        {offsetof(struct hqq_superblock, major), 2, HQQ_ERROR_VERSION},
        {offsetof(struct hqq_superblock, page_size), 0, HQQ_ERROR_PAGE_SIZE},
        {offsetof(struct hqq_superblock, page_size), 2 * layout.page_size, HQQ_ERROR_PAGE_SIZE},
        {offsetof(struct hqq_superblock, buffer_count), 0, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, buffer_count), 3, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, buffer_count), 256 * COUNT, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, buffer_size), 0, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, buffer_size), SIZE + 1, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, buffer_size), UINT64_C(1) << 31, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, layout_bytes), 0, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, layout_bytes), layout.bytes - 1, HQQ_ERROR_INVALID_SIZE},
        {offsetof(struct hqq_superblock, layout_bytes), layout.bytes + layout.page_size, HQQ_ERROR_INVALID_SIZE},
    };
    publish();
    for (size_t i = 0; i < sizeof(altered) / sizeof(altered[0]); i++) {
        hqq_atomic_u64 *word = region_word(&region, altered[i].offset);
        uint64_t honest = hqq_load_relaxed(word);
        hqq_store_relaxed(word, altered[i].value);
        assert_mismatch(altered[i].error);
        hqq_store_relaxed(word, honest);
    }
    assert_state(HQQ_ATTACH_READY);
}

static void any_minor_version_will_do(void **state)
{
    (void)state;
    publish();
    hqq_store_relaxed(&superblock->minor, UINT64_MAX);
    assert_state(HQQ_ATTACH_READY);
}

static void memory_shorter_than_the_layout_is_refused(void **state)
{
    (void)state;
    publish();
    wish.memory_bytes = layout.bytes - 1;
    assert_mismatch(HQQ_ERROR_MEMORY_SMALL);
    wish.memory_bytes = layout.bytes;
    assert_state(HQQ_ATTACH_READY);
}

static void an_empty_region_with_a_magic_is_none_of_ours(void **state)
{
    (void)state;
    hqq_store_relaxed(&superblock->magic, 1);
    assert_mismatch(HQQ_ERROR_BAD_MAGIC);
}

static void a_refused_look_leaves_the_layout_alone(void **state)
{
    (void)state;
    publish();
    wish.buffer_count = 2 * COUNT;
    struct hqq_layout found, before;
    memset(&found, UNTOUCHED, sizeof(found));
    before = found;
    int error;
    assert_int_equal(hqq_superblock_look(region.base, &wish, &found, &error), HQQ_ATTACH_MISMATCH);
    assert_memory_equal(&found, &before, sizeof(found));
}

/* ---- Hostile words ----------------------------------------------------------------------------------------------- */

/* Xorshift, from a seed that is always the same. */
static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* A look at words that may be anything returns a state there is, and a layout only if it lies in the memory. */
static void assert_look_is_safe(void)
{
    struct hqq_layout found;
    int error = 0;
    enum hqq_attach attach = hqq_superblock_look(region.base, &wish, &found, &error);
    assert_in_range(attach, HQQ_ATTACH_EMPTY, HQQ_ATTACH_INIT_DIED);
    assert_true(attach != HQQ_ATTACH_MISMATCH || error != 0);
    if (attach != HQQ_ATTACH_READY)
        return;
    assert_in_range(found.bytes, 1, wish.memory_bytes);
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        assert_in_range(found.ring[i], found.page_size, found.bytes - (512 + 72 * found.buffer_count));
        assert_in_range(found.buffers[i], found.page_size, found.bytes - found.buffer_count * found.buffer_size);
    }
}

static void any_value_of_any_word_is_safe_to_look_at(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    publish();
    for (size_t word = 0; word < 8; word++) {
        hqq_atomic_u64 *victim = region_word(&region, 8 * word);
        uint64_t honest = hqq_load_relaxed(victim);
        for (int i = 0; i < 200; i++) {
            const uint64_t special[] = {0, 1, 2, 8, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 32, UINT64_C(1) << 63};
            hqq_store_relaxed(victim, i < 8 ? special[i] : next_random(&random) >> (i % 64));
            assert_look_is_safe();
        }
        hqq_store_relaxed(victim, honest);
    }
}

static void any_shape_that_the_words_may_say_is_safe(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    publish();
    for (int i = 0; i < 20000; i++) {
        uint64_t count = UINT64_C(1) << next_random(&random) % 64;
        uint64_t size = next_random(&random) >> next_random(&random) % 64;
        struct hqq_layout said = {0};
        (void)hqq_layout_compute(count, size & ~UINT64_C(7), hqq_page_size(), &said);
        hqq_store_relaxed(&superblock->buffer_count, count);
        hqq_store_relaxed(&superblock->buffer_size, size & ~UINT64_C(7));
        hqq_store_relaxed(&superblock->layout_bytes, said.bytes);
        assert_look_is_safe();
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(zero_memory_is_empty),
        TEST(one_claim_alone_succeeds),
        TEST(a_claim_of_a_region_that_is_ready_fails),
        TEST(a_claimed_region_is_initializing),
        TEST(a_region_of_a_living_initializer_is_initializing),
        TEST(a_region_of_a_dead_initializer_says_so),
        TEST(nobody_of_another_namespace_is_declared_dead),
        TEST(a_region_that_became_ready_before_its_initializer_died_is_ready),
        TEST(a_published_region_is_ready_with_its_layout),
        TEST(a_published_superblock_has_the_words_of_the_format),
        TEST(publishing_touches_nothing_behind_the_superblock),
        TEST(count_and_size_are_compared_where_they_are_wanted),
        TEST(each_word_that_is_not_the_region_s_has_its_error),
        TEST(any_minor_version_will_do),
        TEST(memory_shorter_than_the_layout_is_refused),
        TEST(an_empty_region_with_a_magic_is_none_of_ours),
        TEST(a_refused_look_leaves_the_layout_alone),
        TEST(any_value_of_any_word_is_safe_to_look_at),
        TEST(any_shape_that_the_words_may_say_is_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
