/* Named links: creating, opening, what is refused as stale, broken or somebody else's, and that nothing is left behind.
 * Each test has a name of its own in /dev/shm, removed afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "layout/superblock.h"
#include "platform/clock.h"

static const struct hqq_link_config shape = {.buffer_count = 4, .buffer_size = 64};
static const struct hqq_link_config replace = {.buffer_count = 4, .buffer_size = 64, .flags = HQQ_LINK_REPLACE_STALE};
static const struct hqq_link_config hasty = {.attach_timeout_ns = 5 * HQQ_NS_PER_MS};

static char name[64], path[80];
static struct hqq_link *untouched = (struct hqq_link *)name; /* what ret_link holds before a refusal */

static int set_up(void **state)
{
    (void)state;
    static int count;
    snprintf(name, sizeof(name), "hqq-named-%d-%d", (int)getpid(), ++count);
    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

static struct hqq_link *create(const struct hqq_link_config *config)
{
    struct hqq_link *link = NULL;
    assert_int_equal(hqq_link_create(name, config, &link), 0);
    return link;
}

static struct hqq_link *open_link(const struct hqq_link_config *config)
{
    struct hqq_link *link = NULL;
    assert_int_equal(hqq_link_open(name, config, &link), 0);
    return link;
}

static void assert_create_refused(const struct hqq_link_config *config, int error)
{
    struct hqq_link *link = untouched;
    assert_int_equal(hqq_link_create(name, config, &link), error);
    assert_ptr_equal(link, untouched);
}

static void assert_open_refused(const struct hqq_link_config *config, int error)
{
    struct hqq_link *link = untouched;
    assert_int_equal(hqq_link_open(name, config, &link), error);
    assert_ptr_equal(link, untouched);
}

static bool exists(void)
{
    struct stat stat;
    return lstat(path, &stat) == 0;
}

/* A file of that name, this long, whose first words are these. */
static void put_file(const void *bytes, size_t count, off_t length)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    assert_int_equal(ftruncate(fd, length), 0);
    close(fd);
}

/* ---- Creating and opening ---------------------------------------------------------------------------------------- */

static void what_is_created_is_opened_by_name(void **state)
{
    (void)state;
    unsigned char buffer[64];
    size_t length;
    struct hqq_link *primary = create(&shape), *secondary = open_link(NULL);
    assert_int_equal(hqq_link_role(primary), HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_link_role(secondary), HQQ_ROLE_SECONDARY);
    assert_int_equal(hqq_link_buffer_count(secondary), 4);
    assert_int_equal(hqq_link_write(primary, "hello", 5), 0);
    assert_int_equal(hqq_link_read(secondary, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(length, 5);
    hqq_link_close(secondary);
    hqq_link_close(primary);
}

static void a_leading_slash_is_ignored(void **state)
{
    (void)state;
    char slashed[70];
    struct hqq_link *primary = create(&shape), *secondary = NULL;
    snprintf(slashed, sizeof(slashed), "/%s", name);
    assert_int_equal(hqq_link_open(slashed, NULL, &secondary), 0);
    hqq_link_close(secondary);
    hqq_link_close(primary);
}

static void the_object_has_the_size_of_the_layout_and_the_mode_asked_for(void **state)
{
    (void)state;
    struct stat stat;
    uint64_t bytes = 0;
    struct hqq_link_config config = shape;
    config.mode = 0646;
    mode_t before = umask(077);
    struct hqq_link *primary = create(&config);
    umask(before);
    assert_int_equal(lstat(path, &stat), 0);
    assert_int_equal(hqq_layout_size(4, 64, &bytes), 0);
    assert_int_equal(stat.st_size, bytes);
    assert_int_equal(stat.st_mode, S_IFREG | 0646);
    hqq_link_close(primary);
}

static void its_creator_removes_the_name_and_nobody_else_does(void **state)
{
    (void)state;
    struct hqq_link *primary = create(&shape), *secondary = open_link(NULL);
    hqq_link_close(secondary);
    assert_true(exists());
    hqq_link_close(primary);
    assert_false(exists());
}

static void a_name_that_somebody_else_has_by_now_is_not_removed(void **state)
{
    (void)state;
    struct hqq_link *primary = create(&shape);
    assert_int_equal(hqq_link_unlink(name), 0);
    struct hqq_link *other = create(&shape);
    hqq_link_close(primary);
    assert_true(exists());
    hqq_link_close(other);
    assert_false(exists());
}

static void ends_go_on_after_the_name_was_removed(void **state)
{
    (void)state;
    unsigned char buffer[64];
    size_t length;
    struct hqq_link *primary = create(&shape), *secondary = open_link(NULL);
    assert_int_equal(hqq_link_unlink(name), 0);
    assert_int_equal(hqq_link_unlink(name), -ENOENT);
    assert_int_equal(hqq_link_write(primary, "hello", 5), 0);
    assert_int_equal(hqq_link_read(secondary, buffer, sizeof(buffer), &length), 0);
    hqq_link_close(secondary);
    hqq_link_close(primary);
}

static void an_end_that_is_held_is_busy(void **state)
{
    (void)state;
    const struct hqq_link_config as_primary = {.role = HQQ_ROLE_PRIMARY};
    struct hqq_link *primary = create(&shape), *secondary = open_link(NULL);
    assert_open_refused(&as_primary, HQQ_ERROR_BUSY);
    assert_open_refused(NULL, HQQ_ERROR_BUSY);
    hqq_link_close(secondary);
    hqq_link_close(primary);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static void names_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const invalid[] = {NULL, "", "/", ".", "..", "a/../b", "//a", "a/", "a//b"};
    struct hqq_link *link = untouched;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        assert_int_equal(hqq_link_create(invalid[i], &shape, &link), -EINVAL);
        assert_int_equal(hqq_link_open(invalid[i], NULL, &link), -EINVAL);
        assert_int_equal(hqq_link_unlink(invalid[i]), -EINVAL);
    }
    assert_ptr_equal(link, untouched);
}

static void a_name_of_255_bytes_is_the_longest(void **state)
{
    (void)state;
    char longest[260];
    struct hqq_address address;
    struct hqq_link *link = untouched;
    memset(longest, 'x', sizeof(longest));
    int begins = snprintf(longest, sizeof(longest), "hqq-named-%d-", (int)getpid());
    longest[begins] = 'x';
    longest[256] = '\0';
    assert_int_equal(hqq_link_create(longest, &shape, &link), -ENAMETOOLONG);
    assert_int_equal(hqq_link_open(longest, NULL, &link), -ENAMETOOLONG);
    assert_int_equal(hqq_link_unlink(longest), -ENAMETOOLONG);
    longest[255] = '\0';
    assert_int_equal(hqq_link_create(longest, &shape, &link), 0);
    hqq_link_local_address(link, &address);
    assert_string_equal(address.name, longest);
    hqq_link_close(link);
    assert_int_equal(hqq_link_unlink(longest), -ENOENT);
}

static void a_name_that_is_not_there_is_not_waited_for(void **state)
{
    (void)state;
    const struct hqq_link_config patient = {.attach_timeout_ns = HQQ_FOREVER};
    assert_open_refused(&patient, -ENOENT);
}

static void who_creates_cannot_be_the_secondary(void **state)
{
    (void)state;
    struct hqq_link_config config = shape;
    config.role = HQQ_ROLE_SECONDARY;
    assert_create_refused(&config, HQQ_ERROR_INVALID_OP);
    assert_false(exists());
}

/* ---- Objects that are in the way --------------------------------------------------------------------------------- */

static void a_name_that_is_taken_is_refused(void **state)
{
    (void)state;
    struct hqq_link *primary = create(&shape);
    assert_create_refused(&shape, -EEXIST);
    assert_create_refused(&replace, -EEXIST);
    hqq_link_close(open_link(NULL));
    hqq_link_close(primary);
}

static void what_is_no_region_is_never_replaced(void **state)
{
    (void)state;
    put_file("text", 4, 100000);
    assert_create_refused(&replace, -EEXIST);
    assert_int_equal(unlink(path), 0);
    put_file("", 0, 0);
    assert_create_refused(&replace, -EEXIST);
    assert_true(exists());
}

/* ---- Objects that are not a region ------------------------------------------------------------------------------- */

static void a_file_that_is_still_short_is_waited_for_until_the_time_out(void **state)
{
    (void)state;
    static const off_t lengths[] = {0, 1, 4095};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        put_file("", 0, lengths[i]);
        uint64_t before = hqq_clock_ns();
        assert_open_refused(&hasty, HQQ_ERROR_MEMORY_SMALL);
        assert_true(hqq_clock_ns() - before >= hasty.attach_timeout_ns);
        assert_int_equal(unlink(path), 0);
    }
}

static void a_file_that_nobody_initializes_is_waited_for_until_the_time_out(void **state)
{
    (void)state;
    put_file("", 0, 65536);
    uint64_t before = hqq_clock_ns();
    assert_open_refused(&hasty, HQQ_ERROR_FAILED_INIT);
    assert_true(hqq_clock_ns() - before >= hasty.attach_timeout_ns);
}

static void who_opens_by_name_never_makes_the_region(void **state)
{
    (void)state;
    struct hqq_link_config as_primary = hasty;
    as_primary.role = HQQ_ROLE_PRIMARY;
    as_primary.buffer_count = 4;
    as_primary.buffer_size = 64;
    put_file("", 0, 65536);
    assert_open_refused(&as_primary, HQQ_ERROR_FAILED_INIT);
}

static void a_file_of_garbage_is_not_ours(void **state)
{
    (void)state;
    static unsigned char garbage[65536];
    memset(garbage, 0xa5, sizeof(garbage));
    put_file(garbage, sizeof(garbage), sizeof(garbage));
    assert_open_refused(&hasty, HQQ_ERROR_BAD_MAGIC);
}

static void a_region_with_another_magic_is_not_ours(void **state)
{
    (void)state;
    const uint64_t words[8] = {HQQ_SUPERBLOCK_MAGIC + 1, HQQ_SUPERBLOCK_READY, 1, 0, hqq_page_size(), 4, 64, 20480};
    put_file(words, sizeof(words), 20480);
    assert_open_refused(&hasty, HQQ_ERROR_BAD_MAGIC);
}

static void a_region_that_was_cut_short_is_refused(void **state)
{
    (void)state;
    struct hqq_link *primary = create(&shape);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, (off_t)hqq_page_size()), 0);
    assert_open_refused(&hasty, HQQ_ERROR_MEMORY_SMALL);
    uint64_t bytes = 0;
    assert_int_equal(hqq_layout_size(4, 64, &bytes), 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    close(fd);
    hqq_link_close(primary);
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    assert_open_refused(&hasty, -EINVAL);
    assert_create_refused(&replace, -EEXIST);
    assert_int_equal(hqq_link_unlink(name), -EINVAL);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/shm/elsewhere", path), 0);
    assert_open_refused(&hasty, -EINVAL);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_created_is_opened_by_name),
        TEST(a_leading_slash_is_ignored),
        TEST(the_object_has_the_size_of_the_layout_and_the_mode_asked_for),
        TEST(its_creator_removes_the_name_and_nobody_else_does),
        TEST(a_name_that_somebody_else_has_by_now_is_not_removed),
        TEST(ends_go_on_after_the_name_was_removed),
        TEST(an_end_that_is_held_is_busy),
        TEST(names_that_are_none_are_refused),
        TEST(a_name_of_255_bytes_is_the_longest),
        TEST(a_name_that_is_not_there_is_not_waited_for),
        TEST(who_creates_cannot_be_the_secondary),
        TEST(a_name_that_is_taken_is_refused),
        TEST(what_is_no_region_is_never_replaced),
        TEST(a_file_that_is_still_short_is_waited_for_until_the_time_out),
        TEST(a_file_that_nobody_initializes_is_waited_for_until_the_time_out),
        TEST(who_opens_by_name_never_makes_the_region),
        TEST(a_file_of_garbage_is_not_ours),
        TEST(a_region_with_another_magic_is_not_ours),
        TEST(a_region_that_was_cut_short_is_refused),
        TEST(what_is_not_a_regular_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
