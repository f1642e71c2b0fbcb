/*
 *      observer [seconds] [seed]
 * is the driver, which starts the others and kills them; "observer hold FOLDER SEED FD" is what a holder execs.
 */
#include "observer/observer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STALL_MS 20000
#define EACH_TURN_SECONDS 5 /* a shorter run need not have taken each turn */

struct figures *figures;
char folder[64];
uint64_t random_state;

uint64_t below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fail(const char *format, ...)
{
    char text[512];
    va_list list;
    int length = snprintf(text, sizeof(text), "FAIL  observer: process %d: ", (int)getpid());
    va_start(list, format);
    length += vsnprintf(text + length, sizeof(text) - (size_t)length - 1, format, list);
    va_end(list);
    text[length++] = '\n';
    if (figures)
        figures->is_over = 1; /* for all */
    if (write(STDERR_FILENO, text, (size_t)length) < 0)
        _exit(3);
    _exit(1);
}

struct sockaddr_un name_of(const char *text, int number)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/%s%d", folder, text, number);
    return name;
}

static void map_figures(void)
{
    char path[80];
    snprintf(path, sizeof(path), "%s/figures", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*figures)) != 0)
        fail("%s: %s", path, strerror(errno));
    figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (figures == MAP_FAILED)
        fail("mmap: %s", strerror(errno));
}

/* ---- The driver ---------------------------------------------------------------------------------------------------- */

static uint64_t kills;

static pid_t start(int sender)
{
    uint64_t seed = random_state + (uint64_t)sender * 7919 + 12345;
    below(2);
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    random_state = seed;
    for (int i = 0; i < 10; i++)
        below(2);
    if (sender >= 0)
        sender_run(sender);
    else
        holder_run(-1);
    _exit(0);
}

/* 1 if a child has ended, which may end by 0 and by our SIGKILL alone; 0 if none has, -1 if there is none. */
static int reap(void)
{
    int status;
    pid_t child = waitpid(-1, &status, WNOHANG);
    if (child <= 0)
        return child;
    if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
        fail("process %d ended by %s %d", (int)child, WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 1;
}

static void start_holder(void)
{
    figures->holder = 0;
    start(-1);
    for (uint64_t until = now_ms() + STALL_MS; figures->holder == 0; usleep(100)) {
        reap();
        if (now_ms() > until)
            fail("no holder begins");
    }
}

static void kill_holder(void)
{
    kill(figures->holder, SIGKILL);
    kills++;
    usleep((unsigned)below(3000));
    start_holder();
}

/* Few seconds are too few for that where the machine is busy. */
static bool is_all_seen(uint64_t seconds)
{
    bool is_all = figures->received_unseen != 0;
    for (int i = 0; i < TURNS; i++)
        is_all &= figures->turns[i] != 0 || seconds < EACH_TURN_SECONDS;
    return is_all;
}

static void drive(uint64_t seconds)
{
    pid_t sender[SENDERS];
    start_holder();
    for (int i = 0; i < SENDERS; i++)
        sender[i] = start(i);
    uint64_t until = now_ms() + seconds * 1000, progress = now_ms(), last = 0;
    while (now_ms() < until || (!is_all_seen(seconds) && now_ms() < until + STALL_MS)) {
        usleep((unsigned)below(10000));
        while (reap() == 1) {
        }
        if (below(20) == 0) {
            int index = (int)below(SENDERS);
            kill(sender[index], SIGKILL);
            kills++;
            sender[index] = start(index);
        }
        if (below(60) == 0 || kill(figures->holder, 0) != 0)
            kill_holder();
        if (figures->received != last) {
            last = figures->received;
            progress = now_ms();
        } else if (now_ms() - progress > STALL_MS) {
            fail("nothing is received any more, after %llu datagrams", (unsigned long long)last);
        }
    }
    figures->is_over = 1;
    uint64_t patience = now_ms() + STALL_MS;
    for (int result; (result = reap()) >= 0;) {
        if (result == 0)
            usleep(1000);
        if (now_ms() > patience)
            fail("a process does not end");
    }
}

static void report(uint64_t seconds)
{
    printf("%llu datagrams sent, %llu received, %llu of them unseen; %llu oddities beside a challenge; %llu late; "
           "%llu kills\n",
           (unsigned long long)figures->sent, (unsigned long long)figures->received,
           (unsigned long long)figures->received_unseen, (unsigned long long)figures->oddities,
           (unsigned long long)figures->late, (unsigned long long)kills);
    if (figures->late * 20 > figures->received)
        fail("what was late is not the exception");
    for (int i = 0; i < TURNS; i++) {
        printf("%s: %llu\n", turn_names[i], (unsigned long long)figures->turns[i]);
        if (seconds >= EACH_TURN_SECONDS && figures->turns[i] == 0)
            fail("there were no %s", turn_names[i]);
    }
    bool has_library = getenv("LD_PRELOAD") && *getenv("LD_PRELOAD");
    if (figures->received_unseen == 0 || (has_library && figures->received == figures->received_unseen))
        fail("somebody has read nothing");
}

static void clean_up(void)
{
    char path[80];
    for (int i = 0; i < SENDERS; i++)
        unlink(name_of("sender", i).sun_path);
    unlink(name_of("held", 0).sun_path);
    snprintf(path, sizeof(path), "%s/figures", folder);
    unlink(path);
    rmdir(folder);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "hold") == 0) {
        snprintf(folder, sizeof(folder), "%s", argv[2]);
        random_state = strtoull(argv[3], NULL, 10);
        map_figures();
        holder_run(atoi(argv[4]));
        return 0;
    }
    uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 5;
    random_state = (argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)getpid() * 2654435761u) | 1;
    printf("observer %llu %llu\n", (unsigned long long)seconds, (unsigned long long)random_state);
    fflush(stdout);
    snprintf(folder, sizeof(folder), "/tmp/hqq-observer-XXXXXX");
    if (!mkdtemp(folder))
        fail("mkdtemp: %s", strerror(errno));
    if (getenv("LD_PRELOAD"))
        setenv("OBSERVER_PRELOAD", getenv("LD_PRELOAD"), 1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    map_figures();
    drive(seconds);
    report(seconds);
    clean_up();
    return 0;
}
