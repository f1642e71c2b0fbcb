/*
 * Counters in a memfd, or a file of HQQ_REPORT's folder, made at the first call. Pages are allocated before they are
 * written, so that a full disk is no SIGBUS. A forked child maps memory of its own over its parent's, at the same
 * address: what pointed to an entry does so still, and an entry that was live goes on, with its figures at zero. Where
 * no such memory can be had, entries lie in memory of this process alone, and nobody sees them; the app never notices.
 */
#include "runtime/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "platform/shm.h"
#include "platform/sys.h"
#include "platform/trace.h"
#include "runtime/config.h"
#include "runtime/filter.h"
#include "runtime/libc.h"

#define ENTRIES_STEP 64  /* are allocated at a time */
#define HIGH_FD 900      /* descriptors are placed from here up, out of the app's way */
#define REPORT_TRIES 100 /* files of one pid, which each exec adds one to */

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

_Static_assert(HQQ_COUNTERS_ENTRIES % ENTRIES_STEP == 0, "entries are allocated in whole steps");
_Static_assert(sizeof(struct hqq_counters) % HQQ_CACHE_LINE == 0, "entries share no cache line");

/* The mapping: an address that never changes once there is one; 0 before. */
static hqq_atomic_u64 head_address;
/* The process it was made for. Stored before the address is: whoever finds an address finds a process with it. */
static hqq_atomic_u64 made_for;
/* The memfd, -1 if there is none; which file it is, as the app may have closed and reused the number. */
static hqq_atomic_u32 held_fd = UINT32_MAX;
static hqq_atomic_u64 held_inode;
/* Entries that were handed out in order so far, and those that are allocated. */
static hqq_atomic_u32 handed_out, allocated;

/* Where there is no other memory; and what is handed out when all entries are taken. */
static struct hqq_counters_head unseen;
static struct hqq_counters spare;

/* ---- Memory ---------------------------------------------------------------------------------------------------- */

static int libc_result(int result, int saved_errno)
{
    if (result < 0)
        result = -errno;
    errno = saved_errno;
    return result;
}

/* Allocates the entries first to end, and the head before the first. */
static int allocate(struct hqq_counters_head *head, uint32_t first, uint32_t end)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t base = (uintptr_t)head;
    uintptr_t from = first == 0 ? base : ((uintptr_t)&head->entry[first] & ~(page - 1));
    uintptr_t to =
        (base + offsetof(struct hqq_counters_head, entry) + end * sizeof(head->entry[0]) + page - 1) & ~(page - 1);
    void *at = (char *)head + (from - base);
    return hqq_sys.madvise(at, to - from, MADV_POPULATE_WRITE);
}

/* The program's core dumps are the program's. Only whole pages can be left out. */
static void omit_from_dumps(void *memory, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t before = -(uintptr_t)memory & (page - 1);
    size_t whole = size > before ? (size - before) & ~(page - 1) : 0;
    if (whole != 0 && !hqq_filter_is_set())
        hqq_shm_omit_from_dumps((char *)memory + before, whole);
}

/* What fd is backed by may have no room later: allocated in steps where the kernel (5.14) can, else at once. */
static int map_file(int fd, struct hqq_counters_head **ret_head, uint32_t *ret_allocated)
{
    const size_t size = sizeof(struct hqq_counters_head);
    void *memory;
    if (hqq_sys.file_size_limit() < size)
        return -EFBIG;
    int result = hqq_sys.ftruncate(fd, (off_t)size);
    if (result == 0)
        result = hqq_sys.mmap(&memory, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    if (result != 0)
        return result;

    *ret_allocated = ENTRIES_STEP;
    result = allocate(memory, 0, ENTRIES_STEP);
    if (result == -EINVAL) {
        *ret_allocated = HQQ_COUNTERS_ENTRIES;
        result = hqq_sys.fallocate(fd, 0, 0, (off_t)size);
    }
    if (result != 0) {
        hqq_sys.munmap(memory, size);
        return result;
    }
    omit_from_dumps(memory, size);
    *ret_head = memory;
    return 0;
}

/* Moves a descriptor up, and never leaves it where stdin, stdout and stderr belong. */
static int place_high(int fd)
{
    int saved = errno;
    struct rlimit limit;
    rlim_t from = HIGH_FD;
    bool is_low = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= HIGH_FD + 64;
    if (is_low && limit.rlim_cur <= 128) { /* the program needs what few there are */
        hqq_sys.close(fd);
        return -EMFILE;
    }
    if (is_low)
        from = limit.rlim_cur - 64;
    int high = libc_result(hqq_libc.fcntl(fd, F_DUPFD_CLOEXEC, (int)from), saved);
    if (high < 0 && fd > STDERR_FILENO)
        return fd;
    hqq_sys.close(fd);
    return high;
}

/* What was made: mapped, and either a descriptor that stays open or the path of a report. */
struct made {
    struct hqq_counters_head *head;
    uint32_t allocated;
    int fd;
    char path[512]; /* empty: a memfd */
};

static int make_report(const char *folder, struct made *made)
{
    int fd = -EEXIST;
    for (int i = 0; fd == -EEXIST && i < REPORT_TRIES; i++) {
        struct hqq_text path;
        hqq_text_begin(&path, made->path, sizeof(made->path));
        hqq_text_add(&path, folder);
        hqq_text_add(&path, "/");
        hqq_text_add_number(&path, (uint64_t)getpid(), 10, 1);
        if (i > 0) {
            hqq_text_add(&path, ".");
            hqq_text_add_number(&path, (uint64_t)i, 10, 1);
        }
        if (path.is_cut)
            return -ENAMETOOLONG;
        fd = hqq_sys.open(made->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0)
        return fd;
    int result = map_file(fd, &made->head, &made->allocated);
    hqq_sys.close(fd);
    if (result != 0)
        hqq_sys.unlink(made->path);
    made->fd = -1;
    return result;
}

static int make_memfd(struct made *made)
{
    made->path[0] = '\0';
    int fd = hqq_sys.memfd_create(HQQ_COUNTERS_MEMFD, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0)
        fd = place_high(fd);
    if (fd < 0)
        return fd;
    int result = map_file(fd, &made->head, &made->allocated);
    if (result != 0) {
        hqq_sys.close(fd);
        return result;
    }
    /* A reader may open it for writing, for the log level; shrunk, it would raise SIGBUS here. */
    hqq_sys.add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    made->fd = fd;
    return 0;
}

static void unmake(const struct made *made)
{
    hqq_sys.munmap(made->head, sizeof(*made->head));
    if (made->path[0])
        hqq_sys.unlink(made->path);
    else
        hqq_sys.close(made->fd);
}

/* False: no memory that others could see. */
static bool make(struct made *made)
{
    const char *folder = hqq_config_report_folder();
    int result = folder ? make_report(folder, made) : -ENOENT;
    if (folder && result != 0)
        hqq_log(HQQ_LOG_WARN, "counters: no report in %s: error %d", folder, -result);
    if (result != 0)
        result = make_memfd(made);
    if (result != 0)
        hqq_log(HQQ_LOG_WARN, "counters: none that others can read: error %d", -result);
    return result == 0;
}

/* ---- Contents -------------------------------------------------------------------------------------------------- */

static void read_command(char command[64])
{
    memset(command, 0, 64);
    ssize_t size = hqq_sys_read_file("/proc/self/comm", command, 64);
    if (size > 0) {
        command[command[size - 1] == '\n' ? size - 1 : size] = '\0';
        return;
    }
    int saved = errno;
    prctl(PR_GET_NAME, command); /* 16 bytes */
    errno = saved;
}

/* All but the magic. */
static void fill_head(struct hqq_counters_head *head)
{
    struct timespec now = {0, 0};
    clock_gettime(CLOCK_REALTIME, &now);
    hqq_store_relaxed(&head->bytes, sizeof(*head));
    hqq_store_relaxed(&head->pid, (uint64_t)getpid());
    hqq_store_relaxed(&head->started_ns, (uint64_t)now.tv_sec * HQQ_NS_PER_S + (uint64_t)now.tv_nsec);
    hqq_store32_relaxed(&head->entry_count, HQQ_COUNTERS_ENTRIES);
    hqq_store32_relaxed(&head->entry_bytes, sizeof(head->entry[0]));
    hqq_store32_relaxed(&head->log_level, (uint32_t)hqq_log_level());
    read_command(head->command);
}

/* Pairs with whoever reads: one that sees the magic sees the head. */
static void publish_magic(struct hqq_counters_head *head)
{
    hqq_store_release(&head->magic, HQQ_COUNTERS_MAGIC);
}

static void hold(const struct made *made)
{
    struct stat stat;
    hqq_store_relaxed(&held_inode, made->fd >= 0 && hqq_sys.fstat(made->fd, &stat) == 0 ? stat.st_ino : 0);
    hqq_store32_relaxed(&held_fd, (uint32_t)made->fd);
}

/* What the socket is, in the child too; what the parent counted is not the child's. */
static void carry_over(struct hqq_counters *to, const struct hqq_counters *from)
{
    hqq_store32_relaxed(&to->fd, hqq_load32_relaxed(&from->fd));
    hqq_store_relaxed(&to->cookie, hqq_load_relaxed(&from->cookie));
    hqq_store32_relaxed(&to->reason, hqq_load32_relaxed(&from->reason));
    hqq_store32_relaxed(&to->bound_length, hqq_load32_relaxed(&from->bound_length));
    hqq_store32_relaxed(&to->peer_length, hqq_load32_relaxed(&from->peer_length));
    memcpy(to->bound, from->bound, sizeof(to->bound));
    memcpy(to->peer, from->peer, sizeof(to->peer));
    hqq_store32_relaxed(&to->state, HQQ_COUNTERS_LIVE);
}

/* A later live entry is of the same socket: the socket layer took a new one, and has forgotten this one. */
static bool is_forgotten(const struct hqq_counters_head *head, uint32_t index, uint32_t count)
{
    uint64_t cookie = hqq_load_relaxed(&head->entry[index].cookie);
    for (uint32_t i = index + 1; cookie != 0 && i < count; i++) {
        const struct hqq_counters *other = &head->entry[i];
        if (hqq_load32_relaxed(&other->state) == HQQ_COUNTERS_LIVE && hqq_load_relaxed(&other->cookie) == cookie)
            return true;
    }
    return false;
}

/* Every step that the parent had allocated has a live entry, or may soon have one. */
static bool carry_over_all(struct made *made, const struct hqq_counters_head *old)
{
    uint32_t count = hqq_load32_relaxed(&handed_out), had = hqq_load32_relaxed(&allocated);
    if (made->allocated < had) {
        if (allocate(made->head, made->allocated, had) != 0)
            return false;
        made->allocated = had;
    }
    for (uint32_t i = 0; i < count && i < made->allocated; i++) {
        if (hqq_load32_relaxed(&old->entry[i].state) == HQQ_COUNTERS_LIVE && !is_forgotten(old, i, count))
            carry_over(&made->head->entry[i], &old->entry[i]);
    }
    return true;
}

/* ---- The first call -------------------------------------------------------------------------------------------- */

static struct hqq_counters_head *current(void)
{
    return (struct hqq_counters_head *)(uintptr_t)hqq_load_acquire(&head_address); /* pairs with make_first() */
}

/* Threads and signal handlers may do this at once: the first to publish wins. */
static struct hqq_counters_head *make_first(uint64_t generation)
{
    struct made made;
    bool is_seen = make(&made);
    omit_from_dumps(&unseen, sizeof(unseen));
    if (!is_seen) {
        made.head = &unseen;
        made.allocated = HQQ_COUNTERS_ENTRIES;
    }
    fill_head(made.head);
    hqq_store_relaxed(&made_for, generation);
    uint64_t winner = 0;
    if (!hqq_cas_acq_rel(&head_address, &winner, (uintptr_t)made.head)) {
        if (is_seen)
            unmake(&made);
        return (struct hqq_counters_head *)(uintptr_t)winner;
    }
    /* Whoever took entries meanwhile has allocated the first step again, and maybe more. */
    hqq_cas32_acquire(&allocated, 0, made.allocated);
    if (is_seen)
        hold(&made);
    hqq_log_use_word(&made.head->log_level);
    publish_magic(made.head);
    return made.head;
}

/* The parent's memfd, which the child inherited. */
static void drop_held(void)
{
    struct stat stat;
    uint32_t fd = hqq_load32_relaxed(&held_fd);
    uint64_t inode = hqq_load_relaxed(&held_inode);
    if (fd != UINT32_MAX && inode != 0 && hqq_sys.fstat((int)fd, &stat) == 0 && stat.st_ino == inode)
        hqq_sys.close((int)fd);
    hqq_store32_relaxed(&held_fd, UINT32_MAX);
}

/* Puts new memory in the place of old, in one step; or, where there is none, memory that nobody else sees. The parent's
 * must not stay: it is the parent's to write. */
static void replace(struct hqq_counters_head *old, struct made *made, bool is_made)
{
    const size_t size = sizeof(*old);
    int saved = errno;
    drop_held();
    if (is_made && mremap(made->head, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, old) == MAP_FAILED) {
        unmake(made);
        is_made = false;
    }
    if (is_made) {
        hold(made);
        hqq_store32_relaxed(&allocated, made->allocated);
    } else if (mmap(old, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED) {
        hqq_store32_relaxed(&allocated, HQQ_COUNTERS_ENTRIES);
        fill_head(old);
        omit_from_dumps(old, size);
    }
    errno = saved;
}

/* In a forked child; one thread does it. A second one uses the parent's memory for that moment. */
static void make_own(struct hqq_counters_head *old, uint64_t generation)
{
    struct made made;
    uint64_t parent = hqq_load_relaxed(&made_for);
    if (old == &unseen || parent == generation || !hqq_cas_acq_rel(&made_for, &parent, generation))
        return;
    bool is_made = make(&made);
    if (is_made && !carry_over_all(&made, old)) {
        unmake(&made);
        is_made = false;
    }
    if (is_made) {
        fill_head(made.head);
        publish_magic(made.head);
    }
    replace(old, &made, is_made);
}

struct hqq_counters_head *hqq_counters_head(void)
{
    struct hqq_counters_head *head = current();
    if (head && hqq_process_is_generation(hqq_load_relaxed(&made_for)))
        return head;
    uint64_t generation = hqq_process_generation();
    if (!head)
        return make_first(generation);
    if (generation != 0)
        make_own(head, generation);
    return head;
}

void hqq_counters_move_fd(int fd)
{
    hqq_store32_relaxed(&held_fd, fd >= 0 ? (uint32_t)fd : UINT32_MAX);
}

int hqq_counters_fd(void)
{
    return (int)hqq_load32_relaxed(&held_fd);
}

/* ---- Entries --------------------------------------------------------------------------------------------------- */

/* False while the memory for it can't be had. */
static bool is_allocated(struct hqq_counters_head *head, uint32_t index)
{
    uint32_t have;
    while ((have = hqq_load32_relaxed(&allocated)) <= index) {
        if (allocate(head, have, have + ENTRIES_STEP) != 0)
            return false;
        hqq_cas32_acquire(&allocated, have, have + ENTRIES_STEP);
    }
    return true;
}

/* Readers may see a moment of it: they take each word as it is. */
static void clear(struct hqq_counters *entry)
{
    const size_t from = offsetof(struct hqq_counters, fd);
    memset((char *)entry + from, 0, sizeof(*entry) - from);
}

/* Entries are handed out in order; none of them was used before. */
static struct hqq_counters *take_unused(struct hqq_counters_head *head)
{
    for (;;) {
        uint32_t index = hqq_load32_relaxed(&handed_out);
        if (index >= HQQ_COUNTERS_ENTRIES || !is_allocated(head, index))
            return NULL;
        if (!hqq_cas32_acquire(&handed_out, index, index + 1))
            continue;
        /* Free, unless a forked child found it so in its parent's place. */
        if (hqq_cas32_acquire(&head->entry[index].state, HQQ_COUNTERS_FREE, HQQ_COUNTERS_LIVE))
            return &head->entry[index];
    }
}

/* Closed, or, in a child, closed in its parent. Which of them has been so longest is not known: whichever comes first,
 * from where the last search ended. */
static struct hqq_counters *take_again(struct hqq_counters_head *head)
{
    static hqq_atomic_u32 next;
    uint32_t count = hqq_load32_relaxed(&handed_out), first = hqq_load32_relaxed(&next);
    for (uint32_t i = 0; i < count; i++) {
        struct hqq_counters *entry = &head->entry[(first + i) % count];
        if (!hqq_cas32_acquire(&entry->state, HQQ_COUNTERS_CLOSED, HQQ_COUNTERS_LIVE) &&
            !hqq_cas32_acquire(&entry->state, HQQ_COUNTERS_FREE, HQQ_COUNTERS_LIVE))
            continue;
        clear(entry);
        hqq_store32_relaxed(&next, (first + i + 1) % count);
        return entry;
    }
    return NULL;
}

struct hqq_counters *hqq_counters_take(void)
{
    struct hqq_counters_head *head = hqq_counters_head();
    struct hqq_counters *entry = take_unused(head);
    if (!entry)
        entry = take_again(head);
    return entry ? entry : &spare;
}

void hqq_counters_end(struct hqq_counters *counters)
{
    if (counters != &spare)
        hqq_swap32_acq_rel(&counters->state, HQQ_COUNTERS_CLOSED);
}
