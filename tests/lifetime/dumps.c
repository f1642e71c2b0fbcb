/*
 * What a core dump of this program would hold. A server that many clients have sent to adds up its mappings that a dump
 * takes, from /proc/self/smaps, as core(5) says with the usual filter; once with LD_PRELOAD as it is, once without. The
 * two may differ by little, however many channels there are. Exit 77 where smaps or the preload is not to be had.
 *
 *      dumps [clients]
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DATAGRAMS 40
#define SIZE 1000
#define ALLOWED_KIB 256 /* of address space: for the library's own data, whatever the number of clients */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "dumps: %s: %s\n", what, strerror(errno));
    _exit(1);
}

/* ---- The scene ------------------------------------------------------------------------------------------------- */

static struct sockaddr_un server_name(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/hqq-dumps-%d", getpid());
    return address;
}

static void send_all(const struct sockaddr_un *to)
{
    char data[SIZE] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)to, sizeof(*to)) != 0)
        fail("connect");
    for (int i = 0; i < DATAGRAMS; i++) {
        if (send(fd, data, sizeof(data), 0) != sizeof(data))
            fail("send");
    }
    for (;;)
        pause();
}

static void receive(int fd, int count)
{
    char data[SIZE];
    for (int i = 0; i < count; i++) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        if (poll(&one, 1, 30000) != 1 || recv(fd, data, sizeof(data), 0) != sizeof(data))
            fail("a datagram");
    }
}

/* ---- What a dump takes ------------------------------------------------------------------------------------------ */

struct dumped {
    unsigned long kib;
    unsigned channels;
};

/* One mapping of smaps. */
struct mapping {
    unsigned long size, anonymous;
    bool is_shared, is_file, is_channel;
};

/* Private memory that was written to goes whole, and shared memory that has no name. */
static void add(struct dumped *dumped, const struct mapping *mapping, bool is_left_out)
{
    bool is_taken = mapping->is_shared ? !mapping->is_file : !mapping->is_file || mapping->anonymous != 0;
    if (is_taken && !is_left_out)
        dumped->kib += mapping->size;
    dumped->channels += mapping->is_channel;
}

static struct dumped measure(void)
{
    struct dumped dumped = {0, 0};
    struct mapping mapping = {0, 0, false, false, false};
    char line[4096], path[4096], flags[8];
    unsigned long inode;
    FILE *smaps = fopen("/proc/self/smaps", "re");
    if (!smaps)
        _exit(77);
    while (fgets(line, sizeof(line), smaps)) {
        path[0] = '\0';
        if (sscanf(line, "%*x-%*x %7s %*x %*x:%*x %lu %4095s", flags, &inode, path) >= 2) {
            bool is_memfd = strncmp(path, "/memfd:", 7) == 0 || strncmp(path, "/dev/zero", 9) == 0;
            mapping = (struct mapping){.is_shared = flags[3] == 's',
                                       .is_file = inode != 0 && !is_memfd,
                                       .is_channel = strcmp(path, "/memfd:hqq") == 0};
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            add(&dumped, &mapping, strstr(line, " dd") || strstr(line, " io"));
        } else {
            sscanf(line, "Size: %lu", &mapping.size);
            sscanf(line, "Anonymous: %lu", &mapping.anonymous);
        }
    }
    fclose(smaps);
    return dumped;
}

/* ---- Twice ------------------------------------------------------------------------------------------------------ */

/* Serves so many clients, and prints what a dump would take then. */
static int serve(int clients)
{
    const struct sockaddr_un name = server_name();
    pid_t parent = getpid();
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&name, sizeof(name)) != 0)
        fail("bind");
    for (int i = 0; i < clients; i++) {
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() == parent)
                send_all(&name);
            _exit(1);
        }
        if (child < 0)
            fail("fork");
        receive(fd, DATAGRAMS);
    }
    const struct dumped dumped = measure();
    printf("%lu %u\n", dumped.kib, dumped.channels);
    unlink(name.sun_path);
    return 0;
}

static struct dumped run(const char *program, int clients, bool is_native)
{
    struct dumped dumped;
    char command[4096];
    snprintf(command, sizeof(command), "%sexec '%s' serve %d", is_native ? "unset LD_PRELOAD; " : "", program, clients);
    FILE *output = popen(command, "re");
    if (!output)
        fail("popen");
    bool is_read = fscanf(output, "%lu %u", &dumped.kib, &dumped.channels) == 2;
    int status = pclose(output);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        exit(77);
    if (!is_read || status != 0)
        fail("a server ended badly");
    return dumped;
}

int main(int argc, char **argv)
{
    alarm(200);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(atoi(argv[2]));
    int clients = argc > 1 ? atoi(argv[1]) : 20;
    if (!getenv("LD_PRELOAD"))
        return 77;
    for (int number = 0; number <= clients; number += clients) {
        const struct dumped native = run(argv[0], number, true), here = run(argv[0], number, false);
        printf("%d clients: %lu KiB natively, %lu KiB with %u channels\n", number, native.kib, here.kib, here.channels);
        fflush(stdout);
        if (here.channels < (unsigned)number / 2)
            fail("there are too few channels to tell");
        if (here.kib > native.kib + ALLOWED_KIB)
            fail("a dump would grow too much");
    }
    return 0;
}
