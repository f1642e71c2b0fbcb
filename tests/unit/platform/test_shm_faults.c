/*
 * Every system call of every operation fails once. The table's entries are replaced by ones that count, and that fail
 * the Nth call, N = 1, 2, 3, ... until a run makes fewer. After each run nothing may be left: no descriptor, no
 * mapping, no name. Relies on /proc/self for what is left.
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
#include <unistd.h>

#include "platform/shm.h"
#include "platform/sys.h"
#include "support/region.h"

/* An error that no caller treats in a way of its own. */
#define FAULT (-EIO)

static struct hqq_sys real;
static int calls_made, failing_call;
static size_t length;
static char name[HQQ_SHM_NAME_MAX + 1], path[HQQ_SHM_PATH_SIZE];
static char temporary[HQQ_SHM_PATH_SIZE]; /* the last that was opened */

/* ---- A table in which one call fails ----------------------------------------------------------------------------- */

static bool fails(void)
{
    return ++calls_made == failing_call;
}

static int faulty_open(const char *file, int flags, mode_t mode)
{
    return fails() ? FAULT : real.open(file, flags, mode);
}

/* As Linux does it: the descriptor is gone, whatever close says. */
static int faulty_close(int fd)
{
    int result = real.close(fd);
    return fails() ? FAULT : result;
}

static int faulty_fstat(int fd, struct stat *ret_stat)
{
    return fails() ? FAULT : real.fstat(fd, ret_stat);
}

static int faulty_stat(const char *file, struct stat *ret_stat)
{
    return fails() ? FAULT : real.stat(file, ret_stat);
}

static int faulty_fstatfs(int fd, struct statfs *ret_stat)
{
    return fails() ? FAULT : real.fstatfs(fd, ret_stat);
}

static int faulty_fchmod(int fd, mode_t mode)
{
    return fails() ? FAULT : real.fchmod(fd, mode);
}

static int faulty_ftruncate(int fd, off_t size)
{
    return fails() ? FAULT : real.ftruncate(fd, size);
}

static int faulty_fallocate(int fd, int mode, off_t offset, off_t size)
{
    return fails() ? FAULT : real.fallocate(fd, mode, offset, size);
}

static int faulty_unlink(const char *file)
{
    return fails() ? FAULT : real.unlink(file);
}

static int faulty_link(const char *existing, const char *file)
{
    return fails() ? FAULT : real.link(existing, file);
}

static int faulty_memfd_create(const char *label, unsigned flags)
{
    return fails() ? FAULT : real.memfd_create(label, flags);
}

static int faulty_add_seals(int fd, int seals)
{
    return fails() ? FAULT : real.add_seals(fd, seals);
}

static int faulty_get_seals(int fd)
{
    return fails() ? FAULT : real.get_seals(fd);
}

static int faulty_mmap(void **ret_address, size_t size, int protection, int flags, int fd)
{
    return fails() ? FAULT : real.mmap(ret_address, size, protection, flags, fd);
}

static int faulty_munmap(void *address, size_t size)
{
    return fails() ? FAULT : real.munmap(address, size);
}

static void fail_call(int number)
{
    calls_made = 0;
    failing_call = number;
    hqq_sys.open = faulty_open;
    hqq_sys.close = faulty_close;
    hqq_sys.fstat = faulty_fstat;
    hqq_sys.stat = faulty_stat;
    hqq_sys.fstatfs = faulty_fstatfs;
    hqq_sys.fchmod = faulty_fchmod;
    hqq_sys.ftruncate = faulty_ftruncate;
    hqq_sys.fallocate = faulty_fallocate;
    hqq_sys.link = faulty_link;
    hqq_sys.unlink = faulty_unlink;
    hqq_sys.memfd_create = faulty_memfd_create;
    hqq_sys.add_seals = faulty_add_seals;
    hqq_sys.get_seals = faulty_get_seals;
    hqq_sys.mmap = faulty_mmap;
    hqq_sys.munmap = faulty_munmap;
}

/* ---- What is left ------------------------------------------------------------------------------------------------ */

struct left {
    int descriptors;
    int mappings; /* of memfds of the library, of the name, and of what had none when it was mapped */
    int names;
};

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static int count_mappings(void)
{
    char line[1024];
    int count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, "memfd:hqq") || strstr(line, path) || strstr(line, "/dev/shm/#") || strstr(line, "/.hqq-"))
            count++;
    }
    fclose(file);
    return count;
}

/* The name, and temporary ones of this process's objects: other tests may be making theirs. */
static int count_names(void)
{
    struct stat stat;
    return (lstat(path, &stat) == 0 ? 1 : 0) + (temporary[0] != '\0' && lstat(temporary, &stat) == 0 ? 1 : 0);
}

static struct left count_left(void)
{
    return (struct left){count_descriptors(), count_mappings(), count_names()};
}

static void assert_same(struct left left, struct left expected)
{
    assert_int_equal(left.descriptors, expected.descriptors);
    assert_int_equal(left.mappings, expected.mappings);
    assert_int_equal(left.names, expected.names);
}

/* ---- Operations -------------------------------------------------------------------------------------------------- */

struct operation {
    int (*run)(void);
    void (*undo)(void); /* of a run that succeeded */
    int calls;          /* made by a run in which none fails */
};

static int fd;
static struct hqq_mapping mapping;

/* Fails the Nth call until none is left to fail. A call whose failure does not matter leaves a success. */
static void assert_every_fault_leaves_nothing(const struct operation *operation)
{
    const struct left before = count_left();
    int number = 0;
    do {
        fail_call(++number);
        int result = operation->run();
        hqq_sys = real;
        if (result == 0)
            operation->undo();
        else
            assert_int_equal(result, FAULT);
        assert_same(count_left(), before);
    } while (calls_made >= number);
    assert_int_equal(calls_made, operation->calls);
}

static int run_create_memfd(void)
{
    return hqq_shm_create_memfd(length, &fd, &mapping);
}

static void undo_create_memfd(void)
{
    hqq_shm_unmap(&mapping);
    close(fd);
}

static void creating_a_memfd_leaves_nothing_whichever_call_fails(void **state)
{
    (void)state;
    /* memfd_create, fallocate, ftruncate, add_seals, mmap */
    const struct operation operation = {run_create_memfd, undo_create_memfd, 5};
    assert_every_fault_leaves_nothing(&operation);
}

static int foreign_fd;

static int run_map_memfd(void)
{
    return hqq_shm_map_memfd(foreign_fd, &mapping);
}

static void undo_map(void)
{
    hqq_shm_unmap(&mapping);
}

static void mapping_a_memfd_leaves_nothing_whichever_call_fails(void **state)
{
    (void)state;
    /* get_seals, fstatfs, fstat, mmap */
    const struct operation operation = {run_map_memfd, undo_map, 4};
    struct hqq_mapping foreign;
    assert_int_equal(hqq_shm_create_memfd(length, &foreign_fd, &foreign), 0);
    assert_every_fault_leaves_nothing(&operation);
    hqq_shm_unmap(&foreign);
    close(foreign_fd);
}

static int run_create_named(void)
{
    return region_create_named(name, 0600, length, &mapping);
}

static void undo_create_named(void)
{
    unlink(path);
    hqq_shm_unmap(&mapping);
}

static void creating_a_name_leaves_nothing_whichever_call_fails(void **state)
{
    (void)state;
    /* open, fstat, stat (of its descriptor: where that fails a temporary name is used), fchmod, fallocate, ftruncate,
     * mmap, link, close */
    const struct operation operation = {run_create_named, undo_create_named, 9};
    assert_every_fault_leaves_nothing(&operation);
}

static int open_named_only(const char *file, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return -EOPNOTSUPP;
    if (strstr(file, "/.hqq-"))
        snprintf(temporary, sizeof(temporary), "%s", file);
    return faulty_open(file, flags, mode);
}

static int run_create_by_a_temporary_name(void)
{
    hqq_sys.open = open_named_only;
    return run_create_named();
}

/* Removing the temporary name is the one call whose failure leaves something, which nobody can help. */
static int unlink_surely(const char *file)
{
    return real.unlink(file);
}

static int run_create_beside_a_sure_unlink(void)
{
    hqq_sys.unlink = unlink_surely;
    return run_create_by_a_temporary_name();
}

static void creating_a_name_by_a_temporary_one_leaves_nothing_whichever_call_fails(void **state)
{
    (void)state;
    /* open, fstat, fchmod, fallocate, ftruncate, mmap, link, close */
    const struct operation operation = {run_create_beside_a_sure_unlink, undo_create_named, 8};
    assert_every_fault_leaves_nothing(&operation);
}

static int run_open_named(void)
{
    return hqq_shm_open_named(name, &mapping);
}

static void opening_a_name_leaves_nothing_whichever_call_fails(void **state)
{
    (void)state;
    /* open, fstat, mmap, close */
    const struct operation operation = {run_open_named, undo_map, 4};
    struct hqq_mapping created;
    assert_int_equal(region_create_named(name, 0600, length, &created), 0);
    assert_every_fault_leaves_nothing(&operation);
    hqq_shm_unmap(&created);
}

/* Makes again, for the same mapping, the name that was removed. */
static void undo_unlink(void)
{
    assert_int_equal(count_names(), 0);
    hqq_shm_unmap(&mapping);
    assert_int_equal(region_create_named(name, 0600, length, &mapping), 0);
}

static int run_unlink_mapping(void)
{
    return hqq_shm_unlink_mapping(name, &mapping);
}

static void removing_the_name_of_a_mapping_is_done_or_not_whichever_call_fails(void **state)
{
    (void)state;
    /* stat, unlink */
    const struct operation operation = {run_unlink_mapping, undo_unlink, 2};
    assert_int_equal(region_create_named(name, 0600, length, &mapping), 0);
    assert_every_fault_leaves_nothing(&operation);
    hqq_shm_unmap(&mapping);
}

static int run_unlink_named(void)
{
    return hqq_shm_unlink_named(name);
}

static void removing_a_name_is_done_or_not_whichever_call_fails(void **state)
{
    (void)state;
    /* unlink */
    const struct operation operation = {run_unlink_named, undo_unlink, 1};
    assert_int_equal(region_create_named(name, 0600, length, &mapping), 0);
    assert_every_fault_leaves_nothing(&operation);
    hqq_shm_unmap(&mapping);
}

/* ---- The check itself -------------------------------------------------------------------------------------------- */

static void what_is_left_is_noticed(void **state)
{
    (void)state;
    const struct left before = count_left();
    assert_int_equal(hqq_shm_create_memfd(length, &fd, &mapping), 0);
    assert_same(count_left(), (struct left){before.descriptors + 1, before.mappings + 1, before.names});
    undo_create_memfd();
    assert_int_equal(region_create_named(name, 0600, length, &mapping), 0);
    assert_same(count_left(), (struct left){before.descriptors, before.mappings + 1, before.names + 1});
    undo_create_named();
    assert_same(count_left(), before);
}

static int tear_down(void **state)
{
    (void)state;
    hqq_sys = real;
    return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

int main(void)
{
    real = hqq_sys;
    length = 3 * (size_t)sysconf(_SC_PAGESIZE);
    snprintf(name, sizeof(name), "hqq-test.%d.shm_faults", (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm/hqq-test.%d.shm_faults", (int)getpid());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(creating_a_memfd_leaves_nothing_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(mapping_a_memfd_leaves_nothing_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(creating_a_name_leaves_nothing_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(creating_a_name_by_a_temporary_one_leaves_nothing_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(opening_a_name_leaves_nothing_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(removing_the_name_of_a_mapping_is_done_or_not_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(removing_a_name_is_done_or_not_whichever_call_fails, tear_down),
        cmocka_unit_test_teardown(what_is_left_is_noticed, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
