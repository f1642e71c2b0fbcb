/* What size a region has, and where its parts lie: for the shapes that the original implementation was asked for, on
 * its page size, and at the bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/layout.h"

#define ORIGINAL_PAGE 4096
#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

/* The original's answers: bytes of a region, 0 for a shape it refuses. It takes signed numbers, as here. */
static const struct {
    int64_t buffer_count;
    int64_t buffer_size;
    uint64_t bytes;
} original[] = {
    {-2, -8, 0},
    {-2, 0, 0},
    {-2, 4, 0},
    {-2, 7, 0},
    {-2, 8, 0},
    {-2, 12, 0},
    {-2, 16, 0},
    {-2, 64, 0},
    {-2, 100, 0},
    {-2, 104, 0},
    {-2, 1024, 0},
    {-2, 4096, 0},
    {-2, 65536, 0},
    {0, -8, 0},
    {0, 0, 0},
    {0, 4, 0},
    {0, 7, 0},
    {0, 8, 0},
    {0, 12, 0},
    {0, 16, 0},
    {0, 64, 0},
    {0, 100, 0},
    {0, 104, 0},
    {0, 1024, 0},
    {0, 4096, 0},
    {0, 65536, 0},
    {1, -8, 0},
    {1, 0, 0},
    {1, 4, 0},
    {1, 7, 0},
    {1, 8, 0},
    {1, 12, 0},
    {1, 16, 0},
    {1, 64, 0},
    {1, 100, 0},
    {1, 104, 0},
    {1, 1024, 0},
    {1, 4096, 0},
    {1, 65536, 0},
    {2, -8, 0},
    {2, 0, 0},
    {2, 4, 0},
    {2, 7, 0},
    {2, 8, 20480},
    {2, 12, 0},
    {2, 16, 20480},
    {2, 64, 20480},
    {2, 100, 0},
    {2, 104, 20480},
    {2, 1024, 20480},
    {2, 4096, 28672},
    {2, 65536, 274432},
    {3, -8, 0},
    {3, 0, 0},
    {3, 4, 0},
    {3, 7, 0},
    {3, 8, 0},
    {3, 12, 0},
    {3, 16, 0},
    {3, 64, 0},
    {3, 100, 0},
    {3, 104, 0},
    {3, 1024, 0},
    {3, 4096, 0},
    {3, 65536, 0},
    {4, -8, 0},
    {4, 0, 0},
    {4, 4, 0},
    {4, 7, 0},
    {4, 8, 20480},
    {4, 12, 0},
    {4, 16, 20480},
    {4, 64, 20480},
    {4, 100, 0},
    {4, 104, 20480},
    {4, 1024, 20480},
    {4, 4096, 45056},
    {4, 65536, 536576},
    {6, -8, 0},
    {6, 0, 0},
    {6, 4, 0},
    {6, 7, 0},
    {6, 8, 0},
    {6, 12, 0},
    {6, 16, 0},
    {6, 64, 0},
    {6, 100, 0},
    {6, 104, 0},
    {6, 1024, 0},
    {6, 4096, 0},
    {6, 65536, 0},
    {8, -8, 0},
    {8, 0, 0},
    {8, 4, 0},
    {8, 7, 0},
    {8, 8, 20480},
    {8, 12, 0},
    {8, 16, 20480},
    {8, 64, 20480},
    {8, 100, 0},
    {8, 104, 20480},
    {8, 1024, 28672},
    {8, 4096, 77824},
    {8, 65536, 1060864},
    {16, -8, 0},
    {16, 0, 0},
    {16, 4, 0},
    {16, 7, 0},
    {16, 8, 20480},
    {16, 12, 0},
    {16, 16, 20480},
    {16, 64, 20480},
    {16, 100, 0},
    {16, 104, 20480},
    {16, 1024, 45056},
    {16, 4096, 143360},
    {16, 65536, 2109440},
    {64, -8, 0},
    {64, 0, 0},
    {64, 4, 0},
    {64, 7, 0},
    {64, 8, 28672},
    {64, 12, 0},
    {64, 16, 28672},
    {64, 64, 28672},
    {64, 100, 0},
    {64, 104, 36864},
    {64, 1024, 151552},
    {64, 4096, 544768},
    {64, 65536, 8409088},
    {256, -8, 0},
    {256, 0, 0},
    {256, 4, 0},
    {256, 7, 0},
    {256, 8, 53248},
    {256, 12, 0},
    {256, 16, 53248},
    {256, 64, 77824},
    {256, 100, 0},
    {256, 104, 102400},
    {256, 1024, 569344},
    {256, 4096, 2142208},
    {256, 65536, 33599488},
    {1000, -8, 0},
    {1000, 0, 0},
    {1000, 4, 0},
    {1000, 7, 0},
    {1000, 8, 0},
    {1000, 12, 0},
    {1000, 16, 0},
    {1000, 64, 0},
    {1000, 100, 0},
    {1000, 104, 0},
    {1000, 1024, 0},
    {1000, 4096, 0},
    {1000, 65536, 0},
    {1024, -8, 0},
    {1024, 0, 0},
    {1024, 4, 0},
    {1024, 7, 0},
    {1024, 8, 176128},
    {1024, 12, 0},
    {1024, 16, 192512},
    {1024, 64, 290816},
    {1024, 100, 0},
    {1024, 104, 372736},
    {1024, 1024, 2256896},
    {1024, 4096, 8548352},
    {1024, 65536, 134377472},
    {2048, -8, 0},
    {2048, 0, 0},
    {2048, 4, 0},
    {2048, 7, 0},
    {2048, 8, 339968},
    {2048, 12, 0},
    {2048, 16, 372736},
    {2048, 64, 569344},
    {2048, 100, 0},
    {2048, 104, 733184},
    {2048, 1024, 4501504},
    {2048, 4096, 17084416},
    {2048, 65536, 268742656},
    {65536, -8, 0},
    {65536, 0, 0},
    {65536, 4, 0},
    {65536, 7, 0},
    {65536, 8, 10498048},
    {65536, 12, 0},
    {65536, 16, 11546624},
    {65536, 64, 17838080},
    {65536, 100, 0},
    {65536, 104, 23080960},
    {65536, 1024, 143667200},
    {65536, 4096, 546320384},
    {65536, 65536, 8599384064},
};

#define ORIGINALS (sizeof(original) / sizeof(original[0]))

static const uint64_t page_sizes[] = {4096, 16384, 65536};

#define PAGE_SIZES (sizeof(page_sizes) / sizeof(page_sizes[0]))

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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
