/*
 * hqq-perf-sockets: what the preload is worth to a program that uses datagram sockets of AF_UNIX. The measured side is
 * this very program, which knows nothing of HQQ. It is run with and without the preload, in turns, each run between two
 * measurements of bare cache lines going to and fro; runs made while the machine was slow are set aside in both.
 *
 *      hqq-perf-sockets PRELOAD [ROUNDS [pair|crowd]]
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/sockets/machine.h"
#include "tools/sockets/scene.h"

static const struct scene scenes[] = {
    {"stream, 64 bytes", SCENE_STREAM, false, 64, 400000, 0, 1},
    {"stream, 1,000 bytes", SCENE_STREAM, false, 1000, 200000, 0, 1},
    {"stream, 60,000 bytes", SCENE_STREAM, false, 60000, 8000, 0, 1},
    {"round trip, 64 bytes", SCENE_ROUND_TRIP, false, 64, 20000, 0, 1},
    {"round trip, 1,000 bytes", SCENE_ROUND_TRIP, false, 1000, 20000, 0, 1},
    {"stream, 64 bytes, one processor", SCENE_STREAM, true, 64, 100000, 0, 1},
    {"round trip, 64 bytes, one processor", SCENE_ROUND_TRIP, true, 64, 10000, 0, 1},
    {"one datagram a socket, 64 bytes", SCENE_SINGLE, false, 64, 20000, 0, 1},
    {"one datagram a program, 64 bytes", SCENE_PROGRAM, false, 64, 200, 0, 1},
    {"one way, 1 client", SCENE_STREAM, false, 64, 200000, 1, 1},
    {"one way, 100 clients", SCENE_STREAM, false, 64, 200000, 100, 1},
    {"one way, 1,000 clients", SCENE_STREAM, false, 64, 200000, 1000, 1},
    {"one way, 1,000 of 4 processes", SCENE_STREAM, false, 64, 200000, 1000, 4},
    {"answered, 1 client", SCENE_ROUND_TRIP, false, 64, 20000, 1, 1},
    {"answered, 100 clients", SCENE_ROUND_TRIP, false, 64, 20000, 100, 1},
    {"answered, 1,000 clients", SCENE_ROUND_TRIP, false, 64, 20000, 1000, 1},
};

#define SCENES (sizeof(scenes) / sizeof(scenes[0]))
#define ROUNDS_MAX 1000

/* Turns between the set-up and what counts: a lap of the rings, where there are any. */
#define SETTLE_PLAIN 4
#define SETTLE_PRELOADED 260

/* Of one scene: medians, of runs that were made side by side. */
struct figures {
    size_t kept;
    double plain, accelerated, ratio, least, most;
    double burst_plain, burst_accelerated, opened;
    uint32_t unopened; /* the most in any run */
};

/* ---- Runs ------------------------------------------------------------------------------------------------------ */

static void clean_up(const char *folder, const struct scene *scene)
{
    struct sockaddr_un at = scene_address(folder, "server", 0);
    unlink(at.sun_path);
    for (uint32_t i = 0; i < (scene->clients != 0 ? scene->clients : 1); i++) {
        at = scene_address(folder, "client", i);
        unlink(at.sun_path);
    }
    rmdir(folder);
}

/* By a process of its own, which execs, so that it is preloaded or not. */
static struct scene_result run(const char *self, size_t scene, const char *preload)
{
    char folder[] = "/tmp/hqq-perf-XXXXXX", number[16], descriptor[16], settle[16];
    int results[2];
    struct scene_result result;
    if (!mkdtemp(folder) || pipe(results) != 0)
        machine_fail("a scratch folder");
    snprintf(number, sizeof(number), "%zu", scene);
    snprintf(descriptor, sizeof(descriptor), "%d", results[1]);
    snprintf(settle, sizeof(settle), "%d", preload ? SETTLE_PRELOADED : SETTLE_PLAIN);
    pid_t child = fork();
    if (child == 0) {
        if (preload) {
            setenv("LD_PRELOAD", preload, 1);
            setenv("HQQ_PATHS", "/tmp/hqq-perf-*", 1);
        }
        execl(self, self, "side", number, folder, descriptor, settle, NULL);
        _exit(127);
    }
    close(results[1]);
    ssize_t got = read(results[0], &result, sizeof(result));
    close(results[0]);
    waitpid(child, NULL, 0);
    clean_up(folder, &scenes[scene]);
    if (got != sizeof(result)) {
        errno = 0;
        machine_fail("a run failed");
    }
    return result;
}

static int side(char **arguments)
{
    const struct scene *scene = &scenes[strtoul(arguments[0], NULL, 10)];
    int results = atoi(arguments[2]);
    if (scene->clients == 0)
        return scene_pair(scene, arguments[1], results);
    return scene_crowd(scene, arguments[1], results, (uint32_t)strtoul(arguments[3], NULL, 10));
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

/* Of many a good one, but not the very best: that may have been made while the two processors were one core's. */
static double usual_best(void)
{
    double samples[51];
    for (size_t i = 0; i < 51; i++)
        samples[i] = machine_ping_pong_ns();
    qsort(samples, 51, sizeof(samples[0]), compare);
    return samples[5];
}

static struct figures measure(const char *self, size_t scene, const char *preload, size_t rounds, double best)
{
    static double plain[ROUNDS_MAX], accelerated[ROUNDS_MAX], ratio[ROUNDS_MAX], opened[ROUNDS_MAX];
    static double burst_plain[ROUNDS_MAX], burst_accelerated[ROUNDS_MAX];
    struct figures figures = {0};
    size_t kept = 0;
    for (size_t tries = 0; kept < rounds && tries < 4 * rounds; tries++) {
        double before = machine_ping_pong_ns();
        struct scene_result without = run(self, scene, NULL);
        double between = machine_ping_pong_ns();
        struct scene_result with = run(self, scene, preload);
        double after = machine_ping_pong_ns();
        if (before > 1.5 * best || between > 1.5 * best || after > 1.5 * best)
            continue; /* a slow spell */
        plain[kept] = without.each_ns;
        accelerated[kept] = with.each_ns;
        ratio[kept] = without.each_ns / with.each_ns;
        burst_plain[kept] = without.burst_ns;
        burst_accelerated[kept] = with.burst_ns;
        opened[kept] = with.opened_ns;
        figures.unopened = with.unopened > figures.unopened ? with.unopened : figures.unopened;
        kept++;
    }
    figures.kept = kept;
    if (kept == 0)
        return figures;
    figures.ratio = median(ratio, kept); /* sorts them */
    figures.least = ratio[0];
    figures.most = ratio[kept - 1];
    figures.plain = median(plain, kept);
    figures.accelerated = median(accelerated, kept);
    figures.burst_plain = median(burst_plain, kept);
    figures.burst_accelerated = median(burst_accelerated, kept);
    figures.opened = median(opened, kept);
    return figures;
}

/* ---- Telling --------------------------------------------------------------------------------------------------- */

static void tell(const struct scene *scene, const struct figures *figures, size_t rounds)
{
    if (figures->kept == 0)
        printf("%-36s no run while the machine was quiet\n", scene->name);
    else
        printf("%-36s %9.0f ns %9.0f ns %8.1f   %.1f-%.1f   %zu/%zu\n", scene->name, figures->plain,
               figures->accelerated, figures->ratio, figures->least, figures->most, figures->kept, rounds);
    fflush(stdout);
}

/* What a crowd costs beside one client of the same kind. */
static void tell_crowds(const struct figures *all)
{
    const struct figures *one = NULL;
    printf("\n%-36s %12s %12s   %s\n", "a datagram or round trip, times one", "plain", "preloaded", "");
    for (size_t i = 0; i < SCENES; i++) {
        if (scenes[i].clients == 1)
            one = &all[i];
        else if (scenes[i].clients > 1 && one && one->kept != 0 && all[i].kept != 0)
            printf("%-36s %12.2f %12.2f\n", scenes[i].name, all[i].plain / one->plain,
                   all[i].accelerated / one->accelerated);
    }
    printf("\n%-36s %12s %12s   %s\n", "the first 16 of each client", "plain", "preloaded", "all links open after");
    for (size_t i = 0; i < SCENES; i++) {
        if (scenes[i].clients == 0 || all[i].kept == 0)
            continue;
        printf("%-36s %9.0f ns %9.0f ns   ", scenes[i].name, all[i].burst_plain, all[i].burst_accelerated);
        if (all[i].unopened != 0)
            printf("up to %u had none by then\n", all[i].unopened);
        else
            printf("%.1f ms\n", all[i].opened / 1e6);
    }
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "side") == 0)
        return side(argv + 2);
    if (argc == 4 && strcmp(argv[1], "once") == 0)
        return scene_once(argv[2], argv[3]);
    bool has_pairs = argc < 4 || strcmp(argv[3], "pair") == 0;
    bool has_crowds = argc < 4 || strcmp(argv[3], "crowd") == 0;
    if (argc < 2 || argc > 4 || argv[1][0] == '-' || !(has_pairs || has_crowds)) {
        fprintf(stderr, "usage: hqq-perf-sockets PRELOAD [ROUNDS [pair|crowd]]\n");
        return 2;
    }
    static struct figures figures[SCENES];
    struct utsname system;
    size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : 7;
    if (rounds == 0 || rounds > ROUNDS_MAX || access(argv[1], R_OK) != 0 || uname(&system) != 0)
        machine_fail(argv[1]);
    double best = usual_best();
    printf("%s %s, %ld processors; bare round trip of a cache line %.0f ns at best\n\n", system.sysname, system.release,
           sysconf(_SC_NPROCESSORS_ONLN), best);
    printf("%-36s %12s %12s %8s   %s\n", "", "plain", "preloaded", "ratio", "min-max   rounds");
    for (size_t i = 0; i < SCENES; i++) {
        if (scenes[i].clients == 0 ? has_pairs : has_crowds) {
            figures[i] = measure("/proc/self/exe", i, argv[1], rounds, best);
            tell(&scenes[i], &figures[i], rounds);
        }
    }
    if (has_crowds)
        tell_crowds(figures);
    return 0;
}
