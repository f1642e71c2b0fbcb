/*
 * One client and one server.
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
#include <unistd.h>

#include "tools/sockets/machine.h"

#define WARM_UP 2000

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

static void serve(const struct scene *scene, int fd, int results)
{
    char *data = malloc(scene->bytes);
    double began = 0;
    for (uint32_t i = 0; i < WARM_UP + scene->count; i++) {
        struct sockaddr_un from;
        socklen_t length = sizeof(from);
        uint32_t number;
        if (i == WARM_UP)
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
    for (uint32_t i = 0; i < WARM_UP + scene->count; i++) {
        memcpy(data, &i, sizeof(i));
        if (send(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            machine_fail("send");
        if (scene->kind == SCENE_ROUND_TRIP && recv(fd, data, scene->bytes, 0) != (ssize_t)scene->bytes)
            machine_fail("recv");
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
        ask(scene, folder);
    }
    serve(scene, fd, results);
    return 0;
}
