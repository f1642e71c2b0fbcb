/*
 * Clients and servers in pairs: each datagram is answered before the next is sent. The client measures.
 *
 * figures of scene_round_trip: SCENE_EACH, ns a round trip of the first pair; SCENE_RATE, round trips a second of all.
 * Of scene_sleepers: the curve, of round trips since the very first.
 */
#include "tools/sockets/scene.h"

#include <string.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define CLOCK_EACH 16 /* round trips between two looks at the clock */

struct client {
    const struct scene_run *run;
    int fd;
    char *data;
    struct scene_note note; /* of the next */
};

static struct client open_client(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un own = role_address(run, "client", number), to = role_address(run, "server", number);
    struct client client = {.run = run, .fd = role_bind(&own), .data = role_buffer(run->scene->bytes)};
    role_connect(client.fd, &to);
    return client;
}

static void exchange(struct client *client)
{
    struct scene_note answer;
    memcpy(client->data, &client->note, sizeof(client->note));
    role_send(client->run, client->fd, client->data);
    role_receive(client->run, client->fd, client->data);
    memcpy(&answer, client->data, sizeof(answer));
    role_check(&answer, client->note.number++);
}

static void end_server(struct client *client)
{
    client->note.flags = SCENE_LAST;
    exchange(client);
}

/* As many as go into that time; returns how many, and how long they took. */
static uint64_t exchange_for(struct client *client, uint64_t duration_ns, uint64_t *ret_ns)
{
    uint64_t began = perf_now_ns(), now = began, count = 0;
    while (now - began < duration_ns) {
        for (unsigned i = 0; i < CLOCK_EACH; i++)
            exchange(client);
        count += CLOCK_EACH;
        now = perf_now_ns();
    }
    *ret_ns = now - began;
    return count;
}

static void play_client(const struct scene_run *run, uint32_t number)
{
    struct client client = open_client(run, number);
    uint64_t took;
    exchange(&client);
    role_meet(run, run->scene->pairs);
    exchange_for(&client, run->warm_ns, &took);
    uint64_t count = exchange_for(&client, run->duration_ns, &took);
    if (number == 0)
        run->shared->result.figures[SCENE_EACH] = (double)took / (double)count;
    run->shared->rates[number] = (double)count * 1e9 / (double)took;
    end_server(&client);
}

void scene_round_trip(const struct scene_run *run)
{
    struct scene_result *result = &run->shared->result;
    for (uint32_t i = 0; i < run->scene->pairs; i++) {
        role_start(run, role_echo, i, 0);
        role_start(run, play_client, i, 1);
    }
    role_wait_for_all();
    for (uint32_t i = 0; i < run->scene->pairs; i++)
        result->figures[SCENE_RATE] += run->shared->rates[i];
}

/* ---- Since the start ------------------------------------------------------------------------------------------- */

static void play_first_client(const struct scene_run *run, uint32_t number)
{
    struct client client = open_client(run, number);
    double *curve = run->shared->result.curve;
    uint64_t counts[SCENE_CURVE_MS] = {0}, began = perf_now_ns(), before = began;
    for (;;) {
        uint64_t in_ms = (before - began) / PERF_NS_PER_MS;
        if (in_ms >= SCENE_CURVE_MS)
            break;
        exchange(&client);
        uint64_t now = perf_now_ns();
        curve[in_ms] += (double)(now - before);
        counts[in_ms]++;
        before = now;
    }
    for (size_t i = 0; i < SCENE_CURVE_MS; i++)
        curve[i] = counts[i] != 0 ? curve[i] / (double)counts[i] : 0;
    end_server(&client);
}

void scene_sleepers(const struct scene_run *run)
{
    role_start(run, role_echo, 0, 0);
    role_start(run, play_first_client, 0, 1);
    role_wait_for_all();
}
