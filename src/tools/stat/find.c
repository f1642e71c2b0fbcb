#include "tools/stat/find.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <hqq/link.h>

#define PROCESSES_MAX 65536
#define MEMFDS_MAX 8 /* of one process that are looked at */

/* ---- One descriptor -------------------------------------------------------------------------------------------- */

/* All memfds are files of one filesystem. 0 if there is none to be had. */
static dev_t memfd_device(void)
{
    static dev_t device;
    struct stat stat;
    if (device == 0) {
        int fd = memfd_create("hqqstat", MFD_CLOEXEC);
        if (fd >= 0 && fstat(fd, &stat) == 0)
            device = stat.st_dev;
        if (fd >= 0)
            close(fd);
    }
    return device;
}

/* Of a file that may be a hostile one: without asking its filesystem. */
static bool is_memfd(int fd)
{
    struct statx found;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &found) == 0 &&
           makedev(found.stx_dev_major, found.stx_dev_minor) == memfd_device() && S_ISREG(found.stx_mode);
}

static bool has_name(int folder, const char *name)
{
    static const char wanted[] = "/memfd:" HQQ_COUNTERS_MEMFD;
    char target[sizeof(wanted) + 16];
    ssize_t length = readlinkat(folder, name, target, sizeof(target) - 1);
    if (length < (ssize_t)sizeof(wanted) - 1)
        return false;
    target[length] = '\0';
    const char *rest = target + sizeof(wanted) - 1;
    return strncmp(target, wanted, sizeof(wanted) - 1) == 0 && (*rest == '\0' || strcmp(rest, " (deleted)") == 0);
}

/* A descriptor of our own, or -errno. */
static int open_memfd(int folder, const char *name, int flags)
{
    char path[40];
    int at = openat(folder, name, O_PATH | O_CLOEXEC);
    if (at < 0)
        return -errno;
    int fd = -EPROTO;
    if (is_memfd(at)) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", at);
        fd = open(path, flags | O_CLOEXEC);
        if (fd < 0)
            fd = -errno;
    }
    close(at);
    return fd;
}

/* ---- One process ----------------------------------------------------------------------------------------------- */

/* The pid that a process has in its own namespace, the innermost; 0 if that can't be told. */
static uint64_t own_pid_of(pid_t pid)
{
    char path[40], line[256];
    uint64_t own = 0;
    snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
    FILE *status = fopen(path, "re");
    if (!status)
        return 0;
    while (fgets(line, sizeof(line), status)) {
        if (strncmp(line, "NSpid:", 6) != 0)
            continue;
        for (char *at = line + 6, *end; (at += strspn(at, " \t")), *at != '\0' && *at != '\n'; at = end) {
            own = strtoull(at, &end, 10);
            if (end == at)
                break;
        }
        break;
    }
    fclose(status);
    return own;
}

/* Calls found for each memfd of such a name: there are several where both the library and the preload are used. 0 if
 * it returned that for one; else -errno. */
static int each_memfd(pid_t pid, int flags, int (*found)(void *context, pid_t pid, int fd), void *context)
{
    char path[40];
    int result = -ENOENT, seen = 0;
    snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? -ESRCH : -errno;
    for (const struct dirent *entry; seen < MEMFDS_MAX && (entry = readdir(folder)) != NULL;) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !has_name(dirfd(folder), entry->d_name))
            continue;
        seen++;
        int fd = open_memfd(dirfd(folder), entry->d_name, flags);
        int done = fd >= 0 ? found(context, pid, fd) : fd;
        if (fd >= 0)
            close(fd);
        if (done == 0 || done == -ENOMEM || (done == -EACCES && result != 0))
            result = done;
        if (done == -ENOMEM)
            break;
    }
    closedir(folder);
    return result;
}

/* A forked child that has not used HQQ yet holds its parent's. */
static int read_own(pid_t pid, int fd, TALLOC_CTX *parent, struct counters_process **ret_process)
{
    struct counters_process *process;
    int result = counters_read(parent, fd, &process);
    if (result != 0)
        return result;
    uint64_t own = own_pid_of(pid);
    if (process->pid != (own != 0 ? own : (uint64_t)pid)) {
        talloc_free(process);
        return -EPROTO;
    }
    *ret_process = process;
    return 0;
}

static int add_process(void *context, pid_t pid, int fd)
{
    struct stat_snapshot *snapshot = context;
    struct counters_process *counters;
    if (snapshot->count == PROCESSES_MAX)
        return 0;
    int result = read_own(pid, fd, snapshot, &counters);
    if (result != 0)
        return result;
    struct stat_process *processes =
        talloc_realloc(snapshot, snapshot->processes, struct stat_process, (unsigned)snapshot->count + 1);
    if (!processes)
        return -ENOMEM;
    snapshot->processes = processes;
    processes[snapshot->count++] = (struct stat_process){.pid = pid, .counters = counters};
    return 0;
}

static int set_level(void *context, pid_t pid, int fd)
{
    struct counters_process *counters;
    int result = read_own(pid, fd, NULL, &counters);
    if (result != 0)
        return result;
    talloc_free(counters);
    const off_t offset = offsetof(struct hqq_counters_head, log_level);
    ssize_t size = pwrite(fd, context, sizeof(uint32_t), offset);
    return size == sizeof(uint32_t) ? 0 : size < 0 ? -errno : -EIO;
}

/* ---- All of them ----------------------------------------------------------------------------------------------- */

static int find_all(struct stat_snapshot *snapshot)
{
    DIR *folder = opendir("/proc");
    int result = 0;
    if (!folder)
        return -errno;
    for (const struct dirent *entry; result != -ENOMEM && (entry = readdir(folder)) != NULL;) {
        char *end;
        unsigned long pid = strtoul(entry->d_name, &end, 10);
        if (isdigit((unsigned char)entry->d_name[0]) && *end == '\0' && pid <= INT_MAX)
            result = each_memfd((pid_t)pid, O_RDONLY, add_process, snapshot);
    }
    closedir(folder);
    return result == -ENOMEM ? result : 0;
}

static int compare_pids(const void *one, const void *other)
{
    const struct stat_process *a = one, *b = other;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

int stat_find(TALLOC_CTX *parent, pid_t only, struct stat_snapshot **ret_snapshot)
{
    struct stat_snapshot *snapshot = talloc_zero(parent, struct stat_snapshot);
    if (!snapshot)
        return -ENOMEM;
    snapshot->taken_ns = hqq_clock_ns();
    int result = only != 0 ? each_memfd(only, O_RDONLY, add_process, snapshot) : find_all(snapshot);
    if (result != 0) {
        talloc_free(snapshot);
        return result;
    }
    if (snapshot->count > 1)
        qsort(snapshot->processes, snapshot->count, sizeof(snapshot->processes[0]), compare_pids);
    *ret_snapshot = snapshot;
    return 0;
}

int stat_set_level(pid_t pid, uint32_t level)
{
    return each_memfd(pid, O_RDWR, set_level, &level);
}
