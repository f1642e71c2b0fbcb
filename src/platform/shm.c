/*
 * Shared memory for regions. Relies on hqq_sys and on tmpfs, which allocates in fallocate(); never maps what a peer
 * could shrink, but for named objects, whose mode says who may.
 */
#include "platform/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hqq/error.h>
#include <hqq/link.h>

#include "base/atomic.h"
#include "base/text.h"
#include "platform/sys.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

#define SHM_DIRECTORY "/dev/shm/"
#define ALLOCATE_PIECE ((off_t)1 << 20)

/* ---- Steps ----------------------------------------------------------------------------------------------------- */

/* Before the file grows: beyond the limit the kernel would raise SIGXFSZ, not just refuse. */
static int check_length(size_t length)
{
    if (length == 0)
        return -EINVAL;
    return length > INT64_MAX || length > hqq_sys.file_size_limit() ? -EFBIG : 0;
}

/*
 * Allocates the memory, then sets the length. tmpfs gives back what a call has allocated when a signal interrupts it,
 * so in pieces: a big region under a fast profiling timer would never be done in one.
 */
static int allocate(int fd, size_t length)
{
    off_t end = (off_t)length;
    off_t offset = 0;
    while (offset < end) {
        off_t piece = end - offset < ALLOCATE_PIECE ? end - offset : ALLOCATE_PIECE;
        int result = hqq_sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, piece);
        if (result == 0)
            offset += piece;
        else if (result != -EINTR)
            return result;
    }
    return hqq_sys.ftruncate(fd, end);
}

/* What a memfd holds would else be in each core dump, as shared memory without a name is. */
void hqq_shm_omit_from_dumps(void *address, size_t length)
{
    (void)hqq_sys.madvise(address, length, MADV_DONTDUMP);
}

static int map_shared(int fd, size_t length, struct hqq_mapping *mapping)
{
    int result = hqq_sys.mmap(&mapping->base, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    if (result != 0)
        return result;
    mapping->length = length;
    hqq_shm_omit_from_dumps(mapping->base, length);
    return 0;
}

/* The whole of a file of that status. */
static int map_existing(int fd, const struct stat *stat, struct hqq_mapping *mapping)
{
    if (stat->st_size < sysconf(_SC_PAGESIZE))
        return HQQ_ERROR_MEMORY_SMALL;
    return map_shared(fd, (size_t)stat->st_size, mapping);
}

/* ---- memfds ---------------------------------------------------------------------------------------------------- */

/* A system may forbid memfds that could be executed (vm.memfd_noexec); an older one does not know the flag. */
static int open_memfd(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = hqq_sys.memfd_create("hqq", flags | MFD_NOEXEC_SEAL);
    return fd == -EINVAL ? hqq_sys.memfd_create("hqq", flags) : fd;
}

static int create_memfd(size_t length, bool is_sparse, int *ret_fd, struct hqq_mapping *ret_mapping)
{
    struct hqq_mapping mapping = {0};
    int result = check_length(length);
    if (result != 0)
        return result;
    int fd = open_memfd();
    if (fd < 0)
        return fd;

    result = is_sparse ? hqq_sys.ftruncate(fd, (off_t)length) : allocate(fd, length);
    if (result == 0)
        result = hqq_sys.add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (result == 0)
        result = map_shared(fd, length, &mapping);
    if (result != 0) {
        hqq_sys.close(fd);
        return result;
    }
    *ret_fd = fd;
    *ret_mapping = mapping;
    return 0;
}

int hqq_shm_create_memfd(size_t length, int *ret_fd, struct hqq_mapping *ret_mapping)
{
    return create_memfd(length, false, ret_fd, ret_mapping);
}

/* 1: the kernel may refuse a page that is touched. Looked up once; what can't be read is taken for the usual. */
static bool must_commit(void)
{
    static hqq_atomic_u32 known; /* 0: not yet, 1: no, 2: yes */
    uint32_t answer = hqq_load32_relaxed(&known);
    if (answer == 0) {
        char text[4];
        (void)hqq_sys_read_file("/proc/sys/vm/overcommit_memory", text, sizeof(text));
        answer = text[0] == '2' ? 2 : 1;
        hqq_store32_relaxed(&known, answer);
    }
    return answer == 2;
}

int hqq_shm_create_sparse_memfd(size_t length, int *ret_fd, struct hqq_mapping *ret_mapping)
{
    return create_memfd(length, !must_commit(), ret_fd, ret_mapping);
}

/*
 * The seals come first: asking for them reaches no filesystem, while fstatfs() and fstat() of a hostile FUSE file may
 * never return. Only tmpfs and hugetlbfs files have seals (-EINVAL for any other), and only memfds can be given them.
 */
int hqq_shm_map_memfd(int fd, struct hqq_mapping *ret_mapping)
{
    struct hqq_mapping mapping = {0};
    struct statfs filesystem;
    struct stat stat;
    int seals = hqq_sys.get_seals(fd);
    if (seals < 0)
        return seals == -EINVAL ? HQQ_ERROR_UNSEALED : seals;
    if (!(seals & F_SEAL_SHRINK))
        return HQQ_ERROR_UNSEALED;
    int result = hqq_sys.fstatfs(fd, &filesystem);
    if (result != 0)
        return result;
    if (filesystem.f_type != TMPFS_MAGIC)
        return HQQ_ERROR_UNSEALED;
    result = hqq_sys.fstat(fd, &stat);
    if (result == 0)
        result = map_existing(fd, &stat, &mapping);
    if (result == 0)
        *ret_mapping = mapping;
    return result;
}

/* ---- Named objects --------------------------------------------------------------------------------------------- */

/* False if a part of the name is empty, "." or "..": it would lead elsewhere, or nowhere. */
static bool are_parts_valid(const char *name)
{
    for (;;) {
        size_t length = strcspn(name, "/");
        if (length == 0 || (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.'))
            return false;
        if (name[length] == '\0')
            return true;
        name += length + 1;
    }
}

int hqq_shm_path(const char *name, char path[], size_t path_size)
{
    if (!name)
        return -EINVAL;
    if (*name == '/')
        name++;
    size_t length = strnlen(name, HQQ_SHM_NAME_MAX + 1);
    if (length > HQQ_SHM_NAME_MAX)
        return -ENAMETOOLONG;
    if (!are_parts_valid(name))
        return -EINVAL;
    if (path_size < sizeof(SHM_DIRECTORY) + length)
        return -ENAMETOOLONG;
    memcpy(mempcpy(path, SHM_DIRECTORY, sizeof(SHM_DIRECTORY) - 1), name, length + 1);
    return 0;
}

static void remember_inode(struct hqq_mapping *mapping, const struct stat *stat)
{
    mapping->device = stat->st_dev;
    mapping->inode = stat->st_ino;
}

static bool is_object(const struct stat *stat, const struct hqq_mapping *mapping)
{
    return stat->st_dev == mapping->device && stat->st_ino == mapping->inode;
}

static int unlink_if_same(const char *path, const struct hqq_mapping *mapping)
{
    struct stat stat;
    int result = hqq_sys.stat(path, &stat);
    if (result == 0 && is_object(&stat, mapping))
        result = hqq_sys.unlink(path);
    return result == -ENOENT ? 0 : result;
}

/* ---- Creating ---------------------------------------------------------------------------------------------------- */

#define DESCRIPTOR_PATH_SIZE 32

static void describe_descriptor(int fd, char path[static DESCRIPTOR_PATH_SIZE])
{
    struct hqq_text text;
    hqq_text_begin(&text, path, DESCRIPTOR_PATH_SIZE);
    hqq_text_add(&text, "/proc/self/fd/");
    hqq_text_add_number(&text, (uint64_t)fd, 10, 1);
}

/* The length of the directory's part of a path, without its last slash. */
static size_t directory_length(const char *path)
{
    return (size_t)(strrchr(path, '/') - path);
}

/* A file without any name, in the directory of the path. What has none can be given one only by way of /proc. */
static int open_nameless(const char *path, struct hqq_mapping *mapping)
{
    char directory[HQQ_SHM_PATH_SIZE] = "", descriptor[DESCRIPTOR_PATH_SIZE];
    struct stat stat;
    memcpy(directory, path, directory_length(path));
    int fd = hqq_sys.open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        return fd == -EISDIR || fd == -EINVAL ? -EOPNOTSUPP : fd; /* as a kernel says that does not know the flag */
    int result = hqq_sys.fstat(fd, &stat);
    if (result == 0) {
        remember_inode(mapping, &stat);
        describe_descriptor(fd, descriptor);
        if (hqq_sys.stat(descriptor, &stat) != 0 || !is_object(&stat, mapping))
            result = -EOPNOTSUPP;
    }
    if (result != 0) {
        hqq_sys.close(fd);
        return result;
    }
    return fd;
}

/* A file with a name that nobody knows, in that directory. */
static int open_temporary(const char *path, struct hqq_unnamed *unnamed)
{
    struct stat stat;
    int fd;
    do {
        struct hqq_text text;
        hqq_text_begin(&text, unnamed->temporary, sizeof(unnamed->temporary));
        hqq_text_add_bytes(&text, path, directory_length(path));
        hqq_text_add(&text, "/.hqq-");
        hqq_text_add_number(&text, hqq_clock_ns(), 16, 1);
        fd = hqq_sys.open(unnamed->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    } while (fd == -EEXIST);
    if (fd < 0)
        return fd;
    int result = hqq_sys.fstat(fd, &stat);
    if (result != 0) {
        hqq_sys.unlink(unnamed->temporary);
        hqq_sys.close(fd);
        return result;
    }
    remember_inode(&unnamed->mapping, &stat);
    return fd;
}

int hqq_shm_create_unnamed(const char *name, mode_t mode, size_t length, struct hqq_unnamed *ret_unnamed)
{
    struct hqq_unnamed unnamed = {.fd = -1};
    char path[HQQ_SHM_PATH_SIZE];
    int result = mode & ~(mode_t)0777 ? -EINVAL : hqq_shm_path(name, path, sizeof(path));
    if (result == 0)
        result = check_length(length);
    if (result != 0)
        return result;
    unnamed.fd = open_nameless(path, &unnamed.mapping);
    if (unnamed.fd == -EOPNOTSUPP)
        unnamed.fd = open_temporary(path, &unnamed);
    if (unnamed.fd < 0)
        return unnamed.fd;

    result = hqq_sys.fchmod(unnamed.fd, mode);
    if (result == 0)
        result = allocate(unnamed.fd, length);
    if (result == 0)
        result = map_shared(unnamed.fd, length, &unnamed.mapping);
    if (result != 0)
        hqq_shm_discard(&unnamed);
    else
        *ret_unnamed = unnamed;
    return result;
}

static void remove_temporary(struct hqq_unnamed *unnamed)
{
    if (unnamed->temporary[0] != '\0')
        (void)hqq_sys.unlink(unnamed->temporary);
    hqq_sys.close(unnamed->fd);
}

int hqq_shm_give_name(struct hqq_unnamed *unnamed, const char *name)
{
    char path[HQQ_SHM_PATH_SIZE], descriptor[DESCRIPTOR_PATH_SIZE];
    int result = hqq_shm_path(name, path, sizeof(path));
    if (result != 0)
        return result;
    describe_descriptor(unnamed->fd, descriptor);
    result = hqq_sys.link(unnamed->temporary[0] != '\0' ? unnamed->temporary : descriptor, path);
    if (result == 0)
        remove_temporary(unnamed);
    return result;
}

void hqq_shm_discard(struct hqq_unnamed *unnamed)
{
    remove_temporary(unnamed);
    hqq_shm_unmap(&unnamed->mapping);
}

/* ---- Opening and removing ---------------------------------------------------------------------------------------- */

/* open(), with one answer for everything that is not a regular file. */
static int open_object(const char *path)
{
    int fd = hqq_sys.open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd == -ELOOP || fd == -EISDIR || fd == -ENXIO) /* a symbolic link, a directory, a socket */
        return -EINVAL;
    return fd;
}

static int map_object(int fd, struct hqq_mapping *mapping)
{
    struct stat stat;
    int result = hqq_sys.fstat(fd, &stat);
    if (result == 0)
        result = S_ISREG(stat.st_mode) ? map_existing(fd, &stat, mapping) : -EINVAL;
    if (result == 0)
        remember_inode(mapping, &stat);
    return result;
}

int hqq_shm_open_named(const char *name, struct hqq_mapping *ret_mapping)
{
    struct hqq_mapping mapping = {0};
    char path[HQQ_SHM_PATH_SIZE];
    int result = hqq_shm_path(name, path, sizeof(path));
    if (result != 0)
        return result;
    int fd = open_object(path);
    if (fd < 0)
        return fd;
    result = map_object(fd, &mapping);
    if (result == 0)
        *ret_mapping = mapping;
    hqq_sys.close(fd);
    return result;
}

/* With the lock on the object: it is this one's to remove as long as the name is the object's. */
static int unlink_locked(const char *path, int fd, bool (*may_remove)(const struct hqq_mapping *mapping))
{
    struct hqq_mapping mapping = {0};
    struct stat stat;
    if (map_object(fd, &mapping) != 0)
        return -EEXIST;
    int result = hqq_sys.stat(path, &stat);
    if (result == 0)
        result = is_object(&stat, &mapping) && may_remove(&mapping) ? hqq_sys.unlink(path) : -EEXIST;
    hqq_shm_unmap(&mapping);
    return result;
}

int hqq_shm_unlink_if(const char *name, bool (*may_remove)(const struct hqq_mapping *mapping))
{
    char path[HQQ_SHM_PATH_SIZE];
    int result = hqq_shm_path(name, path, sizeof(path));
    if (result != 0)
        return result;
    int fd = open_object(path);
    if (fd < 0)
        return fd == -ENOENT ? 0 : -EEXIST;
    result = -EEXIST;
    if (hqq_sys.flock(fd, LOCK_EX | LOCK_NB) == 0) {
        result = unlink_locked(path, fd, may_remove);
        (void)hqq_sys.flock(fd, LOCK_UN); /* a child of a fork may have the descriptor for longer */
    }
    hqq_sys.close(fd);
    if (result == -ENOENT)
        return 0;
    return result == -EPERM ? -EACCES : result;
}

int hqq_shm_unlink_mapping(const char *name, const struct hqq_mapping *mapping)
{
    char path[HQQ_SHM_PATH_SIZE];
    int result = hqq_shm_path(name, path, sizeof(path));
    return result != 0 ? result : unlink_if_same(path, mapping);
}

int hqq_shm_unlink_named(const char *name)
{
    char path[HQQ_SHM_PATH_SIZE];
    int result = hqq_shm_path(name, path, sizeof(path));
    if (result == 0)
        result = hqq_sys.unlink(path);
    if (result == -EISDIR)
        return -EINVAL;
    return result == -EPERM ? -EACCES : result;
}

void hqq_shm_unmap(struct hqq_mapping *mapping)
{
    if (!mapping->base)
        return;
    hqq_sys.munmap(mapping->base, mapping->length);
    mapping->base = NULL;
    mapping->length = 0;
}
