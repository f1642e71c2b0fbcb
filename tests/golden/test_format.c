/*
 * What lies in a region after each scene: the counters, every slot's packet, sequence and bytes, and zeroes elsewhere.
 * The tables are what the original implementation left there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "golden/scene.h"
#include "layout/layout.h"
#include "support/region.h"

#define SLOTS 4

struct slot_image {
    uint64_t opcode, operand[3], seq;
    struct bytes bytes; /* the rest of the buffer is zero */
};

struct ring_image {
    uint64_t r, w;
    struct slot_image slot[SLOTS];
};

static const struct ring_image untouched = {
    0,
    0,
    {{0x00, {0, 0, 0}, 0, {0}}, {0x00, {0, 0, 0}, 1, {0}}, {0x00, {0, 0, 0}, 2, {0}}, {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image two_pending_0 = {
    0,
    2,
    {{0xff, {1, 0, 5}, 1, TEXT("hello")},
     {0xff, {2, 1, 64}, 2, PATTERN(64, 1)},
     {0x00, {0, 0, 0}, 2, {0}},
     {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image read_one_0 = {
    1,
    2,
    {{0xff, {1, 0, 5}, 4, TEXT("hello")},
     {0xff, {2, 1, 64}, 2, PATTERN(64, 1)},
     {0x00, {0, 0, 0}, 2, {0}},
     {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image read_one_1 = {
    0,
    1,
    {{0xff, {1, 0, 4}, 1, TEXT("pong")},
     {0x00, {0, 0, 0}, 1, {0}},
     {0x00, {0, 0, 0}, 2, {0}},
     {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image wrapped_0 = {
    8,
    10,
    {{0xff, {9, 0, 16}, 9, PATTERN(16, 8)},
     {0xff, {10, 1, 17}, 10, PATTERN(17, 9)},
     {0xff, {7, 2, 14}, 10, PATTERN(14, 6)},
     {0xff, {8, 3, 15}, 11, PATTERN(15, 7)}},
};

static const struct ring_image full_0 = {
    0,
    4,
    {{0xff, {1, 0, 5}, 1, PATTERN(5, 0)},
     {0xff, {2, 1, 5}, 2, PATTERN(5, 1)},
     {0xff, {3, 2, 5}, 3, PATTERN(5, 2)},
     {0xff, {4, 3, 5}, 4, PATTERN(5, 3)}},
};

static const struct ring_image reserved_0 = {
    0,
    1,
    {{0x00, {0, 0, 0}, 0, {0}}, {0x00, {0, 0, 0}, 1, {0}}, {0x00, {0, 0, 0}, 2, {0}}, {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image tombstone_0 = {
    0,
    2,
    {{0xfe, {1, 0, 7}, 1, {0}},
     {0xff, {2, 1, 5}, 2, TEXT("after")},
     {0x00, {0, 0, 0}, 2, {0}},
     {0x00, {0, 0, 0}, 3, {0}}},
};

static const struct ring_image smallest_1 = {
    0,
    1,
    {{0xff, {1, 0, 8}, 1, TEXT("12345678")}, {0x00, {0, 0, 0}, 1, {0}}},
};

static const struct {
    const char *scene;
    const struct ring_image *ring[2];
} images[] = {
    {"std-fresh", {&untouched, &untouched}},       {"std-two-pending", {&two_pending_0, &untouched}},
    {"std-read-one", {&read_one_0, &read_one_1}},  {"std-wrapped", {&wrapped_0, &untouched}},
    {"std-full", {&full_0, &untouched}},           {"std-reserved", {&reserved_0, &untouched}},
    {"std-tombstone", {&tombstone_0, &untouched}}, {"std-smallest", {&untouched, &smallest_1}},
};

#define IMAGES (sizeof(images) / sizeof(images[0]))

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

/* Builds what must lie in memory, so that one comparison covers every byte of a ring or of its buffers. */

static void put_word(unsigned char *memory, size_t offset, uint64_t value)
{
    memcpy(memory + offset, &value, sizeof(value));
}

static void expect_ring(const struct ring_image *image, uint64_t slots, unsigned char *memory)
{
    put_word(memory, 0, UINT64_C(0xc9d8c1d43f096701));
    put_word(memory, 8, slots);
    put_word(memory, 16, 2);
    put_word(memory, 24, image->r);
    put_word(memory, 128, image->w);
    for (size_t i = 0; i < slots; i++) {
        const struct slot_image *slot = &image->slot[i];
        put_word(memory, 256 + 72 * i, slot->opcode);
        for (size_t operand = 0; operand < 3; operand++)
            put_word(memory, 256 + 72 * i + 8 + 8 * operand, slot->operand[operand]);
        put_word(memory, 256 + 72 * i + 64, slot->seq);
    }
}

static void expect_buffers(const struct ring_image *image, const struct scene *scene, unsigned char *memory)
{
    for (size_t i = 0; i < scene->buffer_count; i++)
        bytes_fill(&image->slot[i].bytes, memory + i * scene->buffer_size);
}

static void assert_scene_looks_like(const struct scene *scene, const struct ring_image *const ring[2])
{
    static unsigned char expected[4096];
    struct hqq_layout layout;
    struct pair pair = pair_open(scene->buffer_count, scene->buffer_size);
    scene->perform(&pair);
    assert_int_equal(hqq_layout_compute(scene->buffer_count, scene->buffer_size, hqq_page_size(), &layout), 0);
    const unsigned char *base = pair.region.base;
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        memset(expected, 0, sizeof(expected));
        expect_ring(ring[i], scene->buffer_count, expected);
        assert_memory_equal(base + layout.ring[i], expected, sizeof(expected));
        memset(expected, 0, sizeof(expected));
        expect_buffers(ring[i], scene, expected);
        assert_memory_equal(base + layout.buffers[i], expected, sizeof(expected));
    }
    pair_close(&pair);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void there_is_an_image_for_every_scene(void **state)
{
    (void)state;
    assert_int_equal(IMAGES, scene_count);
    for (size_t i = 0; i < IMAGES; i++)
        assert_string_equal(images[i].scene, scenes[i].name);
}

static void every_scene_leaves_the_packets_sequences_and_bytes_of_the_original(void **state)
{
    (void)state;
    for (size_t i = 0; i < IMAGES; i++)
        assert_scene_looks_like(&scenes[i], images[i].ring);
}

static void the_superblock_has_the_words_of_the_original(void **state)
{
    (void)state;
    struct pair pair = pair_open(4, 64);
    const uint64_t page = hqq_page_size();
    const uint64_t expected[] = {UINT64_C(0x4851515f53544c31), 2, 1, 0, page, 4, 64, 5 * page};
    assert_memory_equal(pair.region.base, expected, sizeof(expected));
    pair_close(&pair);
}

/* A region that was used before, but whose first page is zero. */
static void what_lay_in_the_memory_before_is_zeroed(void **state)
{
    (void)state;
    struct pair used = pair_open(4, 64), fresh = pair_open(4, 64);
    size_t page = hqq_page_size(), length = used.region.length;
    hqq_link_close(used.secondary);
    hqq_link_close(used.primary);
    memset(used.region.base, 0, page);
    memset((unsigned char *)used.region.base + page, 0x5a, length - page);

    const struct hqq_link_config config = {.buffer_count = 4, .buffer_size = 64};
    assert_int_equal(hqq_link_attach(used.region.base, length, &config, &used.primary), 0);
    assert_int_equal(hqq_link_attach(used.region.base, length, &config, &used.secondary), 0);
    struct hqq_layout layout;
    assert_int_equal(hqq_layout_compute(4, 64, page, &layout), 0);
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        assert_memory_equal((unsigned char *)used.region.base + layout.ring[i],
                            (unsigned char *)fresh.region.base + layout.ring[i], 512 + 72 * 4);
        assert_memory_equal((unsigned char *)used.region.base + layout.buffers[i],
                            (unsigned char *)fresh.region.base + layout.buffers[i], 4 * 64);
    }
    pair_close(&used);
    pair_close(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_an_image_for_every_scene),
        cmocka_unit_test(every_scene_leaves_the_packets_sequences_and_bytes_of_the_original),
        cmocka_unit_test(the_superblock_has_the_words_of_the_original),
        cmocka_unit_test(what_lay_in_the_memory_before_is_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
