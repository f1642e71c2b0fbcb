/*
 * Images of regions that the original implementation wrote: what is pending in them is read, and the same steps taken
 * here leave the same bytes. Skipped on a system whose pages are not those of the images; test_format.c says the same
 * without them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <hqq/error.h>

#include "golden/image.h"
#include "golden/scene.h"
#include "support/region.h"

static const char *const advanced[] = {
    "adv-negotiate-pending", "adv-ack-pending",     "adv-negotiate-refused", "adv-large-pending",
    "adv-large-and-empty",   "adv-request-pending", "adv-responses-pending", "adv-create-pending",
    "adv-create-refused",    "adv-stream-open",
};

static struct hqq_link *attach(const struct region *region, enum hqq_role role)
{
    const struct hqq_link_config config = {.role = role};
    struct hqq_link *link = NULL;
    assert_int_equal(hqq_link_attach(region->base, region->length, &config, &link), 0);
    assert_int_equal(hqq_link_role(link), role);
    return link;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void assert_pending(struct hqq_link *link, const struct bytes pending[SCENE_PENDING_MAX])
{
    unsigned char expected[64], found[64];
    size_t length;
    for (int i = 0; i < SCENE_PENDING_MAX; i++) {
        size_t expected_length = bytes_fill(&pending[i], expected);
        if (expected_length == 0)
            break;
        assert_int_equal(hqq_link_try_read(link, found, sizeof(found), &length), 0);
        assert_int_equal(length, expected_length);
        assert_memory_equal(found, expected, length);
    }
    assert_int_equal(hqq_link_try_read(link, found, sizeof(found), &length), HQQ_ERROR_WOULD_BLOCK);
}

static void what_is_pending_in_an_image_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < scene_count; i++) {
        struct hqq_link_stats stats;
        struct region region = image_load(scenes[i].name);
        struct hqq_link *secondary = attach(&region, HQQ_ROLE_SECONDARY);
        struct hqq_link *primary = attach(&region, HQQ_ROLE_PRIMARY);
        assert_int_equal(hqq_link_buffer_count(primary), scenes[i].buffer_count);
        assert_int_equal(hqq_link_buffer_size(primary), scenes[i].buffer_size);
        assert_pending(secondary, scenes[i].pending[0]);
        assert_pending(primary, scenes[i].pending[1]);
        hqq_link_get_stats(secondary, &stats);
        assert_int_equal(stats.tombstones_skipped, scenes[i].tombstones);
        assert_int_equal(stats.invalid_packets, 0);
        hqq_link_close(primary);
        hqq_link_close(secondary);
        region_delete(&region);
    }
}

static void an_image_goes_on_to_be_used(void **state)
{
    (void)state;
    struct region region = image_load("std-wrapped");
    struct hqq_link *secondary = attach(&region, HQQ_ROLE_SECONDARY);
    struct hqq_link *primary = attach(&region, HQQ_ROLE_PRIMARY);
    unsigned char found[64];
    size_t length;
    assert_int_equal(hqq_link_try_write(primary, "one more", 8), 0);
    assert_int_equal(hqq_link_try_write(primary, "and last", 8), 0);
    assert_int_equal(hqq_link_try_write(primary, "too many", 8), HQQ_ERROR_WOULD_BLOCK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(hqq_link_try_read(secondary, found, sizeof(found), &length), 0);
    assert_int_equal(hqq_link_try_read(secondary, found, sizeof(found), &length), 0);
    assert_memory_equal(found, "one more", 8);
    hqq_link_close(primary);
    hqq_link_close(secondary);
    region_delete(&region);
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void the_same_steps_leave_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < scene_count; i++) {
        struct region image = image_load(scenes[i].name);
        struct pair pair = pair_open(scenes[i].buffer_count, scenes[i].buffer_size);
        scenes[i].perform(&pair);
        const unsigned char *ours = pair.region.base, *theirs = image.base;
        assert_int_equal(pair.region.length, IMAGE_LENGTH);
        assert_memory_equal(ours, theirs, 64);
        assert_memory_equal(ours + IMAGE_PAGE, theirs + IMAGE_PAGE, IMAGE_LENGTH - IMAGE_PAGE);
        pair_close(&pair);
        region_delete(&image);
    }
}

/* ---- The advanced protocol's images ------------------------------------------------------------------------------ */

static void both_ends_attach_to_every_advanced_image(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(advanced) / sizeof(advanced[0]); i++) {
        struct region region = image_load(advanced[i]);
        struct hqq_link *secondary = attach(&region, HQQ_ROLE_SECONDARY);
        struct hqq_link *primary = attach(&region, HQQ_ROLE_PRIMARY);
        assert_int_equal(hqq_link_buffer_count(primary), 8);
        assert_int_equal(hqq_link_buffer_size(primary), 64);
        hqq_link_close(primary);
        hqq_link_close(secondary);
        region_delete(&region);
    }
}

/* One chunk and one message are the same to a standard reader; it takes operand 2, the total, for the size. */
static void a_request_of_one_chunk_is_a_datagram_to_a_standard_reader(void **state)
{
    (void)state;
    struct region region = image_load("adv-request-pending");
    struct hqq_link *secondary = attach(&region, HQQ_ROLE_SECONDARY);
    unsigned char found[64];
    size_t length;
    assert_int_equal(hqq_link_try_read(secondary, found, sizeof(found), &length), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(found, "ping", 4);
    hqq_link_close(secondary);
    region_delete(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pending_in_an_image_is_read),
        cmocka_unit_test(an_image_goes_on_to_be_used),
        cmocka_unit_test(the_same_steps_leave_the_same_bytes),
        cmocka_unit_test(both_ends_attach_to_every_advanced_image),
        cmocka_unit_test(a_request_of_one_chunk_is_a_datagram_to_a_standard_reader),
    };
    if (!image_fits_page())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
