/*
 * hqq-perf-sockets: what the preload is worth to a program that uses datagram sockets of AF_UNIX. The measured side is
 * this very program, which knows nothing of HQQ: plain calls of socket(), send(), recv(). It is run with and without the
 * preload, in turns, each run between two measurements of bare cache lines going to and fro; runs made while the machine
 * was slow are set aside in both.
 *
 *      hqq-perf-sockets PRELOAD [ROUNDS]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"

#define WARM_UP 2000

enum kind { STREAM, ROUND_TRIP };

struct scene {
    const char *name;
    enum kind kind;
    bool is_pinned_together;
    uint32_t bytes, count;
};

static const struct scene scenes[] = {
    {"stream, 64 bytes", STREAM, false, 64, 400000},
    {"stream, 1,000 bytes", STREAM, false, 1000, 200000},
    {"stream, 60,000 bytes", STREAM, false, 60000, 8000},
    {"round trip, 64 bytes", ROUND_TRIP, false, 64, 20000},
    {"round trip, 1,000 bytes", ROUND_TRIP, false, 1000, 20000},
    {"stream, 64 bytes, one processor", STREAM, true, 64, 100000},
    {"round trip, 64 bytes, one processor", ROUND_TRIP, true, 64, 10000},
};

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "hqq-perf-sockets: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- The measured program -------------------------------------------------------------------------------------- */

static struct sockaddr_un address_in(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
    return address;
}

static int bound(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) != 0)
        fail("bind");
    return fd;
}

static void serve(const struct scene *scene, int fd, int results)
{
    char *data = malloc(scene->bytes);
    double began = 0;
    for (uint32_t i = 0; i < WARM_UP + scene->count; i++) {
        struct sockaddr_un from;
        socklen_t length = sizeof(from);
        uint32_t number;
        if (i == WARM_UP)
            began = now_ns();
        if (recvfrom(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, &length) != (ssize_t)scene->bytes)
            fail("recvfrom");
        memcpy(&number, data, sizeof(number));
        if (number != i) {
            errno = 0;
            fail("a datagram is missing or out of order");
        }
        if (scene->kind == ROUND_TRIP &&
            sendto(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, length) != (ssize_t)scene->bytes)
            fail("sendto");
    }
    double each = (now_ns() - began) / scene->count;
    if (write(results, &each, sizeof(each)) != sizeof(each))
        fail("write");
    exit(0);
}

static void ask(const struct scene *scene, const char *folder)
{
    struct sockaddr_un to = address_in(folder, "server"), own = address_in(folder, "client");
    char *data = calloc(1, scene->bytes);
    int fd = bound(&own);
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) != 0)
        fail("connect");
    for (uint32_t i = 0; i < WARM_UP + scene->count; i++) {
        memcpy(data, &i, sizeof(i));
        if (send(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            fail("send");
        if (scene->kind == ROUND_TRIP && recv(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            fail("recv");
    }
    exit(0);
}

/* side SCENE FOLDER RESULTS: both processes of one run. */
static int measure(char **arguments)
{
    const struct scene *scene = &scenes[atoi(arguments[0])];
    struct sockaddr_un address = address_in(arguments[1], "server");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(0);
    int fd = bound(&address);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!scene->is_pinned_together)
            pin(1);
        close(fd);
        ask(scene, arguments[1]);
    }
    serve(scene, fd, atoi(arguments[2]));
    return 0;
}

/* ---- The machine's speed just now ------------------------------------------------------------------------------ */

#define EXCHANGES 4000
#define COUNTED 3000

static struct {
    _Alignas(HQQ_CACHE_LINE) hqq_atomic_u64 there;
    _Alignas(HQQ_CACHE_LINE) hqq_atomic_u64 back;
} lines;

static void *answer(void *none)
{
    pin(1);
    for (uint64_t i = 1; i <= EXCHANGES; i++) {
        while (hqq_load_acquire(&lines.there) != i)
            hqq_cpu_pause();
        hqq_store_release(&lines.back, i);
    }
    return none;
}

static double ping_pong_ns(void)
{
    pthread_t thread;
    cpu_set_t before;
    sched_getaffinity(0, sizeof(before), &before);
    hqq_store_relaxed(&lines.there, 0);
    hqq_store_relaxed(&lines.back, 0);
    pin(0);
    if (pthread_create(&thread, NULL, answer, NULL) != 0)
        fail("pthread_create");
    double began = 0;
    for (uint64_t i = 1; i <= EXCHANGES; i++) {
        if (i == EXCHANGES - COUNTED)
            began = now_ns();
        hqq_store_release(&lines.there, i);
        while (hqq_load_acquire(&lines.back) != i)
            hqq_cpu_pause();
    }
    double each = (now_ns() - began) / (double)COUNTED;
    pthread_join(thread, NULL);
    sched_setaffinity(0, sizeof(before), &before);
    return each;
}

/* ---- Runs ------------------------------------------------------------------------------------------------------ */

/* ns for one datagram or round trip, by a process of its own. */
static double run(const char *self, size_t scene, const char *preload)
{
    char folder[] = "/tmp/hqq-perf-XXXXXX", number[16], descriptor[16], path[64];
    int results[2];
    double each = 0;
    if (!mkdtemp(folder) || pipe(results) != 0)
        fail("a scratch folder");
    snprintf(number, sizeof(number), "%zu", scene);
    snprintf(descriptor, sizeof(descriptor), "%d", results[1]);
    pid_t child = fork();
    if (child == 0) {
        if (preload) {
            setenv("LD_PRELOAD", preload, 1);
            setenv("HQQ_PATHS", "/tmp/hqq-perf-*", 1);
        }
        execl(self, self, "side", number, folder, descriptor, NULL);
        _exit(127);
    }
    close(results[1]);
    ssize_t got = read(results[0], &each, sizeof(each));
    close(results[0]);
    waitpid(child, NULL, 0);
    for (const char *name = "server"; name; name = strcmp(name, "server") == 0 ? "client" : NULL) {
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        unlink(path);
    }
    rmdir(folder);
    if (got != sizeof(each)) {
        errno = 0;
        fail("a run failed");
    }
    return each;
}

static int compare(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void measure_scene(const char *self, size_t scene, const char *preload, size_t rounds, double best)
{
    double plain[rounds], accelerated[rounds], ratio[rounds];
    size_t kept = 0;
    for (size_t tries = 0; kept < rounds && tries < 4 * rounds; tries++) {
        double before = ping_pong_ns();
        plain[kept] = run(self, scene, NULL);
        double between = ping_pong_ns();
        accelerated[kept] = run(self, scene, preload);
        double after = ping_pong_ns();
        if (before > 1.5 * best || between > 1.5 * best || after > 1.5 * best)
            continue; /* a slow spell */
        ratio[kept] = plain[kept] / accelerated[kept];
        kept++;
    }
    if (kept == 0) {
        printf("%-36s no run while the machine was quiet\n", scenes[scene].name);
        return;
    }
    double middle = median(ratio, kept);
    printf("%-36s %9.0f ns %9.0f ns %8.1f   %.1f-%.1f   %zu/%zu\n", scenes[scene].name, median(plain, kept),
           median(accelerated, kept), middle, ratio[0], ratio[kept - 1], kept, rounds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "side") == 0)
        return measure(argv + 2);
    if (argc < 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: hqq-perf-sockets PRELOAD [ROUNDS]\n");
        return 2;
    }
    struct utsname system;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 7;
    double best = ping_pong_ns();
    if (rounds == 0 || rounds > 1000 || access(argv[1], R_OK) != 0 || uname(&system) != 0)
        fail(argv[1]);
    for (int i = 0; i < 50; i++) {
        double again = ping_pong_ns();
        best = again < best ? again : best;
    }
    printf("%s %s, %ld processors; bare round trip of a cache line %.0f ns at best\n\n", system.sysname, system.release,
           sysconf(_SC_NPROCESSORS_ONLN), best);
    printf("%-36s %12s %12s %8s   %s\n", "", "plain", "preloaded", "ratio", "min-max   rounds");
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
        measure_scene("/proc/self/exe", i, argv[1], rounds, best);
    return 0;
}
