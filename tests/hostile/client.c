/* The honest client: sends numbered datagrams of many sizes, and checks the answers, which are the same again. */
#include <errno.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "hostile/scene.h"

#define WINDOW 4u
#define PATIENCE_NS (10 * HEAVY_S * HEAVY_SLOWNESS)

static void fail_of(const char *what, uint32_t number)
{
    heavy_fail("the honest client: %s %u: %s", what, number, strerror(errno));
}

static uint32_t length_of(uint64_t secret, uint32_t number)
{
    uint64_t random = heavy_mix(secret + number);
    uint32_t words =
        random % 16 == 0 ? (uint32_t)(random >> 8) % (SCENE_LARGEST / 8 - 2) : (uint32_t)(random >> 8) % 32;
    return 8 * (2 + words);
}

static uint32_t ask(int fd, uint64_t secret, uint32_t first)
{
    static unsigned char data[SCENE_LARGEST];
    uint32_t count = 1 + (uint32_t)(heavy_mix(secret ^ first) % WINDOW);
    for (uint32_t number = first; number < first + count; number++) {
        uint32_t length = length_of(secret, number);
        scene_fill(data, secret, number, length);
        if (hqq_send(fd, data, length, 0) != (ssize_t)length)
            fail_of("send", number);
    }
    return count;
}

static void hear(int fd, uint64_t secret, uint32_t number)
{
    static unsigned char data[SCENE_LARGEST + 8];
    ssize_t got = hqq_recv(fd, data, sizeof(data), 0);
    if (got < 0)
        fail_of("no answer to", number);
    scene_check("an answer", data, (size_t)got, secret, number);
}

/* Its share of rings, as of now. */
static void note_rings(int fd, struct scene_figures *figures)
{
    struct hqq_socket_status status;
    if (hqq_socket_status(fd, &status) != 0)
        fail_of("status", 0);
    figures->honest_ring = status.sent_ring;
    figures->honest_answers_ring = status.received_ring;
}

/* True while the scene goes on; and after it, for a while, until there was a ring: a busy machine may give it none sooner. */
static bool is_needed(const struct scene *scene, int fd, uint64_t *last_ns)
{
    struct scene_figures *figures = scene->figures;
    if (!figures->is_over)
        return true;
    note_rings(fd, figures);
    if (*last_ns == 0)
        *last_ns = hqq_clock_ns() + PATIENCE_NS;
    return scene_ring(scene) == 0 && hqq_clock_ns() < *last_ns;
}

int scene_use(const struct scene *scene)
{
    struct scene_figures *figures = scene->figures;
    struct sockaddr_un server = scene_name(scene, "server");
    struct timeval patience = {.tv_sec = 15 * HEAVY_SLOWNESS};
    uint64_t secret = heavy_mix(scene->seed ^ 0x5ec7e7) | 1;
    int fd = scene_socket(scene, "honest");
    figures->secret = secret;
    hqq_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (hqq_connect(fd, (const struct sockaddr *)(const void *)&server, sizeof(server)) != 0)
        fail_of("connect", 0);
    uint64_t last_ns = 0;
    for (uint32_t number = 0; is_needed(scene, fd, &last_ns);) {
        uint32_t count = ask(fd, secret, number);
        for (uint32_t i = 0; i < count; i++)
            hear(fd, secret, number + i);
        number += count;
        figures->served += count;
    }
    note_rings(fd, figures);
    hqq_close(fd);
    figures->has_client_ended = true;
    return 0;
}
