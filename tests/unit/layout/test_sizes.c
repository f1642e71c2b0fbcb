/* What size a region has, and where its parts lie: for the shapes that the original implementation was asked for, on
 * its page size, and at the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/layout.h"

#define ORIGINAL_PAGE 4096
#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

/* The original's answers: bytes of a region, 0 for a shape that it refuses. It takes signed numbers, as here. */
#define SIZES (HQQ_SOURCE_DIR "/tests/golden/sizes.csv")
#define ORIGINALS 195

static struct {
    int64_t buffer_count;
    int64_t buffer_size;
    uint64_t bytes;
} original[ORIGINALS];

static const uint64_t page_sizes[] = {4096, 16384, 65536};

#define PAGE_SIZES (sizeof(page_sizes) / sizeof(page_sizes[0]))

/* A missing, short or long table fails the group: the tests would have nothing, or not all, to compare with. */
static int read_originals(void **state)
{
    (void)state;
    char line[80], more;
    size_t count = 0;
    FILE *file = fopen(SIZES, "re");
    if (!file || !fgets(line, sizeof(line), file) || strcmp(line, "bufferCount,bufferSize,layoutSize\n") != 0) {
        fprintf(stderr, "%s: missing, or no table of sizes\n", SIZES);
        return -1;
    }
    while (count < ORIGINALS && fgets(line, sizeof(line), file) &&
           sscanf(line, "%" SCNd64 ",%" SCNd64 ",%" SCNu64 "%c", &original[count].buffer_count,
                  &original[count].buffer_size, &original[count].bytes, &more) == 4 &&
           more == '\n')
        count++;
    bool at_end = fgetc(file) == EOF;
    fclose(file);
    if (count == ORIGINALS && at_end)
        return 0;
    fprintf(stderr, "%s:%zu: expected %d lines of three numbers\n", SIZES, count + 2, ORIGINALS);
    return -1;
}

static int bytes_of(uint64_t buffer_count, uint64_t buffer_size, uint64_t *ret_bytes)
{
    struct hqq_layout layout = {.bytes = UNTOUCHED};
    int result = hqq_layout_compute(buffer_count, buffer_size, ORIGINAL_PAGE, &layout);
    *ret_bytes = layout.bytes;
    return result;
}

static void every_shape_of_the_original_has_its_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORIGINALS; i++) {
        uint64_t bytes;
        int result = bytes_of((uint64_t)original[i].buffer_count, (uint64_t)original[i].buffer_size, &bytes);
        if (original[i].bytes != 0) {
            assert_int_equal(result, 0);
            assert_int_equal(bytes, original[i].bytes);
        } else {
            assert_in_range(result, HQQ_ERROR_MEMORY_ALIGN, HQQ_ERROR_INVALID_SIZE);
            assert_int_equal(bytes, UNTOUCHED);
        }
    }
}

static void the_public_function_says_the_same_for_this_page_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < ORIGINALS; i++) {
        struct hqq_layout layout = {.bytes = UNTOUCHED};
        uint64_t bytes = UNTOUCHED;
        uint64_t count = (uint64_t)original[i].buffer_count, size = (uint64_t)original[i].buffer_size;
        assert_int_equal(hqq_layout_size(count, size, &bytes),
                         hqq_layout_compute(count, size, hqq_page_size(), &layout));
        assert_int_equal(bytes, layout.bytes);
    }
}

static void each_broken_rule_has_its_error(void **state)
{
    (void)state;
    static const struct {
        uint64_t buffer_count, buffer_size;
        int error;
    } broken[] = {
        {0, 64, HQQ_ERROR_INVALID_SIZE},
        {1, 64, HQQ_ERROR_INVALID_SIZE},
        {3, 64, HQQ_ERROR_INVALID_SIZE},
        {(uint64_t)-2, 64, HQQ_ERROR_INVALID_SIZE},
        {4, 0, HQQ_ERROR_INVALID_SIZE},
        {4, 7, HQQ_ERROR_INVALID_SIZE},
        {4, (uint64_t)-8, HQQ_ERROR_INVALID_SIZE},
        {4, 9, HQQ_ERROR_MEMORY_ALIGN},
        {4, 12, HQQ_ERROR_MEMORY_ALIGN},
        {3, 12, HQQ_ERROR_INVALID_SIZE},
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        uint64_t bytes;
        assert_int_equal(bytes_of(broken[i].buffer_count, broken[i].buffer_size, &bytes), broken[i].error);
        assert_int_equal(bytes, UNTOUCHED);
    }
}

static void the_parts_lie_where_the_format_has_them(void **state)
{
    (void)state;
    static const struct {
        uint64_t page_size, buffer_count, buffer_size;
        uint64_t ring[2], buffers[2], bytes;
    } known[] = {
        {4096, 2, 8, {4096, 12288}, {8192, 16384}, 20480},
        {4096, 64, 104, {4096, 20480}, {12288, 28672}, 36864},
        {4096, 256, 4096, {4096, 1073152}, {24576, 1093632}, 2142208},
        {16384, 2, 8, {16384, 49152}, {32768, 65536}, 81920},
        {16384, 256, 4096, {16384, 1097728}, {49152, 1130496}, 2179072},
        {65536, 2, 8, {65536, 196608}, {131072, 262144}, 327680},
        {65536, 1024, 65536, {65536, 67305472}, {196608, 67436544}, 134545408},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct hqq_layout layout;
        assert_int_equal(hqq_layout_compute(known[i].buffer_count, known[i].buffer_size, known[i].page_size, &layout),
                         0);
        for (int r = 0; r < HQQ_RING_COUNT; r++) {
            assert_int_equal(layout.ring[r], known[i].ring[r]);
            assert_int_equal(layout.buffers[r], known[i].buffers[r]);
        }
        assert_int_equal(layout.bytes, known[i].bytes);
        assert_int_equal(layout.page_size, known[i].page_size);
        assert_int_equal(layout.buffer_count, known[i].buffer_count);
        assert_int_equal(layout.buffer_size, known[i].buffer_size);
    }
}

static void every_part_starts_on_a_page_and_ends_before_the_next(void **state)
{
    (void)state;
    for (size_t p = 0; p < PAGE_SIZES; p++) {
        for (size_t i = 0; i < ORIGINALS; i++) {
            struct hqq_layout layout;
            uint64_t count = (uint64_t)original[i].buffer_count, size = (uint64_t)original[i].buffer_size;
            if (hqq_layout_compute(count, size, page_sizes[p], &layout) != 0)
                continue;
            const uint64_t starts[] = {layout.ring[0], layout.buffers[0], layout.ring[1], layout.buffers[1],
                                       layout.bytes};
            const uint64_t lengths[] = {512 + 72 * count, count * size, 512 + 72 * count, count * size};
            assert_int_equal(starts[0], page_sizes[p]);
            for (size_t part = 0; part < 4; part++) {
                assert_int_equal(starts[part] % page_sizes[p], 0);
                assert_in_range(starts[part + 1] - starts[part], lengths[part], lengths[part] + page_sizes[p] - 1);
            }
        }
    }
}

static void counts_reach_to_two_to_the_32(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(bytes_of(UINT64_C(1) << 32, 8, &bytes), 0);
    assert_int_equal(bytes, 4096 + 2 * (4096 + UINT64_C(72) * (UINT64_C(1) << 32) + (UINT64_C(8) << 32)));
    assert_int_equal(bytes_of(UINT64_C(1) << 33, 8, &bytes), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(bytes_of(UINT64_C(1) << 63, 8, &bytes), HQQ_ERROR_INVALID_SIZE);
}

static void sizes_reach_to_two_to_the_32(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(bytes_of(2, UINT64_C(1) << 32, &bytes), 0);
    assert_int_equal(bytes, 4096 + 2 * (4096 + (UINT64_C(2) << 32)));
    assert_int_equal(bytes_of(2, (UINT64_C(1) << 32) + 8, &bytes), HQQ_ERROR_INVALID_SIZE);
}

static void products_that_overflow_are_refused(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_int_equal(bytes_of(UINT64_C(1) << 32, UINT64_C(1) << 32, &bytes), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(bytes_of(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 8, &bytes), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(bytes_of(UINT64_C(1) << 32, UINT64_C(1) << 31, &bytes), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(bytes, UNTOUCHED);
}

/* One direction takes 512 + 72 * C + C * S bytes, so this size of a buffer is near the largest for the largest
 * count. */
static void totals_reach_to_two_to_the_62(void **state)
{
    (void)state;
    uint64_t bytes, count = UINT64_C(1) << 32;
    uint64_t size = (UINT64_C(1) << 29) - 80;
    assert_int_equal(bytes_of(count, size + 8, &bytes), HQQ_ERROR_INVALID_SIZE);
    assert_int_equal(bytes_of(count, size, &bytes), 0);
    assert_int_equal(bytes, 4096 + 2 * (4096 + 72 * count + size * count));
    assert_in_range(bytes, 1, UINT64_C(1) << 62);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_the_original_has_its_size),
        cmocka_unit_test(the_public_function_says_the_same_for_this_page_size),
        cmocka_unit_test(each_broken_rule_has_its_error),
        cmocka_unit_test(the_parts_lie_where_the_format_has_them),
        cmocka_unit_test(every_part_starts_on_a_page_and_ends_before_the_next),
        cmocka_unit_test(counts_reach_to_two_to_the_32),
        cmocka_unit_test(sizes_reach_to_two_to_the_32),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(totals_reach_to_two_to_the_62),
    };
    return cmocka_run_group_tests(tests, read_originals, NULL);
}
