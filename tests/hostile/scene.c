#include "hostile/scene.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/socket.h>

struct sockaddr_un scene_name(const struct scene *scene, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", scene->folder, name);
    return address;
}

int scene_socket(const struct scene *scene, const char *name)
{
    struct sockaddr_un address = scene_name(scene, name);
    unlink(address.sun_path);
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || hqq_bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0)
        heavy_fail("%s can't be bound: %s", name, strerror(errno));
    return fd;
}

/* ---- Processes ------------------------------------------------------------------------------------------------- */

#define STALL_NS (15 * HEAVY_S * HEAVY_SLOWNESS)

static void expect_alive(const char *who, pid_t child)
{
    int status;
    if (waitpid(child, &status, WNOHANG) == child)
        heavy_fail("%s is gone: %s %d", who, WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Fails if the number stays below what is wanted, or one of the two ends. */
static void wait_for(const struct scene *scene, const char *what, const _Atomic uint64_t *number, uint64_t wanted)
{
    uint64_t last = *number, until = hqq_clock_ns() + STALL_NS;
    for (uint64_t now; (now = *number) < wanted; sched_yield()) {
        expect_alive("the server", scene->server);
        if (scene->client != 0)
            expect_alive("the honest client", scene->client);
        if (now != last)
            until = hqq_clock_ns() + STALL_NS;
        else if (hqq_clock_ns() > until)
            heavy_fail("%s: no progress from %llu", what, (unsigned long long)now);
        last = now;
    }
}

static pid_t start(const struct scene *scene, int (*body)(const struct scene *scene))
{
    pid_t child = heavy_fork();
    if (child == 0)
        _exit(body(scene));
    return child;
}

struct scene scene_new(enum scene_wait wait, uint64_t seed)
{
    struct scene scene = {.folder = "/tmp/hqq-hostile-XXXXXX", .wait = wait, .seed = seed};
    if (!mkdtemp(scene.folder))
        heavy_fail("mkdtemp: %s", strerror(errno));
    scene.figures = heavy_shared(sizeof(*scene.figures));
    scene.server = start(&scene, scene_serve);
    wait_for(&scene, "the server", &scene.figures->steps, 1);
    scene.client = start(&scene, scene_use);
    wait_for(&scene, "the honest client", &scene.figures->served, 64);
    return scene;
}

void scene_let_serve(const struct scene *scene, uint64_t rounds)
{
    wait_for(scene, "the server", &scene->figures->steps, scene->figures->steps + rounds);
}

static void remove_folder(const struct scene *scene)
{
    static const char *const names[] = {"server", "out", "honest", "bad", "other", "trap"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unlink(scene_name(scene, names[i]).sun_path);
    if (rmdir(scene->folder) != 0)
        heavy_fail("%s: %s", scene->folder, strerror(errno));
}

uint64_t scene_ring(const struct scene *scene)
{
    return scene->wait == SCENE_FOREIGN ? scene->figures->honest_answers_ring : scene->figures->honest_ring;
}

void scene_end(struct scene *scene)
{
    struct scene_figures *figures = scene->figures;
    figures->is_over = true;
    heavy_reap_well("the honest client", scene->client);
    heavy_reap_well("the server", scene->server);
    if (scene_ring(scene) == 0)
        heavy_fail("the honest client never had a ring, so nothing was shown");
    remove_folder(scene);
    heavy_shared_free(figures, sizeof(*figures));
}

/* ---- What is sent ---------------------------------------------------------------------------------------------- */

void scene_fill(void *data, uint64_t secret, uint32_t number, uint32_t length)
{
    const struct scene_message head = {.secret = secret, .number = number, .length = length};
    memcpy(data, &head, sizeof(head));
    for (size_t at = sizeof(head); at < length; at += sizeof(secret))
        memcpy((unsigned char *)data + at, &secret, sizeof(secret));
}

void scene_check(const char *who, const void *data, size_t got, uint64_t secret, uint32_t number)
{
    struct scene_message head = {0};
    memcpy(&head, data, got < sizeof(head) ? got : sizeof(head));
    if (got < sizeof(head) || head.secret != secret || head.number != number || head.length != got)
        heavy_fail("%s: a datagram of %zu bytes, which says %u of %u, where %u is due", who, got, head.number,
                   head.length, number);
    for (size_t at = sizeof(head); at < got; at += sizeof(secret)) {
        if (memcmp((const unsigned char *)data + at, &secret, sizeof(secret)) != 0)
            heavy_fail("%s: byte %zu of datagram %u is another's", who, at, number);
    }
}

void scene_check_foreign(const struct scene *scene, const char *who, const void *data, size_t got)
{
    uint64_t secret = scene->figures->secret, word;
    for (size_t at = 0; secret != 0 && at + sizeof(word) <= got; at += sizeof(word)) {
        memcpy(&word, (const unsigned char *)data + at, sizeof(word));
        if (word == secret)
            heavy_fail("%s: byte %zu of %zu is the honest client's", who, at, got);
    }
}
