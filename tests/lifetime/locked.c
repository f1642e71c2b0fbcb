/*
 * A process that locks all its memory, with a limit that holds little more than it had before its sockets were used: a
 * receiver with many clients, and a sender with many receivers. What succeeds without the preload succeeds with it, and
 * whatever comes of it each client's datagrams arrive, in order. Exit 77 where the limit can't be had.
 *
 *      locked [receiver|sender] [channels that there must have been]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS 24u
#define TURNS 40u
#define SPARE_BYTES ((rlim_t)3 << 20)
#define LEAST_BYTES ((rlim_t)1 << 20) /* of these, for libc and pools */

struct datagram {
    uint32_t client, turn;
    char rest[1000];
};

static int told[2]; /* the receiver is ready for more */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "locked: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static struct sockaddr_un name_of(unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "hqq-locked-%d-%u", getppid(), number);
    return address;
}

static void say(const int pipe[2])
{
    if (write(pipe[1], "", 1) != 1)
        fail("pipe");
}

static void hear(const int pipe[2])
{
    char byte;
    if (read(pipe[0], &byte, 1) != 1)
        fail("the other side has ended");
}

/* ---- The limit --------------------------------------------------------------------------------------------------- */

static rlim_t address_space(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (!statm || fscanf(statm, "%lu", &pages) != 1)
        _exit(77);
    fclose(statm);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static void set_limit(void)
{
    struct rlimit limit;
    rlim_t space = address_space();
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        _exit(77);
    if (limit.rlim_max > space + SPARE_BYTES)
        limit.rlim_max = space + SPARE_BYTES;
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < space + LEAST_BYTES || setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        _exit(77);
}

/* As a user who has to keep a limit; both sides, as users share no channels. */
static void drop_rights(void)
{
    if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
        _exit(77);
}

static unsigned count_channels(void)
{
    char line[4096];
    unsigned count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof(line), maps))
        count += strstr(line, "/memfd:hqq (deleted)") != NULL;
    if (maps)
        fclose(maps);
    return count;
}

static void lock_and_go_on(unsigned channels)
{
    unsigned before = count_channels();
    printf("%u channels\n", before);
    fflush(stdout);
    if (before < channels)
        fail("there are too few channels to tell");
    if (mlockall(MCL_CURRENT) != 0)
        fail("mlockall");
    if (channels != 0 && count_channels() != 0)
        fail("channels that hold nothing are locked");
}

/* ---- Sides ------------------------------------------------------------------------------------------------------- */

/* One socket for all, or one for each client. */
static void open_receivers(int fd[PAIRS], unsigned sockets)
{
    for (unsigned i = 0; i < sockets; i++) {
        const struct sockaddr_un name = name_of(i);
        fd[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (fd[i] < 0 || bind(fd[i], (const struct sockaddr *)(const void *)&name, sizeof(name)) != 0)
            fail("bind");
    }
}

static void receive(const int fd[PAIRS], unsigned sockets, uint32_t turn[PAIRS], unsigned count)
{
    struct pollfd waiting[PAIRS];
    for (unsigned i = 0; i < sockets; i++)
        waiting[i] = (struct pollfd){.fd = fd[i], .events = POLLIN};
    while (count > 0) {
        struct datagram datagram;
        if (poll(waiting, sockets, 20000) < 1)
            fail("a datagram is lost");
        for (unsigned i = 0; i < sockets && count > 0; i++) {
            if (!(waiting[i].revents & POLLIN) || recv(fd[i], &datagram, sizeof(datagram), 0) != sizeof(datagram))
                continue;
            if (datagram.client >= PAIRS || datagram.turn != turn[datagram.client]++)
                fail("a datagram is lost, or out of order");
            count--;
        }
    }
}

/* Slowly at first: an offer that was refused is made again after 10 ms, 20 ms and so on. */
static void send_turns(const int fd[PAIRS], bool is_one_socket, uint32_t *turn, unsigned turns, unsigned pause_us)
{
    for (uint32_t end = *turn + turns; *turn < end; (*turn)++) {
        usleep(pause_us);
        for (unsigned i = 0; i < PAIRS; i++) {
            const struct datagram datagram = {.client = i, .turn = *turn};
            const struct sockaddr_un to = name_of(is_one_socket ? i : 0);
            if (sendto(fd[is_one_socket ? 0 : i], &datagram, sizeof(datagram), 0,
                       (const struct sockaddr *)(const void *)&to, sizeof(to)) != sizeof(datagram))
                fail("sendto");
        }
    }
}

static void receive_all(bool is_locked, unsigned channels)
{
    int fd[PAIRS];
    uint32_t turn[PAIRS] = {0};
    unsigned sockets = is_locked ? 1 : PAIRS;
    open_receivers(fd, sockets);
    if (is_locked)
        set_limit();
    drop_rights();
    say(told);
    receive(fd, sockets, turn, PAIRS * TURNS);
    if (is_locked)
        lock_and_go_on(channels);
    say(told);
    receive(fd, sockets, turn, PAIRS * TURNS);
    if (is_locked) /* in the midst of it, when some is unread: it may fail */
        munlockall();
    say(told);
    receive(fd, sockets, turn, PAIRS * TURNS / 2);
    if (is_locked)
        mlockall(MCL_CURRENT);
    receive(fd, sockets, turn, PAIRS * TURNS - PAIRS * TURNS / 2);
    say(told);
}

static void send_all(bool is_locked, unsigned channels)
{
    int fd[PAIRS];
    uint32_t turn = 0;
    for (unsigned i = 0; i < (is_locked ? 1 : PAIRS); i++) {
        fd[i] = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (fd[i] < 0)
            fail("socket");
    }
    if (is_locked)
        set_limit();
    drop_rights();
    hear(told);
    send_turns(fd, is_locked, &turn, TURNS, 3000);
    hear(told);
    if (is_locked)
        lock_and_go_on(channels);
    send_turns(fd, is_locked, &turn, TURNS, 3000);
    if (is_locked)
        munlockall();
    hear(told);
    send_turns(fd, is_locked, &turn, TURNS / 2, 0);
    if (is_locked)
        mlockall(MCL_CURRENT);
    send_turns(fd, is_locked, &turn, TURNS - TURNS / 2, 0);
    hear(told);
}

int main(int argc, char **argv)
{
    bool locks_sender = argc > 1 && strcmp(argv[1], "sender") == 0;
    unsigned channels = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    if (pipe(told) != 0)
        fail("pipe");
    int result = 0;
    for (int side = 0; side < 2; side++) {
        pid_t parent = getpid(), child = fork();
        if (child != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(60);
        if (getppid() != parent)
            _exit(1);
        if (side == 0) {
            receive_all(!locks_sender, channels);
        } else {
            close(told[1]);
            send_all(locks_sender, channels);
        }
        _exit(0);
    }
    close(told[1]);
    for (int side = 0; side < 2 && result == 0; side++) { /* the other one ends with this process */
        int status;
        if (wait(&status) < 0 || status != 0)
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    return result;
}
