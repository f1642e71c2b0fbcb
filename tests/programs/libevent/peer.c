/*
 * peer echo SOCKET | peer ask SOCKET COUNT OWN: a server and a client by libevent, whose loop waits in epoll, level- and
 * edge-triggered: the server reads one datagram an event, the client (edge-triggered) until there is none left.
 *
 * The server answers everything, until it has answered the last message. The client has up to WINDOW questions under
 * way, checks each answer, and finishes with the last message.
 */
#include "messages.h"

#include <errno.h>
#include <event2/event.h>

#define WINDOW 8

struct peer {
    struct event_base *base;
    int fd;
    uint32_t count;    /* of questions */
    uint32_t asked;    /* the last message counts, too */
    uint32_t answered; /* so far */
};

static void echo(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    unsigned char data[MESSAGE_ROOM];
    struct sockaddr_un source;
    socklen_t source_length = sizeof(source);
    ssize_t size;

    (void)what;
    size = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&source, &source_length);
    require(size >= 0, "recvfrom after an event");
    require(sendto(fd, data, (size_t)size, 0, (struct sockaddr *)&source, source_length) == size, "sendto");
    if (is_end(data, (size_t)size))
        event_base_loopbreak(peer->base);
}

static void ask_more(struct peer *peer)
{
    unsigned char data[MESSAGE_ROOM];

    while (peer->asked < peer->count && peer->asked - peer->answered < WINDOW) {
        size_t size = message_write(data, peer->asked);
        require(send(peer->fd, data, size, 0) == (ssize_t)size, "send");
        peer->asked++;
    }
    if (peer->asked == peer->count && peer->answered == peer->count) {
        require(send(peer->fd, MESSAGE_END, sizeof(MESSAGE_END) - 1, 0) > 0, "send");
        peer->asked++;
    }
}

static void take_answers(evutil_socket_t fd, short what, void *context)
{
    struct peer *peer = context;
    unsigned char data[MESSAGE_ROOM];
    ssize_t size;

    require((what & EV_TIMEOUT) == 0, "no answer in time");
    while ((size = recv(fd, data, sizeof(data), 0)) >= 0) {
        if (peer->answered == peer->count) {
            require(is_end(data, (size_t)size), "the last answer");
            event_base_loopbreak(peer->base);
            peer->answered++;
            continue; /* and nothing comes after it */
        }
        message_check(data, (size_t)size, peer->answered);
        peer->answered++;
        ask_more(peer);
    }
    require(errno == EAGAIN, "recv");
}

int main(int argc, char **argv)
{
    struct timeval limit = {.tv_sec = 20};
    struct peer peer = {.base = event_base_new()};
    struct event *event;

    require(peer.base != NULL, "event_base_new");
    if (argc == 3 && strcmp(argv[1], "echo") == 0) {
        peer.fd = open_bound(argv[2]);
        event = event_new(peer.base, peer.fd, EV_READ | EV_PERSIST, echo, &peer);
    } else {
        require(argc == 5 && strcmp(argv[1], "ask") == 0, "usage");
        peer.fd = open_bound(argv[4]);
        peer.count = (uint32_t)strtoul(argv[3], NULL, 10);
        connect_to(peer.fd, argv[2]);
        event = event_new(peer.base, peer.fd, EV_READ | EV_PERSIST | EV_ET, take_answers, &peer);
        ask_more(&peer);
    }
    require(event != NULL && event_add(event, &limit) == 0, "event");
    require(event_base_dispatch(peer.base) == 0, "event_base_dispatch");
    event_free(event);
    event_base_free(peer.base);
    require(peer.answered == (peer.count != 0 ? peer.count + 1 : 0), "answers");
    return EXIT_SUCCESS;
}
