/*
 * Receivers that are killed at random moments, one after the other, under one name; a sender that goes on. Counts what was
 * sent and never received: natively that is what the kernel's queue held, and the datagram that the receiver was at work on.
 * Nothing may come twice, or out of order. Run plain and under the preload, which must have used rings.
 *
 *      killed stalled|streaming|connected [KILLS]
 *
 * stalled: receivers stop reading some time before they are killed. streaming: they read to the end. connected: as
 * stalled, by a sender that is connected, connects again when it is refused, and does not stream.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST (1u << 23)
#define MOST_READ (is_connected ? 100u : 2000u)
#define PAUSE_US 100
#define LONGEST_LIFE_MS 200
#define USUAL_QUEUE 10u
#define IN_HAND                                                                                                        \
    2u /* taken by a receiver that is killed before it says so; and the sender's own, at the moment of death */

struct shared {
    volatile unsigned kills, reads; /* and those of the present receiver */
    volatile bool is_over;
    unsigned char sent[MOST], got[MOST];
};

static struct shared *shared;
static struct sockaddr_un name = {.sun_family = AF_UNIX};
static bool is_stalled, is_connected;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "killed: %s: %s\n", what, strerror(errno));
    _exit(1);
}

/* ---- Receivers --------------------------------------------------------------------------------------------------- */

static _Noreturn void receive_all(unsigned reads)
{
    uint32_t last = 0, number;
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bind(fd, (const struct sockaddr *)(const void *)&name, sizeof(name)) != 0)
        fail("bind");
    for (unsigned i = 0; !is_stalled || i < reads; i++) {
        ssize_t result; /* by looking, so that the ring is not left for a sleep */
        while ((result = recv(fd, &number, sizeof(number), MSG_DONTWAIT)) < 0 && errno == EAGAIN)
            sched_yield();
        if (result != sizeof(number))
            fail("recv");
        if (number >= MOST || shared->got[number] != 0)
            fail("a datagram came twice");
        if (i > 0 && number <= last)
            fail("a datagram overtook another");
        shared->got[number] = 1;
        shared->reads++;
        last = number;
    }
    for (;;)
        pause();
}

static _Noreturn void supervise(unsigned kills)
{
    int status;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned i = 0; i < kills; i++) {
        unsigned reads = 1 + (unsigned)rand() % MOST_READ;
        shared->reads = 0;
        pid_t child = fork();
        if (child == 0)
            receive_all(reads);
        for (int ms = 0; ms < LONGEST_LIFE_MS && shared->reads < reads; ms++)
            usleep(1000);
        usleep((unsigned)rand() % (is_connected ? 30000 : 3000));
        kill(child, SIGKILL);
        if (i % 2 == 0)
            usleep((unsigned)rand() % 3000); /* it is dead, and not yet waited for */
        if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
            fail("a receiver");
        shared->kills++;
        if (i % 3 == 0)
            usleep((unsigned)rand() % 3000);
        unlink(name.sun_path);
    }
    is_stalled = false; /* the last one has all that is there still */
    pid_t child = fork();
    if (child == 0)
        receive_all(0);
    shared->is_over = true;
    pid_t parent = getppid();
    while (getppid() == parent)
        usleep(1000);
    kill(child, SIGKILL);
    _exit(0);
}

/* ---- The sender -------------------------------------------------------------------------------------------------- */

static bool has_ring(void)
{
    char line[512];
    bool is_there = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && !is_there && fgets(line, sizeof(line), maps))
        is_there = strstr(line, "/memfd:hqq (deleted)") != NULL;
    if (maps)
        fclose(maps);
    return is_there;
}

static bool send_one(int fd, uint32_t number)
{
    const struct sockaddr *to = is_connected ? NULL : (const struct sockaddr *)(const void *)&name;
    ssize_t result = sendto(fd, &number, sizeof(number), MSG_DONTWAIT, to, to ? sizeof(name) : 0);
    if (result == sizeof(number))
        return true;
    if (errno != EAGAIN && errno != ECONNREFUSED && errno != ENOENT && errno != ENOTCONN && errno != EDESTADDRREQ)
        fail("sendto");
    if (is_connected && errno != EAGAIN)
        (void)connect(fd, (const struct sockaddr *)(const void *)&name, sizeof(name));
    usleep(50);
    return false;
}

static unsigned send_all(int fd, unsigned *ret_rings)
{
    unsigned number = 0, seen = 0;
    while (!shared->is_over && number < MOST - 100) {
        if (send_one(fd, number))
            shared->sent[number++] = 1;
        if (is_connected)
            usleep(PAUSE_US);
        if (shared->kills != seen && number % 32 == 0 && has_ring()) {
            seen = shared->kills;
            (*ret_rings)++;
        }
    }
    for (unsigned i = 0; i < 50;) { /* to the last one: what was kept is sent again before these */
        if (send_one(fd, number)) {
            shared->sent[number++] = 1;
            i++;
        }
    }
    return number;
}

static unsigned queue_length(void)
{
    unsigned length = USUAL_QUEUE;
    FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
    if (file && fscanf(file, "%u", &length) != 1) /* NOLINT(cert-err34-c) */
        length = USUAL_QUEUE;
    if (file)
        fclose(file);
    return length + 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "stalled";
    unsigned kills = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 60, rings = 0, lost = 0;
    is_connected = strcmp(what, "connected") == 0;
    is_stalled = strcmp(what, "streaming") != 0;
    alarm(100);
    srand((unsigned)getpid());
    snprintf(name.sun_path, sizeof(name.sun_path), "/tmp/hqq-killed-%d", getpid());
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("mmap");
    pid_t supervisor = fork();
    if (supervisor == 0)
        supervise(kills);
    unsigned count = send_all(socket(AF_UNIX, SOCK_DGRAM, 0), &rings);
    for (int i = 0; i < 10000 && shared->got[count - 1] == 0; i++)
        usleep(1000);
    if (shared->got[count - 1] == 0)
        fail("the last datagram does not come");
    for (unsigned i = 0; i < count; i++)
        lost += shared->got[i] == 0;
    unsigned most = queue_length() * (is_connected ? 2 : 1) + IN_HAND;
    printf("%s: %u sent, %u receivers killed, %u with a ring; %u lost, %.1f by each; %u are allowed\n", what, count,
           kills, rings, lost, (double)lost / kills, most);
    fflush(stdout);
    unlink(name.sun_path);
    if (lost > most * kills)
        fail("too much is lost");
    const char *preload = getenv("LD_PRELOAD");
    if (preload && strstr(preload, "hqq-preload") && rings < kills / 4)
        fail("hardly a ring was used");
    return 0;
}
