/*
 * peer receive SOCKET COUNT | peer send SOCKET COUNT: one end of a stream by libuv, which has no unix datagrams of its
 * own: a poll handle watches a non-blocking socket, as bindings for them do.
 *
 * The sender is connected, writes while the socket is writable and until it is refused, and finishes with the last
 * message. The receiver checks each, and, in the loop's idle time afterwards, that nothing else comes.
 */
#include "messages.h"

#include <errno.h>
#include <unistd.h>
#include <uv.h>

#define SILENCE_MS 50 /* after the last message */

struct peer {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;
    uint32_t count;
    uint32_t next;
};

static void stop_silence(uv_timer_t *timer)
{
    struct peer *peer = timer->data;

    uv_poll_stop(&peer->poll);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct peer *peer = poll->data;
    unsigned char data[MESSAGE_ROOM];
    ssize_t size;

    require(status == 0 && (events & UV_READABLE) != 0, "poll");
    while ((size = recv(peer->fd, data, sizeof(data), 0)) >= 0) {
        require(peer->next <= peer->count, "a message after the last one");
        if (peer->next == peer->count) {
            require(is_end(data, (size_t)size), "the last message");
            uv_timer_start(&peer->timer, stop_silence, SILENCE_MS, 0);
        } else {
            message_check(data, (size_t)size, peer->next);
        }
        peer->next++;
    }
    require(errno == EAGAIN, "recv");
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct peer *peer = poll->data;
    unsigned char data[MESSAGE_ROOM];

    require(status == 0 && (events & UV_WRITABLE) != 0, "poll");
    while (peer->next < peer->count) {
        size_t size = message_write(data, peer->next);
        if (send(peer->fd, data, size, 0) < 0) {
            require(errno == EAGAIN, "send");
            return;
        }
        peer->next++;
    }
    if (send(peer->fd, MESSAGE_END, sizeof(MESSAGE_END) - 1, 0) < 0) {
        require(errno == EAGAIN, "send");
        return;
    }
    peer->next++;
    uv_poll_stop(poll);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct peer peer = {.count = 0};
    int receives;

    require(argc == 4, "usage");
    receives = strcmp(argv[1], "receive") == 0;
    peer.count = (uint32_t)strtoul(argv[3], NULL, 10);
    if (receives) {
        peer.fd = open_bound(argv[2]);
    } else {
        peer.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* libuv makes it non-blocking */
        require(peer.fd >= 0, "socket");
        connect_to(peer.fd, argv[2]);
    }
    require(uv_timer_init(loop, &peer.timer) == 0, "uv_timer_init");
    require(uv_poll_init(loop, &peer.poll, peer.fd) == 0, "uv_poll_init");
    peer.poll.data = &peer;
    peer.timer.data = &peer;
    require(uv_poll_start(&peer.poll, receives ? UV_READABLE : UV_WRITABLE, receives ? on_readable : on_writable) == 0,
            "uv_poll_start");
    require(uv_run(loop, UV_RUN_DEFAULT) == 0, "uv_run");
    require(peer.next == peer.count + 1, "messages");
    close(peer.fd);
    return EXIT_SUCCESS;
}
