/*
 * One client and one server; also clients that send one single datagram.
 */
#include "tools/sockets/scene.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/sockets/machine.h"

#define WARM_UP 2000
#define WARM_UP_PROGRAM 10 /* starting one takes a thousand times as long as a datagram */

struct sockaddr_un scene_address(const char *folder, const char *name, uint32_t number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s%u", folder, name, number);
    return address;
}

int scene_bind(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) != 0)
        machine_fail("bind");
    return fd;
}

static uint32_t warm_up(const struct scene *scene)
{
    return scene->kind == SCENE_PROGRAM ? WARM_UP_PROGRAM : WARM_UP;
}

static void serve(const struct scene *scene, int fd, int results)
{
    char *data = malloc(scene->bytes);
    double began = 0;
    for (uint32_t i = 0; i < warm_up(scene) + scene->count; i++) {
        struct sockaddr_un from;
        socklen_t length = sizeof(from);
        uint32_t number;
        if (i == warm_up(scene))
            began = machine_now_ns();
        if (recvfrom(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, &length) != (ssize_t)scene->bytes)
            machine_fail("recvfrom");
        memcpy(&number, data, sizeof(number));
        if (number != i) {
            errno = 0;
            machine_fail("a datagram is missing or out of order");
        }
        if (scene->kind == SCENE_ROUND_TRIP &&
            sendto(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, length) != (ssize_t)scene->bytes)
            machine_fail("sendto");
    }
    const struct scene_result result = {.each_ns = (machine_now_ns() - began) / scene->count};
    if (write(results, &result, sizeof(result)) != sizeof(result))
        machine_fail("write");
    exit(0);
}

static void ask(const struct scene *scene, const char *folder)
{
    struct sockaddr_un to = scene_address(folder, "server", 0), own = scene_address(folder, "client", 0);
    char *data = calloc(1, scene->bytes);
    int fd = scene_bind(&own);
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) != 0)
        machine_fail("connect");
    for (uint32_t i = 0; i < warm_up(scene) + scene->count; i++) {
        memcpy(data, &i, sizeof(i));
        if (send(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            machine_fail("send");
        if (scene->kind == SCENE_ROUND_TRIP && recv(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            machine_fail("recv");
    }
    exit(0);
}

static void send_once(const struct sockaddr_un *to, const void *data, size_t bytes)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, data, bytes, 0, (const struct sockaddr *)(const void *)to, sizeof(*to)) != (ssize_t)bytes)
        machine_fail("sendto");
    close(fd);
}

int scene_once(const char *path, const char *number)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char data[64] = {0};
    uint32_t value = (uint32_t)strtoul(number, NULL, 10);
    snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
    memcpy(data, &value, sizeof(value));
    send_once(&to, data, sizeof(data));
    return 0;
}

/* Starts the program and waits for its end. */
static void start_once(const struct sockaddr_un *to, uint32_t value)
{
    char number[16];
    int status;
    snprintf(number, sizeof(number), "%u", value);
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "hqq-perf-sockets", "once", to->sun_path, number, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        machine_fail("a program that sends one datagram");
}

static void send_singly(const struct scene *scene, const char *folder)
{
    struct sockaddr_un to = scene_address(folder, "server", 0);
    char *data = calloc(1, scene->bytes);
    for (uint32_t i = 0; i < warm_up(scene) + scene->count; i++) {
        memcpy(data, &i, sizeof(i));
        if (scene->kind == SCENE_PROGRAM)
            start_once(&to, i);
        else
            send_once(&to, data, scene->bytes);
    }
    exit(0);
}

int scene_pair(const struct scene *scene, const char *folder, int results)
{
    struct sockaddr_un address = scene_address(folder, "server", 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    machine_pin(0);
    int fd = scene_bind(&address);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!scene->is_pinned_together)
            machine_pin(1);
        close(fd);
        if (scene->kind == SCENE_SINGLE || scene->kind == SCENE_PROGRAM)
            send_singly(scene, folder);
        ask(scene, folder);
    }
    serve(scene, fd, results);
    return 0;
}
