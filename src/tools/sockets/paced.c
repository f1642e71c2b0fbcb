/*
 * Paced load: a client with a thread that spins for its tick and sends, and a thread that receives the answers of an
 * echo server: three threads on two processors. A spinning receiver takes a processor from one of the others.
 *
 * figures: SCENE_P50 and SCENE_P99 of round trips, ns.
 */
#include "tools/sockets/scene.h"

#include <pthread.h>
#include <string.h>

#include "tools/perf/clock.h"
#include "tools/perf/statistics.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

struct client {
    const struct scene_run *run;
    int fd;
    uint64_t counts_from_ns; /* what was sent earlier is warm-up */
    double *latencies;
    size_t count, capacity;
};

static void *receive_answers(void *argument)
{
    struct client *client = argument;
    struct scene_note note = {0};
    char *data = role_buffer(client->run->scene->bytes);
    for (uint32_t due = 0; !(note.flags & SCENE_LAST); due++) {
        role_receive(client->run, client->fd, data);
        uint64_t now = perf_now_ns();
        memcpy(&note, data, sizeof(note));
        role_check(&note, due);
        if (note.sent_ns >= client->counts_from_ns && client->count < client->capacity)
            client->latencies[client->count++] = (double)(now - note.sent_ns);
    }
    return NULL;
}

static void send_at_ticks(struct client *client)
{
    const struct scene_run *run = client->run;
    uint64_t tick = PERF_NS_PER_S / run->scene->rate;
    uint64_t next = client->counts_from_ns - run->warm_ns, end = client->counts_from_ns + run->duration_ns;
    struct scene_note note = {0};
    char *data = role_buffer(run->scene->bytes);
    while (!(note.flags & SCENE_LAST)) {
        while ((note.sent_ns = perf_now_ns()) < next)
            hqq_cpu_pause();
        note.flags = note.sent_ns >= end ? SCENE_LAST : 0;
        memcpy(data, &note, sizeof(note));
        role_send(run, client->fd, data);
        note.number++;
        next += tick;
    }
}

static void play_client(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un own = role_address(run, "client", number), to = role_address(run, "server", number);
    struct client client = {.run = run, .fd = role_bind(&own)};
    double *figures = run->shared->result.figures;
    pthread_t receiver;
    client.capacity = (size_t)(run->duration_ns / (PERF_NS_PER_S / run->scene->rate)) + 2;
    client.latencies = role_buffer(client.capacity * sizeof(double));
    role_connect(client.fd, &to);
    client.counts_from_ns = perf_now_ns() + run->warm_ns;
    if (pthread_create(&receiver, NULL, receive_answers, &client) != 0)
        machine_fail("pthread_create");
    send_at_ticks(&client);
    pthread_join(receiver, NULL);
    if (client.count == 0)
        machine_fail_plainly("the run was too short for a figure");
    struct perf_spread spread = perf_spread_of(client.latencies, client.count);
    figures[SCENE_P50] = spread.median;
    figures[SCENE_P99] = perf_quantile(client.latencies, client.count, 0.99);
}

void scene_paced(const struct scene_run *run)
{
    role_start(run, role_echo, 0, 0);
    role_start(run, play_client, 0, 1);
    role_wait_for_all();
}
