/* Named links when something goes wrong: no memory, a creator that dies at each step of its work, and which of what it
 * left is replaced as stale. Creators are children that kill themselves at a labelled point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "base/point.h"
#include "layout/extension.h"
#include "layout/superblock.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/shm.h"
#include "platform/sys.h"
#include "standard/end.h"
#include "support/child.h"
#include "support/region.h"

#define SOON (5 * HQQ_NS_PER_MS)

/* For what must be found out without waiting for the time-out; long enough to be told from that. */
#define PATIENT (600 * HQQ_NS_PER_S)

static char name[64], path[80];
static struct hqq_link *untouched = (struct hqq_link *)name; /* what ret_link holds before a refusal */
static struct hqq_sys real;

static int set_up(void **state)
{
    (void)state;
    static int count;
    real = hqq_sys;
    snprintf(name, sizeof(name), "hqq-faults-%d-%d", (int)getpid(), ++count);
    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

static int create(uint32_t flags, struct hqq_link **ret_link)
{
    const struct hqq_link_config config = {.buffer_count = 4, .buffer_size = 64, .flags = flags};
    return hqq_link_create(name, &config, ret_link);
}

static bool exists(void)
{
    struct stat stat;
    return lstat(path, &stat) == 0;
}

/* ---- No memory --------------------------------------------------------------------------------------------------- */

static int no_space(int fd, int mode, off_t offset, off_t length)
{
    (void)fd;
    (void)mode;
    (void)offset;
    (void)length;
    return -ENOSPC;
}

static int no_mapping(void **ret_address, size_t length, int protection, int flags, int fd)
{
    return fd < 0 ? real.mmap(ret_address, length, protection, flags, fd) : -ENOMEM;
}

static uint64_t no_file_size(void)
{
    return 4096;
}

static void assert_nothing_is_left_of_a_failed_create(int error)
{
    struct hqq_link *link = untouched;
    assert_int_equal(create(0, &link), error);
    assert_ptr_equal(link, untouched);
    assert_false(exists());
}

static void a_full_filesystem_is_found_out_when_the_link_is_created(void **state)
{
    (void)state;
    hqq_sys.fallocate = no_space;
    assert_nothing_is_left_of_a_failed_create(-ENOSPC);
}

static void a_link_that_cannot_be_mapped_leaves_no_name(void **state)
{
    (void)state;
    hqq_sys.mmap = no_mapping;
    assert_nothing_is_left_of_a_failed_create(-ENOMEM);
}

static void a_limit_on_file_sizes_refuses_the_link_before_the_signal(void **state)
{
    (void)state;
    hqq_sys.file_size_limit = no_file_size;
    assert_nothing_is_left_of_a_failed_create(-EFBIG);
}

static void a_link_that_cannot_be_mapped_is_not_opened(void **state)
{
    (void)state;
    struct hqq_link *primary = NULL, *link = untouched;
    assert_int_equal(create(0, &primary), 0);
    hqq_sys.mmap = no_mapping;
    assert_int_equal(hqq_link_open(name, NULL, &link), -ENOMEM);
    assert_ptr_equal(link, untouched);
    hqq_sys = real;
    hqq_link_close(primary);
}

/* ---- The creator dies -------------------------------------------------------------------------------------------- */

static int create_in_a_child(void *arg)
{
    struct hqq_link *link;
    (void)arg;
    return create(0, &link);
}

static void let_the_creator_die_once_it_is_named(void)
{
    assert_true(child_dies_at("link.named", create_in_a_child, NULL));
    assert_true(exists());
}

static void a_creator_that_died_before_the_link_was_ready_leaves_no_name(void **state)
{
    (void)state;
    static const char *const labels[] = {"superblock.claimed", "superblock.identified", "superblock.formatted",
                                         "superblock.ready"};
    for (size_t i = 0; i < 4; i++) {
        struct hqq_link *link = untouched;
        assert_true(child_dies_at(labels[i], create_in_a_child, NULL));
        assert_false(exists());
        assert_int_equal(create(0, &link), 0);
        hqq_link_close(link);
        assert_false(exists());
    }
}

/* As one that makes the name first, and says who it is before anything else. */
static int claim_with_a_name(void *arg)
{
    struct hqq_mapping mapping;
    (void)arg;
    if (region_create_named(name, 0600, 5 * hqq_page_size(), &mapping) != 0)
        return 1;
    hqq_extension_format(mapping.base, hqq_process_namespace(), hqq_process_self());
    return hqq_superblock_claim(mapping.base) ? 0 : 2;
}

static void a_creator_that_made_the_name_first_and_died_is_known_to_be_dead_at_once(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.attach_timeout_ns = PATIENT};
    struct hqq_link *link = untouched;
    assert_int_equal(child_run(claim_with_a_name, NULL), 0);
    uint64_t before = hqq_clock_ns();
    assert_int_equal(hqq_link_open(name, &config, &link), HQQ_ERROR_INIT_DIED);
    assert_true(hqq_clock_ns() - before < PATIENT);
    assert_ptr_equal(link, untouched);
    assert_int_equal(create(0, &link), -EEXIST);
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), 0);
    hqq_link_close(link);
    assert_false(exists());
}

/* As an implementation that does not say who it is. */
static int claim_without_a_name(void *arg)
{
    struct hqq_mapping mapping;
    (void)arg;
    if (region_create_named(name, 0600, 5 * hqq_page_size(), &mapping) != 0)
        return 1;
    return hqq_superblock_claim(mapping.base) ? 0 : 2;
}

static void a_creator_that_did_not_say_who_it_is_is_waited_for_until_the_time_out(void **state)
{
    (void)state;
    const struct hqq_link_config config = {.attach_timeout_ns = SOON};
    struct hqq_link *link = untouched;
    assert_int_equal(child_run(claim_without_a_name, NULL), 0);
    uint64_t before = hqq_clock_ns();
    assert_int_equal(hqq_link_open(name, &config, &link), HQQ_ERROR_FAILED_INIT);
    assert_true(hqq_clock_ns() - before >= SOON);
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), -EEXIST);
    assert_ptr_equal(link, untouched);
}

static void a_link_whose_creator_died_once_it_was_ready_can_be_opened(void **state)
{
    (void)state;
    const struct hqq_link_config as_primary = {.role = HQQ_ROLE_PRIMARY};
    struct hqq_link *secondary = NULL, *primary = NULL;
    enum hqq_peer peer;
    let_the_creator_die_once_it_is_named();
    assert_int_equal(hqq_link_open(name, NULL, &secondary), 0);
    assert_int_equal(hqq_link_check_peer(secondary, &peer), 0);
    assert_int_equal(peer, HQQ_PEER_DIED);
    assert_int_equal(hqq_link_open(name, &as_primary, &primary), 0);
    assert_int_equal(hqq_link_peer(secondary), HQQ_PEER_ALIVE);
    hqq_link_close(primary);
    hqq_link_close(secondary);
}

/* ---- Stale or not ------------------------------------------------------------------------------------------------ */

static void a_link_whose_primary_died_is_replaced_where_that_is_wanted(void **state)
{
    (void)state;
    struct hqq_link *link = untouched;
    let_the_creator_die_once_it_is_named();
    assert_int_equal(create(0, &link), -EEXIST);
    assert_ptr_equal(link, untouched);
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), 0);
    hqq_link_close(link);
    assert_false(exists());
}

static int create_and_close_keeping_the_name(void *arg)
{
    struct hqq_link *link;
    char kept[90];
    (void)arg;
    snprintf(kept, sizeof(kept), "%s-kept", path);
    if (create(0, &link) != 0 || rename(path, kept) != 0)
        return 1;
    hqq_link_close(link);
    return rename(kept, path) != 0;
}

static void a_link_whose_primary_closed_is_replaced_where_that_is_wanted(void **state)
{
    (void)state;
    struct hqq_link *link = untouched;
    assert_int_equal(child_run(create_and_close_keeping_the_name, NULL), 0);
    assert_true(exists());
    assert_int_equal(create(0, &link), -EEXIST);
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), 0);
    hqq_link_close(link);
}

static int child_takes_over_and_stays(void *arg)
{
    const struct hqq_link_config config = {.role = HQQ_ROLE_PRIMARY};
    struct hqq_link *link;
    (void)arg;
    if (hqq_link_open(name, &config, &link) != 0)
        return 1;
    return create(HQQ_LINK_REPLACE_STALE, &link) == -EEXIST ? 0 : 2;
}

static void a_link_that_a_living_process_took_over_is_not_stale(void **state)
{
    (void)state;
    let_the_creator_die_once_it_is_named();
    assert_int_equal(child_run(child_takes_over_and_stays, NULL), 0);
}

static void who_still_uses_a_stale_link_goes_on_with_it(void **state)
{
    (void)state;
    unsigned char buffer[64];
    size_t length;
    struct hqq_link *secondary = NULL, *link = NULL, *other = NULL;
    let_the_creator_die_once_it_is_named();
    assert_int_equal(hqq_link_open(name, NULL, &secondary), 0);
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), 0);
    assert_int_equal(hqq_link_open(name, NULL, &other), 0);
    assert_int_equal(hqq_link_write(link, "new", 3), 0);
    assert_int_equal(hqq_link_read(other, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(hqq_link_read(secondary, buffer, sizeof(buffer), &length), HQQ_ERROR_PEER_DIED);
    hqq_link_close(other);
    hqq_link_close(link);
    hqq_link_close(secondary);
}

/* ---- At the same time -------------------------------------------------------------------------------------------- */

/* What an opener of another implementation may find, at each step of the creator: no name, or a region that is ready. */
static unsigned steps, steps_with_a_name;

static void look_as_another_implementation(const char *label)
{
    struct hqq_mapping mapping;
    const uint64_t *words;
    steps += strncmp(label, "superblock.", strlen("superblock.")) == 0;
    if (!exists())
        return;
    steps_with_a_name++;
    assert_int_equal(hqq_shm_open_named(name, &mapping), 0);
    words = mapping.base;
    assert_int_equal(words[0], HQQ_SUPERBLOCK_MAGIC);
    assert_int_equal(words[1], HQQ_SUPERBLOCK_READY);
    assert_int_equal(mapping.length, words[7]);
    hqq_shm_unmap(&mapping);
}

static void whoever_finds_the_name_finds_a_region_that_is_ready(void **state)
{
    (void)state;
    struct hqq_link *link = NULL;
    steps = steps_with_a_name = 0;
    hqq_point_hook = look_as_another_implementation;
    int result = create(0, &link);
    hqq_point_hook = NULL;
    assert_int_equal(result, 0);
    assert_int_equal(hqq_link_role(link), HQQ_ROLE_PRIMARY);
    assert_int_equal(steps, 4);
    assert_int_equal(steps_with_a_name, 1);
    hqq_link_close(link);
}

/* A stale object that two replace: the second one comes whole in between, after the first has made its region. */
static struct hqq_link *winner;

static void replace_too(const char *label)
{
    if (strcmp(label, "superblock.ready") != 0)
        return;
    hqq_point_hook = NULL;
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &winner), 0);
}

static void of_two_that_replace_a_stale_link_one_does_and_its_name_stays(void **state)
{
    (void)state;
    struct hqq_link *link = untouched, *secondary = NULL;
    let_the_creator_die_once_it_is_named();
    hqq_point_hook = replace_too;
    int result = create(HQQ_LINK_REPLACE_STALE, &link);
    hqq_point_hook = NULL;
    assert_int_equal(result, -EEXIST);
    assert_ptr_equal(link, untouched);
    assert_int_equal(hqq_link_open(name, NULL, &secondary), 0);
    assert_int_equal(hqq_link_peer(secondary), HQQ_PEER_ALIVE);
    hqq_link_close(secondary);
    hqq_link_close(winner);
    assert_false(exists());
}

/* While the end is not given up yet, another one tries to replace the object. */
static bool has_tried_to_replace;

static void replace_while_closing(const char *label)
{
    struct hqq_link *link = untouched;
    if (strcmp(label, "end.closing") != 0)
        return;
    hqq_point_hook = NULL;
    has_tried_to_replace = true;
    assert_int_equal(create(HQQ_LINK_REPLACE_STALE, &link), -EEXIST);
}

static void a_link_that_is_just_being_closed_is_not_stale(void **state)
{
    (void)state;
    struct hqq_link *link = NULL;
    assert_int_equal(create(0, &link), 0);
    has_tried_to_replace = false;
    hqq_point_hook = replace_while_closing;
    hqq_link_close(link);
    hqq_point_hook = NULL;
    assert_true(has_tried_to_replace);
    assert_false(exists());
}

static int unlink_and_look(const char *file)
{
    struct hqq_mapping mapping;
    assert_int_equal(hqq_shm_open_named(name, &mapping), 0);
    const struct hqq_extension *extension = hqq_extension_peek(mapping.base);
    assert_int_equal(hqq_end_state(hqq_load_relaxed(&extension->end[0].owner)), HQQ_END_SHUT);
    hqq_shm_unmap(&mapping);
    return real.unlink(file);
}

static void a_creator_removes_the_name_before_it_gives_its_end_up(void **state)
{
    (void)state;
    struct hqq_link *link = NULL;
    assert_int_equal(create(0, &link), 0);
    hqq_sys.unlink = unlink_and_look;
    hqq_link_close(link);
    assert_false(exists());
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_filesystem_is_found_out_when_the_link_is_created),
        TEST(a_link_that_cannot_be_mapped_leaves_no_name),
        TEST(a_limit_on_file_sizes_refuses_the_link_before_the_signal),
        TEST(a_link_that_cannot_be_mapped_is_not_opened),
        TEST(a_creator_that_died_before_the_link_was_ready_leaves_no_name),
        TEST(a_creator_that_made_the_name_first_and_died_is_known_to_be_dead_at_once),
        TEST(a_creator_that_did_not_say_who_it_is_is_waited_for_until_the_time_out),
        TEST(a_link_whose_creator_died_once_it_was_ready_can_be_opened),
        TEST(a_link_whose_primary_died_is_replaced_where_that_is_wanted),
        TEST(a_link_whose_primary_closed_is_replaced_where_that_is_wanted),
        TEST(a_link_that_a_living_process_took_over_is_not_stale),
        TEST(who_still_uses_a_stale_link_goes_on_with_it),
        TEST(whoever_finds_the_name_finds_a_region_that_is_ready),
        TEST(of_two_that_replace_a_stale_link_one_does_and_its_name_stays),
        TEST(a_link_that_is_just_being_closed_is_not_stale),
        TEST(a_creator_removes_the_name_before_it_gives_its_end_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
