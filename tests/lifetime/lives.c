/*
 * A long life, in which many short ones come and go: sockets and links are opened and closed, peers end, are killed and
 * come back, children are forked and executed. What this process holds is counted after some lives of a kind, and again
 * after many more: descriptors, those that are hidden too, mappings, resident memory. One thing kept for each life is
 * found. Calls of libc alone: it is run under the preload, and built with <hqq/rename.h>.
 *
 *      lives [KIND|all] [lives of each kind]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

#define TURNS 24u
#define WATCHDOG_SECONDS 500
#define QUIET_WAITS 12

static char folder[] = "/tmp/hqq-lives-XXXXXX";
static int server; /* lives as long as the process */
static unsigned life;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "lives: life %u: %s: %s\n", life, what, strerror(errno));
    _exit(1);
}

static struct sockaddr_un name_of(const char *name, unsigned number)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s-%u", folder, name, number);
    return address;
}

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)(const void *)address;
}

static int bound(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(address->sun_path);
    if (fd < 0 || bind(fd, generic(address), sizeof(*address)) != 0)
        fail(address->sun_path);
    return fd;
}

/* ---- Two sides ------------------------------------------------------------------------------------------------- */

static bool wait_for_input(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 30000) == 1;
}

/* Sends back what comes, for so many turns; 0: for ever. */
static void answer(int fd, unsigned turns)
{
    for (unsigned i = 0; turns == 0 || i < turns; i++) {
        struct sockaddr_un from;
        socklen_t length = sizeof(from);
        uint32_t number;
        if (!wait_for_input(fd))
            fail("no question comes");
        if (recvfrom(fd, &number, sizeof(number), 0, (struct sockaddr *)(void *)&from, &length) != sizeof(number))
            fail("recvfrom");
        if (sendto(fd, &number, sizeof(number), 0, generic(&from), length) < 0 && errno != ECONNREFUSED)
            fail("an answer");
    }
}

static void ask(int fd, const struct sockaddr_un *to, unsigned turns)
{
    for (uint32_t i = 0; i < turns; i++) {
        uint32_t number = UINT32_MAX;
        ssize_t sent = to ? sendto(fd, &i, sizeof(i), 0, generic(to), sizeof(*to)) : send(fd, &i, sizeof(i), 0);
        if (sent != sizeof(i))
            fail("a question");
        if (!wait_for_input(fd) || recv(fd, &number, sizeof(number), 0) != sizeof(number) || number != i)
            fail("no answer");
    }
}

/* A child that does this; it ends with its parent. */
static pid_t start(void (*body)(int ready), int *ret_ready)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0)
        fail("pipe");
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close(ready[0]);
        alarm(WATCHDOG_SECONDS);
        body(ready[1]);
        _exit(0);
    }
    close(ready[1]);
    *ret_ready = ready[0];
    return child;
}

static void say_ready(int ready)
{
    if (write(ready, "", 1) != 1)
        _exit(1);
}

static void wait_until_ready(int ready)
{
    char byte;
    if (read(ready, &byte, 1) != 1)
        fail("a child ended early");
    close(ready);
}

static void end(pid_t child, bool is_killed)
{
    int status;
    if (is_killed)
        kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || (!is_killed && status != 0))
        fail("a child ended badly");
}

/* ---- The kinds of lives ---------------------------------------------------------------------------------------- */

static void be_a_server(int ready)
{
    struct sockaddr_un own = name_of("peer", 0);
    int fd = bound(&own);
    say_ready(ready);
    answer(fd, 0);
}

static void be_a_client(int ready)
{
    struct sockaddr_un own = name_of("client", life), to = name_of("server", 0);
    int fd = bound(&own);
    say_ready(ready);
    if (life % 2 == 0 && connect(fd, generic(&to), sizeof(to)) != 0)
        fail("connect");
    ask(fd, life % 2 == 0 ? NULL : &to, TURNS);
    if (life % 4 < 2)
        raise(SIGKILL);
    close(fd);
}

/* Sockets of this process, to one peer that stays. */
static void live_as_client(pid_t peer)
{
    struct sockaddr_un own = name_of("own", life), to = name_of("peer", 0);
    int fd = bound(&own);
    (void)peer;
    if (life % 2 == 0 && connect(fd, generic(&to), sizeof(to)) != 0)
        fail("connect");
    ask(fd, life % 2 == 0 ? NULL : &to, TURNS);
    close(fd);
    unlink(own.sun_path);
}

/* Clients in processes of their own, which end or are killed, at a socket that stays. */
static void live_as_server(pid_t peer)
{
    int ready, status;
    (void)peer;
    pid_t client = start(be_a_client, &ready);
    wait_until_ready(ready);
    answer(server, TURNS);
    if (waitpid(client, &status, 0) != client || (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : status != 0))
        fail("a client ended badly");
}

/* A socket that stays, and a peer that is killed and comes back. */
static void live_with_deaths(pid_t peer)
{
    static int fd = -1;
    struct sockaddr_un to = name_of("peer", 0), own = name_of("own", 0);
    uint32_t number = 0;
    int ready;
    (void)peer;
    if (fd < 0)
        fd = bound(&own);
    pid_t victim = start(be_a_server, &ready);
    wait_until_ready(ready);
    ask(fd, &to, TURNS);
    end(victim, true);
    if (sendto(fd, &number, sizeof(number), 0, generic(&to), sizeof(to)) >= 0 || errno != ECONNREFUSED)
        fail("a send to the dead");
}

static void use_and_end(int ready)
{
    struct sockaddr_un own = name_of("own", 1), to = name_of("peer", 0);
    say_ready(ready);
    int fd = bound(&own);
    ask(fd, &to, 4);
    if (life % 2 == 0)
        execl("/bin/true", "true", (char *)NULL);
}

/* Children that inherit a link, use the socket's peer, and end or execute a program. */
static void live_with_children(pid_t peer)
{
    struct sockaddr_un own = name_of("own", 2), to = name_of("peer", 0);
    int ready, fd = bound(&own);
    (void)peer;
    ask(fd, &to, TURNS);
    pid_t child = start(use_and_end, &ready);
    wait_until_ready(ready);
    end(child, false);
    ask(fd, &to, TURNS);
    close(fd);
}

static const struct {
    const char *name;
    void (*live)(pid_t peer);
    bool has_peer;
} kinds[] = {
    {"client", live_as_client, true},
    {"server", live_as_server, false},
    {"deaths", live_with_deaths, false},
    {"children", live_with_children, true},
};

/* ---- Counting -------------------------------------------------------------------------------------------------- */

struct holdings {
    long descriptors, mappings, resident_kb;
};

static long count_lines(const char *path)
{
    FILE *file = fopen(path, "re");
    long count = 0;
    if (!file)
        fail(path);
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static struct holdings count(void)
{
    struct holdings holdings = {0};
    char line[256], byte;
    for (int i = 0; i < QUIET_WAITS; i++) { /* what is over is swept up before a sleep, now and then */
        struct pollfd one = {.fd = server, .events = POLLIN};
        poll(&one, 1, 15);
        (void)recv(server, &byte, 1, MSG_DONTWAIT);
    }
    DIR *directory = opendir("/proc/self/fd");
    FILE *status = fopen("/proc/self/status", "re");
    if (!directory || !status)
        fail("/proc/self");
    while (readdir(directory))
        holdings.descriptors++;
    closedir(directory);
    while (fgets(line, sizeof(line), status)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            holdings.resident_kb = strtol(line + 6, NULL, 10);
    }
    fclose(status);
    holdings.mappings = count_lines("/proc/self/maps");
    return holdings;
}

/* Less than one for each life: what may differ is what is kept for the next one. */
static void compare(const char *kind, struct holdings before, struct holdings after, unsigned lives)
{
    long few = 4 + (long)lives / 16;
    printf("%s: %u lives: descriptors %ld, %ld; mappings %ld, %ld; resident %ld kB, %ld kB\n", kind, lives,
           before.descriptors, after.descriptors, before.mappings, after.mappings, before.resident_kb,
           after.resident_kb);
    fflush(stdout);
    errno = 0;
    if (after.descriptors > before.descriptors + 2)
        fail("descriptors are left open");
    if (after.mappings > before.mappings + few)
        fail("mappings are left");
    if (after.resident_kb > before.resident_kb + 1024 + (long)lives / 2)
        fail("memory is left");
}

static void live(size_t kind, unsigned lives)
{
    int ready;
    pid_t peer = 0;
    struct holdings before = {0};
    unsigned warm = lives / 4 + 16;
    if (kinds[kind].has_peer) {
        peer = start(be_a_server, &ready);
        wait_until_ready(ready);
    }
    for (life = 0; life < warm + lives; life++) {
        if (life == warm)
            before = count();
        kinds[kind].live(peer);
    }
    compare(kinds[kind].name, before, count(), lives);
    if (peer != 0)
        end(peer, true);
}

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "all";
    unsigned lives = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 100;
    bool is_known = false;
    if (!mkdtemp(folder))
        return 1;
    alarm(WATCHDOG_SECONDS);
    struct sockaddr_un own = name_of("server", 0);
    server = bound(&own);
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        if (strcmp(wanted, "all") != 0 && strcmp(wanted, kinds[kind].name) != 0)
            continue;
        is_known = true;
        live(kind, lives);
    }
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[sizeof(folder) + sizeof(entry->d_name) + 1];
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(directory);
    rmdir(folder);
    return is_known ? 0 : 64;
}
