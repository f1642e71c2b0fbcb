#include "tools/sockets/roles.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/sockets/machine.h"

#define RETRY_US 200

/* ---- Processes ------------------------------------------------------------------------------------------------- */

static void place(const struct scene *scene, unsigned end)
{
    if (scene->place == SCENE_FREE)
        machine_pin_to_both();
    else
        machine_pin(scene->place == SCENE_APART ? end : 0);
    int result = scene->is_fifo ? machine_become_fifo() : 0;
    if (result != 0) {
        errno = -result;
        machine_fail("SCHED_FIFO");
    }
}

void role_start(const struct scene_run *run, role_fn *play, uint32_t number, unsigned end)
{
    pid_t child = fork();
    if (child < 0)
        machine_fail("fork");
    if (child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    place(run->scene, end);
    play(run, number);
    _exit(0); /* what the side has not flushed is the side's */
}

void role_wait_for_all(void)
{
    int status;
    while (wait(&status) > 0) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            machine_fail_plainly("a process of the run has died");
    }
}

void role_meet(const struct scene_run *run, uint32_t count)
{
    hqq_add32_relaxed(&run->shared->ready, 1);
    while (hqq_load32_relaxed(&run->shared->ready) < count)
        usleep(RETRY_US);
}

/* ---- Sockets --------------------------------------------------------------------------------------------------- */

struct sockaddr_un role_address(const struct scene_run *run, const char *name, uint32_t number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s%u", run->folder, name, number);
    return address;
}

int role_bind(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)address, sizeof(*address)) != 0)
        machine_fail("bind");
    return fd;
}

void role_connect(int fd, const struct sockaddr_un *to)
{
    while (connect(fd, (const struct sockaddr *)(const void *)to, sizeof(*to)) != 0) {
        if (errno != ENOENT && errno != ECONNREFUSED)
            machine_fail("connect");
        usleep(RETRY_US);
    }
}

/* ---- Datagrams ------------------------------------------------------------------------------------------------- */

static int flags_of(const struct scene_run *run)
{
    return run->scene->wait == SCENE_POLLED ? MSG_DONTWAIT : 0;
}

/* True if the call is to be made again. */
static bool is_again(const struct scene_run *run, ssize_t result, const char *call)
{
    if (result == (ssize_t)run->scene->bytes)
        return false;
    if (result >= 0)
        machine_fail_plainly("a datagram is too short");
    if (run->scene->wait != SCENE_POLLED || (errno != EAGAIN && errno != EINTR))
        machine_fail(call);
    hqq_cpu_pause();
    return true;
}

void role_send(const struct scene_run *run, int fd, const void *data)
{
    while (is_again(run, send(fd, data, run->scene->bytes, flags_of(run)), "send")) {
    }
}

void role_receive(const struct scene_run *run, int fd, void *data)
{
    while (is_again(run, recv(fd, data, run->scene->bytes, flags_of(run)), "recv")) {
    }
}

void role_receive_from(const struct scene_run *run, int fd, void *data, struct sockaddr_un *ret_from,
                       socklen_t *ret_length)
{
    do
        *ret_length = sizeof(*ret_from);
    while (is_again(
        run, recvfrom(fd, data, run->scene->bytes, flags_of(run), (struct sockaddr *)(void *)ret_from, ret_length),
        "recvfrom"));
}

void role_send_to(const struct scene_run *run, int fd, const void *data, const struct sockaddr_un *to, socklen_t length)
{
    while (is_again(
        run, sendto(fd, data, run->scene->bytes, flags_of(run), (const struct sockaddr *)(const void *)to, length),
        "sendto")) {
    }
}

void *role_buffer(size_t bytes)
{
    void *data = calloc(1, bytes);
    if (!data)
        machine_fail("calloc");
    return data;
}

void role_check(const struct scene_note *note, uint32_t due)
{
    char text[96];
    if (note->number == due)
        return;
    snprintf(text, sizeof(text), "a datagram is missing or out of order: %u was due, %u came", due, note->number);
    machine_fail_plainly(text);
}

void role_echo(const struct scene_run *run, uint32_t number)
{
    struct sockaddr_un own = role_address(run, "server", number), from;
    socklen_t length;
    struct scene_note note = {0};
    char *data = role_buffer(run->scene->bytes);
    int fd = role_bind(&own);
    for (uint32_t due = 0; !(note.flags & SCENE_LAST); due++) {
        role_receive_from(run, fd, data, &from, &length);
        memcpy(&note, data, sizeof(note));
        role_check(&note, due);
        role_send_to(run, fd, data, &from, length);
    }
}
