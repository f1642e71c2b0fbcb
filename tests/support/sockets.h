/* Datagram sockets for tests of the socket face, connected to one another in one process, one pair for each way that their
 * datagrams may go. Nothing here waits for long; what goes wrong fails the test. */
#ifndef TESTS_SUPPORT_SOCKETS_H
#define TESTS_SUPPORT_SOCKETS_H

#include <sys/un.h>

enum way {
    WAY_RING,   /* AF_UNIX, with a link that is open */
    WAY_KERNEL, /* AF_UNIX, and a sender that has no link */
    WAY_PLAIN,  /* a socketpair of libc, which the library has not seen */
    WAY_LINK,   /* AF_HQQ */
};

struct sockets {
    enum way way;
    int sender, receiver;
    struct sockaddr_un address;
};

/* To be called first of all: which names are configured. */
void sockets_configure(void);

struct sockets sockets_open(enum way way);
void sockets_close(struct sockets *sockets);

/* Sends and receives until the sender is on the ring. */
void sockets_reach_ring(struct sockets *sockets);

/* What this process has sent on the socket through shared memory, and through the kernel. */
unsigned sockets_sent_ring(int fd);
unsigned sockets_sent_kernel(int fd);

#endif
