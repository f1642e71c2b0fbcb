#include "support/sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <hqq/socket.h>

#include "support/named.h"

void sockets_configure(void)
{
    setenv("HQQ_PATHS", "@hqq-ring*", 1);
    setenv("HQQ_LINK_AFTER", "0", 1);
    setenv("HQQ_POLLING", "always", 1);
}

unsigned sockets_sent_ring(int fd)
{
    struct hqq_socket_status status;
    assert_int_equal(hqq_socket_status(fd, &status), 0);
    return (unsigned)status.sent_ring;
}

unsigned sockets_sent_kernel(int fd)
{
    struct hqq_socket_status status;
    assert_int_equal(hqq_socket_status(fd, &status), 0);
    return (unsigned)status.sent_kernel;
}

void sockets_reach_ring(struct sockets *sockets)
{
    char data[16];
    unsigned before = sockets_sent_ring(sockets->sender);
    for (int i = 0; i < 10000 && sockets_sent_ring(sockets->sender) == before; i++) {
        assert_int_equal(hqq_send(sockets->sender, "way", 3, 0), 3);
        assert_int_equal(hqq_recv(sockets->receiver, data, sizeof(data), 0), 3);
    }
    assert_true(sockets_sent_ring(sockets->sender) > before);
}

static void open_named(struct sockets *sockets, const char *prefix)
{
    static unsigned number;
    sockets->address.sun_family = AF_UNIX;
    snprintf(sockets->address.sun_path + 1, sizeof(sockets->address.sun_path) - 1, "%s-%d-%u", prefix, (int)getpid(),
             number++);
    const struct sockaddr *address = (const struct sockaddr *)&sockets->address;
    sockets->receiver = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockets->sender = hqq_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(hqq_bind(sockets->receiver, address, sizeof(sockets->address)), 0);
    assert_int_equal(hqq_connect(sockets->sender, address, sizeof(sockets->address)), 0);
}

struct sockets sockets_open(enum way way)
{
    struct sockets sockets = {.way = way};
    int fds[2];
    switch (way) {
    case WAY_RING:
        open_named(&sockets, "hqq-ring");
        sockets_reach_ring(&sockets);
        break;
    case WAY_KERNEL:
        open_named(&sockets, "hqq-kernel");
        break;
    case WAY_PLAIN:
        assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
        sockets.sender = fds[0];
        sockets.receiver = fds[1];
        break;
    case WAY_LINK: {
        struct named_pair pair = named_pair_open();
        sockets.sender = pair.bound;
        sockets.receiver = pair.connected;
        break;
    }
    }
    return sockets;
}

void sockets_close(struct sockets *sockets)
{
    if (sockets->sender >= 0)
        hqq_close(sockets->sender);
    if (sockets->receiver >= 0)
        hqq_close(sockets->receiver);
    sockets->sender = sockets->receiver = -1;
}
