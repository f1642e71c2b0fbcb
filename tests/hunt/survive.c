/*
 * Kills one side of a conversation at a labelled point of the library, and looks at the other: a receiver has got a whole
 * sequence from its beginning and goes on with the next sender; a connected sender is told ECONNREFUSED, and what it
 * sends to the next receiver arrives. Nobody hangs: a watchdog ends whoever does; and a label at which no side was ever
 * killed is a failure. Sides are processes that are executed,
 * as the preload reads what to do when it starts; only the victim is told. Both are
 * held up now and then between a look at the receiver and the publication, so that what was published is withdrawn.
 *
 *      survive LABEL [seed]
 */
#include <errno.h>
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
#include <time.h>
#include <unistd.h>

#define WATCHDOG_SECONDS 60
#define COUNT 3000
#define TRIES 5 /* whether a side comes to a label at all is up to the scheduler, too */
#define LAST UINT32_MAX

static _Noreturn void fail(const char *what, long a, long b)
{
    fprintf(stderr, "survive: %s (%ld, %ld): %s\n", what, a, b, strerror(errno));
    _exit(1);
}

static struct sockaddr_un address_of(const char *folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
    return address;
}

static int open_socket(const struct sockaddr_un *own)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(own->sun_path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)own, sizeof(*own)) != 0)
        fail("bind", fd, 0);
    return fd;
}

/* Acknowledges every tenth, so that both directions are in use and both sides sleep now and then. */
static void receive(const char *folder, int ready)
{
    struct sockaddr_un own = address_of(folder, "in"), from;
    int fd = open_socket(&own);
    uint32_t expected = 0, number;
    if (write(ready, "", 1) != 1)
        fail("write", 0, 0);
    for (;;) {
        socklen_t length = sizeof(from);
        ssize_t got = recvfrom(fd, &number, sizeof(number), 0, (struct sockaddr *)(void *)&from, &length);
        if (got != sizeof(number))
            fail("a datagram of another length", got, 0);
        if (number == 0)
            expected = 0; /* the next sender */
        if (number == LAST)
            exit(0);
        if (number != expected++)
            fail("out of order", number, expected - 1);
        if (number % 10 == 9)
            (void)!sendto(fd, &number, sizeof(number), MSG_DONTWAIT, (struct sockaddr *)(void *)&from, length);
    }
}

/* Ends with 0 when all was sent, with 2 when the receiver has gone. */
static void transmit(const char *folder, const char *name, bool is_last)
{
    struct sockaddr_un own = address_of(folder, name), to = address_of(folder, "in");
    int fd = open_socket(&own);
    struct timeval timeout = {.tv_usec = 300000};
    uint32_t answer;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)(void *)&to, sizeof(to)) != 0)
        exit(errno == ECONNREFUSED ? 2 : 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (send(fd, &i, sizeof(i), 0) != sizeof(i)) {
            if (errno == ECONNREFUSED)
                exit(2);
            fail("send", i, errno);
        }
        if (i % 10 == 9 && recv(fd, &answer, sizeof(answer), 0) < 0 && errno != EAGAIN && errno != ECONNRESET)
            fail("recv", i, errno);
    }
    uint32_t last = LAST;
    if (is_last && send(fd, &last, sizeof(last), 0) != sizeof(last))
        fail("send", -1, errno);
    exit(0);
}

/* ---- The scenes ------------------------------------------------------------------------------------------------ */

static char folder[64];
static int kills;

static pid_t start(const char *role, const char *name, const char *victim_of, int *ret_ready)
{
    int ready[2];
    if (pipe(ready) != 0)
        fail("pipe", 0, 0);
    pid_t child = fork();
    if (child == 0) {
        char descriptor[16];
        snprintf(descriptor, sizeof(descriptor), "%d", ready[1]);
        if (victim_of)
            setenv("HQQ_TEST_KILL", victim_of, 1);
        else
            unsetenv("HQQ_TEST_KILL");
        setenv("HQQ_TEST_HOLD", "channel.filled:50", 1);
        execl("/proc/self/exe", "survive", role, folder, name, descriptor, NULL);
        _exit(127);
    }
    close(ready[1]);
    char byte;
    if (ret_ready && read(ready[0], &byte, 1) < 0)
        fail("read", 0, 0);
    close(ready[0]);
    return child;
}

static int end_of(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void kill_sender(const char *at)
{
    int ready;
    pid_t receiver = start("receive", "in", NULL, &ready);
    int end = end_of(start("transmit", "first", at, NULL));
    if (end != 0 && end != -SIGKILL)
        fail("the victim", end, 0);
    kills += end == -SIGKILL;
    end = end_of(start("last", "second", NULL, NULL));
    int rest = end_of(receiver);
    if (end != 0 || rest != 0)
        fail("after the sender was killed: the next sender, the receiver", end, rest);
}

static void kill_receiver(const char *at)
{
    int ready;
    pid_t receiver = start("receive", "in", at, &ready);
    pid_t sender = start("transmit", "first", NULL, NULL);
    int end = end_of(sender);
    if (end == 0) /* it never came to that point */
        end = end_of(start("last", "second", NULL, NULL));
    int victim = end_of(receiver);
    bool is_told = victim == -SIGKILL && (end == 2 || end == 0); /* 0: killed when all was sent */
    if (!is_told && (end != 0 || victim != 0))
        fail("after the receiver was killed: the sender, the victim", end, victim);
    kills += victim == -SIGKILL;
    kill_sender("none:1");
}

static int side(char **arguments)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(WATCHDOG_SECONDS);
    if (strcmp(arguments[0], "receive") == 0)
        receive(arguments[1], atoi(arguments[3]));
    transmit(arguments[1], arguments[2], strcmp(arguments[0], "last") == 0);
    return 0;
}

int main(int argc, char **argv)
{
    static const int passings[] = {1, 2, 5, 40};
    if (argc == 5)
        return side(argv + 1);
    if (argc != 2)
        return 64;
    const size_t count = sizeof(passings) / sizeof(passings[0]);
    for (size_t i = 0; i < count || (kills == 0 && i < TRIES * count); i++) {
        char at[80];
        snprintf(at, sizeof(at), "%s:%d", argv[1], passings[i % count]);
        snprintf(folder, sizeof(folder), "/tmp/hqq-hunt-XXXXXX");
        if (!mkdtemp(folder))
            fail("mkdtemp", 0, 0);
        kill_sender(at);
        kill_receiver(at);
        static const char *const names[] = {"in", "first", "second"};
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
            struct sockaddr_un address = address_of(folder, names[k]);
            unlink(address.sun_path);
        }
        rmdir(folder);
    }
    errno = 0;
    if (kills == 0)
        fail("nobody came to that label", 0, 0);
    return 0;
}
