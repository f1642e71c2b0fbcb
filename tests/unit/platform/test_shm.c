/*
 * Memory for regions: what is created, what of others is refused, and whose name is removed. Names in /dev/shm hold
 * the pid and the test's name, and are removed after each test, with the table and the umask put back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/error.h>

#include "platform/shm.h"
#include "platform/sys.h"
#include "support/region.h"

#define MIB ((size_t)1 << 20)

static struct hqq_sys real;
static size_t page; /* bytes */

/* ---- Scratch: what a test uses up -------------------------------------------------------------------------------- */

static struct {
    char name[HQQ_SHM_NAME_MAX + 1];
    char path[HQQ_SHM_PATH_SIZE];
    char other_path[HQQ_SHM_PATH_SIZE];
    mode_t umask;
} scratch;

static int set_up(void **state)
{
    (void)state;
    memset(&scratch, 0, sizeof(scratch));
    scratch.umask = umask(022);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    umask(scratch.umask);
    if (scratch.name[0] == '\0')
        return 0;
    unlink(scratch.other_path);
    return unlink(scratch.path) == 0 || rmdir(scratch.path) == 0 || errno == ENOENT ? 0 : -1;
}

/* A name for this test, which nothing has yet. */
static const char *use_name(const char *test)
{
    int pid = (int)getpid();
    snprintf(scratch.name, sizeof(scratch.name), "hqq-test.%d.%s", pid, test);
    snprintf(scratch.path, sizeof(scratch.path), "/dev/shm/hqq-test.%d.%s", pid, test);
    snprintf(scratch.other_path, sizeof(scratch.other_path), "/dev/shm/hqq-test.%d.%s.other", pid, test);
    return scratch.name;
}

static bool name_exists(void)
{
    struct stat stat;
    return lstat(scratch.path, &stat) == 0;
}

static int exit_status_of(int (*run)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static bool is_zero(const struct hqq_mapping *mapping)
{
    const unsigned char *bytes = mapping->base;
    for (size_t i = 0; i < mapping->length; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* Whether two mappings are of one memory. Writes to it. */
static bool share_memory(const struct hqq_mapping *a, const struct hqq_mapping *b)
{
    *(volatile unsigned char *)a->base = 0x5a;
    return *(volatile unsigned char *)b->base == 0x5a;
}

static int make_memfd(size_t length, unsigned flags, int seals)
{
    int fd = memfd_create("hqq-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)length), 0);
    if (seals != 0)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

/* ---- Creating a memfd -------------------------------------------------------------------------------------------- */

/* A new memfd; scratch needs no care of it. */
static int create_memfd(size_t length, struct hqq_mapping *ret_mapping)
{
    int fd = -1;
    assert_int_equal(hqq_shm_create_memfd(length, &fd, ret_mapping), 0);
    return fd;
}

static void close_memfd(int fd, struct hqq_mapping *mapping)
{
    hqq_shm_unmap(mapping);
    close(fd);
}

static void a_new_memfd_is_mapped_whole_and_zero(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int fd = create_memfd(3 * page, &mapping);
    assert_true(mapping.length == 3 * page);
    assert_true(is_zero(&mapping));
    assert_true(mapping.device == 0 && mapping.inode == 0);
    close_memfd(fd, &mapping);
}

static void a_new_memfd_has_the_length_asked_for(void **state)
{
    (void)state;
    struct stat stat;
    struct hqq_mapping mapping;
    int fd = create_memfd(page + 1, &mapping);
    assert_int_equal(fstat(fd, &stat), 0);
    assert_true(stat.st_size == (off_t)page + 1);
    close_memfd(fd, &mapping);
}

static void a_new_memfd_is_allocated_whole(void **state)
{
    (void)state;
    struct stat stat;
    struct hqq_mapping mapping;
    int fd = create_memfd(5 * MIB + page, &mapping);
    assert_int_equal(fstat(fd, &stat), 0);
    assert_true((size_t)stat.st_blocks * 512 >= 5 * MIB + page);
    close_memfd(fd, &mapping);
}

static void a_new_memfd_is_closed_on_exec(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int fd = create_memfd(page, &mapping);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close_memfd(fd, &mapping);
}

static void a_new_memfd_can_neither_shrink_nor_grow(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int fd = create_memfd(2 * page, &mapping);
    assert_int_equal(ftruncate(fd, (off_t)page), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, (off_t)(3 * page)), -1);
    assert_int_equal(errno, EPERM);
    close_memfd(fd, &mapping);
}

static void a_new_memfd_takes_no_more_seals(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int fd = create_memfd(page, &mapping);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), -1);
    assert_int_equal(errno, EPERM);
    close_memfd(fd, &mapping);
}

static void the_mapping_of_a_memfd_outlives_its_descriptor(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    close(create_memfd(page, &mapping));
    assert_true(is_zero(&mapping));
    hqq_shm_unmap(&mapping);
}

static unsigned refused_flags;

static int memfd_create_of_an_old_kernel(const char *name, unsigned flags)
{
    const unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (flags & ~known) {
        refused_flags = flags & ~known;
        return -EINVAL;
    }
    return real.memfd_create(name, flags);
}

static void a_kernel_that_knows_fewer_flags_will_do(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    refused_flags = 0;
    hqq_sys.memfd_create = memfd_create_of_an_old_kernel;
    int fd = create_memfd(page, &mapping);
    assert_true(refused_flags != 0);
    assert_true(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK);
    close_memfd(fd, &mapping);
}

static void a_length_of_zero_is_invalid(void **state)
{
    (void)state;
    int fd = -1;
    struct hqq_mapping mapping;
    assert_int_equal(hqq_shm_create_memfd(0, &fd, &mapping), -EINVAL);
    assert_int_equal(region_create_named(use_name(__func__), 0600, 0, &mapping), -EINVAL);
    assert_false(name_exists());
}

static void a_length_beyond_every_file_is_too_big(void **state)
{
    (void)state;
    int fd = -1;
    struct hqq_mapping mapping;
    assert_int_equal(hqq_shm_create_memfd(SIZE_MAX, &fd, &mapping), -EFBIG);
}

static int fallocate_without_space(int fd, int mode, off_t offset, off_t length)
{
    (void)fd, (void)mode, (void)offset, (void)length;
    return -ENOSPC;
}

static void outputs_are_untouched_by_a_failure(void **state)
{
    (void)state;
    struct hqq_mapping mapping, before;
    int fd = 12345;
    memset(&mapping, 0x5a, sizeof(mapping));
    before = mapping;
    hqq_sys.fallocate = fallocate_without_space;
    assert_int_equal(hqq_shm_create_memfd(page, &fd, &mapping), -ENOSPC);
    assert_int_equal(region_create_named(use_name(__func__), 0600, page, &mapping), -ENOSPC);
    assert_int_equal(hqq_shm_open_named(scratch.name, &mapping), -ENOENT);
    assert_int_equal(hqq_shm_map_memfd(-1, &mapping), -EBADF);
    assert_int_equal(fd, 12345);
    assert_memory_equal(&mapping, &before, sizeof(mapping));
}

static int interruptions_left;

static int fallocate_interrupted(int fd, int mode, off_t offset, off_t length)
{
    if (interruptions_left > 0) {
        interruptions_left--;
        return -EINTR;
    }
    return real.fallocate(fd, mode, offset, length);
}

static void an_interrupted_allocation_goes_on(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    interruptions_left = 3;
    hqq_sys.fallocate = fallocate_interrupted;
    int fd = create_memfd(page, &mapping);
    assert_int_equal(interruptions_left, 0);
    assert_true(is_zero(&mapping));
    close_memfd(fd, &mapping);
}

static off_t allocated, longest_piece;

static int fallocate_in_sequence(int fd, int mode, off_t offset, off_t length)
{
    if (offset != allocated)
        return -EIO;
    allocated += length;
    if (length > longest_piece)
        longest_piece = length;
    return real.fallocate(fd, mode, offset, length);
}

/* A signal undoes the call it interrupts, so a call must not take long. */
static void memory_is_allocated_in_pieces(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    allocated = longest_piece = 0;
    hqq_sys.fallocate = fallocate_in_sequence;
    int fd = create_memfd(9 * MIB + page, &mapping);
    assert_true(allocated == (off_t)(9 * MIB + page));
    assert_true(longest_piece <= (off_t)MIB);
    close_memfd(fd, &mapping);
}

static int fallocate_unsupported(int fd, int mode, off_t offset, off_t length)
{
    (void)fd, (void)mode, (void)offset, (void)length;
    return -EOPNOTSUPP;
}

static void a_filesystem_that_cannot_allocate_is_refused(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    hqq_sys.fallocate = fallocate_unsupported;
    assert_int_equal(region_create_named(use_name(__func__), 0600, page, &mapping), -EOPNOTSUPP);
    assert_false(name_exists());
}

/* ---- The file-size limit: in a child, as it can't be raised again ------------------------------------------------ */

static int limit_file_size(size_t bytes)
{
    const struct rlimit limit = {bytes, bytes};
    return setrlimit(RLIMIT_FSIZE, &limit);
}

static int create_beyond_the_limit(void)
{
    int fd = -1;
    struct hqq_mapping mapping;
    if (limit_file_size(2 * page) != 0)
        return 255;
    if (hqq_shm_create_memfd(2 * page + 1, &fd, &mapping) != -EFBIG)
        return 1;
    return region_create_named(scratch.name, 0600, 2 * page + 1, &mapping) == -EFBIG ? 0 : 2;
}

static int create_up_to_the_limit(void)
{
    int fd = -1;
    struct hqq_mapping mapping;
    if (limit_file_size(2 * page) != 0)
        return 255;
    return hqq_shm_create_memfd(2 * page, &fd, &mapping) == 0 ? 0 : 1;
}

static void beyond_the_file_size_limit_there_is_an_error_and_no_signal(void **state)
{
    (void)state;
    use_name(__func__);
    assert_int_equal(exit_status_of(create_beyond_the_limit), 0);
    assert_false(name_exists());
}

static void up_to_the_file_size_limit_there_is_memory(void **state)
{
    (void)state;
    assert_int_equal(exit_status_of(create_up_to_the_limit), 0);
}

/* ---- Mapping a memfd of somebody else ---------------------------------------------------------------------------- */

static void assert_map_result(int fd, int expected)
{
    struct hqq_mapping mapping;
    int result = hqq_shm_map_memfd(fd, &mapping);
    if (result == 0)
        hqq_shm_unmap(&mapping);
    close(fd);
    assert_int_equal(result, expected);
}

static void a_memfd_can_be_mapped_by_its_descriptor(void **state)
{
    (void)state;
    struct hqq_mapping mine, other;
    int fd = create_memfd(3 * page, &mine);
    assert_int_equal(hqq_shm_map_memfd(fd, &other), 0);
    assert_true(other.length == 3 * page);
    assert_true(other.base != mine.base);
    assert_true(share_memory(&mine, &other));
    hqq_shm_unmap(&other);
    close_memfd(fd, &mine);
}

static void the_seal_against_shrinking_is_enough(void **state)
{
    (void)state;
    assert_map_result(make_memfd(page, 0, F_SEAL_SHRINK), 0);
}

static void an_unsealed_memfd_is_refused(void **state)
{
    (void)state;
    assert_map_result(make_memfd(page, 0, 0), HQQ_ERROR_UNSEALED);
}

static void a_memfd_sealed_only_otherwise_is_refused(void **state)
{
    (void)state;
    assert_map_result(make_memfd(page, 0, F_SEAL_GROW | F_SEAL_SEAL), HQQ_ERROR_UNSEALED);
}

static void huge_pages_are_refused_however_sealed(void **state)
{
    (void)state;
    int fd = memfd_create("hqq-test", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
    if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        skip();
    assert_map_result(fd, HQQ_ERROR_UNSEALED);
}

static void a_named_object_is_no_memfd(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    assert_int_equal(region_create_named(use_name(__func__), 0600, page, &mapping), 0);
    hqq_shm_unmap(&mapping);
    assert_map_result(open(scratch.path, O_RDWR | O_CLOEXEC), HQQ_ERROR_UNSEALED);
}

static int filesystem_calls;

static int count_fstatfs(int fd, struct statfs *ret_stat)
{
    filesystem_calls++;
    return real.fstatfs(fd, ret_stat);
}

static int count_fstat(int fd, struct stat *ret_stat)
{
    filesystem_calls++;
    return real.fstat(fd, ret_stat);
}

/* A filesystem in user space may never answer. */
static void a_file_without_seals_is_refused_before_its_filesystem_is_asked(void **state)
{
    (void)state;
    filesystem_calls = 0;
    hqq_sys.fstatfs = count_fstatfs;
    hqq_sys.fstat = count_fstat;
    assert_map_result(open("/proc/self/stat", O_RDONLY | O_CLOEXEC), HQQ_ERROR_UNSEALED);
    assert_int_equal(filesystem_calls, 0);
}

static void a_pipe_is_refused(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[1]);
    assert_map_result(ends[0], HQQ_ERROR_UNSEALED);
}

static void a_closed_descriptor_is_a_bad_one(void **state)
{
    (void)state;
    assert_map_result(-1, -EBADF);
}

static void a_memfd_shorter_than_a_page_is_too_small(void **state)
{
    (void)state;
    assert_map_result(make_memfd(page - 1, 0, F_SEAL_SHRINK), HQQ_ERROR_MEMORY_SMALL);
    assert_map_result(make_memfd(0, 0, F_SEAL_SHRINK), HQQ_ERROR_MEMORY_SMALL);
}

static void a_memfd_sealed_against_writing_is_refused(void **state)
{
    (void)state;
    assert_map_result(make_memfd(page, 0, F_SEAL_SHRINK | F_SEAL_WRITE), -EPERM);
}

static void a_memfd_opened_for_reading_is_refused(void **state)
{
    (void)state;
    char path[64];
    int fd = make_memfd(page, 0, F_SEAL_SHRINK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int read_only = open(path, O_RDONLY | O_CLOEXEC);
    close(fd);
    assert_map_result(read_only, -EACCES);
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static void assert_path_result(const char *name, int expected)
{
    char path[2 * HQQ_SHM_PATH_SIZE];
    assert_int_equal(hqq_shm_path(name, path, sizeof(path)), expected);
}

static void a_name_lies_in_dev_shm(void **state)
{
    (void)state;
    char path[HQQ_SHM_PATH_SIZE];
    assert_int_equal(hqq_shm_path("name", path, sizeof(path)), 0);
    assert_string_equal(path, "/dev/shm/name");
}

static void one_leading_slash_is_ignored(void **state)
{
    (void)state;
    char path[HQQ_SHM_PATH_SIZE];
    assert_int_equal(hqq_shm_path("/name", path, sizeof(path)), 0);
    assert_string_equal(path, "/dev/shm/name");
}

static void dots_within_a_name_are_letters(void **state)
{
    (void)state;
    assert_path_result("...", 0);
    assert_path_result(".name", 0);
    assert_path_result("..name", 0);
}

static void a_name_that_leads_elsewhere_is_invalid(void **state)
{
    (void)state;
    static const char *const names[] = {"",       "/",  ".",    "..",   "/.",   "/..",   "//",
                                        "//name", "a/", "../a", "a/..", "a//b", "a/./b", "a/../b"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_path_result(names[i], -EINVAL);
    assert_path_result(NULL, -EINVAL);
}

static void a_name_may_have_255_bytes_and_no_more(void **state)
{
    (void)state;
    char path[HQQ_SHM_PATH_SIZE];
    char name[HQQ_SHM_NAME_MAX + 3] = "/";
    memset(name + 1, 'x', HQQ_SHM_NAME_MAX);
    assert_int_equal(hqq_shm_path(name, path, sizeof(path)), 0);
    assert_string_equal(path + sizeof("/dev/shm"), name + 1);
    assert_path_result(name + 1, 0);
    name[HQQ_SHM_NAME_MAX + 1] = 'x';
    assert_path_result(name, -ENAMETOOLONG);
    assert_path_result(name + 1, -ENAMETOOLONG);
}

static void a_path_that_does_not_fit_is_not_written(void **state)
{
    (void)state;
    char path[sizeof("/dev/shm/name")] = "before";
    assert_int_equal(hqq_shm_path("name", path, sizeof(path) - 1), -ENAMETOOLONG);
    assert_string_equal(path, "before");
    assert_int_equal(hqq_shm_path("name", path, sizeof(path)), 0);
}

static bool is_for_removal(const struct hqq_mapping *mapping)
{
    (void)mapping;
    return true;
}

static void a_name_may_lead_into_directories(void **state)
{
    (void)state;
    char path[HQQ_SHM_PATH_SIZE];
    assert_int_equal(hqq_shm_path("/a/b/c", path, sizeof(path)), 0);
    assert_string_equal(path, "/dev/shm/a/b/c");
    assert_path_result("a/.b", 0);
    assert_path_result("a/...", 0);
}

static void every_function_checks_the_name(void **state)
{
    (void)state;
    struct hqq_mapping mapping = {0};
    struct hqq_unnamed unnamed;
    assert_int_equal(region_create_named("../b", 0600, page, &mapping), -EINVAL);
    assert_int_equal(hqq_shm_open_named("../b", &mapping), -EINVAL);
    assert_int_equal(hqq_shm_unlink_mapping("../b", &mapping), -EINVAL);
    assert_int_equal(hqq_shm_unlink_named("../b"), -EINVAL);
    assert_int_equal(hqq_shm_unlink_if("../b", is_for_removal), -EINVAL);
    assert_int_equal(hqq_shm_create_unnamed("b", 0600, page, &unnamed), 0);
    assert_int_equal(hqq_shm_give_name(&unnamed, "../b"), -EINVAL);
    hqq_shm_discard(&unnamed);
}

/* ---- Creating a named object ------------------------------------------------------------------------------------- */

static struct hqq_mapping create_named(const char *name, size_t length)
{
    struct hqq_mapping mapping;
    assert_int_equal(region_create_named(name, 0600, length, &mapping), 0);
    return mapping;
}

static void a_new_object_is_mapped_whole_and_zero(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), 3 * page);
    assert_true(mapping.length == 3 * page);
    assert_true(is_zero(&mapping));
    hqq_shm_unmap(&mapping);
}

static void a_new_object_is_allocated_whole(void **state)
{
    (void)state;
    struct stat stat;
    struct hqq_mapping mapping = create_named(use_name(__func__), 2 * MIB + page);
    assert_int_equal(lstat(scratch.path, &stat), 0);
    assert_true(stat.st_size == (off_t)(2 * MIB + page));
    assert_true((size_t)stat.st_blocks * 512 >= 2 * MIB + page);
    hqq_shm_unmap(&mapping);
}

static void a_new_object_remembers_its_inode(void **state)
{
    (void)state;
    struct stat stat;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(lstat(scratch.path, &stat), 0);
    assert_true(mapping.device == stat.st_dev && mapping.inode == stat.st_ino);
    hqq_shm_unmap(&mapping);
}

static void a_name_is_created_only_once(void **state)
{
    (void)state;
    struct stat before, after;
    struct hqq_mapping again;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(lstat(scratch.path, &before), 0);
    assert_int_equal(region_create_named(scratch.name, 0600, 2 * page, &again), -EEXIST);
    assert_int_equal(lstat(scratch.path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_size == after.st_size);
    hqq_shm_unmap(&mapping);
}

static void assert_mode_under(mode_t mask, mode_t mode)
{
    struct stat stat;
    struct hqq_mapping mapping;
    umask(mask);
    assert_int_equal(region_create_named(scratch.name, mode, page, &mapping), 0);
    assert_int_equal(lstat(scratch.path, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, mode);
    hqq_shm_unmap(&mapping);
    assert_int_equal(unlink(scratch.path), 0);
}

static void umask_takes_nothing_from_the_mode(void **state)
{
    (void)state;
    use_name(__func__);
    assert_mode_under(077, 0666);
    assert_mode_under(0777, 0640);
}

static void umask_adds_nothing_to_the_mode(void **state)
{
    (void)state;
    use_name(__func__);
    assert_mode_under(000, 0600);
    assert_mode_under(000, 0000);
}

static void a_mode_beyond_permissions_is_invalid(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    assert_int_equal(region_create_named(use_name(__func__), 01600, page, &mapping), -EINVAL);
    assert_int_equal(region_create_named(scratch.name, 04600, page, &mapping), -EINVAL);
    assert_false(name_exists());
}

static void a_symbolic_link_is_not_followed_to_create(void **state)
{
    (void)state;
    struct stat stat;
    struct hqq_mapping mapping;
    use_name(__func__);
    assert_int_equal(symlink(scratch.other_path, scratch.path), 0);
    assert_int_equal(region_create_named(scratch.name, 0600, page, &mapping), -EEXIST);
    assert_int_equal(lstat(scratch.other_path, &stat), -1);
}

static void a_mapped_object_holds_no_descriptor(void **state)
{
    (void)state;
    struct hqq_mapping opened;
    int before = open_descriptors();
    struct hqq_mapping created = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_open_named(scratch.name, &opened), 0);
    assert_int_equal(open_descriptors(), before);
    hqq_shm_unmap(&opened);
    hqq_shm_unmap(&created);
}

static void without_space_nothing_is_left_behind(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int before = open_descriptors();
    hqq_sys.fallocate = fallocate_without_space;
    assert_int_equal(region_create_named(use_name(__func__), 0600, page, &mapping), -ENOSPC);
    assert_false(name_exists());
    assert_int_equal(open_descriptors(), before);
}

static int replace_name(int fd, int mode, off_t offset, off_t length)
{
    (void)fd, (void)mode, (void)offset, (void)length;
    unlink(scratch.path);
    close(open(scratch.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    return -ENOSPC;
}

static void a_failure_leaves_the_object_that_replaced_its_own(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    hqq_sys.fallocate = replace_name;
    assert_int_equal(region_create_named(use_name(__func__), 0600, page, &mapping), -ENOSPC);
    assert_true(name_exists());
}

static int results_of_opening[16];
static int times_opened;

static int open_then_fallocate(int fd, int mode, off_t offset, off_t length)
{
    struct hqq_mapping mapping;
    if (times_opened < (int)(sizeof(results_of_opening) / sizeof(results_of_opening[0])))
        results_of_opening[times_opened++] = hqq_shm_open_named(scratch.name, &mapping);
    return real.fallocate(fd, mode, offset, length);
}

static void nobody_finds_an_object_before_it_is_all_there(void **state)
{
    (void)state;
    times_opened = 0;
    hqq_sys.fallocate = open_then_fallocate;
    struct hqq_mapping mapping = create_named(use_name(__func__), 2 * MIB + page);
    assert_int_equal(times_opened, 3);
    for (int i = 0; i < times_opened; i++)
        assert_int_equal(results_of_opening[i], -ENOENT);
    hqq_shm_unmap(&mapping);
}

/* As a kernel, or a filesystem, that has no files without a name. */
static int open_without_tmpfile(const char *path, int flags, mode_t mode)
{
    return (flags & O_TMPFILE) == O_TMPFILE ? -EOPNOTSUPP : real.open(path, flags, mode);
}

/* As where /proc is not mounted. */
static int stat_without_proc(const char *path, struct stat *ret_stat)
{
    return strncmp(path, "/proc/", strlen("/proc/")) == 0 ? -ENOENT : real.stat(path, ret_stat);
}

static char linked_from[HQQ_SHM_PATH_SIZE];

static int note_and_link(const char *existing, const char *path)
{
    snprintf(linked_from, sizeof(linked_from), "%s", existing);
    return real.link(existing, path);
}

static void assert_created_by_a_temporary_name(void)
{
    struct stat stat;
    hqq_sys.link = note_and_link;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(lstat(scratch.path, &stat), 0);
    assert_true(stat.st_ino == mapping.inode && stat.st_nlink == 1);
    assert_memory_equal(linked_from, "/dev/shm/.hqq-", strlen("/dev/shm/.hqq-"));
    assert_int_equal(lstat(linked_from, &stat), -1);
    hqq_shm_unmap(&mapping);
}

static void a_filesystem_without_nameless_files_gets_a_temporary_name(void **state)
{
    (void)state;
    hqq_sys.open = open_without_tmpfile;
    assert_created_by_a_temporary_name();
}

static void where_proc_is_missing_there_is_a_temporary_name(void **state)
{
    (void)state;
    hqq_sys.stat = stat_without_proc;
    assert_created_by_a_temporary_name();
}

static void an_object_without_its_name_can_be_tried_again_or_given_up(void **state)
{
    (void)state;
    struct hqq_unnamed unnamed;
    int before = open_descriptors();
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_create_unnamed(scratch.name, 0600, page, &unnamed), 0);
    assert_int_equal(hqq_shm_give_name(&unnamed, scratch.name), -EEXIST);
    assert_int_equal(unlink(scratch.path), 0);
    assert_int_equal(hqq_shm_give_name(&unnamed, scratch.name), 0);
    hqq_shm_unmap(&unnamed.mapping);
    assert_int_equal(hqq_shm_create_unnamed(scratch.name, 0600, page, &unnamed), 0);
    hqq_shm_discard(&unnamed);
    hqq_shm_unmap(&mapping);
    assert_int_equal(open_descriptors(), before);
}

static void an_object_can_lie_in_a_directory(void **state)
{
    (void)state;
    struct hqq_mapping mapping, opened;
    char inner[HQQ_SHM_NAME_MAX + 1];
    use_name(__func__);
    snprintf(inner, sizeof(inner), "%.200s/inner", scratch.name);
    assert_int_equal(region_create_named(inner, 0600, page, &mapping), -ENOENT);
    assert_int_equal(mkdir(scratch.path, 0700), 0);
    assert_int_equal(region_create_named(inner, 0600, page, &mapping), 0);
    assert_int_equal(hqq_shm_open_named(inner, &opened), 0);
    assert_true(share_memory(&mapping, &opened));
    assert_int_equal(hqq_shm_unlink_mapping(inner, &mapping), 0);
    hqq_shm_unmap(&opened);
    hqq_shm_unmap(&mapping);
}

/* ---- Opening a named object -------------------------------------------------------------------------------------- */

static void assert_open_result(int expected)
{
    struct hqq_mapping mapping;
    int before = open_descriptors();
    assert_int_equal(hqq_shm_open_named(scratch.name, &mapping), expected);
    assert_int_equal(open_descriptors(), before);
}

static void an_opened_object_is_the_one_that_was_created(void **state)
{
    (void)state;
    struct hqq_mapping opened;
    struct hqq_mapping created = create_named(use_name(__func__), 3 * page);
    assert_int_equal(hqq_shm_open_named(scratch.name, &opened), 0);
    assert_true(opened.length == 3 * page);
    assert_true(opened.device == created.device && opened.inode == created.inode);
    assert_true(share_memory(&created, &opened));
    hqq_shm_unmap(&opened);
    hqq_shm_unmap(&created);
}

static void an_absent_object_is_not_created_by_opening(void **state)
{
    (void)state;
    use_name(__func__);
    assert_open_result(-ENOENT);
    assert_false(name_exists());
}

static void an_object_shorter_than_a_page_is_too_small(void **state)
{
    (void)state;
    use_name(__func__);
    int fd = open(scratch.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_open_result(HQQ_ERROR_MEMORY_SMALL);
    assert_int_equal(ftruncate(fd, (off_t)page - 1), 0);
    assert_open_result(HQQ_ERROR_MEMORY_SMALL);
    close(fd);
}

static void a_symbolic_link_is_not_followed_to_open(void **state)
{
    (void)state;
    use_name(__func__);
    int fd = open(scratch.other_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    close(fd);
    assert_int_equal(symlink(scratch.other_path, scratch.path), 0);
    assert_open_result(-EINVAL);
}

static void a_fifo_is_no_object(void **state)
{
    (void)state;
    use_name(__func__);
    assert_int_equal(mkfifo(scratch.path, 0600), 0);
    assert_open_result(-EINVAL);
}

static void a_directory_is_no_object(void **state)
{
    (void)state;
    use_name(__func__);
    assert_int_equal(mkdir(scratch.path, 0700), 0);
    assert_open_result(-EINVAL);
}

static void a_socket_is_no_object(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    use_name(__func__);
    assert_true(strlen(scratch.path) < sizeof(address.sun_path));
    memcpy(address.sun_path, scratch.path, strlen(scratch.path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_open_result(-EINVAL);
    close(fd);
}

/* ---- Removing names ---------------------------------------------------------------------------------------------- */

static void the_name_of_a_mapping_is_removed(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_unlink_mapping(scratch.name, &mapping), 0);
    assert_false(name_exists());
    hqq_shm_unmap(&mapping);
}

static void the_name_of_an_opened_mapping_is_removed(void **state)
{
    (void)state;
    struct hqq_mapping opened;
    struct hqq_mapping created = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_open_named(scratch.name, &opened), 0);
    assert_int_equal(hqq_shm_unlink_mapping(scratch.name, &opened), 0);
    assert_false(name_exists());
    hqq_shm_unmap(&opened);
    hqq_shm_unmap(&created);
}

static void a_later_object_of_the_same_name_is_not_removed(void **state)
{
    (void)state;
    struct hqq_mapping first = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_unlink_named(scratch.name), 0);
    struct hqq_mapping second = create_named(scratch.name, page);
    assert_int_equal(hqq_shm_unlink_mapping(scratch.name, &first), 0);
    assert_true(name_exists());
    hqq_shm_unmap(&first);
    hqq_shm_unmap(&second);
}

static void a_name_that_is_gone_is_no_error_for_its_mapping(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_unlink_named(scratch.name), 0);
    assert_int_equal(hqq_shm_unlink_mapping(scratch.name, &mapping), 0);
    hqq_shm_unmap(&mapping);
}

static void the_mapping_of_a_memfd_removes_no_name(void **state)
{
    (void)state;
    struct hqq_mapping memory;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    int fd = create_memfd(page, &memory);
    assert_int_equal(hqq_shm_unlink_mapping(scratch.name, &memory), 0);
    assert_true(name_exists());
    close_memfd(fd, &memory);
    hqq_shm_unmap(&mapping);
}

static void removing_a_name_that_is_absent_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(hqq_shm_unlink_named(use_name(__func__)), -ENOENT);
}

static void a_directory_is_not_removed(void **state)
{
    (void)state;
    use_name(__func__);
    assert_int_equal(mkdir(scratch.path, 0700), 0);
    assert_int_equal(hqq_shm_unlink_named(scratch.name), -EINVAL);
    assert_true(name_exists());
}

static int unlink_in_a_sticky_directory(const char *path)
{
    (void)path;
    return -EPERM;
}

static void removing_the_name_of_another_user_is_denied(void **state)
{
    (void)state;
    hqq_sys.unlink = unlink_in_a_sticky_directory;
    assert_int_equal(hqq_shm_unlink_named(use_name(__func__)), -EACCES);
}

static int times_asked;

static bool must_stay(const struct hqq_mapping *mapping)
{
    times_asked += mapping->base != NULL;
    return false;
}

static void an_object_that_is_to_stay_is_not_removed(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    times_asked = 0;
    assert_int_equal(hqq_shm_unlink_if(scratch.name, must_stay), -EEXIST);
    assert_int_equal(times_asked, 1);
    assert_true(name_exists());
    assert_int_equal(hqq_shm_unlink_if(scratch.name, is_for_removal), 0);
    assert_false(name_exists());
    assert_int_equal(hqq_shm_unlink_if(scratch.name, must_stay), 0);
    hqq_shm_unmap(&mapping);
}

/* Another remover comes while this one is still looking. */
static bool remove_meanwhile(const struct hqq_mapping *mapping)
{
    (void)mapping;
    assert_int_equal(hqq_shm_unlink_if(scratch.name, is_for_removal), -EEXIST);
    return true;
}

static void of_two_that_remove_an_object_at_once_one_does(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    assert_int_equal(hqq_shm_unlink_if(scratch.name, remove_meanwhile), 0);
    assert_false(name_exists());
    hqq_shm_unmap(&mapping);
}

static struct hqq_mapping successor;

/* Between finding the object and having it, another remover was done, and a new object has the name. */
static int replace_then_lock(int fd, int operation)
{
    hqq_sys.flock = real.flock;
    assert_int_equal(unlink(scratch.path), 0);
    successor = create_named(scratch.name, page);
    return real.flock(fd, operation);
}

static void what_has_taken_the_name_meanwhile_is_not_removed(void **state)
{
    (void)state;
    struct hqq_mapping mapping = create_named(use_name(__func__), page);
    hqq_sys.flock = replace_then_lock;
    assert_int_equal(hqq_shm_unlink_if(scratch.name, is_for_removal), -EEXIST);
    assert_true(name_exists());
    hqq_shm_unmap(&successor);
    hqq_shm_unmap(&mapping);
}

static void a_mapping_is_unmapped_once(void **state)
{
    (void)state;
    struct hqq_mapping mapping;
    int fd = create_memfd(page, &mapping);
    hqq_shm_unmap(&mapping);
    assert_null(mapping.base);
    hqq_shm_unmap(&mapping);
    close(fd);
}

static void an_empty_mapping_needs_no_unmap(void **state)
{
    (void)state;
    struct hqq_mapping mapping = {0};
    hqq_shm_unmap(&mapping);
    assert_null(mapping.base);
}

int main(void)
{
    real = hqq_sys;
    page = (size_t)sysconf(_SC_PAGESIZE);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_memfd_is_mapped_whole_and_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_memfd_has_the_length_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_memfd_is_allocated_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_memfd_is_closed_on_exec, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_memfd_can_neither_shrink_nor_grow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_memfd_takes_no_more_seals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_mapping_of_a_memfd_outlives_its_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kernel_that_knows_fewer_flags_will_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_length_of_zero_is_invalid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_length_beyond_every_file_is_too_big, set_up, tear_down),
        cmocka_unit_test_setup_teardown(outputs_are_untouched_by_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_interrupted_allocation_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_is_allocated_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filesystem_that_cannot_allocate_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beyond_the_file_size_limit_there_is_an_error_and_no_signal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(up_to_the_file_size_limit_there_is_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memfd_can_be_mapped_by_its_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_seal_against_shrinking_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unsealed_memfd_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memfd_sealed_only_otherwise_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(huge_pages_are_refused_however_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_named_object_is_no_memfd, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_seals_is_refused_before_its_filesystem_is_asked, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_closed_descriptor_is_a_bad_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memfd_shorter_than_a_page_is_too_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memfd_sealed_against_writing_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memfd_opened_for_reading_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_lies_in_dev_shm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_leading_slash_is_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dots_within_a_name_are_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_leads_elsewhere_is_invalid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_may_have_255_bytes_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_path_that_does_not_fit_is_not_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_may_lead_into_directories, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_function_checks_the_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_object_is_mapped_whole_and_zero, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_object_is_allocated_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_object_remembers_its_inode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_is_created_only_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(umask_takes_nothing_from_the_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(umask_adds_nothing_to_the_mode, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mode_beyond_permissions_is_invalid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_symbolic_link_is_not_followed_to_create, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mapped_object_holds_no_descriptor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_space_nothing_is_left_behind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_leaves_the_object_that_replaced_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_finds_an_object_before_it_is_all_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filesystem_without_nameless_files_gets_a_temporary_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_proc_is_missing_there_is_a_temporary_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_object_without_its_name_can_be_tried_again_or_given_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_object_can_lie_in_a_directory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_opened_object_is_the_one_that_was_created, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_absent_object_is_not_created_by_opening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_object_shorter_than_a_page_is_too_small, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_symbolic_link_is_not_followed_to_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_fifo_is_no_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_is_no_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_is_no_object, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_name_of_a_mapping_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_name_of_an_opened_mapping_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_later_object_of_the_same_name_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_gone_is_no_error_for_its_mapping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_mapping_of_a_memfd_removes_no_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removing_a_name_that_is_absent_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removing_the_name_of_another_user_is_denied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_object_that_is_to_stay_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_two_that_remove_an_object_at_once_one_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_taken_the_name_meanwhile_is_not_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mapping_is_unmapped_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_mapping_needs_no_unmap, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
