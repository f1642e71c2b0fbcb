/*
 * An attacker who is another user. Modes: "offers", where he may not send to the server, and calls at its rendezvous all
 * the same; "squat", where he has taken the name of the rendezvous before the server could; "successor", where he takes it
 * once the server is dead; "flood", where he connects to it as fast as he can. He gets no link, no datagram, no memory and
 * none of the server's time, and the server is served by the kernel then. Needs
 * root, as it becomes another user; else it is skipped.
 */
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "channel/channel.h"
#include "channel/handshake.h"
#include "channel/rendezvous.h"
#include "hostile/scene.h"
#include "runtime/config.h"
#include "runtime/started.h"

#define NOBODY 65534
#define DATAGRAMS 200u
#define PATIENCE_NS (10 * HEAVY_S * HEAVY_SLOWNESS)

struct notes {
    _Atomic uint64_t tries, seen;    /* offers made, and those that were taken */
    _Atomic uint64_t calls, spoils;  /* who came to the squatter, and what they left there */
    _Atomic uint64_t received, ring; /* by the server: datagrams, and those of them that took a ring */
    _Atomic bool is_ready, is_over;
};

static void become_another_user(void)
{
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0)
        heavy_fail("another user: %s", strerror(errno));
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of user has undone */
}

static void wait_until(const char *what, const _Atomic bool *is_so)
{
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (!*is_so) {
        if (hqq_clock_ns() > until)
            heavy_fail("waited for %s", what);
        sched_yield();
    }
}

static const struct sockaddr *generic(const struct sockaddr_un *address)
{
    return (const struct sockaddr *)(const void *)address;
}

static struct hqq_place place_of(const struct sockaddr_un *address, socklen_t length, const struct hqq_rule **ret_rule)
{
    struct hqq_place place;
    hqq_start();
    *ret_rule = hqq_config_match(generic(address), length);
    if (address->sun_path[0] != '\0')
        length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(address->sun_path));
    int result = *ret_rule ? hqq_rendezvous_place(*ret_rule, address, length, -1, &place) : -ENOENT;
    if (result != 0)
        heavy_fail("no rendezvous: %s", strerror(-result));
    return place;
}

/* ---- Who may not send ------------------------------------------------------------------------------------------ */

/* An offer that is right in all but who makes it; what is to be read is in the ring already. */
static void offer_well(const struct hqq_place *place, const struct hqq_rule *rule, struct notes *notes)
{
    struct hqq_channel *channel;
    int memory;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, generic(&place->rendezvous), place->rendezvous_length) != 0)
        heavy_fail("the rendezvous is to be reached: %s", strerror(errno));
    if (hqq_channel_create(rule, &memory, &channel) != 0)
        heavy_fail("a region can't be made");
    for (uint64_t i = 0; i < channel->tx.count; i++)
        hqq_store_release(hqq_ring_seq(&channel->tx, i), i + 1);
    hqq_store_release(hqq_ring_w(&channel->tx), channel->tx.count);
    hqq_store_release(&channel->peer->notify, HQQ_POLLING);
    hqq_store_relaxed(&channel->own->drain_requested, 1);
    notes->tries++;
    int result = hqq_rendezvous_offer(fd, memory);
    if (result != 0 && result != -EPIPE && result != -ECONNRESET)
        heavy_fail("an offer: %s", strerror(-result));
    uint64_t until = hqq_clock_ns() + 5 * HEAVY_MS;
    while (hqq_clock_ns() < until)
        notes->seen +=
            hqq_handshake_stage(channel) != HQQ_STAGE_NONE || hqq_load_relaxed(hqq_ring_r(&channel->tx)) != 0;
    close(memory);
    hqq_channel_drop(channel);
}

/* A datagram with a key of no channel beside it. */
static ssize_t send_key(int fd, struct sockaddr_un *to)
{
    uint64_t secret;
    const struct hqq_channel none = {.id = 1};
    int key = hqq_handshake_make_key(&none, &secret);
    union hqq_handshake_control control;
    struct iovec part = {.iov_base = &secret, .iov_len = sizeof(secret)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_name = to, .msg_namelen = sizeof(*to)};
    hqq_handshake_attach(&message, &control, key);
    ssize_t result = sendmsg(fd, &message, 0);
    close(key);
    return result;
}

static void run_offers(uint64_t seed)
{
    struct scene scene = scene_new(SCENE_OWN, seed);
    struct notes *notes = heavy_shared(sizeof(*notes));
    struct sockaddr_un server = scene_name(&scene, "server");
    const struct hqq_rule *rule;
    struct hqq_place place = place_of(&server, sizeof(server), &rule);
    pid_t attacker = heavy_fork();
    if (attacker == 0) {
        become_another_user();
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        for (int i = 0; i < 100; i++) {
            offer_well(&place, rule, notes);
            if (send_key(fd, &server) >= 0 || errno != EACCES)
                heavy_fail("the server's path is open to all: %s", strerror(errno));
        }
        _exit(0);
    }
    heavy_reap_well("the attacker", attacker);
    if (notes->tries != 100 || notes->seen != 0 || scene.figures->spoilt != 0)
        heavy_fail("%llu offers, %llu looks at which one was taken, %llu strange datagrams",
                   (unsigned long long)notes->tries, (unsigned long long)notes->seen,
                   (unsigned long long)scene.figures->spoilt);
    heavy_say("ok    offers: none of %llu was taken, the honest client got %llu answers",
              (unsigned long long)notes->tries, (unsigned long long)scene.figures->served);
    scene_end(&scene);
    heavy_shared_free(notes, sizeof(*notes));
}

/* ---- Who has the name ------------------------------------------------------------------------------------------ */

/* Listens where the server should, and takes what it can get. */
static pid_t start_squatter(const struct hqq_place *place, struct notes *notes)
{
    notes->is_ready = false;
    pid_t squatter = heavy_fork();
    if (squatter != 0) {
        wait_until("the squatter", &notes->is_ready);
        return squatter;
    }
    become_another_user();
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (bind(listener, generic(&place->rendezvous), place->rendezvous_length) != 0) { /* it is being given up */
        if (errno != EADDRINUSE || hqq_clock_ns() > until)
            heavy_fail("the name of the rendezvous: %s", strerror(errno));
        sched_yield();
    }
    listen(listener, 64);
    notes->is_ready = true;
    for (;;) {
        char bytes[64], control[256];
        struct iovec part = {bytes, sizeof(bytes)};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        int caller = accept(listener, NULL, NULL);
        if (caller < 0)
            heavy_fail("accept: %s", strerror(errno));
        ssize_t got = recvmsg(caller, &message, 0);
        if (got > 0 || message.msg_controllen != 0)
            notes->spoils++;
        notes->calls++;
        close(caller);
    }
}

static pid_t start_server(const struct sockaddr_un *address, socklen_t length, struct notes *notes)
{
    notes->is_ready = notes->is_over = false;
    pid_t server = heavy_fork();
    if (server != 0) {
        wait_until("the server", &notes->is_ready);
        return server;
    }
    if (address->sun_path[0] != '\0')
        unlink(address->sun_path);
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (hqq_bind(fd, generic(address), length) != 0)
        heavy_fail("bind: %s", strerror(errno));
    notes->is_ready = true;
    for (uint32_t expected = 0;; expected++) {
        uint32_t number;
        ssize_t got = hqq_recv(fd, &number, sizeof(number), 0);
        if (got == sizeof(number) && number == 0)
            expected = 0;
        if (got != sizeof(number) || number != expected)
            heavy_fail("a datagram of %zd bytes, %u where %u is due", got, number, expected);
        struct hqq_socket_status status;
        hqq_socket_status(fd, &status);
        notes->ring = status.received_ring;
        notes->received++;
    }
}

/* Sends so many, or as many as it takes to get a ring, or to find that there is none, each when the one before has arrived. No
 * answers: the server would offer a link for them, and what it offers serves both ways. Returns why the traffic went as it did. */
static enum hqq_socket_reason talk(const struct sockaddr_un *server, socklen_t length, struct notes *notes,
                                   bool until_ring)
{
    struct hqq_socket_status status = {0};
    uint64_t last = hqq_clock_ns() + PATIENCE_NS;
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (hqq_connect(fd, generic(server), length) != 0)
        heavy_fail("the client: %s", strerror(errno));
    notes->received = notes->ring = 0;
    bool is_settled = false;
    for (uint32_t number = 0; number < DATAGRAMS || (!is_settled && hqq_clock_ns() < last); number++) {
        uint64_t until = hqq_clock_ns() + PATIENCE_NS;
        if (hqq_send(fd, &number, sizeof(number), 0) != sizeof(number))
            heavy_fail("send %u: %s", number, strerror(errno));
        while (notes->received != number + 1) {
            if (hqq_clock_ns() > until)
                heavy_fail("datagram %u does not arrive", number);
            sched_yield();
        }
        hqq_socket_status(fd, &status);
        is_settled = until_ring ? notes->ring != 0 : status.reason == HQQ_SOCKET_PEER_FOREIGN;
    }
    hqq_close(fd);
    return status.reason;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    if (heavy_reap(child) != 128 + SIGKILL)
        heavy_fail("a child ended by itself");
}

static void expect_foreign(const char *what, enum hqq_socket_reason reason, const struct notes *notes)
{
    uint64_t until = hqq_clock_ns() + PATIENCE_NS;
    while (notes->calls == 0 && hqq_clock_ns() < until)
        sched_yield();
    if (reason != HQQ_SOCKET_PEER_FOREIGN || notes->spoils != 0 || notes->calls == 0 || notes->ring != 0)
        heavy_fail("%s: \"%s\"; the squatter got %llu calls and %llu spoils; %llu datagrams took a ring", what,
                   hqq_socket_reason_text(reason), (unsigned long long)notes->calls, (unsigned long long)notes->spoils,
                   (unsigned long long)notes->ring);
    heavy_say("ok    %s: the squatter was called %llu times, and got nothing; %llu datagrams took the kernel", what,
              (unsigned long long)notes->calls, (unsigned long long)notes->received);
}

static struct sockaddr_un abstract_name(uint64_t seed, socklen_t *ret_length)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int bytes = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "hqq-test-%d-%llx", (int)getpid(),
                         (unsigned long long)seed);
    *ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
    return name;
}

/* Of an abstract name it is known beforehand where its rendezvous will be. */
static void run_squat(uint64_t seed)
{
    struct notes *notes = heavy_shared(sizeof(*notes));
    socklen_t length;
    struct sockaddr_un name = abstract_name(seed, &length);
    const struct hqq_rule *rule;
    struct hqq_place place = place_of(&name, length, &rule);
    pid_t squatter = start_squatter(&place, notes);
    pid_t server = start_server(&name, length, notes);
    expect_foreign("squat", talk(&name, length, notes, false), notes);
    end(server);
    end(squatter);
    heavy_shared_free(notes, sizeof(*notes));
}

/* Of a path it is known while the socket is there; the file stays when its server is killed. */
static void succeed(const struct sockaddr_un *name, socklen_t length, const char *what)
{
    struct notes *notes = heavy_shared(sizeof(*notes));
    const struct hqq_rule *rule;
    pid_t server = start_server(name, length, notes);
    struct hqq_place place = place_of(name, length, &rule);
    if (talk(name, length, notes, true) != HQQ_SOCKET_ACCELERATED || notes->ring == 0)
        heavy_fail("%s: without a squatter there is no link, so nothing would be shown", what);
    end(server);
    pid_t squatter = start_squatter(&place, notes);
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (uint32_t i = 0; i < 16; i++) {
        if (hqq_sendto(fd, &i, sizeof(i), 0, generic(name), length) >= 0 || errno != ECONNREFUSED)
            heavy_fail("%s: a send to a dead server: %s", what, strerror(errno));
    }
    hqq_close(fd);
    if (name->sun_path[0] == '\0') { /* the successor's rendezvous has the same name */
        notes->ring = 0;
        server = start_server(name, length, notes);
        expect_foreign(what, talk(name, length, notes, false), notes);
    } else { /* it has another one, if only by its time of birth */
        server = start_server(name, length, notes);
        enum hqq_socket_reason reason = talk(name, length, notes, true);
        if (reason != HQQ_SOCKET_ACCELERATED || notes->spoils != 0)
            heavy_fail("%s: the next server: \"%s\"; %llu spoils", what, hqq_socket_reason_text(reason),
                       (unsigned long long)notes->spoils);
        heavy_say("ok    %s: the next server has links, the squatter got nothing", what);
    }
    end(server);
    end(squatter);
    heavy_shared_free(notes, sizeof(*notes));
}

/* A plain server never binds a rendezvous, so whoever likes can have its name. */
static void squat_at_plain_server(const struct sockaddr_un *name)
{
    struct notes *notes = heavy_shared(sizeof(*notes));
    const struct hqq_rule *rule;
    int server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int client = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(name->sun_path);
    if (bind(server, generic(name), sizeof(*name)) != 0)
        heavy_fail("bind: %s", strerror(errno));
    struct hqq_place place = place_of(name, sizeof(*name), &rule);
    pid_t squatter = start_squatter(&place, notes);
    struct hqq_socket_status status = {0};
    uint64_t last = hqq_clock_ns() + PATIENCE_NS;
    for (uint32_t i = 0; i < DATAGRAMS || (status.reason != HQQ_SOCKET_PEER_FOREIGN && hqq_clock_ns() < last); i++) {
        uint32_t number;
        if (hqq_sendto(client, &i, sizeof(i), 0, generic(name), sizeof(*name)) != sizeof(i) ||
            recv(server, &number, sizeof(number), MSG_DONTWAIT) != sizeof(number) || number != i)
            heavy_fail("datagram %u does not arrive", i);
        notes->received++;
        hqq_socket_status(client, &status);
    }
    expect_foreign("squat, path", status.reason, notes);
    hqq_close(client);
    close(server);
    end(squatter);
    heavy_shared_free(notes, sizeof(*notes));
}

static void with_path(void (*run)(const struct sockaddr_un *name))
{
    char folder[] = "/tmp/hqq-hostile-XXXXXX";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (!mkdtemp(folder) || chmod(folder, 0755) != 0)
        heavy_fail("%s: %s", folder, strerror(errno));
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/server", folder);
    run(&name);
    unlink(name.sun_path);
    rmdir(folder);
}

static void succeed_at_path(const struct sockaddr_un *name)
{
    succeed(name, sizeof(*name), "successor, path");
}

static void run_squat_path(uint64_t seed)
{
    (void)seed;
    with_path(squat_at_plain_server);
}

static void run_successor(uint64_t seed)
{
    socklen_t length;
    struct sockaddr_un name = abstract_name(seed + 1, &length);
    succeed(&name, length, "successor");
    with_path(succeed_at_path);
}

/* ---- A flood of the rendezvous ------------------------------------------------------------------------------------ */

#define FLOOD_NS (2 * HEAVY_S)
#define FLOOD_CALLS 100
#define FLOOD_TRIES 3 /* whom a busy machine charges for what is up to it */
#define MOST_PERCENT (15 * HEAVY_SLOWNESS)

/* Processor time of another process's first thread. */
static uint64_t processor_ns(pid_t process)
{
    char path[64];
    unsigned long long ns = 0;
    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)process);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%llu", &ns) != 1)
        heavy_fail("%s: %s", path, strerror(errno));
    fclose(file);
    return ns;
}

static pid_t start_flood(const struct hqq_place *place, struct notes *notes)
{
    pid_t flood = heavy_fork();
    if (flood != 0)
        return flood;
    become_another_user();
    for (;;) {
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        notes->calls += connect(fd, generic(&place->rendezvous), place->rendezvous_length) == 0;
        close(fd);
    }
}

/* Sends two thousand a second, each answered by its arrival, until there were so many calls. Returns what that costs the server, in
 * percent of a processor. */
static unsigned cost(int client, pid_t server, const struct notes *notes, uint64_t calls)
{
    uint64_t began = hqq_clock_ns(), before = processor_ns(server), took = 0;
    for (uint32_t number = 1; took < FLOOD_NS || (notes->calls < calls && took < PATIENCE_NS); number++) {
        uint64_t due = notes->received + 1;
        if (hqq_send(client, &number, sizeof(number), 0) != sizeof(number))
            heavy_fail("send: %s", strerror(errno));
        for (uint64_t until = hqq_clock_ns() + PATIENCE_NS; notes->received < due; usleep(100)) {
            if (hqq_clock_ns() > until)
                heavy_fail("in the flood a datagram does not arrive");
        }
        usleep(400);
        took = hqq_clock_ns() - began;
    }
    return (unsigned)((processor_ns(server) - before) * 100 / (hqq_clock_ns() - began));
}

static int serve_any(const struct sockaddr_un *name, struct notes *notes)
{
    unlink(name->sun_path);
    int fd = hqq_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (hqq_bind(fd, generic(name), sizeof(*name)) != 0)
        heavy_fail("bind: %s", strerror(errno));
    for (notes->is_ready = true;; notes->received++) {
        uint32_t number;
        if (hqq_recv(fd, &number, sizeof(number), 0) != sizeof(number))
            heavy_fail("a datagram of another length");
    }
}

static void flood_path(const struct sockaddr_un *name)
{
    struct notes *notes = heavy_shared(sizeof(*notes));
    const struct hqq_rule *rule;
    pid_t server = heavy_fork();
    if (server == 0)
        _exit(serve_any(name, notes));
    wait_until("the server", &notes->is_ready);
    struct hqq_place place = place_of(name, sizeof(*name), &rule);
    int client = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (hqq_connect(client, generic(name), sizeof(*name)) != 0)
        heavy_fail("connect: %s", strerror(errno));
    unsigned quiet, flooded;
    pid_t stranger = 0;
    for (int tries = 0; tries == 0 || (tries < FLOOD_TRIES && flooded > quiet + MOST_PERCENT); tries++) {
        if (stranger != 0)
            end(stranger);
        notes->calls = 0;
        quiet = cost(client, server, notes, 0);
        stranger = start_flood(&place, notes);
        flooded = cost(client, server, notes, FLOOD_CALLS);
    }
    if (notes->calls < FLOOD_CALLS || flooded > quiet + MOST_PERCENT)
        heavy_fail("%llu connections: the server used %u %% of a processor before, and %u %% in the flood",
                   (unsigned long long)notes->calls, quiet, flooded);
    heavy_say("ok    flood: %llu connections; the server used %u %% of a processor before, and %u %% in the flood",
              (unsigned long long)notes->calls, quiet, flooded);
    hqq_close(client);
    end(stranger);
    end(server);
    heavy_shared_free(notes, sizeof(*notes));
}

static void run_flood(uint64_t seed)
{
    (void)seed;
    with_path(flood_path);
}

/* ---- Modes ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(uint64_t seed);
} modes[] = {
    {"offers", run_offers},       {"squat", run_squat}, {"squat_path", run_squat_path},
    {"successor", run_successor}, {"flood", run_flood},
};

/* Each in a process of its own: what one of them has used of the library the next one is not to fork with. */
int main(int argc, char **argv)
{
    const struct heavy_options *options = heavy_start(argc, argv, 0);
    bool found = false;
    if (geteuid() != 0) {
        heavy_say("skipped: only root can become another user");
        return 77;
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (options->mode && strcmp(options->mode, modes[i].name) != 0)
            continue;
        found = true;
        pid_t child = heavy_fork();
        if (child == 0) {
            heavy_name_mode(modes[i].name, options->seed);
            alarm(100 * HEAVY_SLOWNESS);
            if (modes[i].run != run_flood) /* there polling is as it pays */
                setenv("HQQ_POLLING", "always", 1);
            modes[i].run(options->seed);
            exit(0);
        }
        heavy_reap_well(modes[i].name, child);
    }
    if (!found)
        heavy_fail("no such mode");
    return 0;
}
