/*
 * Programs that are started again and again and live for a moment: one that does nothing, and some that send a datagram
 * or a few to a server that was there before them.
 *
 * figures: SCENE_EACH, ns from the fork until the program has been waited for.
 */
#include "tools/sockets/scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define BYTES 64
#define WARM_UP 5

/* ---- The program ----------------------------------------------------------------------------------------------- */

static void send_number(int fd, const struct sockaddr_un *to, uint32_t number, uint32_t flags)
{
    char data[BYTES] = {0};
    const struct scene_note note = {.number = number, .flags = flags};
    memcpy(data, &note, sizeof(note));
    if (sendto(fd, data, sizeof(data), 0, (const struct sockaddr *)(const void *)to, to ? sizeof(*to) : 0) != BYTES)
        machine_fail("sendto");
}

int scene_once(const char *path, uint32_t first, uint32_t count, bool is_last)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    if (fd < 0 || (count > 1 && connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) != 0))
        machine_fail("connect");
    for (uint32_t i = 0; i < count; i++)
        send_number(fd, count > 1 ? NULL : &to, first + i, is_last && i == count - 1 ? SCENE_LAST : 0);
    close(fd);
    return 0;
}

/* ---- The roles ------------------------------------------------------------------------------------------------- */

static void play_server(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un own = role_address(run, "server", number);
    struct scene_note note = {0};
    char *data = role_buffer(run->scene->bytes);
    int fd = role_bind(&own);
    for (uint32_t due = 0; !(note.flags & SCENE_LAST); due++) {
        role_receive(run, fd, data);
        memcpy(&note, data, sizeof(note));
        role_check(&note, due);
    }
}

static void start(const struct scene_run *run, const char *path, uint32_t number, bool is_last)
{
    const struct scene *scene = run->scene;
    char first[16], count[16];
    int status;
    snprintf(first, sizeof(first), "%u", number * scene->batch);
    snprintf(count, sizeof(count), "%u", scene->batch);
    pid_t child = fork();
    if (child == 0) {
        if (scene->batch == 0)
            execl(scene->program, scene->program, (char *)NULL);
        else
            execl(scene->program, "hqq-perf-sockets", "once", path, first, count, is_last ? "last" : "more",
                  (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        machine_fail_plainly("a program that was started failed");
}

static void play_starter(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un to = role_address(run, "server", number);
    uint32_t started = 0;
    uint64_t began, now;
    if (run->scene->batch != 0)
        role_connect(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), &to); /* it is there */
    while (started < WARM_UP)
        start(run, to.sun_path, started++, false);
    began = perf_now_ns();
    do {
        start(run, to.sun_path, started++, false);
        now = perf_now_ns();
    } while (now - began < run->duration_ns);
    run->shared->result.figures[SCENE_EACH] = (double)(now - began) / (started - WARM_UP);
    if (run->scene->batch != 0)
        start(run, to.sun_path, started, true);
}

void scene_starts(const struct scene_run *run)
{
    if (run->scene->batch != 0)
        role_start(run, play_server, 0, 0);
    role_start(run, play_starter, 0, 1);
    role_wait_for_all();
}
