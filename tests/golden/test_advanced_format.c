/*
 * What lies in a region after each scene of the advanced protocol: the counters, every slot's packet, sequence and bytes,
 * and zeroes elsewhere. The tables are what the original implementation left there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "golden/advanced_scene.h"
#include "layout/layout.h"
#include "support/pattern.h"

#define SLOTS ADVANCED_SCENE_COUNT
#define USED 5

/* A text, or, where that is NULL, so many bytes of pattern(150, 3) from there on. */
struct bytes {
    const char *text;
    size_t from, length;
};

#define TEXT(text)                                                                                                     \
    {                                                                                                                  \
        (text), 0, 0                                                                                                   \
    }
#define SLICE(from, length)                                                                                            \
    {                                                                                                                  \
        NULL, (from), (length)                                                                                         \
    }

struct slot_image {
    uint64_t opcode, operand[7], seq; /* all 0: untouched */
    struct bytes bytes;               /* the rest of the buffer is zero */
};

struct ring_image {
    uint64_t r, w;
    struct slot_image slot[USED]; /* the rest is untouched */
};

static const struct {
    const char *scene;
    struct ring_image ring[2];
} images[] = {
    {"adv-negotiate-pending", {{0, 1, {{0x05, {0x109, 0xff, 7, 0, 0, 0, 0}, 1, {0}}}}, {0, 0, {{0}}}}},
    {"adv-ack-pending",
     {{1, 1, {{0x05, {0x109, 0xff, 7, 0, 0, 0, 0}, 8, {0}}}}, {0, 1, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 1, {0}}}}}},
    {"adv-negotiate-refused",
     {{1, 1, {{0x05, {0x200, 3, 7, 0, 0, 0, 0}, 8, {0}}}}, {0, 1, {{0x00, {0, 6, 0, 0, 0, 0, 0}, 1, {0}}}}}},
    {"adv-large-pending",
     {{1,
       4,
       {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}},
        {0x04, {0, 1, 0x96, 0, 0x40, 1, 0}, 2, SLICE(0, 64)},
        {0x04, {0, 1, 0x96, 0x40, 0x40, 0, 0}, 3, SLICE(64, 64)},
        {0x04, {0, 1, 0x96, 0x80, 0x16, 2, 0}, 4, SLICE(128, 22)}}},
      {1, 1, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}}}}},
    {"adv-large-and-empty",
     {{1,
       5,
       {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}},
        {0x04, {0, 1, 0x96, 0, 0x40, 1, 0}, 2, SLICE(0, 64)},
        {0x04, {0, 1, 0x96, 0x40, 0x40, 0, 0}, 3, SLICE(64, 64)},
        {0x04, {0, 1, 0x96, 0x80, 0x16, 2, 0}, 4, SLICE(128, 22)},
        {0x04, {9, 2, 0, 0, 0, 3, 0}, 5, {0}}}},
      {1, 1, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}}}}},
    {"adv-request-pending",
     {{1, 2, {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x04, {0, 1, 4, 0, 4, 0xb, 7}, 2, TEXT("ping")}}},
      {1, 1, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}}}}},
    {"adv-responses-pending",
     {{2, 2, {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x04, {0, 1, 4, 0, 4, 0xb, 7}, 9, TEXT("ping")}}},
      {1,
       3,
       {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}},
        {0x04, {0, 1, 2, 0, 2, 0x13, 0x2a}, 2, TEXT("ok")},
        {0x04, {0, 1, 9, 0, 9, 0x33, 0x63}, 3, TEXT("bad thing")}}}}},
    {"adv-create-pending",
     {{1, 2, {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x01, {1, 0, 0, 0, 0, 0, 0}, 2, {0}}}},
      {1, 1, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}}}}},
    {"adv-create-refused",
     {{2, 2, {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x01, {1, 0, 0, 0, 0, 0, 0}, 9, {0}}}},
      {2, 2, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x00, {1, 5, 0, 0, 0, 0, 0}, 9, {0}}}}}},
    {"adv-stream-open",
     {{2, 2, {{0x05, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x01, {1, 0, 0, 0, 0, 0, 0}, 9, {0}}}},
      {2, 2, {{0x06, {0x100, 3, 7, 0, 0, 0, 0}, 8, {0}}, {0x02, {1, 0, 0, 0, 0, 0, 0}, 9, {0}}}}}},
};

#define IMAGES (sizeof(images) / sizeof(images[0]))

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

/* Builds what must lie in memory, so that one comparison covers every byte of a ring or of its buffers. */

static void put_word(unsigned char *memory, size_t offset, uint64_t value)
{
    memcpy(memory + offset, &value, sizeof(value));
}

static void expect_ring(const struct ring_image *image, unsigned char *memory)
{
    put_word(memory, 0, UINT64_C(0xc9d8c1d43f096701));
    put_word(memory, 8, SLOTS);
    put_word(memory, 16, 2);
    put_word(memory, 24, image->r);
    put_word(memory, 128, image->w);
    for (size_t i = 0; i < SLOTS; i++) {
        static const struct slot_image untouched;
        const struct slot_image *slot = i < USED ? &image->slot[i] : &untouched;
        put_word(memory, 256 + 72 * i, slot->opcode);
        for (size_t operand = 0; operand < 7; operand++)
            put_word(memory, 256 + 72 * i + 8 + 8 * operand, slot->operand[operand]);
        put_word(memory, 256 + 72 * i + 64, slot->seq != 0 ? slot->seq : i);
    }
}

static void expect_buffers(const struct ring_image *image, unsigned char *memory)
{
    unsigned char whole[150];
    pattern(whole, sizeof(whole), 3);
    for (size_t i = 0; i < USED; i++) {
        const struct bytes *bytes = &image->slot[i].bytes;
        if (bytes->text)
            memcpy(memory + i * ADVANCED_SCENE_SIZE, bytes->text, strlen(bytes->text));
        else
            memcpy(memory + i * ADVANCED_SCENE_SIZE, whole + bytes->from, bytes->length);
    }
}

static void assert_looks_like(const struct duo *duo, const struct ring_image ring[2])
{
    static unsigned char expected[4096];
    struct hqq_layout layout;
    const unsigned char *base = duo->pair.region.base;
    assert_int_equal(hqq_layout_compute(SLOTS, ADVANCED_SCENE_SIZE, hqq_page_size(), &layout), 0);
    for (int i = 0; i < HQQ_RING_COUNT; i++) {
        memset(expected, 0, sizeof(expected));
        expect_ring(&ring[i], expected);
        assert_memory_equal(base + layout.ring[i], expected, sizeof(expected));
        memset(expected, 0, sizeof(expected));
        expect_buffers(&ring[i], expected);
        assert_memory_equal(base + layout.buffers[i], expected, sizeof(expected));
    }
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

static void there_is_an_image_for_every_scene(void **state)
{
    (void)state;
    assert_int_equal(IMAGES, advanced_scene_count);
    for (size_t i = 0; i < IMAGES; i++)
        assert_string_equal(images[i].scene, advanced_scenes[i].name);
}

static void every_scene_leaves_the_packets_sequences_and_bytes_of_the_original(void **state)
{
    (void)state;
    for (size_t i = 0; i < IMAGES; i++) {
        struct duo duo = advanced_scene_open();
        advanced_scenes[i].perform(&duo);
        assert_looks_like(&duo, images[i].ring);
        duo_close(&duo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_an_image_for_every_scene),
        cmocka_unit_test(every_scene_leaves_the_packets_sequences_and_bytes_of_the_original),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
