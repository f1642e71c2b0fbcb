/*
 * A program with counters, for the tests of the tools that read them: fill_counters WHAT [NUMBER].
 *   exit N     fills its counters and exits with status N
 *   kill N     ... and is killed by signal N
 *   wait       ... says "ready", and waits for the end of its input; on SIGUSR1 it says "usr1"
 *   grow       ... says "ready", and counts on until the end of its input
 *   child      ... forks a child that does not use HQQ, and waits as "wait" does
 *   level      ... says "ready", waits for the end of its input, and says what its log level is
 *   hostile    has memory of that name with garbage in it, several times, and waits as "wait" does
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "platform/trace.h"
#include "runtime/config.h"
#include "runtime/counters.h"

static volatile sig_atomic_t signalled;

static void note(int number)
{
    signalled = number;
}

static void say(const char *text)
{
    puts(text);
    fflush(stdout);
}

/* Until the end of the input, doing something every 10 ms. */
static void wait_for_end(void (*every)(void))
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    for (;;) {
        int ready = poll(&input, 1, every ? 10 : -1);
        if (signalled == SIGUSR1) {
            signalled = 0;
            say("usr1");
        }
        char byte;
        if (ready > 0 && read(STDIN_FILENO, &byte, 1) <= 0)
            return;
        if (every)
            every();
    }
}

static void set_name(char to[HQQ_COUNTERS_NAME], hqq_atomic_u32 *length, const char *name, size_t size)
{
    memcpy(to, name, size);
    hqq_store32_relaxed(length, (uint32_t)size);
}

static struct hqq_counters *first;

static void fill(void)
{
    static const char hostile_name[] = "/tmp/\x1b[31mred\n\xff\\";
    first = hqq_counters_take();
    struct hqq_counters *second = hqq_counters_take(), *third = hqq_counters_take();
    hqq_store32_relaxed(&first->fd, 5);
    hqq_store_relaxed(&first->cookie, 1234);
    hqq_store32_relaxed(&first->reason, HQQ_SOCKET_ACCELERATED);
    hqq_store32_relaxed(&first->links, 1);
    set_name(first->bound, &first->bound_length, "/run/test/a.sock", 16);
    set_name(first->peer, &first->peer_length, "\0metrics", 8);
    hqq_store_relaxed(&first->sent_ring, 900);
    hqq_store_relaxed(&first->sent_kernel, 100);
    hqq_store_relaxed(&first->spills, 7);
    hqq_store_relaxed(&first->withdrawn, 3);
    hqq_store_relaxed(&first->resent, 4);
    hqq_store_relaxed(&first->trials, 2);
    hqq_store_relaxed(&first->suspended, 1);
    hqq_store_relaxed(&first->sleeps, 6);
    hqq_store_relaxed(&first->spins_won, 8);

    hqq_store32_relaxed(&second->fd, 6);
    hqq_store32_relaxed(&second->reason, HQQ_SOCKET_PEER_PLAIN);
    set_name(second->bound, &second->bound_length, hostile_name, sizeof(hostile_name) - 1);
    hqq_store_relaxed(&second->received_kernel, 42);

    hqq_store32_relaxed(&third->fd, 7);
    hqq_store32_relaxed(&third->reason, HQQ_SOCKET_NO_TRAFFIC);
    set_name(third->bound, &third->bound_length, "/run/test/closed", 16);
    hqq_counters_end(third);
}

static void grow(void)
{
    hqq_count_own(&first->sent_ring, 1000);
}

/* Memory of that name: what is in it is up to the caller. NULL: none to be had. */
static struct hqq_counters_head *make_memory(size_t size)
{
    int fd = memfd_create(HQQ_COUNTERS_MEMFD, 0);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool make_hostile(void)
{
    struct hqq_counters_head *small = make_memory(4096), *sizes = make_memory(sizeof(*sizes)),
                             *garbage = make_memory(sizeof(*garbage));
    if (!small || !sizes || !garbage)
        return false;
    memset((void *)small, 0xff, 4096);
    hqq_store_relaxed(&small->magic, HQQ_COUNTERS_MAGIC);

    memset((void *)sizes, 0xff, sizeof(*sizes));
    hqq_store_relaxed(&sizes->magic, HQQ_COUNTERS_MAGIC);
    hqq_store_relaxed(&sizes->bytes, sizeof(*sizes));
    hqq_store_relaxed(&sizes->pid, (uint64_t)getpid());

    memset((void *)garbage, 0xff, sizeof(*garbage));
    hqq_store_relaxed(&garbage->bytes, sizeof(*garbage));
    hqq_store_relaxed(&garbage->pid, (uint64_t)getpid());
    hqq_store32_relaxed(&garbage->entry_count, HQQ_COUNTERS_ENTRIES);
    hqq_store32_relaxed(&garbage->entry_bytes, sizeof(garbage->entry[0]));
    for (int i = 0; i < HQQ_COUNTERS_ENTRIES; i++)
        hqq_store32_relaxed(&garbage->entry[i].state, (uint32_t)i % 4);
    memset(garbage->entry[1].bound, 0x1b, sizeof(garbage->entry[1].bound));
    hqq_store_relaxed(&garbage->magic, HQQ_COUNTERS_MAGIC);
    return true;
}

static int run(const char *what, int number)
{
    if (strcmp(what, "exit") == 0)
        return number;
    if (strcmp(what, "kill") == 0) {
        static const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(number, SIG_DFL);
        raise(number);
        return 1;
    }
    pid_t child = strcmp(what, "child") == 0 ? fork() : -1;
    if (child == 0) {
        wait_for_end(NULL);
        _exit(0);
    }
    say("ready");
    if (child > 0)
        printf("%ld\n", (long)child);
    fflush(stdout);
    wait_for_end(strcmp(what, "grow") == 0 ? grow : NULL);
    if (child > 0)
        waitpid(child, NULL, 0);
    if (strcmp(what, "level") == 0)
        say(hqq_log_level_name((uint32_t)hqq_log_level()));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, NULL);
    setenv("HQQ_CONFIG", "/dev/null", 1); /* not what the machine has */
    hqq_config_load(true);
    if (strcmp(argv[1], "hostile") == 0) {
        if (!make_hostile())
            return 2;
    } else {
        fill();
    }
    return run(argv[1], argc > 2 ? atoi(argv[2]) : 0);
}
