/*
 * Many clients of one server, each with a socket of its own: they send one datagram each in turn, all in one process or
 * in a few. A turn is one datagram, or one round trip, of each client. The first turns are the set-up; those that come
 * after it are not counted until every page of every ring has been touched.
 *
 * figures of scene_crowd: SCENE_EACH, ns a datagram or round trip, once all is settled. Of scene_set_up: CROWD_BURST,
 * ns a datagram of the first turns; CROWD_MEMORY, bytes that a client has cost both processes by then; CROWD_LEFT,
 * bytes for each client that the server still has some time after all of them have gone.
 */
#include "tools/sockets/scene.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define CLOCK_EACH 64 /* datagrams between two looks at the clock, at least */
#define LAST_GUEST_MS 300

enum { CROWD_BURST = 0, CROWD_MEMORY = 1, CROWD_LEFT = 2 };

/* The first bytes of a datagram. */
struct stamp {
    uint32_t client, turn;
    uint32_t is_last; /* of its process */
};

/* ---- Clients --------------------------------------------------------------------------------------------------- */

struct crowd {
    const struct scene_run *run;
    uint32_t first, count; /* clients of this process */
    int *fd;
    char *data;
};

static struct crowd open_crowd(const struct scene_run *run, uint32_t process)
{
    uint32_t count = run->scene->clients / run->scene->processes;
    struct crowd crowd = {.run = run, .first = process * count, .count = count};
    struct sockaddr_un to = role_address(run, "server", 0);
    crowd.fd = role_buffer(count * sizeof(*crowd.fd));
    crowd.data = role_buffer(run->scene->bytes);
    for (uint32_t i = 0; i < count; i++) {
        struct sockaddr_un own = role_address(run, "client", crowd.first + i);
        crowd.fd[i] = role_bind(&own);
        role_connect(crowd.fd[i], &to);
    }
    return crowd;
}

static void ask(struct crowd *crowd, uint32_t client, uint32_t turn, bool is_last)
{
    const struct stamp stamp = {crowd->first + client, turn, is_last};
    memcpy(crowd->data, &stamp, sizeof(stamp));
    role_send(crowd->run, crowd->fd[client], crowd->data);
    if (!crowd->run->scene->is_answered)
        return;
    role_receive(crowd->run, crowd->fd[client], crowd->data);
    if (memcmp(crowd->data, &stamp, sizeof(stamp)) != 0)
        machine_fail_plainly("an answer is missing, or another client's");
}

static void take_turns(struct crowd *crowd, uint32_t from, uint32_t to)
{
    for (uint32_t turn = from; turn < to; turn++) {
        for (uint32_t i = 0; i < crowd->count; i++)
            ask(crowd, i, turn, false);
    }
}

static void play_clients(const struct scene_run *run, uint32_t process)
{
    struct crowd crowd = open_crowd(run, process);
    uint32_t turn = SCENE_BURST_TURNS + run->settle, at_once = CLOCK_EACH / crowd.count + 1;
    take_turns(&crowd, 0, turn);
    role_meet(run, run->scene->processes); /* none is through before all are settled */
    for (uint64_t began = perf_now_ns(); perf_now_ns() - began < run->duration_ns; turn += at_once)
        take_turns(&crowd, turn, turn + at_once);
    ask(&crowd, 0, turn, true);
}

/* ---- The server ------------------------------------------------------------------------------------------------ */

struct server {
    const struct scene_run *run;
    int fd;
    char *data;
    uint32_t *due;  /* turn of each client */
    uint32_t ended; /* processes that have sent their last */
    uint64_t taken;
};

static struct server open_server(const struct scene_run *run)
{
    struct sockaddr_un own = role_address(run, "server", 0);
    return (struct server){
        .run = run,
        .fd = role_bind(&own),
        .data = role_buffer(run->scene->bytes),
        .due = role_buffer(run->scene->clients * sizeof(uint32_t)),
    };
}

static void serve_next(struct server *server)
{
    struct sockaddr_un from;
    socklen_t length;
    struct stamp stamp;
    role_receive_from(server->run, server->fd, server->data, &from, &length);
    memcpy(&stamp, server->data, sizeof(stamp));
    if (stamp.client >= server->run->scene->clients || stamp.turn != server->due[stamp.client]++)
        machine_fail_plainly("a datagram is missing or out of order");
    if (server->run->scene->is_answered)
        role_send_to(server->run, server->fd, server->data, &from, length);
    server->ended += stamp.is_last;
    server->taken++;
}

/* Until that many have been taken since the start. */
static void serve(struct server *server, uint64_t until)
{
    while (server->taken < until)
        serve_next(server);
}

static void play_server(const struct scene_run *run, uint32_t number)
{
    struct server server = open_server(run);
    uint64_t began, ended;
    (void)number;
    serve(&server, (uint64_t)(SCENE_BURST_TURNS + run->settle) * run->scene->clients);
    uint64_t settled = server.taken;
    began = perf_now_ns();
    while (server.ended == 0)
        serve_next(&server);
    ended = perf_now_ns();
    run->shared->result.figures[SCENE_EACH] = (double)(ended - began) / (double)(server.taken - settled);
    while (server.ended < run->scene->processes)
        serve_next(&server);
}

void scene_crowd(const struct scene_run *run)
{
    role_start(run, play_server, 0, 0);
    for (uint32_t process = 0; process < run->scene->processes; process++)
        role_start(run, play_clients, process, 1);
    role_wait_for_all();
}

/* ---- The set-up, and what is left of it ------------------------------------------------------------------------ */

/* Memory of this process; half of what it shares with one other. */
static double own_memory(void)
{
    return machine_memory("Anonymous:") + machine_memory("Pss_Shmem:");
}

/* Steps that the roles of scene_set_up wait for. */
enum { SERVER_IS_THERE = 1, BURST_IS_TAKEN, CLIENTS_ARE_MEASURED, SERVER_IS_MEASURED };

static void wait_for_step(const struct scene_run *run, uint32_t step)
{
    while (hqq_load32_acquire(&run->shared->ready) < step)
        usleep(200);
}

static void play_passing_clients(const struct scene_run *run, uint32_t process)
{
    wait_for_step(run, SERVER_IS_THERE);
    struct crowd crowd = open_crowd(run, process);
    double before = own_memory();
    take_turns(&crowd, 0, SCENE_BURST_TURNS);
    wait_for_step(run, BURST_IS_TAKEN);
    run->shared->bytes[1] = own_memory() - before;
    hqq_store32_release(&run->shared->ready, CLIENTS_ARE_MEASURED);
    wait_for_step(run, SERVER_IS_MEASURED); /* what both share counts half in each, as long as both are there */
    for (uint32_t i = 0; i < crowd.count; i++) {
        struct sockaddr_un own = role_address(run, "client", crowd.first + i);
        unlink(own.sun_path);
    }
    _exit(0); /* without a word, like one that was killed */
}

/* One that comes when all have gone, so that the server has calls in which to notice it. */
static void play_last_guest(const struct scene_run *run)
{
    struct crowd crowd = {.run = run, .first = 0, .count = 1, .data = role_buffer(run->scene->bytes)};
    struct sockaddr_un own = role_address(run, "client", 0), to = role_address(run, "server", 0);
    int fd = role_bind(&own);
    crowd.fd = &fd;
    role_connect(fd, &to);
    for (uint32_t turn = 0; turn < LAST_GUEST_MS; turn++) {
        ask(&crowd, 0, SCENE_BURST_TURNS + turn, turn == LAST_GUEST_MS - 1);
        usleep(1000);
    }
}

static void play_host(const struct scene_run *run, uint32_t number)
{
    struct server server = open_server(run);
    double *figures = run->shared->result.figures, clients = run->scene->clients, before = own_memory();
    uint64_t began, all = (uint64_t)SCENE_BURST_TURNS * run->scene->clients;
    (void)number;
    hqq_store32_release(&run->shared->ready, SERVER_IS_THERE);
    serve(&server, 1);
    began = perf_now_ns();
    serve(&server, all);
    figures[CROWD_BURST] = (double)(perf_now_ns() - began) / (double)(all - 1);
    hqq_store32_release(&run->shared->ready, BURST_IS_TAKEN);
    wait_for_step(run, CLIENTS_ARE_MEASURED);
    figures[CROWD_MEMORY] = (own_memory() - before + run->shared->bytes[1]) / clients;
    hqq_store32_release(&run->shared->ready, SERVER_IS_MEASURED);
    while (server.ended == 0)
        serve_next(&server);
    figures[CROWD_LEFT] = (own_memory() - before) / clients;
}

static void play_all_clients(const struct scene_run *run, uint32_t process)
{
    /* A process of their own, whose end the guest waits for. */
    role_start(run, play_passing_clients, process, 1);
    role_wait_for_all();
    play_last_guest(run);
}

void scene_set_up(const struct scene_run *run)
{
    role_start(run, play_host, 0, 0);
    role_start(run, play_all_clients, 0, 1);
    role_wait_for_all();
}
