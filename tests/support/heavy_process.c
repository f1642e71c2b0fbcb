/* Children, shared memory, what a process holds, and what happens at labelled points. See heavy.h. */
#include "support/heavy.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/point.h"

/* ---- Processes ----------------------------------------------------------------------------------------------------
 * */

pid_t heavy_fork(void)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0)
        heavy_fail("fork: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
    }
    return child;
}

int heavy_reap(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            heavy_fail("waitpid: %s", strerror(errno));
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void heavy_reap_well(const char *what, pid_t child)
{
    int status = heavy_reap(child);
    if (status != 0)
        heavy_fail("%s ended with status %d", what, status);
}

static size_t whole_pages(size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (length + page - 1) / page * page;
}

void *heavy_shared(size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t inner = whole_pages(length);
    unsigned char *outer = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (outer == MAP_FAILED)
        heavy_fail("mmap: %s", strerror(errno));
    void *base = mmap(outer + page, inner, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (base == MAP_FAILED)
        heavy_fail("mmap: %s", strerror(errno));
    return base;
}

void heavy_shared_free(void *base, size_t length)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((unsigned char *)base - page, whole_pages(length) + 2 * page);
}

static size_t count_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        heavy_fail("/proc/self/fd: %s", strerror(errno));
    size_t count = 0;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

/* A line of maps: ADDRESSES PERMISSIONS ..., where the fourth permission is 's' for shared. */
static size_t count_shared_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        heavy_fail("/proc/self/maps: %s", strerror(errno));
    char line[1024];
    size_t count = 0;
    while (fgets(line, sizeof(line), maps)) {
        const char *permissions = strchr(line, ' ');
        if (permissions && strnlen(permissions, 5) == 5 && permissions[4] == 's')
            count++;
    }
    fclose(maps);
    return count;
}

struct heavy_holdings heavy_holdings(void)
{
    return (struct heavy_holdings){count_descriptors(), count_shared_mappings()};
}

/* ---- Delays -------------------------------------------------------------------------------------------------------
 * */

static struct {
    uint64_t seed;
    unsigned one_in;
    _Atomic uint64_t threads;
} delay;

static void delay_hook(const char *label)
{
    static _Thread_local struct heavy_random random;
    static _Thread_local uint64_t seeded_for;
    (void)label;
    if (seeded_for != delay.seed) {
        seeded_for = delay.seed;
        random = heavy_random(delay.seed, atomic_fetch_add(&delay.threads, 1));
    }
    if (!heavy_one_in(&random, delay.one_in))
        return;
    if (heavy_one_in(&random, 2)) {
        sched_yield();
    } else {
        struct timespec span = {.tv_nsec = (long)heavy_below(&random, 20000)};
        nanosleep(&span, NULL);
    }
}

void heavy_points_delay(uint64_t seed, unsigned one_in)
{
    delay.seed = seed;
    delay.one_in = one_in;
    atomic_store(&delay.threads, 0);
    hqq_point_hook = delay_hook;
}

/* ---- Deaths -------------------------------------------------------------------------------------------------------
 * */

static struct {
    const char *label;
    _Atomic unsigned left;
    void (*last_words)(void *arg);
    void *arg;
} death;

static void kill_hook(const char *label)
{
    if (strcmp(label, death.label) != 0 || atomic_fetch_sub(&death.left, 1) != 1)
        return;
    if (death.last_words)
        death.last_words(death.arg);
    raise(SIGKILL);
}

void heavy_points_kill(const char *label, unsigned nth, void (*last_words)(void *arg), void *arg)
{
    death.label = label;
    atomic_store(&death.left, nth);
    death.last_words = last_words;
    death.arg = arg;
    hqq_point_hook = kill_hook;
}

void heavy_points_clear(void)
{
    hqq_point_hook = NULL;
}
