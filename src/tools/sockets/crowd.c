/*
 * Many clients of one server, each with a socket of its own: they send one datagram each in turn, all in one process or
 * in a few. A turn is one datagram, or one round trip, of each client. The first turns are the set-up; those that come
 * after it are not counted until every page of every ring has been touched.
 */
#include "tools/sockets/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socket/counters.h"
#include "tools/sockets/machine.h"

#define DESCRIPTORS 4096

/* The first bytes of a datagram. */
struct stamp {
    uint32_t client, turn;
};

/* What the client processes tell of their set-up; shared by fork. */
struct shared {
    double began_ns;
    hqq_atomic_u64 opened_ns; /* the latest, since began_ns */
    hqq_atomic_u32 unopened;
};

/* ---- Whether links are open ------------------------------------------------------------------------------------ */

/* The counters of this process, if something in it keeps them. The programs measured have no other way to know. */
static const struct hqq_counters_head *counters(void)
{
    for (int fd = 3; fd < DESCRIPTORS; fd++) {
        char link[32], target[64] = "";
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof(target) - 1) < 0 || !strstr(target, HQQ_COUNTERS_MEMFD))
            continue;
        int again = open(link, O_RDONLY | O_CLOEXEC);
        void *map = mmap(NULL, sizeof(struct hqq_counters_head), PROT_READ, MAP_SHARED, again, 0);
        close(again);
        return map != MAP_FAILED ? map : NULL;
    }
    return NULL;
}

static uint32_t open_links(const struct hqq_counters_head *head)
{
    uint32_t count = 0;
    for (size_t i = 0; i < HQQ_COUNTERS_ENTRIES; i++)
        count += hqq_load32_relaxed(&head->entry[i].links);
    return count;
}

static void note_set_up(struct shared *shared, uint32_t turn, uint32_t clients)
{
    static const struct hqq_counters_head *head;
    static bool is_told;
    if (turn == 0)
        head = counters();
    if (!head || is_told || turn >= SCENE_BURST_TURNS)
        return;
    uint32_t links = open_links(head);
    if (links >= clients) {
        uint64_t now = (uint64_t)(machine_now_ns() - shared->began_ns), latest = hqq_load_relaxed(&shared->opened_ns);
        while (now > latest && !hqq_cas_relaxed(&shared->opened_ns, &latest, now)) {
        }
        is_told = true;
    } else if (turn == SCENE_BURST_TURNS - 1) {
        hqq_add32_relaxed(&shared->unopened, clients - links);
    }
}

/* ---- The two sides --------------------------------------------------------------------------------------------- */

static void ask(const struct scene *scene, const char *folder, struct shared *shared, uint32_t process, uint32_t turns)
{
    uint32_t clients = scene->clients / scene->processes, first = process * clients;
    struct sockaddr_un to = scene_address(folder, "server", 0);
    char *data = calloc(1, scene->bytes);
    int *fd = calloc(clients, sizeof(*fd));
    for (uint32_t i = 0; i < clients; i++) {
        struct sockaddr_un own = scene_address(folder, "client", first + i);
        fd[i] = scene_bind(&own);
        if (connect(fd[i], (struct sockaddr *)(void *)&to, sizeof(to)) != 0)
            machine_fail("connect");
    }
    if (process == 0)
        shared->began_ns = machine_now_ns();
    for (uint32_t turn = 0; turn < turns; turn++) {
        for (uint32_t i = 0; i < clients; i++) {
            const struct stamp stamp = {first + i, turn};
            memcpy(data, &stamp, sizeof(stamp));
            if (send(fd[i], data, scene->bytes, 0) != (ssize_t)scene->bytes)
                machine_fail("send");
            if (scene->kind == SCENE_ROUND_TRIP && recv(fd[i], data, scene->bytes, 0) != (ssize_t)scene->bytes)
                machine_fail("recv");
            if (memcmp(data, &stamp, sizeof(stamp)) != 0) {
                errno = 0;
                machine_fail("an answer is another client's");
            }
        }
        note_set_up(shared, turn, clients);
    }
    exit(0);
}

static void serve(const struct scene *scene, int fd, const struct shared *shared, uint32_t settle, int results)
{
    char *data = malloc(scene->bytes);
    uint32_t *expected = calloc(scene->clients, sizeof(*expected));
    uint64_t burst = (uint64_t)SCENE_BURST_TURNS * scene->clients, warm = burst + (uint64_t)settle * scene->clients;
    uint64_t counted = (uint64_t)(scene->count / scene->clients) * scene->clients;
    double first = 0, began = 0;
    struct scene_result result = {0};
    for (uint64_t i = 0; i < warm + counted; i++) {
        struct sockaddr_un from;
        socklen_t length = sizeof(from);
        struct stamp stamp;
        if (i == burst)
            result.burst_ns = (machine_now_ns() - first) / (double)(burst - 1);
        if (i == warm)
            began = machine_now_ns();
        if (recvfrom(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, &length) != (ssize_t)scene->bytes)
            machine_fail("recvfrom");
        if (i == 0)
            first = machine_now_ns();
        memcpy(&stamp, data, sizeof(stamp));
        if (stamp.client >= scene->clients || stamp.turn != expected[stamp.client]++) {
            errno = 0;
            machine_fail("a datagram is missing or out of order");
        }
        if (scene->kind == SCENE_ROUND_TRIP &&
            sendto(fd, data, scene->bytes, 0, (struct sockaddr *)(void *)&from, length) != (ssize_t)scene->bytes)
            machine_fail("sendto");
    }
    result.each_ns = (machine_now_ns() - began) / (double)counted;
    while (wait(NULL) > 0) {
    }
    result.opened_ns = (double)hqq_load_relaxed(&shared->opened_ns);
    result.unopened = hqq_load32_relaxed(&shared->unopened);
    if (write(results, &result, sizeof(result)) != sizeof(result))
        machine_fail("write");
    exit(0);
}

int scene_crowd(const struct scene *scene, const char *folder, int results, uint32_t settle)
{
    struct sockaddr_un address = scene_address(folder, "server", 0);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    machine_pin(0);
    struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        machine_fail("mmap");
    int fd = scene_bind(&address);
    uint32_t turns = SCENE_BURST_TURNS + settle + scene->count / scene->clients;
    for (uint32_t process = 0; process < scene->processes; process++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            machine_pin(1);
            close(fd);
            ask(scene, folder, shared, process, turns);
        }
    }
    serve(scene, fd, shared, settle, results);
    return 0;
}
