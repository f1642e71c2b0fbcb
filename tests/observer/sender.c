/* A sender, which has the library: it connects, sends by name, begins anew, and may die at any moment. */
#include "observer/observer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct sender {
    int index, fd;
    uint32_t incarnation;
    uint64_t number;
    bool is_connected;
};

static void open_socket(struct sender *sender)
{
    struct sockaddr_un own = name_of("sender", sender->index);
    struct timeval patience = {.tv_usec = 20000};
    unlink(own.sun_path);
    sender->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sender->fd < 0 || (below(3) != 0 && bind(sender->fd, (struct sockaddr *)&own, sizeof(own)) != 0))
        fail("sender %d: %s", sender->index, strerror(errno));
    setsockopt(sender->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    sender->incarnation = ++figures->incarnation[sender->index];
    sender->number = 0;
    sender->is_connected = false;
}

static bool is_lull(int error)
{
    return error == EAGAIN || error == ECONNREFUSED || error == ENOENT || error == ECONNRESET || error == EPIPE ||
           error == EINTR || error == ENOTCONN || error == EDESTADDRREQ;
}

static void send_next(struct sender *sender)
{
    unsigned char data[LONGEST];
    struct sockaddr_un to = name_of("held", 0);
    size_t length =
        (sizeof(struct message) + (below(32) == 0 ? below(LONGEST - sizeof(struct message)) : below(200))) & ~7u;
    message_fill(data, sender->index, sender->incarnation, sender->number + 1, length);
    int flags = MSG_NOSIGNAL | (below(2) ? MSG_DONTWAIT : 0);
    ssize_t sent = sender->is_connected ? send(sender->fd, data, length, flags)
                                        : sendto(sender->fd, data, length, flags, (struct sockaddr *)&to, sizeof(to));
    if (sent == (ssize_t)length) {
        sender->number++;
        figures->sent++;
        return;
    }
    if (sent >= 0 || !is_lull(errno))
        fail("sender %d: %zd: %s", sender->index, sent, strerror(errno));
    if (errno == EAGAIN)
        return;
    sender->is_connected = false;
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* For a while: else rings are always full. */
static void wait_for_readers(void)
{
    for (uint64_t until = now_ms() + 5; now_ms() < until && figures->sent > figures->received + 8;)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void reconnect(struct sender *sender)
{
    struct sockaddr_un to = name_of("held", 0), nowhere = {.sun_family = AF_UNSPEC};
    if (sender->is_connected && below(2)) {
        connect(sender->fd, (struct sockaddr *)&nowhere, sizeof(sa_family_t));
        sender->is_connected = false;
    } else {
        sender->is_connected = connect(sender->fd, (struct sockaddr *)&to, sizeof(to)) == 0;
    }
}

void sender_run(int index)
{
    struct sender sender = {.index = index};
    open_socket(&sender);
    while (!figures->is_over) {
        for (uint64_t burst = below(24); burst > 0; burst--)
            send_next(&sender);
        if (below(2) != 0)
            wait_for_readers();
        if (below(100) == 0)
            reconnect(&sender);
        if (below(400) == 0) {
            close(sender.fd);
            open_socket(&sender);
        }
        if (below(4) == 0)
            nanosleep(&(struct timespec){.tv_nsec = (long)below(300000)}, NULL);
    }
}
