/*
 * Threads that do all at once what programs do with sockets, by calls of libc alone: it is run under the preload, also
 * one that was built with a sanitizer, and without. Several threads send to one socket by one descriptor and by their own;
 * several receive there, blocked, polling and in epoll; others open, connect and close sockets, duplicate them, and
 * change options meanwhile. What each descriptor sends is received once, each byte of it; a watchdog ends a stall.
 *
 *      threads [datagrams]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SENDERS 4u
#define RECEIVERS 3u
#define MOST 4096u
#define WATCHDOG_SECONDS 120

struct message {
    uint32_t sender, number;
    uint8_t fill[120];
};

static char folder[] = "/tmp/hqq-threads-XXXXXX";
static struct sockaddr_un server;
static uint32_t count = 2000;
static int in, common;
static _Atomic uint8_t seen[SENDERS][MOST];
static _Atomic uint32_t received;
static atomic_bool is_over;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "threads: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)(const void *)address;
}

static int bound(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(address.sun_path);
    if (fd < 0 || bind(fd, generic(&address), sizeof(address)) != 0)
        fail(name);
    return fd;
}

/* ---- Sending --------------------------------------------------------------------------------------------------- */

static void *transmit(void *argument)
{
    uint32_t sender = (uint32_t)(uintptr_t)argument;
    char name[16];
    snprintf(name, sizeof(name), "sender-%u", sender);
    int own = bound(name);
    if (connect(own, generic(&server), sizeof(server)) != 0)
        fail("connect");
    for (uint32_t number = 0; number < count; number++) {
        struct message message = {.sender = sender, .number = number};
        memset(message.fill, (int)(sender + number) & 255, sizeof(message.fill));
        ssize_t sent = number % 3 == 0 ? sendto(common, &message, sizeof(message), 0, generic(&server), sizeof(server))
                                       : send(own, &message, sizeof(message), 0);
        if (sent != sizeof(message))
            fail("send");
    }
    close(own);
    return NULL;
}

/* ---- Receiving ------------------------------------------------------------------------------------------------- */

static void take(const struct message *message, ssize_t length)
{
    if (length != sizeof(*message) || message->sender >= SENDERS || message->number >= count)
        fail("a strange datagram");
    for (size_t i = 0; i < sizeof(message->fill); i++) {
        if (message->fill[i] != ((message->sender + message->number) & 255))
            fail("a torn datagram");
    }
    if (atomic_exchange(&seen[message->sender][message->number], 1) != 0)
        fail("a datagram came twice");
    if (atomic_fetch_add(&received, 1) + 1 == SENDERS * count)
        atomic_store(&is_over, true);
}

static void *receive(void *argument)
{
    uintptr_t way = (uintptr_t)argument;
    struct pollfd one = {.fd = in, .events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (way == 2 && epoll_ctl(epoll, EPOLL_CTL_ADD, in, &event) != 0)
        fail("epoll_ctl");
    while (!atomic_load(&is_over)) {
        struct message message;
        if (way == 1)
            poll(&one, 1, 5);
        else if (way == 2)
            epoll_wait(epoll, &event, 1, 5);
        ssize_t got = recv(in, &message, sizeof(message), way == 0 ? 0 : MSG_DONTWAIT);
        if (got >= 0)
            take(&message, got);
        else if (errno != EAGAIN)
            fail("recv");
    }
    close(epoll);
    return NULL;
}

/* ---- Comings and goings ---------------------------------------------------------------------------------------- */

static void *come_and_go(void *argument)
{
    char name[16], byte;
    (void)argument;
    for (int i = 0; !atomic_load(&is_over); i++) {
        snprintf(name, sizeof(name), "guest-%d", i % 4);
        int guest = bound(name);
        int again = dup(guest);
        int size = 1 << 16, waiting;
        struct sockaddr_un nowhere = {.sun_family = AF_UNSPEC};
        connect(guest, generic(&server), sizeof(server));
        setsockopt(guest, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        (void)recv(again, &byte, 1, MSG_DONTWAIT);
        connect(guest, generic(&nowhere), sizeof(sa_family_t));
        struct pollfd both[2] = {{.fd = guest, .events = POLLIN}, {.fd = in, .events = POLLIN}};
        poll(both, 2, 0);
        if (i % 64 == 0)
            usleep(1000);
        (void)getsockopt(in, SOL_SOCKET, SO_SNDBUF, &waiting, &(socklen_t){sizeof(waiting)});
        close(guest);
        close(again);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t senders[SENDERS], receivers[RECEIVERS], guest;
    struct timeval patience = {.tv_usec = 5000};
    if (argc > 1)
        count = (uint32_t)strtoul(argv[1], NULL, 0);
    if (count == 0 || count > MOST || !mkdtemp(folder))
        return 64;
    alarm(WATCHDOG_SECONDS);
    server.sun_family = AF_UNIX;
    snprintf(server.sun_path, sizeof(server.sun_path), "%s/server", folder);
    in = bound("server");
    common = bound("common");
    setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    for (uintptr_t i = 0; i < RECEIVERS; i++)
        pthread_create(&receivers[i], NULL, receive, (void *)i);
    for (uintptr_t i = 0; i < SENDERS; i++)
        pthread_create(&senders[i], NULL, transmit, (void *)i);
    pthread_create(&guest, NULL, come_and_go, NULL);
    for (size_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i], NULL);
    for (size_t i = 0; i < RECEIVERS; i++)
        pthread_join(receivers[i], NULL);
    pthread_join(guest, NULL);
    close(in);
    close(common);
    static const char *const names[] = {"server",   "common",  "sender-0", "sender-1", "sender-2",
                                        "sender-3", "guest-0", "guest-1",  "guest-2",  "guest-3"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    printf("threads: %u datagrams, each once\n", received);
    return rmdir(folder);
}
