/*
 * AF_UNIX datagram sockets: what a program uses that has no shared memory. A pair connected to each other, with the
 * system's default buffer sizes: its queue is bounded by bytes alone, so it streams better than a bound socket, whose
 * queue holds net.unix.max_dgram_qlen datagrams.
 */
#include "tools/perf/transport_unix.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "tools/perf/loops.h"
#include "tools/perf/transport.h"

static int create_pair(struct perf_channel *channel)
{
    return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, channel->fds) == 0 ? 0 : -errno;
}

/* A call that blocks comes back so often to see whether there is still something to wait for. */
#define LONGEST_BLOCK_US 100000

int perf_socket_open(struct perf_end *end)
{
    struct timeval longest = {.tv_usec = LONGEST_BLOCK_US};

    end->fd = end->channel->fds[end->side];
    if (setsockopt(end->fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof(longest)) != 0 ||
        setsockopt(end->fd, SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof(longest)) != 0)
        return -errno;
    return 0;
}

int perf_socket_judge(struct perf_end *end)
{
    if (errno != EAGAIN && errno != EINTR)
        return -errno;
    if (hqq_load32_relaxed(&end->control->gone) != 0)
        return PERF_ERROR_PEER_GONE;
    return perf_now_ns() > end->deadline_ns ? PERF_ERROR_STALLED : 0;
}

/* The same for calls that do not block, which looks at the clock now and then only. */
static int judge_miss(struct perf_end *end, unsigned *misses)
{
    enum { MISSES_PER_LOOK = 256 };

    if ((errno != EAGAIN && errno != EINTR) || ++*misses % MISSES_PER_LOOK == 0)
        return perf_socket_judge(end);
    if (end->shape->yields)
        sched_yield();
    return 0;
}

static int put_blocking(struct perf_end *end, uint64_t head)
{
    const unsigned char *data = perf_outgoing(end, head);
    int result = 0;

    while (result == 0 && send(end->fd, data, end->shape->size, MSG_NOSIGNAL) < 0)
        result = perf_socket_judge(end);
    return result;
}

static int take_blocking(struct perf_end *end, uint64_t *ret_head)
{
    ssize_t length;
    int result = 0;

    while (result == 0 && (length = recv(end->fd, end->in, end->shape->size, MSG_TRUNC)) < 0)
        result = perf_socket_judge(end);
    return result == 0 ? perf_incoming(end, end->in, (size_t)length, ret_head) : result;
}

static int put_polling(struct perf_end *end, uint64_t head)
{
    const unsigned char *data = perf_outgoing(end, head);
    unsigned misses = 0;
    int result = 0;

    while (result == 0 && send(end->fd, data, end->shape->size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        result = judge_miss(end, &misses);
    return result;
}

static int take_polling(struct perf_end *end, uint64_t *ret_head)
{
    unsigned misses = 0;
    ssize_t length;
    int result = 0;

    while (result == 0 && (length = recv(end->fd, end->in, end->shape->size, MSG_TRUNC | MSG_DONTWAIT)) < 0)
        result = judge_miss(end, &misses);
    return result == 0 ? perf_incoming(end, end->in, (size_t)length, ret_head) : result;
}

static int ping(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_blocking, take_blocking);
}

static int pong(struct perf_end *end)
{
    return perf_loop_pong(end, put_blocking, take_blocking);
}

static int send_many(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_blocking);
}

static int receive_many(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_blocking);
}

static int ping_polling(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_ping(end, count, last, put_polling, take_polling);
}

static int pong_polling(struct perf_end *end)
{
    return perf_loop_pong(end, put_polling, take_polling);
}

static int send_polling(struct perf_end *end, uint64_t count, bool last)
{
    return perf_loop_send(end, count, last, put_polling);
}

static int receive_polling(struct perf_end *end, uint64_t count)
{
    return perf_loop_receive(end, count, take_polling);
}

/* In both modes: it is what the others are compared with. */
const struct perf_transport perf_unix = {
    .name = "unix",
    .modes = PERF_BIT(PERF_SPIN) | PERF_BIT(PERF_SLEEP),
    .create = create_pair,
    .open = perf_socket_open,
    .ping = ping,
    .pong = pong,
    .send = send_many,
    .receive = receive_many,
};

const struct perf_transport perf_unix_spin = {
    .name = "unix-spin",
    .modes = PERF_BIT(PERF_SPIN),
    .create = create_pair,
    .open = perf_socket_open,
    .ping = ping_polling,
    .pong = pong_polling,
    .send = send_polling,
    .receive = receive_polling,
};
