/*
 * The server, who is attacked: receives in every way, answers every datagram with itself, and sends to "trap" by a
 * socket of its own, so that it is the one who offers, too. Every call returns in its time; what has the honest client's
 * name is his next datagram; nothing else holds any word of his.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "endpoint/endpoint.h"
#include "hostile/scene.h"

#define LONGEST_CALL_NS (8 * HEAVY_S * HEAVY_SLOWNESS) /* on a busy machine; without an attack none waits for long */
#define BATCH 4

struct server {
    const struct scene *scene;
    struct heavy_random random;
    int in, out, epoll;
    uint32_t expected; /* the honest client's next */
    uint64_t began_ns;
    struct sockaddr_un honest, trap;
};

static unsigned char buffers[BATCH][2 * SCENE_LARGEST];

static void begin(struct server *server)
{
    server->began_ns = hqq_clock_ns();
}

static void end(struct server *server, const char *call)
{
    uint64_t took = hqq_clock_ns() - server->began_ns;
    if (took > server->scene->figures->longest_ns)
        server->scene->figures->longest_ns = took;
    if (took > LONGEST_CALL_NS)
        heavy_fail("%s took %llu ms", call, (unsigned long long)(took / HEAVY_MS));
}

static bool may_fail(int error)
{
    return error == EAGAIN || error == ECONNREFUSED || error == ENOENT || error == ECONNRESET || error == EPIPE ||
           error == EDESTADDRREQ || error == ENOTCONN || error == EINVAL || error == ENOBUFS;
}

static void expect_result(const char *call, ssize_t result)
{
    if (result < 0 && !may_fail(errno))
        heavy_fail("%s: %s", call, strerror(errno));
}

/* ---- The socket that everybody sends to ------------------------------------------------------------------------ */

static void answer(struct server *server, const void *data, size_t length, const struct sockaddr_un *from,
                   socklen_t from_length, bool is_honest)
{
    begin(server);
    ssize_t result = hqq_sendto(server->in, data, length, is_honest ? 0 : MSG_DONTWAIT,
                                (const struct sockaddr *)(const void *)from, from_length);
    end(server, "sendto");
    expect_result("sendto", result);
    if (is_honest && result != (ssize_t)length && !server->scene->figures->has_client_ended)
        heavy_fail("an answer to the honest client: %s", strerror(errno));
}

static void take(struct server *server, const void *data, size_t length, const struct sockaddr_un *from,
                 socklen_t from_length)
{
    bool is_honest = from_length > offsetof(struct sockaddr_un, sun_path) &&
                     strncmp(from->sun_path, server->honest.sun_path, sizeof(from->sun_path)) == 0;
    if (from_length > sizeof(*from) || length > sizeof(buffers[0]))
        heavy_fail("a name of %u bytes, a datagram of %zu", from_length, length);
    if (is_honest) {
        scene_check("a datagram", data, length, server->scene->figures->secret, server->expected++);
    } else {
        scene_check_foreign(server->scene, "a datagram", data, length);
        atomic_fetch_add(&server->scene->figures->spoilt, 1);
    }
    if (from_length > offsetof(struct sockaddr_un, sun_path))
        answer(server, data, length, from, from_length, is_honest);
}

static bool receive_one(struct server *server, int flags)
{
    struct sockaddr_un from = {0};
    socklen_t length = sizeof(from);
    begin(server);
    ssize_t got =
        hqq_recvfrom(server->in, buffers[0], sizeof(buffers[0]), flags, (struct sockaddr *)(void *)&from, &length);
    end(server, "recvfrom");
    expect_result("recvfrom", got);
    if (got >= 0 && (flags & MSG_PEEK) == 0)
        take(server, buffers[0], (size_t)got, &from, length);
    return got >= 0;
}

static void receive_batch(struct server *server)
{
    struct sockaddr_un from[BATCH] = {0};
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){buffers[i], sizeof(buffers[i])};
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &from[i], .msg_namelen = sizeof(from[i]), .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    begin(server);
    int count = hqq_recvmmsg(server->in, messages, BATCH, MSG_DONTWAIT, NULL);
    end(server, "recvmmsg");
    expect_result("recvmmsg", count);
    for (int i = 0; i < count; i++)
        take(server, buffers[i], messages[i].msg_len, &from[i], messages[i].msg_hdr.msg_namelen);
}

/* What a look showed is what comes: not for long, with somebody who changes it. */
static void look_then_receive(struct server *server)
{
    int waiting = 0;
    begin(server);
    if (hqq_ioctl(server->in, FIONREAD, &waiting) != 0 || waiting < 0)
        heavy_fail("FIONREAD: %d", waiting);
    end(server, "FIONREAD");
    receive_one(server, MSG_PEEK | MSG_DONTWAIT);
    receive_one(server, MSG_DONTWAIT);
}

static void wait_as_told(struct server *server)
{
    struct pollfd one = {.fd = server->in, .events = POLLIN};
    struct epoll_event event;
    begin(server);
    if (server->scene->wait == SCENE_FOREIGN)
        poll(&one, 1, 2);
    else if (heavy_one_in(&server->random, 2))
        hqq_poll(&one, 1, 2);
    else
        hqq_epoll_wait(server->epoll, &event, 1, 2);
    end(server, "a wait");
}

/* ---- The socket that it sends by ------------------------------------------------------------------------------- */

static void open_out(struct server *server)
{
    server->out = scene_socket(server->scene, "out");
    hqq_fcntl(server->out, F_SETFL, O_NONBLOCK);
    struct hqq_endpoint *endpoint = hqq_endpoint_find(server->out);
    endpoint->is_listen_refused = true;   /* it is to offer, and is offered nothing */
    if (server->scene->wait == SCENE_OWN) /* it never sleeps on it, so it may poll */
        hqq_store32_relaxed(&endpoint->is_intercepted, 1);
}

static bool receive_answer(struct server *server)
{
    static unsigned char data[SCENE_LARGEST];
    struct sockaddr_un from = {0};
    socklen_t length = sizeof(from);
    begin(server);
    ssize_t got = hqq_recvfrom(server->out, data, sizeof(data), MSG_TRUNC, (struct sockaddr *)(void *)&from, &length);
    end(server, "recvfrom, out");
    expect_result("recvfrom, out", got);
    if (got >= 0)
        scene_check_foreign(server->scene, "an answer from the trap", data,
                            got < (ssize_t)sizeof(data) ? (size_t)got : sizeof(data));
    return got >= 0;
}

/* To whoever has bound the trap just now. */
static void send_out(struct server *server)
{
    static const unsigned char data[SCENE_LARGEST];
    uint32_t bytes = heavy_one_in(&server->random, 16) ? SCENE_LARGEST : 64;
    for (uint64_t burst = 1 + heavy_below(&server->random, 8); burst > 0;
         burst--) { /* who receives often gets a channel */
        begin(server);
        ssize_t sent = hqq_sendto(server->out, data, bytes, MSG_DONTWAIT,
                                  (const struct sockaddr *)(const void *)&server->trap, sizeof(server->trap));
        end(server, "sendto, out");
        expect_result("sendto, out", sent);
    }
    for (int i = 0; i < 8 && receive_answer(server); i++) {
    }
    if (heavy_one_in(&server->random, 4096)) { /* also the end of a link, with the other side at work */
        hqq_close(server->out);
        open_out(server);
    }
}

/* ---- The whole ------------------------------------------------------------------------------------------------- */

static void serve_once(struct server *server)
{
    switch (heavy_below(&server->random, 6)) {
    case 0:
        if (server->scene->wait == SCENE_OWN) {
            receive_one(server, 0);
            break;
        }
        /* fall through */
    case 1:
    case 2:
        wait_as_told(server);
        for (int i = 0; i < 8 && receive_one(server, MSG_DONTWAIT); i++) {
        }
        break;
    case 3:
        receive_batch(server);
        break;
    case 4:
        look_then_receive(server);
        break;
    default:
        send_out(server);
        break;
    }
    server->scene->figures->steps++;
}

static void open_in(struct server *server)
{
    struct timeval wait = {.tv_usec = 2000};
    struct epoll_event event = {.events = EPOLLIN};
    server->in = scene_socket(server->scene, "server");
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    hqq_setsockopt(server->in, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    if (server->scene->wait == SCENE_OWN && hqq_epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->in, &event) != 0)
        heavy_fail("epoll_ctl: %s", strerror(errno));
}

static void warm_up(const struct scene *scene)
{
    int fd = scene_socket(scene, "out");
    char byte;
    (void)hqq_recv(fd, &byte, 1, MSG_DONTWAIT);
    hqq_close(fd);
}

int scene_serve(const struct scene *scene)
{
    struct server server = {
        .scene = scene,
        .random = heavy_random(scene->seed, 3),
        .honest = scene_name(scene, "honest"),
        .trap = scene_name(scene, "trap"),
    };
    warm_up(scene);
    struct heavy_holdings before = heavy_holdings();
    open_in(&server);
    open_out(&server);
    while (!scene->figures->has_client_ended)
        serve_once(&server);
    struct hqq_socket_status status;
    if (hqq_socket_status(server.in, &status) == 0)
        scene->figures->spoilt_ring = status.received_ring;
    hqq_close(server.in);
    hqq_close(server.out);
    hqq_close(server.epoll);
    struct heavy_holdings after = heavy_holdings();
    if (after.descriptors != before.descriptors || after.shared_mappings != before.shared_mappings)
        heavy_fail("the server held %zu descriptors and %zu mappings before, and holds %zu and %zu", before.descriptors,
                   before.shared_mappings, after.descriptors, after.shared_mappings);
    return 0;
}
