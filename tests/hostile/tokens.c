#include "hostile/tokens.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "hostile/spoil.h"
#include "layout/packet.h"
#include "socket/token.h"

static const uint64_t values[] = {
    0, 1, 2, 3, 4, 5, 255, UINT64_C(1) << 32, UINT64_C(1) << 62, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
#define VALUES (sizeof(values) / sizeof(values[0]))

/* By the kernel's own call, waiting for room. */
static void transmit(const struct scene *scene, int fd, const void *data, size_t length)
{
    struct sockaddr_un to = scene_name(scene, "server");
    while (sendto(fd, data, length, MSG_DONTWAIT, (const struct sockaddr *)(const void *)&to, sizeof(to)) < 0) {
        if (errno != EAGAIN)
            heavy_fail("a token: %s", strerror(errno));
        scene_let_serve(scene, 1);
    }
}

static void transmit_token(const struct scene *scene, int fd, struct hqq_pair_id id, uint64_t kind, uint64_t value)
{
    struct hqq_token token = hqq_token_make(id, HQQ_TOKEN_BELL, value);
    token.kind = kind;
    transmit(scene, fd, &token, sizeof(token));
}

/* A socket that the library does not know. */
static int plain_socket(const struct scene *scene, const char *name)
{
    struct sockaddr_un address = scene_name(scene, name);
    unlink(address.sun_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)) != 0)
        heavy_fail("%s: %s", name, strerror(errno));
    return fd;
}

/* The server answers all that it gets, with itself; tokens it does not get. */
static uint64_t drain(const struct scene *scene, int fd)
{
    unsigned char data[256];
    uint64_t count = 0;
    ssize_t got;
    while ((got = recv(fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
        scene_check_foreign(scene, "an answer", data, (size_t)got);
        if (hqq_token_is(data, (size_t)got))
            heavy_fail("the server was given a token");
        count++;
    }
    return count;
}

uint64_t token_junk(const struct scene *scene)
{
    int fd = plain_socket(scene, "other");
    struct heavy_random random = heavy_random(scene->seed, 70);
    uint64_t sent = 0, answered = 0, data = 0;
    struct hqq_token token = hqq_token_make((struct hqq_pair_id){{0, 0}}, HQQ_TOKEN_BELL, 0);
    unsigned char bytes[128] = {0};
    for (uint64_t kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < VALUES; i++, sent++) {
            struct hqq_pair_id id = {{heavy_next(&random), heavy_next(&random)}};
            transmit_token(scene, fd, id, kind, values[i]);
        }
    }
    scene_let_serve(scene, 64);
    if (drain(scene, fd) != 0)
        heavy_fail("a token was answered");
    memcpy(bytes, &token, sizeof(token));
    for (size_t length = 1; length <= sizeof(bytes); length++) {
        if (length == sizeof(token))
            continue;
        transmit(scene, fd, bytes, length);
        data++;
        scene_let_serve(scene, 4);
        answered += drain(scene, fd);
    }
    for (int i = 0; i < 1000 && answered < data; i++) {
        scene_let_serve(scene, 4);
        answered += drain(scene, fd);
    }
    if (answered != data)
        heavy_fail("%llu of %llu datagrams that only begin like a token were answered", (unsigned long long)answered,
                   (unsigned long long)data);
    close(fd);
    return sent + data;
}

uint64_t token_replays(const struct scene *scene)
{
    uint64_t sent = 0;
    for (int round = 0; round < 2; round++) {
        struct spoiler spoiler = {0};
        spoil_open(&spoiler, scene, SPOIL_OFFERER);
        struct hqq_pair_id id = spoiler.pair->id;
        for (uint64_t kind = 0; kind < 5; kind++) {
            for (size_t i = 0; i < VALUES; i++, sent++) {
                transmit_token(scene, spoiler.fd, id, kind, values[i]);
                spoil_talk(&spoiler);
            }
        }
        scene_let_serve(scene, 16);
        spoil_close(&spoiler);
        int fd = plain_socket(scene, "other"); /* the pair is over, or soon is */
        for (uint64_t kind = 1; kind < 4; kind++, sent++)
            transmit_token(scene, fd, id, kind, 1);
        scene_let_serve(scene, 16);
        drain(scene, fd);
        close(fd);
    }
    return sent;
}

/* Nothing that an honest peer writes. */
static void break_pair(struct spoiler *spoiler)
{
    struct hqq_ring *ring = &spoiler->pair->tx;
    for (uint64_t i = 0; i < ring->count; i++) {
        hqq_store_relaxed(&hqq_ring_packet(ring, i)[0], 0x42);
        hqq_store_release(hqq_ring_seq(ring, i), hqq_load_relaxed(hqq_ring_r(ring)) + 1);
    }
}

uint64_t token_of_two_names(const struct scene *scene)
{
    uint64_t sent = 0;
    for (int round = 0; round < 4; round++) {
        struct spoiler spoiler = {0};
        spoil_open(&spoiler, scene, SPOIL_OFFERER);
        int fd = plain_socket(scene, "other");
        for (uint64_t kind = 1; kind < 4; kind++, sent++)
            transmit_token(scene, fd, spoiler.pair->id, kind, kind);
        scene_let_serve(scene, 16);
        break_pair(&spoiler);
        transmit_token(scene, spoiler.fd, spoiler.pair->id, HQQ_TOKEN_BELL, 0);
        scene_let_serve(scene, 16);
        drain(scene, fd);
        close(fd);
        spoil_close(&spoiler);
    }
    return sent;
}
