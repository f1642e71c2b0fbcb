/* The process that holds the name, and how it shares its socket, or hands it on. */
#include "observer/observer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static struct reader reader, handler_reader;
static volatile sig_atomic_t signals;

static bool has_library(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload && *preload;
}

static void begin(int fd, bool is_alone)
{
    struct timeval patience = {.tv_usec = 2000};
    reader = (struct reader){.who = has_library() ? "the library" : "a plain program",
                             .fd = fd,
                             .is_raw = !has_library(),
                             .is_alone = is_alone};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static void bind_anew(void)
{
    struct sockaddr_un name = name_of("held", 0);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(name.sun_path);
    if (fd < 0 || (bind(fd, (struct sockaddr *)&name, sizeof(name)) != 0 && errno != EADDRINUSE))
        fail("the holder: %s", strerror(errno));
    begin(fd, true);
}

static unsigned read_for(struct reader *one, uint64_t ms)
{
    unsigned count = 0;
    for (uint64_t until = now_ms() + ms; now_ms() < until && !figures->is_over;)
        count += read_some(one);
    return count;
}

/* Of the same socket, in another way, by somebody else. */
static struct reader other(const char *who, int fd, bool is_raw)
{
    return (struct reader){.who = who, .fd = fd, .is_raw = is_raw};
}

/* ---- Turns --------------------------------------------------------------------------------------------------------- */

static void rebind(void)
{
    close(reader.fd);
    bind_anew();
}

static void share_with_child(void)
{
    pid_t child = fork();
    reader.is_alone = false;
    if (child == 0) {
        struct reader own = other("a child", reader.fd, true);
        read_for(&own, below(20));
        _exit(0);
    }
    if (below(2))
        read_for(&reader, below(20));
    waitpid(child, NULL, 0);
}

static void leave_to_child(void)
{
    reader.is_alone = false;
    pid_t child = fork();
    if (child != 0) {
        read_for(&reader, below(3));
        _exit(0);
    }
    figures->holder = getpid();
    struct reader own = other("a child that goes on", reader.fd, reader.is_raw);
    reader = own;
}

static void become_image(void)
{
    char number[16], seed[32];
    snprintf(number, sizeof(number), "%d", reader.fd);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)random_state);
    const char *preload = getenv("OBSERVER_PRELOAD");
    if (preload && below(2))
        setenv("LD_PRELOAD", preload, 1);
    else
        unsetenv("LD_PRELOAD");
    fcntl(reader.fd, F_SETFD, 0);
    execl("/proc/self/exe", "observer", "hold", folder, seed, number, (char *)NULL);
    fail("exec: %s", strerror(errno));
}

static void pass(int to, int fd)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
    sendmsg(to, &message, MSG_NOSIGNAL);
}

static int take(int from)
{
    char byte;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = -1;
    if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
    return fd;
}

/* To a process that did not have it; the old one may go on for a moment. */
static void pass_on(void)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        fail("socketpair: %s", strerror(errno));
    pid_t child = fork();
    if (child != 0) {
        close(pair[1]);
        pass(pair[0], reader.fd);
        reader.is_alone = false;
        read_for(&reader, below(3));
        _exit(0);
    }
    close(pair[0]);
    close(reader.fd);
    int fd = take(pair[1]);
    close(pair[1]);
    if (fd < 0)
        _exit(0); /* the other one was killed */
    figures->holder = getpid();
    begin(fd, false);
}

static void read_by_two_numbers(void)
{
    bool was_alone = reader.is_alone;
    bool is_raw = reader.is_raw || below(2);
    int second = is_raw ? (int)syscall(SYS_dup, reader.fd) : dup(reader.fd);
    struct reader own = other("another number", second, is_raw);
    reader.is_alone = false;
    for (uint64_t until = now_ms() + below(20); now_ms() < until;) {
        read_some(&own);
        if (!read_one(&reader))
            continue;
    }
    if (is_raw)
        syscall(SYS_close, second);
    else
        close(second);
    reader.is_alone = was_alone;
}

static void on_tick(int number)
{
    int saved = errno;
    (void)number;
    signals++;
    read_one(&handler_reader);
    errno = saved;
}

static void read_in_handlers(void)
{
    struct itimerval often = {{0, 700}, {0, 700}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = below(2) ? SA_RESTART : 0};
    bool was_alone = reader.is_alone;
    handler_reader = other("a handler", reader.fd, reader.is_raw || below(2));
    reader.is_alone = false;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    read_for(&reader, 5 + below(20));
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    reader.is_alone = was_alone;
}

static void on_signal(int number)
{
    (void)number;
    signals++;
}

/* No more signals than datagrams: what was read, and what may wait in the queue. */
static void be_signalled(void)
{
    sigaction(SIGIO, &(struct sigaction){.sa_handler = on_signal, .sa_flags = SA_RESTART}, NULL);
    signals = 0;
    int flags = fcntl(reader.fd, F_GETFL);
    fcntl(reader.fd, F_SETOWN, getpid());
    fcntl(reader.fd, F_SETFL, flags | O_ASYNC);
    unsigned count = read_for(&reader, 5 + below(20));
    fcntl(reader.fd, F_SETFL, flags & ~O_ASYNC);
    if (reader.is_alone && (unsigned)signals > count + 600)
        fail("%s: %d signals for %u datagrams", reader.who, (int)signals, count);
}

static void (*const turns[TURNS])(void) = {rebind,  share_with_child,    leave_to_child,   become_image,
                                           pass_on, read_by_two_numbers, read_in_handlers, be_signalled};

const char *const turn_names[TURNS] = {
    "rebinds", "children", "children that go on", "images", "hand-overs", "second numbers", "handlers", "signals"};

char turn_history[64];

static void note_turn(uint64_t turn)
{
    size_t length = strlen(turn_history);
    if (length == sizeof(turn_history) - 1)
        memmove(turn_history, turn_history + 1, length--);
    turn_history[length] = (char)('0' + turn);
}

void holder_run(int fd)
{
    if (fd >= 0)
        begin(fd, false);
    else
        bind_anew();
    figures->holder = getpid();
    while (!figures->is_over && figures->holder == getpid()) {
        read_for(&reader, 5 + below(40));
        uint64_t turn = below(TURNS);
        figures->turns[turn]++;
        note_turn(turn);
        turns[turn]();
    }
}
