/*
 * Hunts lost wakeups, and lost, doubled or reordered datagrams, with sockets only: it is run under the preload, and
 * without. Several processes send bursts of numbered datagrams to one receiver, which acknowledges the last of each
 * burst; a sender that has no acknowledgement sends nothing more, so a wakeup that gets lost is a stall, and a watchdog
 * in each process ends the hunt. Who waits does so in the way that is hunted.
 *
 *      hunt WAIT [senders] [bursts] [seed]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 40000
#define SENDERS 16
#define WATCHDOG_SECONDS 60

enum wait {
    WAIT_BLOCK,
    WAIT_TIMEOUT, /* SO_RCVTIMEO */
    WAIT_SIGNALS, /* blocking, with an interval timer */
    WAIT_POLL,
    WAIT_PPOLL,
    WAIT_SELECT,
    WAIT_EPOLL,
    WAIT_EDGE,
    WAIT_ONESHOT,
    WAIT_NESTED,
    WAIT_THREADS,      /* several threads in recv */
    WAIT_POLL_THREADS, /* several threads in poll, then recv without waiting */
    WAIT_COUNT,
};

static const char *const names[WAIT_COUNT] = {"block", "timeout", "signals", "poll",   "ppoll",   "select",
                                              "epoll", "edge",    "oneshot", "nested", "threads", "poll-threads"};

struct message {
    uint32_t sender, number;
    uint32_t length; /* of the whole */
    uint32_t wants_ack;
};

static char folder[64];
static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static _Noreturn void fail(const char *what, long a, long b)
{
    fprintf(stderr, "hunt: process %d: %s (%ld, %ld)%s%s\n", (int)getpid(), what, a, b, errno ? ": " : "",
            errno ? strerror(errno) : "");
    _exit(1);
}

static void on_alarm(int number)
{
    static const char text[] = "hunt: stalled\n";
    (void)number;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(3);
    if (getenv("HQQ_TEST_STOP_ON_STALL"))
        raise(SIGSTOP);
    _exit(2);
}

static void on_tick(int number)
{
    (void)number;
}

static void set_watchdog(void)
{
    alarm(WATCHDOG_SECONDS);
}

/* ---- Sockets --------------------------------------------------------------------------------------------------- */

static struct sockaddr_un address_of(int index)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%d", folder, index);
    return address;
}

struct end {
    int fd;
    enum wait wait;
    int epoll, outer;
};

static void open_end(struct end *end, enum wait wait, int index)
{
    struct sockaddr_un address = address_of(index);
    end->wait = wait;
    end->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (end->fd < 0 || bind(end->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        fail("bind", index, 0);
    end->epoll = end->outer = -1;
    if (wait == WAIT_TIMEOUT) {
        struct timeval timeout = {.tv_usec = 700};
        setsockopt(end->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    }
    if (wait == WAIT_SIGNALS) {
        struct sigaction action = {.sa_handler = on_tick, .sa_flags = index % 2 ? SA_RESTART : 0};
        struct itimerval often = {{0, 90}, {0, 90}};
        sigaction(SIGPROF, &action, NULL);
        action.sa_flags = SA_RESTART;
        sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
        sigaction(SIGVTALRM, &action, NULL);
        setitimer(ITIMER_PROF, &often, NULL);
        timer_t timer;
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
        struct itimerspec spec = {{0, 110000}, {0, 110000}};
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) == 0)
            timer_settime(timer, 0, &spec, NULL);
    }
    if (wait == WAIT_EPOLL || wait == WAIT_EDGE || wait == WAIT_ONESHOT || wait == WAIT_NESTED) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = end->fd};
        if (wait == WAIT_EDGE)
            event.events |= EPOLLET;
        if (wait == WAIT_ONESHOT)
            event.events |= EPOLLONESHOT;
        end->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_ctl(end->epoll, EPOLL_CTL_ADD, end->fd, &event) != 0)
            fail("epoll_ctl", 0, 0);
        if (wait == WAIT_NESTED) {
            end->outer = epoll_create1(EPOLL_CLOEXEC);
            event.data.fd = end->epoll;
            if (epoll_ctl(end->outer, EPOLL_CTL_ADD, end->epoll, &event) != 0)
                fail("epoll_ctl", 1, 0);
        }
    }
    if (wait >= WAIT_POLL && wait != WAIT_THREADS)
        fcntl(end->fd, F_SETFL, O_NONBLOCK);
}

/* Returns when the end's wait says that there is something, or for no reason. */
static void wait_for_input(const struct end *end)
{
    struct pollfd poll_one = {.fd = end->fd, .events = POLLIN};
    struct epoll_event event;
    fd_set set;
    switch (end->wait) {
    case WAIT_POLL:
    case WAIT_POLL_THREADS:
        poll(&poll_one, 1, -1);
        break;
    case WAIT_PPOLL: {
        struct timespec limit = {.tv_nsec = 800000};
        ppoll(&poll_one, 1, &limit, NULL);
        break;
    }
    case WAIT_SELECT:
        FD_ZERO(&set);
        FD_SET(end->fd, &set);
        select(end->fd + 1, &set, NULL, NULL, NULL);
        break;
    case WAIT_EPOLL:
    case WAIT_EDGE:
        epoll_wait(end->epoll, &event, 1, -1);
        break;
    case WAIT_ONESHOT:
        event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.fd = end->fd};
        epoll_ctl(end->epoll, EPOLL_CTL_MOD, end->fd, &event);
        epoll_wait(end->epoll, &event, 1, -1);
        break;
    case WAIT_NESTED:
        epoll_wait(end->outer, &event, 1, -1);
        epoll_wait(end->epoll, &event, 1, 0);
        break;
    default:
        break;
    }
}

static void check_content(const unsigned char *data, ssize_t length)
{
    const struct message *head = (const void *)data;
    if (length < (ssize_t)sizeof(*head) || head->length != (uint32_t)length)
        fail("a datagram of the wrong length", length, head->length);
    for (ssize_t i = sizeof(*head); i < length; i += 97) {
        if (data[i] != (unsigned char)(head->number + (uint32_t)i))
            fail("a datagram of the wrong content", i, length);
    }
}

static ssize_t receive(const struct end *end, unsigned char *data, struct sockaddr_un *from)
{
    for (;;) {
        socklen_t length = sizeof(*from);
        ssize_t result = recvfrom(end->fd, data, LONGEST, 0, (struct sockaddr *)from, &length);
        if (result >= 0) {
            check_content(data, result);
            return result;
        }
        bool may_be_empty = end->wait != WAIT_BLOCK && end->wait != WAIT_SIGNALS && end->wait != WAIT_THREADS;
        if (errno != EINTR && (errno != EAGAIN || !may_be_empty))
            fail("recvfrom", result, 0);
        if (errno == EAGAIN)
            wait_for_input(end);
        errno = 0;
    }
}

static void transmit(const struct end *end, const void *data, size_t length, const struct sockaddr_un *to)
{
    while (sendto(end->fd, data, length, 0, (const struct sockaddr *)to, to ? sizeof(*to) : 0) < 0) {
        if (errno == EAGAIN)
            usleep(50);
        else if (errno != EINTR)
            fail("sendto", (long)length, 0);
        errno = 0;
    }
}

/* ---- The two sides --------------------------------------------------------------------------------------------- */

static void send_bursts(enum wait wait, int index, int bursts)
{
    static unsigned char data[LONGEST];
    struct end end;
    struct sockaddr_un to = address_of(0), from;
    uint32_t number = 0;
    random_state = random_state * 2654435761u + (uint32_t)index * 40503u + 1;
    /* Acknowledgements are awaited in one thread. */
    open_end(&end, wait == WAIT_THREADS ? WAIT_BLOCK : wait == WAIT_POLL_THREADS ? WAIT_POLL : wait, index);
    bool is_connected = index % 2;
    if (is_connected && connect(end.fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        fail("connect", 0, 0);
    for (int burst = 0; burst < bursts; burst++) {
        uint32_t kind = next_random() % 16;
        uint32_t count = kind < 10 ? 1 + next_random() % 3 : kind < 15 ? 1 + next_random() % 40 : 400;
        uint32_t size = next_random() % 8 ? 16 + next_random() % 200 : 16 + next_random() % (LONGEST - 16);
        set_watchdog();
        for (uint32_t i = 0; i < count; i++) {
            struct message head = {
                .sender = (uint32_t)index, .number = number++, .length = size, .wants_ack = i + 1 == count};
            memcpy(data, &head, sizeof(head));
            for (uint32_t k = sizeof(head); k < size; k += 97)
                data[k] = (unsigned char)(head.number + k);
            transmit(&end, data, size, is_connected ? NULL : &to);
            if (next_random() % 64 == 0)
                usleep(next_random() % 200);
        }
        receive(&end, data, &from);
        struct message ack;
        memcpy(&ack, data, sizeof(ack));
        if (ack.number != number - 1)
            fail("a wrong acknowledgement", ack.number, number - 1);
        if (next_random() % 4 == 0)
            usleep(next_random() % 400);
    }
    exit(0);
}

static struct end server;
static uint32_t expected[SENDERS + 1];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static uint64_t received;

/* Several threads receive: each datagram once; in which order they come to this lock is not defined. */
static void *serve(void *several)
{
    unsigned char *data = malloc(LONGEST);
    for (;;) {
        struct sockaddr_un from = {0};
        receive(&server, data, &from);
        struct message head;
        memcpy(&head, data, sizeof(head));
        pthread_mutex_lock(&guard);
        set_watchdog();
        if (head.sender == 0 || head.sender > SENDERS)
            fail("an unknown sender", head.sender, 0);
        if (!several && head.number != expected[head.sender])
            fail("out of order", head.number, expected[head.sender]);
        expected[head.sender]++;
        received++;
        pthread_mutex_unlock(&guard);
        if (head.wants_ack) {
            struct sockaddr_un to = address_of((int)head.sender);
            if (strcmp(from.sun_path, to.sun_path) != 0)
                fail("a wrong source address", head.sender, 0);
            head.length = sizeof(head);
            transmit(&server, &head, sizeof(head), &to);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int wait = 0;
    int senders = argc > 2 ? atoi(argv[2]) : 3;
    int bursts = argc > 3 ? atoi(argv[3]) : 300;
    random_state = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 0) : (uint32_t)time(NULL);
    while (wait < WAIT_COUNT && (argc < 2 || strcmp(argv[1], names[wait]) != 0))
        wait++;
    if (wait == WAIT_COUNT || senders < 1 || senders > SENDERS)
        return 64;
    snprintf(folder, sizeof(folder), "/tmp/hqq-hunt-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    printf("hunt %s: seed %u\n", names[wait], random_state);
    fflush(stdout);
    signal(SIGALRM, on_alarm);
    pid_t parent = getpid();
    int ready[2];
    if (pipe(ready) != 0)
        return 1;
    pid_t receiver = fork();
    if (receiver == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        open_end(&server, (enum wait)wait, 0);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        bool several = wait == WAIT_THREADS || wait == WAIT_POLL_THREADS;
        for (int i = 0; several && i < 3; i++) {
            pthread_t thread;
            pthread_create(&thread, NULL, serve, &server);
        }
        serve(several ? &server : NULL);
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        return 1;
    for (int i = 1; i <= senders; i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            send_bursts((enum wait)wait, i, bursts);
        }
    }
    int failures = 0;
    for (int left = senders; left > 0; left--) {
        int status;
        pid_t pid = wait4(-1, &status, 0, NULL);
        if (pid == receiver || status != 0) {
            failures++;
            break;
        }
    }
    kill(0, 0);
    if (failures == 0)
        kill(receiver, SIGKILL);
    for (int i = 0; i <= senders; i++) {
        struct sockaddr_un address = address_of(i);
        unlink(address.sun_path);
    }
    rmdir(folder);
    printf("hunt %s: %s\n", names[wait], failures == 0 ? "passed" : "FAILED");
    return failures != 0;
}
