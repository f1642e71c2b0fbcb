/*
 * Process identities, read from /proc/PID/stat, and generations, kept in a page that the kernel zeroes in a forked
 * child. Relies on hqq_sys and on nothing that allocates or locks; never says dead where it can't be sure.
 */
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/text.h"
#include "platform/sys.h"

#define START_BITS HQQ_PROCESS_START_BITS
#define START_LIMIT (UINT64_C(1) << START_BITS)
#define PID_LIMIT (UINT64_C(1) << (HQQ_PROCESS_BITS - START_BITS))

/* ---- The page that a fork wipes -------------------------------------------------------------------------------- */

struct process_page {
    hqq_atomic_u64 generation; /* 0 until the first call in this process */
    hqq_atomic_u64 self;       /* hqq_process_self(), once looked up */
};

/*
 * The address of the one page, 0 until it is set up. A fork between the steps of page_get() costs the child at most a
 * page that nobody uses: the address is published only when the page is complete, and the child starts from what was
 * published. Likewise for a signal handler that comes in between and for a second thread: the loser unmaps its own.
 */
static hqq_atomic_u64 page_address;

/* Not in the page: a child goes on counting where its parent was at the fork. */
static hqq_atomic_u64 last_number;

/* Pairs with the exchange in page_get(): who sees the address sees a page that is marked. */
static struct process_page *page_published(void)
{
    return (struct process_page *)(uintptr_t)hqq_load_acquire(&page_address);
}

/* NULL if there is no page to be had. */
static struct process_page *page_get(void)
{
    struct process_page *page = page_published();
    if (page)
        return page;

    void *fresh;
    if (hqq_sys.mmap(&fresh, sizeof(*page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1) != 0)
        return NULL;
    if (hqq_sys.madvise(fresh, sizeof(*page), MADV_WIPEONFORK) != 0) {
        hqq_sys.munmap(fresh, sizeof(*page));
        return NULL;
    }
    uint64_t winner = 0;
    if (hqq_cas_acq_rel(&page_address, &winner, (uintptr_t)fresh))
        return fresh;
    hqq_sys.munmap(fresh, sizeof(*page));
    return (struct process_page *)(uintptr_t)winner;
}

/* The pid keeps apart a parent and a child that both ask for the first time after the fork; the count keeps apart a
 * process and a descendant that got the same pid. */
static uint64_t fresh_generation(void)
{
    return (uint64_t)getpid() << 32 | (uint32_t)(hqq_add_relaxed(&last_number, 1) + 1);
}

uint64_t hqq_process_generation(void)
{
    struct process_page *page = page_get();
    if (!page)
        return 0;
    /* Pairs with the exchange below: who sees a generation, and then forks, hands its child a count that is past it. */
    uint64_t generation = hqq_load_acquire(&page->generation);
    if (generation != 0)
        return generation;
    uint64_t fresh = fresh_generation();
    if (!hqq_cas_acq_rel(&page->generation, &generation, fresh))
        return generation;
    /* A signal handler that forked in between has left its child here, with the number that its parent made. */
    if (fresh >> 32 != (uint64_t)getpid()) {
        fresh = fresh_generation();
        hqq_store_release(&page->generation, fresh);
    }
    return fresh;
}

/* Relaxed is enough: address and number each go from 0 to their one value, and the caller has seen both already. */
bool hqq_process_is_generation(uint64_t generation)
{
    const struct process_page *page = (const struct process_page *)(uintptr_t)hqq_load_relaxed(&page_address);
    return page && generation != 0 && hqq_load_relaxed(&page->generation) == generation;
}

/* ---- /proc/PID/stat -------------------------------------------------------------------------------------------- */

struct process_stat {
    uint64_t pid;
    char state;
    uint64_t threads;
    uint64_t start; /* clock ticks since boot */
};

/* A stretch of text: from at up to end. */
struct span {
    const char *at;
    const char *end;
};

static bool parse_number(struct span digits, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (digits.at == digits.end)
        return false;
    for (const char *c = digits.at; c < digits.end; c++) {
        if (*c < '0' || *c > '9' || number > (UINT64_MAX - 9) / 10)
            return false;
        number = number * 10 + (uint64_t)(*c - '0');
    }
    *ret_number = number;
    return true;
}

/* Takes " FIELD" off the front of rest. What ends the field must be there too, or it may have been cut short. */
static bool take_field(struct span *rest, struct span *ret_field)
{
    if (rest->at == rest->end || *rest->at != ' ')
        return false;
    struct span field = {rest->at + 1, rest->at + 1};
    while (field.end < rest->end && *field.end != ' ' && *field.end != '\n')
        field.end++;
    if (field.end == rest->end)
        return false;
    rest->at = field.end;
    *ret_field = field;
    return true;
}

/* "PID (COMM) STATE ...": the process chooses COMM, so that ends at the last parenthesis of all. The fields are
 * numbered as in proc(5). */
static bool parse_stat(struct span text, struct process_stat *ret_stat)
{
    enum { STATE = 3, THREADS = 20, START = 22 };
    size_t size = (size_t)(text.end - text.at);
    const char *pid_end = memchr(text.at, ' ', size);
    const char *comm_end = memrchr(text.at, ')', size);
    if (!pid_end || !comm_end)
        return false;

    struct span rest = {comm_end + 1, text.end};
    struct span fields[START + 1];
    for (int number = STATE; number <= START; number++) {
        if (!take_field(&rest, &fields[number]))
            return false;
    }
    struct process_stat stat;
    if (fields[STATE].end - fields[STATE].at != 1 || !parse_number((struct span){text.at, pid_end}, &stat.pid) ||
        !parse_number(fields[THREADS], &stat.threads) || !parse_number(fields[START], &stat.start))
        return false;
    stat.state = *fields[STATE].at;
    *ret_stat = stat;
    return true;
}

static bool read_stat(const char *path, struct process_stat *ret_stat)
{
    char text[640]; /* the first 22 fields take less */
    ssize_t size = hqq_sys_read_file(path, text, sizeof(text));
    return size > 0 && parse_stat((struct span){text, text + size}, ret_stat);
}

/* Reads /proc/PID/stat. pid is below PID_LIMIT. */
static bool read_stat_of(uint64_t pid, struct process_stat *ret_stat)
{
    char path[sizeof("/proc/1234567/stat")]; /* a number below 2^22 */
    struct hqq_text text;
    hqq_text_begin(&text, path, sizeof(path));
    hqq_text_add(&text, "/proc/");
    hqq_text_add_number(&text, pid, 10, 1);
    hqq_text_add(&text, "/stat");
    return read_stat(path, ret_stat) && ret_stat->pid == pid;
}

/* ---- Identities ------------------------------------------------------------------------------------------------ */

/* /proc may show another namespace, where this process has another pid, and so have all others. */
static uint64_t look_up_self(uint64_t pid)
{
    struct process_stat stat;
    if (!read_stat("/proc/self/stat", &stat) || stat.pid != pid || pid >= PID_LIMIT || stat.start >= START_LIMIT)
        return HQQ_PROCESS_UNKNOWN;
    return pid << START_BITS | stat.start;
}

/* The pid is compared although a fork wipes the page: a vfork child shares it, and may find or leave an identity in
 * it. */
uint64_t hqq_process_self(void)
{
    struct process_page *page = page_get();
    uint64_t pid = (uint64_t)getpid();
    uint64_t identity = page ? hqq_load_relaxed(&page->self) : HQQ_PROCESS_UNKNOWN;
    if (identity >> START_BITS == pid)
        return identity;

    identity = look_up_self(pid);
    if (page && identity != HQQ_PROCESS_UNKNOWN)
        hqq_store_relaxed(&page->self, identity);
    return identity;
}

int hqq_process_why_unknown(void)
{
    int fd = hqq_sys.open("/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0)
        hqq_sys.close(fd);
    return fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM ? fd : 0;
}

uint64_t hqq_process_namespace(void)
{
    struct stat pid_ns, time_ns;
    if (hqq_sys.stat("/proc/self/ns/pid", &pid_ns) != 0)
        return 0;
    int result = hqq_sys.stat("/proc/self/ns/time", &time_ns);
    if (result == -ENOENT)
        time_ns.st_ino = 0;
    else if (result != 0)
        return 0;
    return (uint64_t)time_ns.st_ino << 32 | (uint32_t)pid_ns.st_ino;
}

bool hqq_process_is_missing(uint64_t identity)
{
    uint64_t pid = identity >> START_BITS;
    return pid != 0 && pid < PID_LIMIT && hqq_sys.kill((pid_t)pid, 0) == -ESRCH;
}

bool hqq_process_is_dead(uint64_t identity)
{
    struct process_stat stat;
    uint64_t pid = identity >> START_BITS;
    if (pid == 0 || pid >= PID_LIMIT)
        return false;
    if (hqq_sys.kill((pid_t)pid, 0) == -ESRCH)
        return true;
    if (!read_stat_of(pid, &stat))
        return false;

    /* A leader that exited stays a zombie while other threads run, and is counted with them. */
    bool zombie = stat.state == 'Z' || stat.state == 'X' || stat.state == 'x';
    if (stat.start == identity % START_LIMIT && (!zombie || stat.threads > 1))
        return false;
    /* Where this process can't find itself, it found a stranger under that pid. Not from the cache: /proc may have been
     * mounted over, or left by a chroot. */
    return look_up_self((uint64_t)getpid()) != HQQ_PROCESS_UNKNOWN;
}
