/*
 * One sender, more receivers than the memory of its links is for (HQQ_MEMORY): the regions that it has mapped stay below
 * that, and every receiver gets its datagrams in order. When all of them have been idle, one that is new gets a link in
 * the place of another. Run under the preload; without it there is nothing to be charged.
 *
 *      charged [MiB]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECEIVERS 61 /* the last of them is the late one */
#define TURNS 60u
#define LATE_TURNS 4000u
#define PAUSE_US 2000

struct datagram {
    uint32_t turn;
    char rest[1000];
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "charged: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static struct sockaddr_un name_of(pid_t owner, unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "hqq-charged-%d-%u", owner, number);
    return address;
}

/* ---- Receivers --------------------------------------------------------------------------------------------------- */

static void receive_all(pid_t owner, int ready)
{
    struct pollfd sockets[RECEIVERS];
    uint32_t turn[RECEIVERS] = {0};
    for (unsigned i = 0; i < RECEIVERS; i++) {
        const struct sockaddr_un name = name_of(owner, i);
        sockets[i] = (struct pollfd){.fd = socket(AF_UNIX, SOCK_DGRAM, 0), .events = POLLIN};
        if (bind(sockets[i].fd, (const struct sockaddr *)(const void *)&name, sizeof(name)) != 0)
            fail("bind");
    }
    if (write(ready, "", 1) != 1)
        fail("pipe");
    for (;;) {
        if (poll(sockets, RECEIVERS, 30000) < 1)
            fail("nothing comes");
        for (unsigned i = 0; i < RECEIVERS; i++) {
            struct datagram datagram;
            if (!(sockets[i].revents & POLLIN))
                continue;
            if (recv(sockets[i].fd, &datagram, sizeof(datagram), 0) != sizeof(datagram))
                fail("recv");
            if (datagram.turn == UINT32_MAX)
                _exit(0);
            if (datagram.turn != turn[i]++)
                fail("a datagram is lost, or out of order");
        }
    }
}

/* ---- The sender -------------------------------------------------------------------------------------------------- */

struct mapped {
    unsigned long bytes;
    unsigned count;
    unsigned long inode[RECEIVERS]; /* of the first; their numbers tell no age */
};

static bool has_inode(const struct mapped *mapped, unsigned long inode)
{
    for (unsigned i = 0; i < mapped->count && i < RECEIVERS; i++) {
        if (mapped->inode[i] == inode)
            return true;
    }
    return false;
}

static bool has_new(const struct mapped *mapped, const struct mapped *before)
{
    for (unsigned i = 0; i < mapped->count && i < RECEIVERS; i++) {
        if (!has_inode(before, mapped->inode[i]))
            return true;
    }
    return false;
}

static struct mapped look(void)
{
    struct mapped mapped = {0, 0, {0}};
    char line[4096];
    unsigned long from, to, inode;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps)) {
        if (!strstr(line, "/memfd:hqq (deleted)") || sscanf(line, "%lx-%lx %*s %*s %*s %lu", &from, &to, &inode) != 3)
            continue;
        mapped.bytes += to - from;
        if (mapped.count < RECEIVERS)
            mapped.inode[mapped.count] = inode;
        mapped.count++;
    }
    if (maps)
        fclose(maps);
    return mapped;
}

static void send_one(int fd, pid_t owner, unsigned to, uint32_t turn)
{
    const struct datagram datagram = {.turn = turn};
    const struct sockaddr_un name = name_of(owner, to);
    if (sendto(fd, &datagram, sizeof(datagram), 0, (const struct sockaddr *)(const void *)&name, sizeof(name)) !=
        sizeof(datagram))
        fail("sendto");
}

static void send_all(pid_t owner, unsigned long most)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        for (unsigned i = 0; i + 1 < RECEIVERS; i++)
            send_one(fd, owner, i, turn);
        usleep(PAUSE_US);
        if (look().bytes > most)
            fail("links take more memory than they may");
    }
    const struct mapped full = look();
    printf("%u links with %lu KiB\n", full.count, full.bytes / 1024);
    fflush(stdout);
    if (full.bytes < most / 2 || full.count < RECEIVERS / 4)
        fail("there are too few links to tell");

    unsigned last = RECEIVERS - 1;
    struct mapped now = full;
    for (uint32_t turn = 0; turn < LATE_TURNS && !has_new(&now, &full); turn++) {
        send_one(fd, owner, last, turn);
        usleep(PAUSE_US);
        now = look();
    }
    if (!has_new(&now, &full))
        fail("the late receiver gets no link");
    if (now.bytes > most)
        fail("links take more memory than they may at last");
    for (uint32_t turn = TURNS; turn < 2 * TURNS; turn++) { /* whatever has become of their links */
        for (unsigned i = 0; i + 1 < RECEIVERS; i++)
            send_one(fd, owner, i, turn);
    }
    send_one(fd, owner, last, UINT32_MAX);
}

int main(int argc, char **argv)
{
    unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 4;
    int ready[2], status;
    char byte;
    if (!getenv("LD_PRELOAD"))
        return 77;
    if (pipe(ready) != 0)
        fail("pipe");
    alarm(100);
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            receive_all(parent, ready[1]);
        _exit(1);
    }
    if (read(ready[0], &byte, 1) != 1)
        fail("no receivers");
    send_all(parent, mib << 20);
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
