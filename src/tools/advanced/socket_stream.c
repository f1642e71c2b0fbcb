/* A pair of AF_UNIX stream sockets, blocking calls: what a program uses for long messages that has no shared memory. */
#include <sys/socket.h>

#include "tools/advanced/link.h"
#include "tools/perf/loops.h"
#include "tools/perf/transport_unix.h"

static int create_pair(struct perf_channel *channel)
{
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel->fds) == 0 ? 0 : -errno;
}

static int open_filled(struct perf_end *end)
{
    advanced_fill_random(end);
    return perf_socket_open(end);
}

static int put(struct perf_end *end, uint64_t head)
{
    const unsigned char *data = perf_outgoing(end, head);
    size_t sent = 0;
    int result = 0;

    while (result == 0 && sent < end->shape->size) {
        ssize_t bytes = send(end->fd, data + sent, end->shape->size - sent, MSG_NOSIGNAL);

        if (bytes >= 0)
            sent += (size_t)bytes;
        else
            result = perf_socket_judge(end);
    }
    return result;
}

static int take(struct perf_end *end, uint64_t *ret_head)
{
    size_t come = 0;
    int result = 0;

    while (result == 0 && come < end->shape->size) {
        ssize_t bytes = recv(end->fd, end->in + come, end->shape->size - come, 0);

        if (bytes == 0)
            return PERF_ERROR_PEER_GONE;
        if (bytes > 0)
            come += (size_t)bytes;
        else
            result = perf_socket_judge(end);
    }
    return result == 0 ? perf_incoming(end, end->in, come, ret_head) : result;
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put, take);
}

static int pong(struct perf_end *end)
{
    return perf_loop_pong(end, put, take);
}

static int send_many(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put);
}

static int receive_many(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take);
}

const struct perf_transport advanced_socket = {
    .name = "unix-stream",
    .modes = PERF_BIT(PERF_SPIN),
    .create = create_pair,
    .open = open_filled,
    .ping = ping,
    .pong = pong,
    .send = send_many,
    .receive = receive_many,
};
