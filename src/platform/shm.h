/*
 * Memory for regions: sealed memfds and named objects in /dev/shm, mapped shared. Relies on hqq_sys. Functions
 * return 0, -errno or a positive enum hqq_error, and leave nothing behind when they fail. They never raise SIGXFSZ
 * (a size beyond RLIMIT_FSIZE is -EFBIG). What they create never raises SIGBUS for want of space, because all of it
 * is allocated; what somebody else made is mapped as it is. They never wait, and don't allocate from the heap.
 */
#ifndef HQQ_PLATFORM_SHM_H
#define HQQ_PLATFORM_SHM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define HQQ_SHM_NAME_MAX 255 /* bytes, without the leading slash */
#define HQQ_SHM_PATH_SIZE (sizeof("/dev/shm/") + HQQ_SHM_NAME_MAX)

/* What was mapped. Named objects remember which inode they were, so that only that one is unlinked. */
struct hqq_mapping {
    void *base;
    size_t length;
    uint64_t device, inode; /* named objects, else 0 */
};

/* A memfd of length bytes, allocated, zero, close-on-exec, sealed against shrinking, growing and further seals, and
 * mapped. The descriptor is the caller's to close, at any time; the mapping does not need it. */
int hqq_shm_create_memfd(size_t length, int *ret_fd, struct hqq_mapping *ret_mapping);

/* The same without its memory, which comes page by page as it is touched: for many regions that are mostly idle. Where
 * the system commits no more memory than it has (vm.overcommit_memory 2) a page could be refused as it is touched, by
 * SIGBUS, so there all of it is allocated. */
int hqq_shm_create_sparse_memfd(size_t length, int *ret_fd, struct hqq_mapping *ret_mapping);

/* Maps the whole of a memfd made by somebody else; fd stays the caller's. HQQ_ERROR_UNSEALED unless it is a tmpfs file
 * (fstatfs: TMPFS_MAGIC; not hugetlbfs) with F_SEAL_SHRINK. -EBADF and the like as the calls say.
 * HQQ_ERROR_MEMORY_SMALL if shorter than a page. Its length is the maker's choice, and its memory need not be there
 * yet. */
int hqq_shm_map_memfd(int fd, struct hqq_mapping *ret_mapping);

/* Checks a name, one leading slash aside, and writes "/dev/shm/NAME" to path, which HQQ_SHM_PATH_SIZE always holds. A
 * name may lead into directories of /dev/shm that exist. -EINVAL (NULL; a part that is empty, "." or ".."),
 * -ENAMETOOLONG (name, or for path_size). */
int hqq_shm_path(const char *name, char path[], size_t path_size);

/* An object without a name, or with one that nobody looks for. */
struct hqq_unnamed {
    int fd;
    struct hqq_mapping mapping;
    char temporary[HQQ_SHM_PATH_SIZE + 24]; /* "" for none */
};

/* Makes an object beside that name with exactly this mode (not masked by umask; -EINVAL beyond 0777), allocates all of
 * it, sets the length and maps. The name, which may be taken, is not given yet, so that the memory can be made ready
 * first. -EOPNOTSUPP where /dev/shm can't allocate. */
int hqq_shm_create_unnamed(const char *name, mode_t mode, size_t length, struct hqq_unnamed *ret_unnamed);

/* Gives the object the name, at once and whole. On success the descriptor is closed and the mapping stays; on failure
 * (-EEXIST) all is as it was, and another attempt may be made. */
int hqq_shm_give_name(struct hqq_unnamed *unnamed, const char *name);

/* Gives up an object that has not got its name. */
void hqq_shm_discard(struct hqq_unnamed *unnamed);

/* Opens an existing object and maps it whole: O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, a regular file (else
 * -EINVAL, for a symbolic link too). One that is still empty or shorter than a page (its creator has not sized it yet)
 * is HQQ_ERROR_MEMORY_SMALL; the caller decides how long to try. */
int hqq_shm_open_named(const char *name, struct hqq_mapping *ret_mapping);

/* Removes the name if it is still the object of this mapping. 0 also if it is not. Before the unmap, so that no other
 * object can have the inode's number. Between the look and the unlink the name must not change hands: it does not if
 * all who remove it find that the object is in use, or remove it by hqq_shm_unlink_if(). */
int hqq_shm_unlink_mapping(const char *name, const struct hqq_mapping *mapping);

/* Removes the name if may_remove() says so of the object that it names. Of several processes that try this at once one
 * removes that object, and none of them what takes its name afterwards: a lock on the object keeps the others out. 0,
 * also if there was no such name; -EEXIST if the object stays, or another process is just removing it; -EACCES. */
int hqq_shm_unlink_if(const char *name, bool (*may_remove)(const struct hqq_mapping *mapping));

/* Removes the name, whatever it is. -ENOENT, -EACCES (also where the directory is sticky), -EINVAL (a directory). */
int hqq_shm_unlink_named(const char *name);

/* Leaves pages of the library's own out of the program's core dumps; at the kernel's pleasure. */
void hqq_shm_omit_from_dumps(void *address, size_t length);

/* Nothing for a mapping that is unmapped already, or all zero. Device and inode stay. */
void hqq_shm_unmap(struct hqq_mapping *mapping);

#endif
