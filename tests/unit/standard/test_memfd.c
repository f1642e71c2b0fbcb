/* Links in a memfd: what is made is sealed, what is not sealed is refused, and the descriptor is only needed to
 * attach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "platform/clock.h"
#include "platform/sys.h"
#include "support/child.h"

static const struct hqq_link_config shape = {.buffer_count = 4, .buffer_size = 64};
static const struct hqq_link_config hasty = {.attach_timeout_ns = 2 * HQQ_NS_PER_MS};

static struct hqq_sys real;
static unsigned char buffer[64];
static size_t length;
static struct hqq_link *const untouched = (struct hqq_link *)buffer; /* what ret_link holds before a refusal */

static int set_up(void **state)
{
    (void)state;
    real = hqq_sys;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    return 0;
}

static struct hqq_link *create(int *ret_fd)
{
    struct hqq_link *link = NULL;
    *ret_fd = -1;
    assert_int_equal(hqq_link_create_fd(&shape, ret_fd, &link), 0);
    assert_true(*ret_fd >= 0);
    return link;
}

static void assert_create_refused(const struct hqq_link_config *config, int error)
{
    struct hqq_link *link = untouched;
    int fd = -99;
    assert_int_equal(hqq_link_create_fd(config, &fd, &link), error);
    assert_int_equal(fd, -99);
    assert_ptr_equal(link, untouched);
}

static void assert_attach_refused(int fd, const struct hqq_link_config *config, int error)
{
    struct hqq_link *link = untouched;
    assert_int_equal(hqq_link_attach_fd(fd, config, &link), error);
    assert_ptr_equal(link, untouched);
    assert_int_equal(fcntl(fd, F_GETFD) < 0, fd < 0); /* a refused descriptor is still the caller's */
}

/* ---- Creating ---------------------------------------------------------------------------------------------------- */

static void a_new_link_is_its_primary_s_in_a_descriptor_that_is_sealed_and_closed_on_exec(void **state)
{
    (void)state;
    int fd;
    struct stat stat;
    uint64_t bytes = 0;
    struct hqq_link *primary = create(&fd);
    assert_int_equal(hqq_link_role(primary), HQQ_ROLE_PRIMARY);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    int seals = fcntl(fd, F_GET_SEALS);
    assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
    assert_int_equal(fstat(fd, &stat), 0);
    assert_int_equal(hqq_layout_size(4, 64, &bytes), 0);
    assert_int_equal(stat.st_size, bytes);
    close(fd);
    hqq_link_close(primary);
}

static void an_invalid_shape_or_role_is_refused(void **state)
{
    (void)state;
    assert_create_refused(&(struct hqq_link_config){.buffer_count = 3}, HQQ_ERROR_INVALID_SIZE);
    assert_create_refused(&(struct hqq_link_config){.buffer_size = 12}, HQQ_ERROR_MEMORY_ALIGN);
    assert_create_refused(&(struct hqq_link_config){.role = HQQ_ROLE_SECONDARY}, HQQ_ERROR_INVALID_OP);
    assert_create_refused(&(struct hqq_link_config){.flags = 1u << 30}, HQQ_ERROR_INVALID_OP);
}

static int no_descriptor(const char *label, unsigned flags)
{
    (void)label;
    (void)flags;
    return -EMFILE;
}

static int no_space(int fd, int mode, off_t offset, off_t size)
{
    (void)fd;
    (void)mode;
    (void)offset;
    (void)size;
    return -ENOSPC;
}

static uint64_t no_file_size(void)
{
    return 4096;
}

static void a_link_that_cannot_be_made_says_why(void **state)
{
    (void)state;
    hqq_sys.memfd_create = no_descriptor;
    assert_create_refused(&shape, -EMFILE);
    hqq_sys = real;
    hqq_sys.fallocate = no_space;
    assert_create_refused(&shape, -ENOSPC);
    hqq_sys = real;
    hqq_sys.file_size_limit = no_file_size;
    assert_create_refused(&shape, -EFBIG);
}

/* ---- Attaching --------------------------------------------------------------------------------------------------- */

static void who_is_given_the_descriptor_is_the_secondary(void **state)
{
    (void)state;
    int fd;
    struct hqq_link *primary = create(&fd), *secondary = NULL;
    assert_int_equal(hqq_link_attach_fd(fd, NULL, &secondary), 0);
    assert_int_equal(hqq_link_role(secondary), HQQ_ROLE_SECONDARY);
    assert_int_equal(hqq_link_buffer_count(secondary), 4);
    assert_attach_refused(fd, NULL, HQQ_ERROR_BUSY);
    close(fd);
    assert_int_equal(hqq_link_write(secondary, "hello", 5), 0);
    assert_int_equal(hqq_link_read(primary, buffer, sizeof(buffer), &length), 0);
    assert_int_equal(length, 5);
    hqq_link_close(primary);
    assert_int_equal(hqq_link_read(secondary, buffer, sizeof(buffer), &length), HQQ_ERROR_CLOSED);
    hqq_link_close(secondary);
}

static int child_answers(void *arg)
{
    struct hqq_link *link;
    if (hqq_link_attach_fd(*(int *)arg, NULL, &link) != 0)
        return 1;
    if (hqq_link_read(link, buffer, sizeof(buffer), &length) != 0 || length != 4)
        return 2;
    if (hqq_link_write(link, "pong", 4) != 0)
        return 3;
    hqq_link_close(link);
    return 0;
}

static void another_process_attaches_to_an_inherited_descriptor(void **state)
{
    (void)state;
    int fd;
    struct hqq_link *primary = create(&fd);
    assert_int_equal(hqq_link_write(primary, "ping", 4), 0);
    assert_int_equal(child_run(child_answers, &fd), 0);
    assert_int_equal(hqq_link_read(primary, buffer, sizeof(buffer), &length), 0);
    assert_memory_equal(buffer, "pong", 4);
    assert_int_equal(hqq_link_read(primary, buffer, sizeof(buffer), &length), HQQ_ERROR_CLOSED);
    close(fd);
    hqq_link_close(primary);
}

static void who_wants_another_shape_is_refused(void **state)
{
    (void)state;
    int fd;
    struct hqq_link *primary = create(&fd);
    assert_attach_refused(fd, &(struct hqq_link_config){.buffer_count = 8}, HQQ_ERROR_INVALID_SIZE);
    assert_attach_refused(fd, &(struct hqq_link_config){.buffer_size = 8}, HQQ_ERROR_INVALID_SIZE);
    close(fd);
    hqq_link_close(primary);
}

/* ---- Descriptors of other kinds ---------------------------------------------------------------------------------- */

static int make_memfd(off_t size, int seals)
{
    int fd = memfd_create("hqq-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    if (seals != 0)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void memory_that_can_shrink_is_refused(void **state)
{
    (void)state;
    int unsealed = make_memfd(65536, 0), growing = make_memfd(65536, F_SEAL_GROW);
    assert_attach_refused(unsealed, &hasty, HQQ_ERROR_UNSEALED);
    assert_attach_refused(growing, &hasty, HQQ_ERROR_UNSEALED);
    close(unsealed);
    close(growing);
}

static void a_descriptor_that_is_no_memory_is_refused(void **state)
{
    (void)state;
    int ends[2];
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(pipe(ends), 0);
    assert_attach_refused(fileno(file), &hasty, HQQ_ERROR_UNSEALED);
    assert_attach_refused(ends[0], &hasty, HQQ_ERROR_UNSEALED);
    assert_attach_refused(-1, &hasty, -EBADF);
    fclose(file);
    close(ends[0]);
    close(ends[1]);
}

static void memory_shorter_than_a_page_is_refused(void **state)
{
    (void)state;
    int fd = make_memfd(100, F_SEAL_SHRINK);
    assert_attach_refused(fd, &hasty, HQQ_ERROR_MEMORY_SMALL);
    close(fd);
}

static void empty_memory_of_somebody_else_is_made_a_region_by_the_first(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    struct hqq_link *first = NULL, *second = NULL;
    assert_int_equal(hqq_layout_size(4, 64, &bytes), 0);
    int fd = make_memfd((off_t)bytes, F_SEAL_SHRINK);
    assert_attach_refused(fd, NULL, HQQ_ERROR_MEMORY_SMALL); /* the default shape is larger */
    assert_int_equal(hqq_link_attach_fd(fd, &shape, &first), 0);
    assert_int_equal(hqq_link_attach_fd(fd, &shape, &second), 0);
    close(fd);
    assert_int_equal(hqq_link_role(first), HQQ_ROLE_PRIMARY);
    assert_int_equal(hqq_link_role(second), HQQ_ROLE_SECONDARY);
    hqq_link_close(second);
    hqq_link_close(first);
}

static void memory_of_garbage_is_not_ours(void **state)
{
    (void)state;
    unsigned char garbage[64];
    int fd = make_memfd(65536, 0);
    memset(garbage, 0xa5, sizeof(garbage));
    assert_int_equal(pwrite(fd, garbage, sizeof(garbage), 0), sizeof(garbage));
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_attach_refused(fd, &hasty, HQQ_ERROR_BAD_MAGIC);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_link_is_its_primary_s_in_a_descriptor_that_is_sealed_and_closed_on_exec),
        TEST(an_invalid_shape_or_role_is_refused),
        TEST(a_link_that_cannot_be_made_says_why),
        TEST(who_is_given_the_descriptor_is_the_secondary),
        TEST(another_process_attaches_to_an_inherited_descriptor),
        TEST(who_wants_another_shape_is_refused),
        TEST(memory_that_can_shrink_is_refused),
        TEST(a_descriptor_that_is_no_memory_is_refused),
        TEST(memory_shorter_than_a_page_is_refused),
        TEST(empty_memory_of_somebody_else_is_made_a_region_by_the_first),
        TEST(memory_of_garbage_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
