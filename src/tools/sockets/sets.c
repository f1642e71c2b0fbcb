/*
 * A process with many bound sockets that nobody has a channel to: one wait over all of them, and a fork with them. The
 * sender's call is made by syscall(2), past any preload, as it would be in a plain process: so no channel comes to be,
 * and one thread does it all, in the same order each time.
 *
 * figures: SCENE_EACH, ns of processor a send, a wait and a receive; of scene_forks ns of time from a fork until the
 * child, which exits at once, has been waited for.
 */
#include "tools/sockets/scene.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/perf/clock.h"
#include "tools/sockets/machine.h"
#include "tools/sockets/roles.h"

#define LOST_AFTER_MS 1000
#define STRIDE 61 /* prime, and in no number of sockets: each gets its turn, none the next one's */

struct set {
    const struct scene_run *run;
    uint32_t count, next;
    struct pollfd *sockets;
    int epoll, sender;
    char *data;
    struct scene_note note;
};

static void open_set(struct set *set, const struct scene_run *run)
{
    *set = (struct set){.run = run, .count = run->scene->sockets, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    set->sockets = role_buffer(set->count * sizeof(set->sockets[0]));
    set->data = role_buffer(run->scene->bytes);
    set->sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (set->epoll < 0 || set->sender < 0)
        machine_fail("a descriptor");
    for (uint32_t i = 0; i < set->count; i++) {
        struct sockaddr_un own = role_address(run, "server", i);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        set->sockets[i] = (struct pollfd){.fd = role_bind(&own), .events = POLLIN};
        if (run->scene->wait == SCENE_EPOLL && epoll_ctl(set->epoll, EPOLL_CTL_ADD, set->sockets[i].fd, &event) != 0)
            machine_fail("epoll_ctl");
    }
}

static uint32_t wait_for_any(struct set *set)
{
    struct epoll_event event = {0};
    uint32_t found = 0;
    int ready;
    if (set->run->scene->wait == SCENE_EPOLL) {
        ready = epoll_wait(set->epoll, &event, 1, LOST_AFTER_MS);
        found = event.data.u32;
    } else {
        ready = poll(set->sockets, set->count, LOST_AFTER_MS);
        while (ready == 1 && found < set->count && set->sockets[found].revents == 0)
            found++;
    }
    if (ready < 0)
        machine_fail("a wait");
    if (ready != 1)
        machine_fail_plainly(ready == 0 ? "a datagram is missing" : "more is ready than was sent");
    return found;
}

static void send_wait_receive(struct set *set)
{
    uint32_t bytes = set->run->scene->bytes, index = set->next;
    struct sockaddr_un to = role_address(set->run, "server", index);
    struct scene_note note;
    memcpy(set->data, &set->note, sizeof(set->note));
    if (syscall(SYS_sendto, set->sender, set->data, (size_t)bytes, 0, &to, sizeof(to)) != (long)bytes)
        machine_fail("sendto");
    if (wait_for_any(set) != index)
        machine_fail_plainly("another socket is ready than the one that was sent to");
    role_receive(set->run, set->sockets[index].fd, set->data);
    memcpy(&note, set->data, sizeof(note));
    role_check(&note, set->note.number++);
    set->next = (index + STRIDE) % set->count;
}

static void play_set(const struct scene_run *run, uint32_t number)
{
    struct set set;
    uint64_t began, first = 0, cpu = 0;
    (void)number;
    open_set(&set, run);
    began = perf_now_ns();
    for (uint64_t now = began; now - began < run->warm_ns + run->duration_ns || set.note.number <= first + 1;
         now = perf_now_ns()) {
        if (cpu == 0 && now - began >= run->warm_ns) {
            first = set.note.number;
            cpu = perf_cpu_time_ns();
        }
        send_wait_receive(&set);
    }
    run->shared->result.figures[SCENE_EACH] = (double)(perf_cpu_time_ns() - cpu) / (double)(set.note.number - first);
}

void scene_sets(const struct scene_run *run)
{
    role_start(run, play_set, 0, 0);
    role_wait_for_all();
}

/* ---- Forks ----------------------------------------------------------------------------------------------------- */

static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child < 0 || waitpid(child, NULL, 0) != child)
        machine_fail("fork");
}

static void play_forker(const struct scene_run *run, uint32_t number)
{
    struct set set;
    uint64_t count = 0, began, now;
    (void)number;
    open_set(&set, run);
    fork_once();
    began = perf_now_ns();
    do {
        fork_once();
        count++;
        now = perf_now_ns();
    } while (now - began < run->duration_ns);
    run->shared->result.figures[SCENE_EACH] = (double)(now - began) / (double)count;
}

void scene_forks(const struct scene_run *run)
{
    role_start(run, play_forker, 0, 0);
    role_wait_for_all();
}

/* ---- Nothing at all -------------------------------------------------------------------------------------------- */

/* figures: SCENE_EACH, bytes that are this process's alone because it wrote them. */
void scene_memory(const struct scene_run *run)
{
    run->shared->result.figures[SCENE_EACH] = machine_memory("Private_Dirty:");
}
